// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.BiConsumer;
import org.blocksparse.internal.WeightType;

/**
 * The parameters of a {@link MixtureOfExperts}, whose shapes fit each other.
 *
 * @param Wg null without a gate
 * @param bg null without a gate or without its bias
 * @param b1 null without it
 * @param b2 null without it
 */
record ExpertsParameters(
    FloatTensor Wg, FloatTensor bg, BlockMatrix W1, FloatTensor b1, BlockMatrix W2, FloatTensor b2)
    implements AutoCloseable {

  int inputs() {
    return (int) W1.shape().dim(2);
  }

  /** The size of what an activation is applied to. */
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

  /** Whether weights are of a type that is only read. */
  boolean isReadOnly() {
    return W1 instanceof Weights || W2 instanceof Weights;
  }

  /** What the weights of experts are stored as. */
  WeightType type() {
    return KernelOperands.blocks(W1).type();
  }

  /** All of them, if none is only read. */
  FloatTensor[] tensors() {
    return byName().values().toArray(new FloatTensor[0]);
  }

  /** By their names, in the order of the table of the layer. */
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
  Lease lease(Lease lease) {
    forEach((name, parameter) -> lease.ofLayer(parameter));
    return lease;
  }

  /**
   * Requires that all of them may be written; they are leased.
   *
   * @throws IllegalStateException if one is mapped read-only; what was leased is released then
   */
  void leaseToTrain(Lease lease) {
    forEach(
        (name, parameter) ->
            lease.requireWritable(name, KernelOperands.elements(parameter), parameter.shape()));
  }

  /** A tensor that is written shares no memory with a parameter. */
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
