// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.experts;

import static java.util.Objects.requireNonNull;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import org.blocksparse.Activation;
import org.blocksparse.BlockMatrix;
import org.blocksparse.FloatTensor;
import org.blocksparse.GradientOptions;
import org.blocksparse.Optimizer;
import org.blocksparse.Workers;
import org.blocksparse.internal.events.Recorder;
import org.blocksparse.internal.events.StepEvent;
import org.blocksparse.internal.memory.Scratch;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.tensors.Check;
import org.blocksparse.internal.tensors.Dense;
import org.blocksparse.internal.tensors.KernelOperands;
import org.blocksparse.internal.tensors.OperandLease;
import org.blocksparse.internal.weights.ReadOnlyWeights;
import org.blocksparse.products.BlockPlan;
import org.blocksparse.products.InputBias;
import org.blocksparse.products.OptimizerState;
import org.blocksparse.products.SparseBlockDot;

/**
 * A forward pass of a {@link MixtureOfExperts} that is kept for the backward pass: the routing, and
 * the input and output of the activation for each pair of row and expert. See {@link
 * MixtureOfExperts#forward(FloatTensor, FloatTensor)}.
 *
 * <p>x must not change until this pass is closed, and the parameters must not change until the
 * gradients are computed. {@link #step} changes the parameters: it is the last use of a pass, but
 * for {@link #clear} and {@link #gradGates}.
 *
 * <p><b>Errors</b> are those of {@link MixtureOfExperts}; a pass counts as a part of the layer. A
 * pass is for one thread at a time.
 */
public final class ExpertsPass implements AutoCloseable {
  /**
   * The parts of a layer that a pass computes with.
   *
   * @param gate makes routings; null: the caller makes them
   * @param state the state of an optimizer; null: weights are of a type that is only read
   */
  record Layer(
      ExpertsParameters parameters,
      TopKGate gate,
      Activation activation,
      OptimizerState state,
      Workers workers) {}

  private final Layer layer;
  private final FloatTensor x;
  private final Routing routing;
  private final boolean ownsRouting;
  private final BlockPlan up;
  private final BlockPlan down;
  private final Scratch zMemory;
  private final Scratch aMemory;
  private final FloatTensor z;
  private final FloatTensor a;
  private final FloatTensor gradGates;
  private boolean hasGradient;

  /** The pass of the shared expert, or null. */
  private ExpertsPass shared;

  /** Whether a step has changed the parameters from which z and a were computed. */
  private boolean isOutdated;

  private boolean closed;

  /**
   * Allocates a pass, which the layer fills.
   *
   * @param x (batch, inputs)
   * @param ownsRouting whether closing the pass closes the routing
   */
  ExpertsPass(Layer layer, FloatTensor x, Routing routing, boolean ownsRouting) {
    this.layer = layer;
    this.x = x;
    this.routing = routing;
    this.ownsRouting = ownsRouting;
    this.up = routing.toExperts().withWorkers(layer.workers());
    this.down = routing.fromExperts().withWorkers(layer.workers());
    int sums = layer.parameters().sums();
    this.gradGates = FloatTensor.zeros(routing.gates().shape());
    this.zMemory = Scratch.borrow((long) up.outputRows() * sums);
    this.aMemory = Scratch.borrow((long) up.outputRows() * layer.parameters().hidden());
    this.z = PlanRows.in(zMemory, up.outputShape(sums));
    this.a = PlanRows.in(aMemory, up.outputShape(layer.parameters().hidden()));
  }

  /** Takes ownership of the pass of the shared expert. */
  void add(ExpertsPass ofShared) {
    this.shared = ofShared;
  }

  FloatTensor z() {
    return z;
  }

  FloatTensor a() {
    return a;
  }

  BlockPlan up() {
    return up;
  }

  BlockPlan down() {
    return down;
  }

  /** Returns the routing. If the gate of the layer made it, closing the pass closes it. */
  public Routing routing() {
    return routing;
  }

  /**
   * Returns the gradient with respect to the gates, of their shape, after {@link #backward} or
   * {@link #step}. Use it to train your own gate. Closing the pass closes it.
   *
   * @throws IllegalStateException if no gradient was computed
   */
  public FloatTensor gradGates() {
    if (!hasGradient) {
      throw new IllegalStateException(
          "gradGates: there is no gradient yet; call backward or step first");
    }
    return gradGates;
  }

  /**
   * Computes the gradients of a loss with respect to x and parameters, written or added by the
   * options. Gradients of experts without rows are not touched; {@link #clear} sets gradients to
   * zero again.
   *
   * @param gradOut (batch, outputs): the gradient with respect to the output. NaN and infinities
   *     propagate to the gradients of all experts of their rows, and of the gate
   * @param options {@link GradientOptions#overwrite} or {@link GradientOptions#add}
   * @param gradients the tensors to write to, by parameter names, with the shapes of these; you may
   *     leave out parameters
   * @param gradX (batch, inputs), or null
   * @throws IllegalArgumentException also if a name is unknown, or if two of the tensors share
   *     memory
   * @throws IllegalStateException also after a {@link #step}
   */
  public void backward(
      FloatTensor gradOut,
      GradientOptions options,
      Map<String, FloatTensor> gradients,
      FloatTensor gradX) {
    Check.plain(options, "backward");
    requireGradients(gradients);
    requireApart(gradOut, gradients, gradX);
    try (OperandLease lease = lease(gradOut).writing("gradX", gradX)) {
      gradients.forEach(lease::writing);
      differentiate(gradOut, options, gradients, options, gradX);
    }
  }

  /** Computes the gradients of all experts, with checked operands. */
  private void differentiate(
      FloatTensor gradOut,
      GradientOptions options,
      Map<String, FloatTensor> gradients,
      GradientOptions ofX,
      FloatTensor gradX) {
    differentiate(
        gradOut,
        (gradZ, gradLogits, dense) -> {
          ofX(gradZ, gradLogits, dense, ofX, gradX);
          FloatTensor ofOut = PlanRows.outputs(down, gradOut);
          FloatTensor rows = PlanRows.inputs(up, x);
          ifWanted("W1", gradients, to -> SparseBlockDot.gradW(rows, gradZ, up, options, to));
          ifWanted("b1", gradients, to -> SparseBlockDot.gradB(gradZ, up, options, to));
          ifWanted("W2", gradients, to -> SparseBlockDot.gradW(a, ofOut, down, options, to));
          ifWanted(
              "b2", gradients, to -> InputBias.gradBias(ofOut, routing.gates(), down, options, to));
          FloatTensor ofGate = PlanRows.inputs(dense, x);
          ifWanted(
              "Wg", gradients, to -> SparseBlockDot.gradW(ofGate, gradLogits, dense, options, to));
          ifWanted("bg", gradients, to -> SparseBlockDot.gradB(gradLogits, dense, options, to));
        });
    if (shared != null) {
      GradientOptions added = GradientOptions.add(options.alpha());
      shared.differentiate(gradOut, options, ofShared(gradients), added, gradX);
    }
  }

  /** Returns the gradients of the shared expert, by its own names. */
  private static Map<String, FloatTensor> ofShared(Map<String, FloatTensor> gradients) {
    Map<String, FloatTensor> own = new HashMap<>();
    gradients.forEach(
        (name, gradient) -> {
          if (name.startsWith(ExpertsParameters.SHARED)) {
            own.put(name.substring(ExpertsParameters.SHARED.length()), gradient);
          }
        });
    return own;
  }

  private static void ifWanted(
      String name, Map<String, FloatTensor> gradients, Consumer<FloatTensor> computation) {
    if (gradients.containsKey(name)) {
      computation.accept(gradients.get(name));
    }
  }

  /**
   * Sets to 0 the parameter gradients that {@link #backward} writes. Experts without rows cost
   * nothing.
   */
  public void clear(Map<String, FloatTensor> gradients) {
    requireGradients(gradients);
    try (OperandLease lease = lease(null)) {
      gradients.forEach(lease::writing);
      clearAll(gradients);
    }
  }

  private void clearAll(Map<String, FloatTensor> gradients) {
    ifWanted("W1", gradients, to -> SparseBlockDot.clearGradW(up, to));
    ifWanted("b1", gradients, to -> SparseBlockDot.clearGradB(up, to));
    ifWanted("W2", gradients, to -> SparseBlockDot.clearGradW(down, to));
    ifWanted("b2", gradients, to -> InputBias.clearGradBias(down, to));
    ifWanted("Wg", gradients, to -> to.fill(0));
    ifWanted("bg", gradients, to -> to.fill(0));
    if (shared != null) {
      shared.clearAll(ofShared(gradients));
    }
  }

  /**
   * Makes a training step without a gradient for x; see {@link #step(FloatTensor, Optimizer,
   * FloatTensor)}.
   */
  public void step(FloatTensor gradOut, Optimizer optimizer) {
    step(gradOut, optimizer, null);
  }

  /**
   * Makes a training step, which updates each parameter. Experts without rows cost nothing and do
   * not change: they do not decay, and Adam counts the steps of each expert separately. The
   * gradients of weights are used while they are in the cache, and never stored.
   *
   * @param gradOut (batch, outputs): the gradient of a loss with respect to the output
   * @param optimizer the layer keeps its state, until a step uses another optimizer
   * @param gradX (batch, inputs) receives the gradient with respect to x, computed before the
   *     update; or null
   * @throws IllegalArgumentException also if x, gradOut or the gates have an element that is not
   *     finite
   * @throws IllegalStateException also if the weights are of a read-only type, or after a step
   * @throws OutOfMemoryError if there is not enough memory for the optimizer state; the message has
   *     the number of bytes. Some parameters may be updated
   */
  public void step(FloatTensor gradOut, Optimizer optimizer, FloatTensor gradX) {
    requireNonNull(optimizer, "optimizer");
    requireApart(gradOut, Map.of(), gradX);
    OptimizerState state = layer.state();
    if (state == null) {
      throw ReadOnlyWeights.notTrained("step", layer.parameters().type());
    }
    StepEvent event = Recorder.step();
    try (OperandLease lease = lease(gradOut).writing("gradX", gradX)) {
      layer.parameters().leaseToTrain(lease);
      Check.finite("x", KernelOperands.rows(x));
      Check.finite("gates", KernelOperands.rows(routing.gates()));
      if (shared != null) {
        Check.finite("gates of the shared expert", KernelOperands.rows(shared.routing.gates()));
      }
      Check.finite("gradOut", KernelOperands.rows(gradOut));
      update(gradOut, optimizer, state, GradientOptions.overwrite(), gradX);
    }
    if (event != null) {
      String rule = optimizer.kind().name();
      event.record("mixture of experts", routing.batch(), routing.pairs(), rule, Double.NaN);
    }
  }

  /** Updates all experts; the gradient with respect to x is computed first. */
  private void update(
      FloatTensor gradOut,
      Optimizer optimizer,
      OptimizerState state,
      GradientOptions ofX,
      FloatTensor gradX) {
    ExpertsParameters all = layer.parameters();
    differentiate(
        gradOut,
        (gradZ, gradLogits, dense) -> {
          ofX(gradZ, gradLogits, dense, ofX, gradX);
          isOutdated = true;
          FloatTensor ofOut = PlanRows.outputs(down, gradOut);
          if (gradLogits != null) {
            FloatTensor ofGate = PlanRows.inputs(dense, x);
            SparseBlockDot.stepW(ofGate, gradLogits, dense, optimizer, all.Wg(), state);
            ifThere(all.bg(), b -> SparseBlockDot.stepB(gradLogits, dense, optimizer, b, state));
          }
          FloatTensor rows = PlanRows.inputs(up, x);
          SparseBlockDot.stepW(rows, gradZ, up, optimizer, (FloatTensor) all.W1(), state);
          ifThere(all.b1(), b -> SparseBlockDot.stepB(gradZ, up, optimizer, b, state));
          SparseBlockDot.stepW(a, ofOut, down, optimizer, (FloatTensor) all.W2(), state);
          ifThere(all.b2(), b -> InputBias.step(ofOut, routing.gates(), down, optimizer, b, state));
        });
    if (shared != null) {
      shared.update(gradOut, optimizer, state, GradientOptions.add(1), gradX);
    }
  }

  private static void ifThere(FloatTensor bias, Consumer<FloatTensor> computation) {
    if (bias != null) {
      computation.accept(bias);
    }
  }

  // ----------------------------------------------------------------------------------- the way

  /** Uses gradients while they are in memory. */
  private interface Use {
    /**
     * Uses the gradients with respect to the input of the activation, and to the logits.
     *
     * @param gradLogits (batch, 1, experts); null if the gate of the layer did not make the routing
     * @param dense the plan of the gate
     */
    void accept(FloatTensor gradZ, FloatTensor gradLogits, BlockPlan dense);
  }

  private void differentiate(FloatTensor gradOut, Use use) {
    ExpertsParameters all = layer.parameters();
    boolean gated = isOfTheGate();
    try (Scratch ofZ = Scratch.borrow(z.shape().size());
        Scratch ofLogits = Scratch.borrow(gated ? (long) routing.batch() * all.experts() : 0);
        BlockPlan dense = BlockPlan.dense(routing.batch()).withWorkers(layer.workers())) {
      FloatTensor gradZ = PlanRows.in(ofZ, z.shape());
      FloatTensor ofOut = PlanRows.outputs(down, gradOut);
      GradientOptions through =
          GradientOptions.overwrite()
              .withActivation(layer.activation(), z)
              .withGate(routing.gates(), gradGates);
      SparseBlockDot.gradH(all.W2(), ofOut, down, through, gradZ);
      if (all.b2() != null) {
        InputBias.gradGate(all.b2(), ofOut, down, GradientOptions.add(1), gradGates);
      }
      hasGradient = true;
      FloatTensor gradLogits = null;
      if (gated) {
        gradLogits = PlanRows.in(ofLogits, dense.outputShape(all.experts()));
        layer
            .gate()
            .gradient(routing, gradGates, gradLogits.reshape(routing.batch(), all.experts()));
      }
      use.accept(gradZ, gradLogits, dense);
    }
  }

  /** Returns whether the gate of the layer made the routing, and is trained by its gradient. */
  private boolean isOfTheGate() {
    return routing.gate() != null && routing.gate() == layer.gate();
  }

  private void ofX(
      FloatTensor gradZ,
      FloatTensor gradLogits,
      BlockPlan dense,
      GradientOptions options,
      FloatTensor gradX) {
    if (gradX == null) {
      return;
    }
    ExpertsParameters all = layer.parameters();
    SparseBlockDot.gradH(all.W1(), gradZ, up, options, PlanRows.inputs(up, gradX));
    if (gradLogits != null) {
      SparseBlockDot.gradH(
          all.Wg(),
          gradLogits,
          dense,
          GradientOptions.add(options.alpha()),
          PlanRows.inputs(dense, gradX));
    }
  }

  // ------------------------------------------------------------------------------------- checks

  private void requireGradients(Map<String, FloatTensor> gradients) {
    Map<String, BlockMatrix> all = layer.parameters().byName();
    requireNonNull(gradients, "gradients")
        .forEach(
            (name, gradient) -> {
              if (!all.containsKey(name)) {
                throw new IllegalArgumentException(
                    "gradients: \"" + name + "\" is none of the parameters " + all.keySet());
              }
              if ((name.equals("Wg") || name.equals("bg")) && !isOfTheGate()) {
                throw new IllegalArgumentException(
                    "gradients: " + name + " has none, as the routing is not of the layer's gate");
              }
              Dense.from(requireNonNull(gradient, name)).requireContiguous(name);
              Check.shape(
                  name, gradient, "the shape of the parameter", all.get(name).shape().toArray());
            });
  }

  /** Checks that written tensors share memory with no other tensor. */
  private void requireApart(
      FloatTensor gradOut, Map<String, FloatTensor> gradients, FloatTensor gradX) {
    if (isOutdated) {
      throw new IllegalStateException(
          "pass: its step has changed the parameters; call forward for another pass");
    }
    Check.shape(
        "gradOut", gradOut, MixtureOfExperts.OUT, routing.batch(), layer.parameters().outputs());
    List<String> names = new ArrayList<>(gradients.keySet());
    List<Storage> memory =
        new ArrayList<>(
            gradients.values().stream().map(tensor -> Dense.from(tensor).storage()).toList());
    if (gradX != null) {
      Check.shape("gradX", gradX, MixtureOfExperts.X, routing.batch(), layer.parameters().inputs());
      names.add("gradX");
      memory.add(Dense.from(gradX).storage());
    }
    for (int i = 0; i < names.size(); i++) {
      FloatTensor written = i < gradients.size() ? gradients.get(names.get(i)) : gradX;
      Check.noOverlap(names.get(i), written, "gradOut", gradOut);
      Check.noOverlap(names.get(i), written, "x", x);
      layer.parameters().requireApart(names.get(i), written);
    }
    int[] pair = Storage.overlapping(memory.toArray(new Storage[0]));
    if (pair != null) {
      throw new IllegalArgumentException(
          names.get(pair[1]) + ": shares memory with " + names.get(pair[0]));
    }
  }

  /** Returns a lease on the tensors that gradients are computed from; gradOut may be null. */
  private OperandLease lease(FloatTensor gradOut) {
    if (closed) {
      throw new IllegalStateException("pass: the pass is closed");
    }
    return layer
        .parameters()
        .lease(new OperandLease())
        .of("x", x)
        .of("routing", routing.gates())
        .of("gradOut", gradOut);
  }

  /** Releases the memory of the pass. Idempotent. */
  @Override
  public void close() {
    if (!closed) {
      closed = true;
      zMemory.close();
      aMemory.close();
      gradGates.close();
      if (shared != null) {
        shared.close();
      }
      if (ownsRouting) {
        routing.close();
      }
    }
  }

  @Override
  public String toString() {
    return "ExpertsPass(" + routing + (closed ? ", closed)" : ")");
  }
}
