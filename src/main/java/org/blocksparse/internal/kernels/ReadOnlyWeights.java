// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.kernels;

/** How layers refuse what their weights do not allow, which are of a type that is only read. */
public final class ReadOnlyWeights {
  private ReadOnlyWeights() {}

  /**
   * A type that a softmax, a label tree or a bag can keep; null is returned as it is.
   *
   * @throws IllegalArgumentException if it is packed
   */
  public static WeightType requireNotPacked(String name, WeightType type) {
    if (type != null && type.isPacked()) {
      throw new IllegalArgumentException(
          name
              + ": expected FLOAT32, FLOAT16, BFLOAT16 or INT8 for a softmax, a label tree or a bag"
              + " but was "
              + type
              + ", which is packed for products of SparseBlockDot and MixtureOfExperts");
    }
    return type;
  }

  public static IllegalStateException notTrained(String operation, WeightType stored) {
    return new IllegalStateException(
        operation
            + ": the weights of this layer are "
            + stored
            + " and only read; train the layer of floats that it was made of, and make"
            + " withWeights of it again or save it with SaveOptions.withWeights");
  }

  public static IllegalStateException notFloats(String parameter, WeightType stored) {
    return new IllegalStateException(
        parameter
            + ": the weights of this layer are "
            + stored
            + " and only read; withWeights(FLOAT32) makes a layer of the floats they stand for");
  }

  public static IllegalStateException roundedAlready(WeightType stored, WeightType wanted) {
    return new IllegalStateException(
        "type: the weights of this layer are "
            + stored
            + " already; make "
            + wanted
            + " of the layer of floats, so that they are rounded once");
  }

  public static IllegalStateException notSaved(WeightType stored, WeightType wanted) {
    return new IllegalStateException(
        "weights: this layer's are "
            + stored
            + " and not written as "
            + wanted
            + "; save the layer of floats that it was made of, or what withWeights(FLOAT32)"
            + " makes of this one");
  }
}
