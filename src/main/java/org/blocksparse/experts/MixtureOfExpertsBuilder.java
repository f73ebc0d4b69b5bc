// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.experts;

import static java.util.Objects.requireNonNull;

import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.UnaryOperator;
import org.blocksparse.Activation;
import org.blocksparse.BlockMatrix;
import org.blocksparse.ElementType;
import org.blocksparse.FileFormatException;
import org.blocksparse.FloatTensor;
import org.blocksparse.Shape;
import org.blocksparse.Weights;
import org.blocksparse.Workers;
import org.blocksparse.internal.kernels.Engine;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.tensors.Check;
import org.blocksparse.internal.tensors.Dense;
import org.blocksparse.internal.tensors.DenseFloats;
import org.blocksparse.internal.tensors.KernelOperands;
import org.blocksparse.internal.tensors.OperandLease;
import org.blocksparse.internal.tensors.StoredBlocks;
import org.blocksparse.internal.training.InitialWeights;
import org.blocksparse.internal.weights.StoredWeights;
import org.blocksparse.io.HuggingFaceModel;

/** Builds a {@link MixtureOfExperts}; see {@link MixtureOfExperts#builder}. */
public final class MixtureOfExpertsBuilder {
  /** The rank of weights. */
  private static final int RANK = 4;

  private static final List<String> NAMES =
      List.of("Wg", "bg", "W1", "b1", "W2", "b2", "W1.gate", "W1.up", "b1.gate", "b1.up");

  /** The suffix of the gate half of W1 and b1. */
  private static final String GATE = ".gate";

  private static final String UP = ".up";

  private static final String SHARED = ExpertsParameters.SHARED;

  private final int inputs;
  private final int hidden;
  private final int experts;
  private final TopKGate gate;
  private int outputs;
  private Activation activation = Activation.SWIGLU;
  private boolean biases;
  private MixtureOfExpertsBuilder shared;
  private Workers workers = Workers.common();
  private long seed;

  /**
   * Creates a builder.
   *
   * @param gate null if there is none
   */
  MixtureOfExpertsBuilder(int inputs, int hidden, int experts, TopKGate gate) {
    this.inputs = Check.dimension("inputs", inputs);
    this.hidden = Check.dimension("hidden", hidden);
    this.experts = Check.dimension("experts", experts);
    this.gate = gate;
    this.outputs = inputs;
  }

  /**
   * Returns the size of a row of the output; by default, the size of a row of x.
   *
   * @throws IllegalArgumentException unless it is at least 1
   */
  public MixtureOfExpertsBuilder outputs(int size) {
    this.outputs = Check.dimension("outputs", size);
    return this;
  }

  /** Returns the activation between the two products; by default {@link Activation#SWIGLU}. */
  public MixtureOfExpertsBuilder activation(Activation function) {
    this.activation = requireNonNull(function, "activation");
    return this;
  }

  /**
   * Adds a shared expert, which gets every row, of a hidden size of its own; none by default.
   *
   * @throws IllegalArgumentException unless the size is at least 1
   */
  public MixtureOfExpertsBuilder shared(int hiddenSize) {
    return shared(hiddenSize, null);
  }

  /**
   * Adds a shared expert whose output is multiplied by a sigmoid of the row, as in Qwen 2.
   *
   * @throws IllegalArgumentException unless the size is at least 1
   */
  public MixtureOfExpertsBuilder gatedShared(int hiddenSize) {
    return shared(hiddenSize, TopKGate.SIGMOID);
  }

  private MixtureOfExpertsBuilder shared(int hiddenSize, TopKGate ofShared) {
    this.shared = new MixtureOfExpertsBuilder(inputs, hiddenSize, 1, ofShared);
    return this;
  }

  /** Adds biases of the gate and of both products, for {@link #build()}; none by default. */
  public MixtureOfExpertsBuilder biases() {
    this.biases = true;
    return this;
  }

  /** Returns the threads that run every call; by default {@link Workers#common}. */
  public MixtureOfExpertsBuilder workers(Workers all) {
    this.workers = requireNonNull(all, "workers");
    return this;
  }

  /** Sets the seed of the initial weights; 0 by default. Equal seeds give equal layers. */
  public MixtureOfExpertsBuilder seed(long value) {
    this.seed = value;
    return this;
  }

  /**
   * Returns the names of parameters, with their shapes.
   *
   * @param all whether biases are among them
   */
  Map<String, Shape> shapes(boolean all) {
    if (activation.isGated() && hidden > Integer.MAX_VALUE / 2) {
      throw new IllegalArgumentException(
          "hidden: expected at most 2^30 - 1 with " + activation + " but was " + hidden);
    }
    int sums = activation.isGated() ? 2 * hidden : hidden;
    Map<String, Shape> shapes = new LinkedHashMap<>();
    if (gate != null) {
      shapes.put("Wg", Shape.of(1, 1, inputs, experts));
    }
    if (gate != null && all) {
      shapes.put("bg", Shape.of(1, experts));
    }
    shapes.put("W1", Shape.of(1, experts, inputs, sums));
    if (all) {
      shapes.put("b1", Shape.of(experts, sums));
    }
    shapes.put("W2", Shape.of(experts, 1, hidden, outputs));
    if (all) {
      shapes.put("b2", Shape.of(experts, outputs));
    }
    if (shared != null) {
      shared
          .outputs(outputs)
          .activation(activation)
          .shapes(all)
          .forEach((name, shape) -> shapes.put(SHARED + name, shape));
    }
    return shapes;
  }

  /**
   * Returns a layer with biases of zero and random weights, uniform in [-1, 1] / sqrt(n), where n
   * is the input size of the product: {@code inputs} for Wg and W1, the hidden size for W2.
   *
   * @throws IllegalArgumentException if hidden is 2<sup>30</sup> or more, with a gated activation
   * @throws OutOfMemoryError if there is not enough native memory; the message names the bytes
   */
  public MixtureOfExperts build() {
    Map<String, Shape> shapes = shapes(biases);
    FloatTensor[] made = DenseFloats.zeros(shapes.values().toArray(new Shape[0]));
    Map<String, FloatTensor> all = new LinkedHashMap<>();
    long before = 0;
    for (String name : shapes.keySet()) {
      FloatTensor tensor = made[all.size()];
      all.put(name, tensor);
      if (tensor.shape().rank() == RANK) {
        int rows = (int) tensor.shape().dim(2);
        int columns = (int) tensor.shape().dim(3);
        new InitialWeights(rows, seed).fill(Dense.from(tensor).storage(), before, columns);
        before += tensor.shape().size();
      }
    }
    return build(all);
  }

  /**
   * Returns a layer that takes ownership of the given parameters: training changes them, and
   * closing the layer closes them. W1 and W2 may be {@link Weights}, which are read-only: the layer
   * cannot be trained then.
   *
   * <p>With a gated activation, you may pass W1 in two halves, W1.gate and W1.up, each (1, experts,
   * inputs, hidden) and both of the same type and layout. Likewise you may pass b1 as b1.gate and
   * b1.up, each (experts, hidden). Halves are copied side by side, and closed.
   *
   * @param parameters the parameters by the names in {@link MixtureOfExperts}: W1 and W2, Wg if
   *     there is a gate, biases if any, and the same of the shared expert if there is one
   * @throws IllegalArgumentException if a name is missing or unknown, or a parameter is given with
   *     its halves; if a shape does not fit; if a parameter other than W1 and W2 is not a {@link
   *     FloatTensor}; if a {@link FloatTensor} is a transposed view; if two share memory; or if
   *     halves differ in type or layout, or are packed and hidden is not a multiple of 16
   * @throws IllegalStateException if a half is closed
   */
  public MixtureOfExperts build(Map<String, ? extends BlockMatrix> parameters) {
    Map<String, Shape> shapes = shapesOf(requireNonNull(parameters, "parameters").keySet());
    Map<String, BlockMatrix> checked = new LinkedHashMap<>();
    shapes.forEach(
        (name, shape) -> {
          BlockMatrix parameter = parameters.get(name);
          if (parameter != null) {
            checked.put(name, require(name, parameter, shape));
          } else if (own(name).startsWith("W") || parameters.containsKey(name)) {
            throw new IllegalArgumentException("parameters: expected " + name + " " + shape);
          }
        });
    requireApart(checked);
    List<BlockMatrix> halves = new ArrayList<>();
    List<BlockMatrix> joined = new ArrayList<>();
    try {
      for (String name : List.of("W1", "b1", SHARED + "W1", SHARED + "b1")) {
        join(name, checked, halves, joined);
      }
      MixtureOfExperts layer =
          new MixtureOfExperts(
              ExpertsParameters.of(checked),
              gate == null ? null : gate.withWorkers(workers),
              activation,
              workers,
              Map.of());
      halves.forEach(BlockMatrix::close);
      return layer;
    } catch (Throwable e) {
      joined.forEach(BlockMatrix::close);
      throw e;
    }
  }

  /**
   * Returns a layer without biases, of the (out, in) matrices of a model that {@link
   * MixtureOfExperts#of(HuggingFaceModel, int, ElementType)} does not know. The function {@code
   * names} gets names as in Qwen 2 and OLMoE, without the prefix of the layer, and only those that
   * the settings of this builder ask for. It returns the names of the model:
   *
   * <pre>{@code
   * try (HuggingFaceModel model = HuggingFaceModel.open(folder)) {
   *   return MixtureOfExperts.builder(2048, 1408, TopKGate.of(60, 4).withoutRenormalization())
   *       .gatedShared(5632)
   *       .build(model, name -> "model.layers.5.mlp." + name, ElementType.Q8_0);
   * }
   * }</pre>
   *
   * <table>
   *   <caption>Names; of each expert, from 0</caption>
   *   <tr><th>name</th><th>shape</th></tr>
   *   <tr><td>experts.3.gate_proj.weight, with a gated activation</td><td>(hidden, inputs)</td></tr>
   *   <tr><td>experts.3.up_proj.weight</td><td>(hidden, inputs)</td></tr>
   *   <tr><td>experts.3.down_proj.weight</td><td>(outputs, hidden)</td></tr>
   *   <tr><td>gate.weight, with a gate</td><td>(experts, inputs)</td></tr>
   *   <tr><td>shared_expert.gate_proj.weight, shared_expert.up_proj.weight,
   *       shared_expert.down_proj.weight, with a shared expert</td>
   *       <td>the same, of its hidden size</td></tr>
   *   <tr><td>shared_expert_gate.weight, with {@link #gatedShared}</td><td>(1, inputs)</td></tr>
   * </table>
   *
   * @param model may be closed afterwards; only one expert is held at a time beside the layer
   * @param type the type of W1 and W2; use FLOAT32 to train; the type that {@link
   *     HuggingFaceModel#info} returns loses no precision
   * @throws FileFormatException if a tensor is missing, cannot be read or has another shape; or if
   *     an element for W1 or W2 is not finite or too large for the type
   * @throws IllegalStateException if this builder has {@link #biases}, or the model is closed
   * @throws IOException if a file cannot be read
   * @throws OutOfMemoryError if there is not enough native memory; the message names the bytes
   */
  public MixtureOfExperts build(
      HuggingFaceModel model, UnaryOperator<String> names, ElementType type) throws IOException {
    if (biases) {
      throw new IllegalStateException("biases: named matrices have none; build without them");
    }
    return build(
        new NamedExperts(
            requireNonNull(model, "model"),
            requireNonNull(names, "names"),
            false,
            false,
            activation,
            requireNonNull(type, "type"),
            Engine.from(workers)),
        Map.of());
  }

  /**
   * Returns a layer of the parameters that are given, and of those that a model has.
   *
   * @param given some parameters, which the layer takes ownership of
   */
  MixtureOfExperts build(NamedExperts named, Map<String, BlockMatrix> given) throws IOException {
    Map<String, BlockMatrix> made = new LinkedHashMap<>(given);
    try {
      for (Map.Entry<String, Shape> parameter : shapes(false).entrySet()) {
        String name = parameter.getKey();
        if (!made.containsKey(name)) {
          made.put(name, named.parameter(name, parameter.getValue()));
        }
      }
      return build(made);
    } catch (Throwable e) {
      made.values().forEach(BlockMatrix::close);
      throw e;
    }
  }

  /** Returns the name of a parameter without that of the shared expert. */
  private static String own(String name) {
    return name.startsWith(SHARED) ? name.substring(SHARED.length()) : name;
  }

  /** Checks that the names are known and fit each other, and returns their shapes. */
  private Map<String, Shape> shapesOf(Set<String> names) {
    Map<String, Shape> shapes = new LinkedHashMap<>();
    shapes(true)
        .forEach(
            (name, shape) -> {
              if (names.contains(name + GATE) || names.contains(name + UP)) {
                shapes.putAll(halves(name, shape));
              } else {
                shapes.put(name, shape);
              }
            });
    for (String name : names) {
      if (!NAMES.contains(own(name))) {
        throw new IllegalArgumentException(
            "parameters: \"" + name + "\" is none of " + String.join(", ", NAMES));
      }
      if (shared == null && name.startsWith(SHARED)) {
        throw new IllegalArgumentException(
            "parameters: "
                + name
                + " belongs to a shared expert, which this layer was built without");
      }
      if (!shapes.containsKey(name)) {
        throw new IllegalArgumentException(
            "parameters: "
                + name
                + (name.endsWith("g")
                    ? " belongs to a gate, which this layer was built without"
                    : " is given beside its halves; leave it or them out"));
      }
    }
    return shapes;
  }

  private Map<String, Shape> halves(String name, Shape whole) {
    if (!activation.isGated()) {
      throw new IllegalArgumentException(
          "parameters: " + name + " has halves, which " + activation + " does not use; give one");
    }
    long[] dims = whole.toArray();
    dims[dims.length - 1] /= 2;
    Map<String, Shape> both = new LinkedHashMap<>();
    both.put(name + GATE, Shape.of(dims));
    both.put(name + UP, Shape.of(dims));
    return both;
  }

  /** Replaces two halves, if given, by the joined parameter. */
  private void join(
      String name,
      Map<String, BlockMatrix> parameters,
      List<BlockMatrix> halves,
      List<BlockMatrix> joined) {
    BlockMatrix first = parameters.get(name + GATE);
    BlockMatrix second = parameters.get(name + UP);
    if (first == null && second == null) {
      return;
    }
    if (first == null || second == null) {
      throw new IllegalArgumentException(
          "parameters: expected " + name + (first == null ? GATE : UP) + " beside its other half");
    }
    try (OperandLease lease =
        new OperandLease().ofBlocks(name + GATE, first).ofBlocks(name + UP, second)) {
      BlockMatrix both =
          first instanceof FloatTensor floats && second instanceof FloatTensor others
              ? beside(floats, others)
              : beside(name, first, second);
      joined.add(both);
      parameters.put(name, both);
    }
    halves.add(first);
    halves.add(second);
  }

  /** Returns the rows of two tensors side by side. */
  private FloatTensor beside(FloatTensor first, FloatTensor second) {
    long[] dims = first.shape().toArray();
    long columns = dims[dims.length - 1];
    dims[dims.length - 1] *= 2;
    Storage[] both = {Dense.from(first).storage(), Dense.from(second).storage()};
    Storage made =
        StoredWeights.interleaved(
            both, first.shape().size() / columns, 4L * columns, Engine.from(workers).scheduler());
    return DenseFloats.dense(made, Shape.of(dims));
  }

  private Weights beside(String name, BlockMatrix first, BlockMatrix second) {
    if (!(first instanceof Weights gates
        && second instanceof Weights ups
        && StoredBlocks.from(gates).stored().type() == StoredBlocks.from(ups).stored().type()
        && StoredBlocks.from(gates).isTransposed() == StoredBlocks.from(ups).isTransposed())) {
      throw new IllegalArgumentException(
          name + UP + ": expected the type and layout of " + first + " but was " + second);
    }
    StoredWeights both =
        StoredBlocks.from(gates)
            .stored()
            .beside(
                name + GATE,
                StoredBlocks.from(ups).stored(),
                gates.shape().dim(1),
                inputs,
                (int) gates.shape().dim(3),
                StoredBlocks.from(gates).isTransposed(),
                Engine.from(workers).scheduler());
    Shape shape = Shape.of(1, gates.shape().dim(1), inputs, 2 * gates.shape().dim(3));
    return new StoredBlocks(both, shape, StoredBlocks.from(gates).isTransposed());
  }

  private static BlockMatrix require(String name, BlockMatrix parameter, Shape shape) {
    if (!parameter.shape().equals(shape)) {
      throw new IllegalArgumentException(
          name + ": expected the shape " + shape + " but was " + parameter.shape());
    }
    if (parameter instanceof FloatTensor floats) {
      Dense.from(floats).requireContiguous(name);
    } else if (!own(name).startsWith("W1") && !own(name).equals("W2")) {
      throw new IllegalArgumentException(
          name + ": expected a tensor of floats but was " + parameter);
    }
    return parameter;
  }

  private static void requireApart(Map<String, BlockMatrix> parameters) {
    String[] names = parameters.keySet().toArray(new String[0]);
    Storage[] memory =
        parameters.values().stream().map(KernelOperands::elements).toArray(Storage[]::new);
    int[] pair = Storage.overlapping(memory);
    if (pair != null) {
      throw new IllegalArgumentException(names[pair[1]] + ": shares memory with " + names[pair[0]]);
    }
  }
}
