// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import java.util.function.Function;
import java.util.function.Supplier;
import org.blocksparse.internal.Engine;
import org.blocksparse.internal.Rows;
import org.blocksparse.internal.layer.ReadOnlyWeights;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.optimizer.LayerState;
import org.blocksparse.internal.softmax.DenseGradients;
import org.blocksparse.internal.softmax.FusedGradientDescent;
import org.blocksparse.internal.softmax.Link;
import org.blocksparse.internal.softmax.OptimizerUpdate;
import org.blocksparse.internal.softmax.SmoothingPrior;
import org.blocksparse.internal.softmax.SoftmaxSizes;
import org.blocksparse.internal.softmax.SoftmaxStorage;
import org.blocksparse.internal.softmax.SoftmaxUpdate;
import org.blocksparse.internal.softmax.TrainingBatch;
import org.blocksparse.internal.softmax.TrainingPass;
import org.blocksparse.internal.softmax.TwoLevelSoftmax;
import org.blocksparse.internal.softmax.Workspace;

/**
 * All memory of a {@link HierarchicalSoftmax} or a {@link LabelTree}, which is kept from going
 * while an operation runs, and the operations on it. Arguments are checked, but for what a lease
 * tells: whether tensors are open and may be written.
 */
final class LayerMemory implements AutoCloseable {
  private final int features;
  private final ClassAssignment assignment;
  private final Workers workers;
  private final SoftmaxParameters parameters;
  private final Storage valid;

  /** Null: there is no smoothing. */
  private final Storage prior;

  private final TwoLevelSoftmax softmax;
  private final LayerState state;
  private volatile boolean closed;

  LayerMemory(
      int features,
      ClassAssignment assignment,
      Workers workers,
      SoftmaxParameters parameters,
      Link link) {
    this(
        features,
        assignment,
        workers,
        parameters,
        link,
        parameters.storage().optimizerState(assignment.classCount()));
  }

  private LayerMemory(
      int features,
      ClassAssignment assignment,
      Workers workers,
      SoftmaxParameters parameters,
      Link link,
      LayerState state) {
    this.features = features;
    this.assignment = assignment;
    this.workers = workers;
    this.state = state;
    this.parameters = parameters;
    int classes = assignment.classCount();
    this.valid = Storage.allocate(classes);
    this.prior = link == Link.SOFTMAX ? SmoothingPrior.of(assignment.table()) : null;
    for (int c = 0; c < classes; c++) {
      valid.putInt(c, assignment.size(c));
    }
    SoftmaxStorage storage = parameters.storage();
    SoftmaxSizes sizes = new SoftmaxSizes(features, classes, assignment.slots());
    this.softmax = new TwoLevelSoftmax(workers.engine(), link, storage, sizes, valid);
  }

  /** With parameters made for it: if there is no memory for the rest, they are closed. */
  static LayerMemory owning(
      int features,
      ClassAssignment assignment,
      Workers workers,
      SoftmaxParameters fresh,
      Link link) {
    try {
      return new LayerMemory(features, assignment, workers, fresh, link);
    } catch (Throwable e) {
      fresh.close();
      throw e;
    }
  }

  /** The same parameters and state, whose outputs live elsewhere; {@link #closeTables} follows. */
  LayerMemory with(ClassAssignment other) {
    return new LayerMemory(features, other, workers, parameters, link(), state);
  }

  /** New parameters of the same layer, without state. */
  LayerMemory with(ClassAssignment other, SoftmaxParameters fresh) {
    return owning(features, other, workers, fresh, link());
  }

  int features() {
    return features;
  }

  ClassAssignment assignment() {
    return assignment;
  }

  /** What kind of layer has it, for events. */
  String kind() {
    return kind(link());
  }

  static String kind(Link link) {
    return link == Link.SOFTMAX ? "softmax" : "label tree";
  }

  /** In a few words, for the layer that has it. */
  String describe(String layer) {
    return layer
        + "("
        + features
        + " features, "
        + assignment
        + ", "
        + parameters.size()
        + ", "
        + workers
        + ")";
  }

  Link link() {
    return softmax.link();
  }

  SoftmaxParameters parameters() {
    return parameters;
  }

  TwoLevelSoftmax softmax() {
    return softmax;
  }

  LayerState state() {
    return state;
  }

  /** A lease on all that is the layer's own, to be read. */
  Lease lease() {
    return hold(() -> parameters.read(new Lease()));
  }

  /** A lease on all that is the layer's own, of which the parameters are to be written. */
  Lease leaseToTrain() {
    return hold(() -> parameters.write(new Lease()));
  }

  private Lease hold(Supplier<Lease> ofParameters) {
    requireOpen();
    try {
      Lease lease = ofParameters.get();
      if (!lease.tryHold(valid) || !lease.tryHold(prior)) {
        lease.close();
        throw new IllegalStateException("only close() closes them");
      }
      return lease;
    } catch (IllegalStateException e) {
      requireOpen(); // it may have been closed meanwhile
      throw e;
    }
  }

  private void requireOpen() {
    if (closed) {
      throw new IllegalStateException("layer: the layer is closed");
    }
  }

  /** What is computed of the rows of x, with memory for intermediate results. */
  interface Computation<R> {
    R of(Rows x, Workspace workspace);
  }

  /** Computes something of x. */
  <R> R compute(FloatTensor x, Computation<R> computation) {
    return compute(x, Filter.NONE, computation);
  }

  /** Computes something of x and a filter. */
  <R> R compute(FloatTensor x, Filter filter, Computation<R> computation) {
    try (Lease lease = filter.lease(lease().of("x", x));
        Workspace workspace = softmax.borrowWorkspace()) {
      return computation.of(KernelOperands.rows(x), workspace);
    }
  }

  /** Checks the targets of a call, in memory of its workspace. */
  interface Targets {
    TrainingBatch in(Workspace workspace);
  }

  /** What is wanted of a batch and of the losses of its rows that count, not weighted. */
  interface Result<R> {
    R of(TrainingBatch batch, double[] losses);
  }

  /** Something of the losses. */
  <R> R losses(FloatTensor x, Targets targets, Result<R> result) {
    return pass(
        lease(), x, targets, null, workspace -> SoftmaxUpdate.NONE, TrainingPass::run, result);
  }

  /** The loss, and gradients into tensors of zeros. */
  double gradients(FloatTensor x, Targets targets, FloatTensor gradX, SoftmaxParameters gradients) {
    SoftmaxUpdate update = new DenseGradients(gradients.storage(), softmax.sizes());
    return pass(
        lease(), x, targets, gradX, workspace -> update, TrainingPass::run, TrainingBatch::sum);
  }

  /**
   * The weights may be written.
   *
   * @throws IllegalStateException if they are of a type that is only read
   */
  void requireTrainable(String operation) {
    if (parameters.narrow() != null) {
      throw ReadOnlyWeights.notTrained(operation, parameters.type().stored());
    }
  }

  /** A copy without optimizer state, with weights of a type, one of the two not FLOAT32. */
  LayerMemory withWeights(ElementType type) {
    return with(
        assignment,
        type == ElementType.FLOAT32
            ? widenedParameters()
            : narrowParameters(type, workers.engine()));
  }

  private SoftmaxParameters narrowParameters(ElementType type, Engine engine) {
    if (parameters.narrow() != null && parameters.type() != type) {
      throw ReadOnlyWeights.roundedAlready(parameters.type().stored(), type.stored());
    }
    try (Lease lease = lease()) {
      SoftmaxWeights narrow = SoftmaxWeights.of(parameters, type, engine);
      FloatTensor b1 = null;
      try {
        b1 = parameters.b1().copy("b1");
        return new SoftmaxParameters(null, b1, null, parameters.b2().copy("b2"), narrow);
      } catch (Throwable e) {
        narrow.close();
        if (b1 != null) {
          b1.close();
        }
        throw e;
      }
    }
  }

  private SoftmaxParameters widenedParameters() {
    SoftmaxSizes sizes = softmax.sizes();
    try (Lease lease = lease()) {
      SoftmaxParameters copy =
          SoftmaxParameters.zeros(sizes.features(), sizes.classes(), sizes.slots());
      try {
        SoftmaxWeights narrow = parameters.narrow();
        narrow.W1().widen(copy.W1());
        narrow.W2().widen(copy.W2());
        copy.b1().storage().copyFrom(parameters.b1().storage());
        copy.b2().storage().copyFrom(parameters.b2().storage());
        lease.requireIntact();
        return copy;
      } catch (Throwable e) {
        copy.close();
        throw e;
      }
    }
  }

  /** How far a pass goes: through both levels, or one of them. */
  interface Extent extends Function<TrainingPass, double[]> {}

  /** Something of the losses before a step of training; {@code gradX} may be null. */
  <R> R step(
      FloatTensor x,
      Targets targets,
      FloatTensor gradX,
      Optimizer optimizer,
      Extent extent,
      Result<R> result) {
    try (Lease lease = leaseToTrain();
        LayerState.Step step = state.begin(optimizer.rule(), softmax.engine().kernels())) {
      return pass(lease, x, targets, gradX, workspace -> update(step, workspace), extent, result);
    }
  }

  private SoftmaxUpdate update(LayerState.Step step, Workspace workspace) {
    return step.rule().isPlainDescent()
        ? new FusedGradientDescent(step, softmax.parameters(), softmax.sizes())
        : new OptimizerUpdate(step, softmax.sizes(), workspace);
  }

  /** Makes a pass, and ends the lease on the layer. */
  private <R> R pass(
      Lease ofLayer,
      FloatTensor x,
      Targets targets,
      FloatTensor gradX,
      Function<Workspace, SoftmaxUpdate> update,
      Extent extent,
      Result<R> result) {
    try (Lease lease = ofLayer.of("x", x).writing("gradX", gradX);
        Workspace workspace = softmax.borrowWorkspace()) {
      TrainingBatch batch = targets.in(workspace);
      TrainingPass pass =
          new TrainingPass(
              softmax,
              prior,
              KernelOperands.rows(x),
              batch,
              gradX == null ? null : KernelOperands.rows(gradX),
              update.apply(workspace),
              workspace);
      return result.of(batch, extent.apply(pass));
    }
  }

  /** Frees what is not of the parameters and their state, which others have taken over. */
  void closeTables() {
    closed = true;
    valid.close();
    if (prior != null) {
      prior.close();
    }
    softmax.close();
  }

  @Override
  public void close() {
    closeTables();
    parameters.close();
    state.close();
  }
}
