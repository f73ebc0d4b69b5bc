// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static java.util.Objects.requireNonNull;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import org.blocksparse.internal.layer.InitialWeights;
import org.blocksparse.internal.memory.Storage;

/** Collects what a {@link MixtureOfExperts} is made of; see {@link MixtureOfExperts#builder}. */
public final class MixtureOfExpertsBuilder {
  private static final Set<String> NAMES = Set.of("Wg", "bg", "W1", "b1", "W2", "b2");

  private final int inputs;
  private final int hidden;
  private final int experts;
  private final TopKGate gate;
  private int outputs;
  private Activation activation = Activation.SWIGLU;
  private boolean biases;
  private Workers workers = Workers.common();
  private long seed;

  /**
   * A builder.
   *
   * @param gate null: none
   */
  MixtureOfExpertsBuilder(int inputs, int hidden, int experts, TopKGate gate) {
    this.inputs = Check.dimension("inputs", inputs);
    this.hidden = Check.dimension("hidden", hidden);
    this.experts = Check.dimension("experts", experts);
    this.gate = gate;
    this.outputs = inputs;
  }

  /**
   * The size of a row of the output; by default that of a row of x.
   *
   * @throws IllegalArgumentException unless it is at least 1
   */
  public MixtureOfExpertsBuilder outputs(int size) {
    this.outputs = Check.dimension("outputs", size);
    return this;
  }

  /** The activation between the two products; by default {@link Activation#SWIGLU}. */
  public MixtureOfExpertsBuilder activation(Activation function) {
    this.activation = requireNonNull(function, "activation");
    return this;
  }

  /** Biases of the gate and of both products, for {@link #build()}; none by default. */
  public MixtureOfExpertsBuilder biases() {
    this.biases = true;
    return this;
  }

  /** The threads that work on every call; by default {@link Workers#common}. */
  public MixtureOfExpertsBuilder workers(Workers all) {
    this.workers = requireNonNull(all, "workers");
    return this;
  }

  /** Seed of the initial weights; 0 by default. Equal seeds give equal layers. */
  public MixtureOfExpertsBuilder seed(long value) {
    this.seed = value;
    return this;
  }

  /**
   * The names of parameters, with their shapes.
   *
   * @param all whether biases are among them
   */
  Map<String, Shape> shapes(boolean all) {
    int sums = activation.isGated() ? Math.multiplyExact(2, hidden) : hidden;
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
    return shapes;
  }

  /**
   * A layer with random weights, uniform in [-1, 1] divided by the root of the size of a row that
   * they are multiplied by, and biases of zero.
   *
   * @throws OutOfMemoryError if there is not enough memory, naming the bytes
   */
  public MixtureOfExperts build() {
    Map<String, Shape> shapes = shapes(biases);
    FloatTensor[] made = FloatTensor.zeros(shapes.values().toArray(new Shape[0]));
    Map<String, FloatTensor> all = new LinkedHashMap<>();
    long before = 0;
    for (String name : shapes.keySet()) {
      FloatTensor tensor = made[all.size()];
      all.put(name, tensor);
      if (tensor.shape().rank() == Weights.RANK) {
        int rows = (int) tensor.shape().dim(2);
        int columns = (int) tensor.shape().dim(3);
        new InitialWeights(rows, seed).fill(tensor.storage(), before, columns);
        before += tensor.shape().size();
      }
    }
    return build(all);
  }

  /**
   * A layer with given parameters, which become its own: it changes them when it trains, and closes
   * them when it is closed. W1 and W2 may be {@link Weights}, which are only read.
   *
   * @param parameters by the names of {@link MixtureOfExperts}: W1, W2, with a gate Wg, and biases
   *     where there are any
   * @throws IllegalArgumentException if a name is missing or unknown, if a shape does not fit, if
   *     one but W1 and W2 is no tensor of floats, if one is a transposed view, or if two share
   *     memory
   */
  public MixtureOfExperts build(Map<String, ? extends BlockMatrix> parameters) {
    Map<String, Shape> shapes = shapes(true);
    for (String name : requireNonNull(parameters, "parameters").keySet()) {
      if (!NAMES.contains(name)) {
        throw new IllegalArgumentException(
            "parameters: \"" + name + "\" is none of Wg, bg, W1, b1, W2, b2");
      }
      if (!shapes.containsKey(name)) {
        throw new IllegalArgumentException(
            "parameters: " + name + " belongs to a gate, which this layer was built without");
      }
    }
    Map<String, BlockMatrix> checked = new LinkedHashMap<>();
    shapes.forEach(
        (name, shape) -> {
          BlockMatrix parameter = parameters.get(name);
          if (parameter != null) {
            checked.put(name, require(name, parameter, shape));
          } else if (name.startsWith("W") || parameters.containsKey(name)) {
            throw new IllegalArgumentException("parameters: expected " + name + " " + shape);
          }
        });
    requireApart(checked);
    return new MixtureOfExperts(
        new ExpertsParameters(
            (FloatTensor) checked.get("Wg"),
            (FloatTensor) checked.get("bg"),
            checked.get("W1"),
            (FloatTensor) checked.get("b1"),
            checked.get("W2"),
            (FloatTensor) checked.get("b2")),
        gate == null ? null : gate.withWorkers(workers),
        activation,
        workers,
        Map.of());
  }

  private static BlockMatrix require(String name, BlockMatrix parameter, Shape shape) {
    if (!parameter.shape().equals(shape)) {
      throw new IllegalArgumentException(
          name + ": expected the shape " + shape + " but was " + parameter.shape());
    }
    if (parameter instanceof FloatTensor floats) {
      floats.requireContiguous(name);
    } else if (!name.equals("W1") && !name.equals("W2")) {
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
