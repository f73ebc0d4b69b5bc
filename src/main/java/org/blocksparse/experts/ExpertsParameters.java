// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.experts;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.BiConsumer;
import java.util.stream.Stream;
import org.blocksparse.Activation;
import org.blocksparse.BlockMatrix;
import org.blocksparse.ElementType;
import org.blocksparse.FloatTensor;
import org.blocksparse.Shape;
import org.blocksparse.Weights;
import org.blocksparse.internal.kernels.PackedExperts;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.tensors.Check;
import org.blocksparse.internal.tensors.Dense;
import org.blocksparse.internal.tensors.DenseFloats;
import org.blocksparse.internal.tensors.KernelOperands;
import org.blocksparse.internal.tensors.OperandLease;
import org.blocksparse.internal.tensors.StoredBlocks;
import org.blocksparse.internal.weights.Blocks;
import org.blocksparse.internal.weights.ReadOnlyWeights;
import org.blocksparse.internal.weights.RowFormat;
import org.blocksparse.internal.weights.StoredWeights;
import org.blocksparse.internal.weights.WeightType;

/**
 * The parameters of a {@link MixtureOfExperts}, whose shapes fit each other.
 *
 * @param Wg null without a gate
 * @param bg null without a gate or without its bias
 * @param b1 null without it
 * @param b2 null without it
 * @param shared the parameters of the shared expert, with shapes of one expert; null without it
 */
record ExpertsParameters(
    FloatTensor Wg,
    FloatTensor bg,
    BlockMatrix W1,
    FloatTensor b1,
    BlockMatrix W2,
    FloatTensor b2,
    ExpertsParameters shared)
    implements AutoCloseable {

  /** The prefix of the parameters of the shared expert. */
  static final String SHARED = "shared.";

  /** Returns the parameters in a map, whose shapes fit each other. */
  static ExpertsParameters of(Map<String, ? extends BlockMatrix> all) {
    return of(all, "", all.containsKey(SHARED + "W1") ? of(all, SHARED, null) : null);
  }

  private static ExpertsParameters of(
      Map<String, ? extends BlockMatrix> all, String prefix, ExpertsParameters shared) {
    return new ExpertsParameters(
        (FloatTensor) all.get(prefix + "Wg"),
        (FloatTensor) all.get(prefix + "bg"),
        all.get(prefix + "W1"),
        (FloatTensor) all.get(prefix + "b1"),
        all.get(prefix + "W2"),
        (FloatTensor) all.get(prefix + "b2"),
        shared);
  }

  /** Returns the parameters of a file. */
  static ExpertsParameters ofFile(Map<String, ExpertsFile.Parameter> inFile) {
    Map<String, BlockMatrix> all = new LinkedHashMap<>();
    inFile.forEach(
        (name, parameter) -> {
          Shape shape = Shape.of(parameter.dims());
          all.put(
              name,
              parameter.weights().type() == WeightType.FLOAT32
                  ? DenseFloats.dense(parameter.weights().elements(), shape)
                  : new StoredBlocks(parameter.weights(), shape, false));
        });
    return of(all);
  }

  /** Returns whether a parameter is weights of experts, which may have any type. */
  static boolean isOfExperts(String name) {
    return name.endsWith("W1") || name.endsWith("W2");
  }

  /**
   * Returns the parameters as files have them.
   *
   * @throws IllegalArgumentException if weights are a transposed view
   */
  Map<String, ExpertsFile.Parameter> inFile() {
    Map<String, ExpertsFile.Parameter> all = new LinkedHashMap<>();
    forEach(
        (name, parameter) ->
            all.put(
                name,
                new ExpertsFile.Parameter(
                    parameter.shape().toArray(),
                    parameter instanceof FloatTensor floats
                        ? new StoredWeights(WeightType.FLOAT32, Dense.from(floats).storage(), null)
                        : inOrder(name, (Weights) parameter))));
    return all;
  }

  private static StoredWeights inOrder(String name, Weights weights) {
    if (StoredBlocks.from(weights).isTransposed()) {
      throw new IllegalArgumentException(
          name
              + ": "
              + weights
              + " is a transposed view; save what withWeights("
              + weights.type()
              + ") returns, which is none");
    }
    return StoredBlocks.from(weights).stored();
  }

  /**
   * Returns a copy; they are leased.
   *
   * @param type the type of the experts' weights; null keeps theirs
   * @throws IllegalStateException if weights would be rounded that have been rounded before
   */
  ExpertsParameters copy(ElementType type) {
    Map<String, BlockMatrix> made = new LinkedHashMap<>();
    try {
      forEach(
          (name, parameter) -> {
            ElementType own =
                parameter instanceof Weights weights ? weights.type() : ElementType.FLOAT32;
            made.put(name, copy(parameter, type != null && isOfExperts(name) ? type : own));
          });
      return of(made);
    } catch (Throwable e) {
      made.values().forEach(BlockMatrix::close);
      throw e;
    }
  }

  /**
   * Returns the same, with a copy of the shared expert, which each row reads; closes the original.
   */
  ExpertsParameters withSharedCopied() {
    if (shared == null) {
      return this;
    }
    ExpertsParameters copy = shared.copy(null);
    shared.close();
    return new ExpertsParameters(Wg, bg, W1, b1, W2, b2, copy);
  }

  private static BlockMatrix copy(BlockMatrix parameter, ElementType type) {
    if (parameter instanceof FloatTensor floats) {
      return type == ElementType.FLOAT32
          ? DenseFloats.from(floats).copy("layer")
          : Weights.of(floats, type);
    }
    Weights weights = (Weights) parameter;
    if (type == ElementType.FLOAT32) {
      return weights.widened();
    }
    if (type == ElementType.PACKED_BFLOAT16 && weights.type() == ElementType.BFLOAT16) {
      return StoredBlocks.from(weights).packed();
    }
    if (type != weights.type()) {
      throw ReadOnlyWeights.roundedAlready(WeightType.of(weights.type()), WeightType.of(type));
    }
    return StoredBlocks.from(weights).copy();
  }

  int inputs() {
    return (int) W1.shape().dim(2);
  }

  /** Returns the size of the activation's input. */
  int sums() {
    return (int) W1.shape().dim(3);
  }

  int hidden() {
    return (int) W2.shape().dim(2);
  }

  int outputs() {
    return (int) W2.shape().dim(3);
  }

  int experts() {
    return (int) W1.shape().dim(1);
  }

  /** Returns whether weights are of a type that is only read. */
  boolean isReadOnly() {
    return W1 instanceof Weights
        || W2 instanceof Weights
        || (shared != null && shared.isReadOnly());
  }

  /**
   * Returns whether the weights of both products are packed and read rows of one format, as the
   * kernel of packed experts takes them; those of the shared expert aside.
   */
  boolean arePacked() {
    return isPacked(W1)
        && isPacked(W2)
        && format(W1, RowFormat.ANY_BITS) == format(W2, RowFormat.ANY_BITS);
  }

  /** Returns whether {@link #arePacked}, and all weights lie in a file. */
  boolean areMapped() {
    return arePacked()
        && KernelOperands.elements(W1).mapping() != null
        && KernelOperands.elements(W2).mapping() != null;
  }

  /** Returns whether the weights of a product are packed, which then has no gradient. */
  boolean hasPacked() {
    return isPacked(W1) || isPacked(W2) || (shared != null && shared.hasPacked());
  }

  private static boolean isPacked(BlockMatrix W) {
    return W instanceof Weights weights && weights.type().isPacked();
  }

  /** Returns the experts as their kernels see them, if {@link #arePacked}. */
  PackedExperts packedExperts(Activation function, int inputBits) {
    return new PackedExperts(
        KernelOperands.blocks(W1),
        format(W1, inputBits),
        b1 == null ? null : KernelOperands.rows(b1),
        function,
        KernelOperands.blocks(W2),
        format(W2, inputBits),
        b2 == null ? null : Blocks.dense(Dense.from(b2).storage(), experts(), 1, 1, outputs()));
  }

  private static RowFormat format(BlockMatrix W, int inputBits) {
    Blocks blocks = KernelOperands.blocks(W);
    return RowFormat.ofBits(blocks.type(), blocks.transposed(), inputBits);
  }

  /**
   * Requires that both products can keep {@code bits} bits of their inputs.
   *
   * @throws IllegalStateException if one has not
   */
  void requireInputBits(int bits) {
    for (BlockMatrix W : new BlockMatrix[] {W1, W2}) {
      if (format(W, bits) == null) {
        throw new IllegalStateException(
            "withInputBits: "
                + W
                + " is not multiplied by inputs of "
                + bits
                + " bits; BlockPlan lists those of each type of weights");
      }
    }
    if (shared != null) {
      shared.requireInputBits(bits);
    }
  }

  /** Returns the type of the experts' stored weights. */
  WeightType type() {
    return KernelOperands.blocks(W1).type();
  }

  /** Returns all of them, if none is only read. */
  FloatTensor[] tensors() {
    return byName().values().toArray(new FloatTensor[0]);
  }

  /** Returns the memory of all of them; null where a type has no scales. */
  Stream<Storage> memory() {
    return byName().values().stream()
        .flatMap(
            parameter ->
                parameter instanceof Weights weights
                    ? Stream.of(
                        StoredBlocks.from(weights).elements(), StoredBlocks.from(weights).scales())
                    : Stream.of(KernelOperands.elements(parameter)));
  }

  /** Returns the parameters by name, in the order of the table of the layer. */
  Map<String, BlockMatrix> byName() {
    Map<String, BlockMatrix> all = new LinkedHashMap<>();
    forEach(all::put);
    return Collections.unmodifiableMap(all);
  }

  private void forEach(BiConsumer<String, BlockMatrix> action) {
    ifThere("Wg", Wg, action);
    ifThere("bg", bg, action);
    ifThere("W1", W1, action);
    ifThere("b1", b1, action);
    ifThere("W2", W2, action);
    ifThere("b2", b2, action);
    if (shared != null) {
      shared.forEach((name, parameter) -> action.accept(SHARED + name, parameter));
    }
  }

  private static void ifThere(
      String name, BlockMatrix parameter, BiConsumer<String, BlockMatrix> action) {
    if (parameter != null) {
      action.accept(name, parameter);
    }
  }

  /**
   * Adds all of them to a lease.
   *
   * @throws IllegalStateException if the layer is closed; what was added before is released then
   */
  OperandLease lease(OperandLease lease) {
    forEach((name, parameter) -> lease.ofLayer(parameter));
    return lease;
  }

  /**
   * Leases as {@link #lease} does, for operations that do not read the weights of experts, whose
   * file may have shrunk.
   */
  OperandLease leaseBesideExperts(OperandLease lease) {
    forEach(
        (name, parameter) -> {
          if (parameter == W1 || parameter == W2) {
            lease.ofLayerUnread(parameter);
          } else {
            lease.ofLayer(parameter);
          }
        });
    return lease;
  }

  /**
   * Requires that all of them may be written; they are leased.
   *
   * @throws IllegalStateException if one is mapped read-only; what was leased is released then
   */
  void leaseToTrain(OperandLease lease) {
    forEach(
        (name, parameter) ->
            lease.requireWritable(name, KernelOperands.elements(parameter), parameter.shape()));
  }

  /** Requires that a written tensor shares no memory with a parameter. */
  void requireApart(String name, FloatTensor written) {
    forEach(
        (other, parameter) ->
            Check.noOverlap(name, written, other, KernelOperands.elements(parameter)));
  }

  @Override
  public void close() {
    forEach((name, parameter) -> parameter.close());
  }
}
