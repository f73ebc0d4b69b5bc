// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.weights;

/** Rejects operations of layers that weights of a read-only type do not support. */
public final class ReadOnlyWeights {
  private ReadOnlyWeights() {}

  /**
   * Returns the type that a softmax, a label tree or a bag stores for a type of products: INT8 for
   * packed INT8.
   *
   * @throws IllegalArgumentException if they cannot keep it
   */
  public static WeightType ofLayer(WeightType ofProducts) {
    if (ofProducts == WeightType.PACKED_INT8) {
      return WeightType.INT8;
    }
    if (ofProducts.isPacked()) {
      throw new IllegalArgumentException(
          "type: expected FLOAT32, FLOAT16, BFLOAT16 or INT8 for a softmax, a label tree or a bag"
              + " but was "
              + ofProducts
              + ", which is packed for products of SparseBlockDot and MixtureOfExperts");
    }
    return ofProducts;
  }

  public static IllegalStateException notTrained(String operation, WeightType stored) {
    return new IllegalStateException(
        operation
            + ": the weights of this layer are "
            + stored
            + " and only read; train the layer of floats that it was made of, and make"
            + " withWeights of it again");
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
        "type: the weights are "
            + stored
            + " already; make "
            + wanted
            + " of those of FLOAT32, so that they are rounded once");
  }
}
