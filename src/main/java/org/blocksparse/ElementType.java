// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import org.blocksparse.internal.WeightType;
import org.blocksparse.internal.layer.ReadOnlyWeights;

/**
 * The storage type of read-only weights. Fewer bits need less memory and bandwidth: with few rows
 * per block, products are faster by as much.
 *
 * <p>Weights are widened to floats as they are loaded; x, sums and results are floats (x is not,
 * where {@link BlockPlan#withRoundedInputs} is chosen). The last three are packed: they are not
 * widened, but multiplied as whole numbers. <b>The stored weights are the model</b>: every promise
 * (bits, error bounds, exact search, probabilities that sum to one) holds for the floats that they
 * stand for, not for the floats that were rounded. {@link Weights#widened} returns them.
 *
 * <p>Rounding is to nearest, ties to even.
 */
public enum ElementType {
  /** 24 bits of precision, 4 bytes: nothing is lost. */
  FLOAT32(WeightType.FLOAT32),

  /** 11 bits of precision, 2 bytes; magnitudes up to 65504, below 2<sup>-14</sup> less precise. */
  FLOAT16(WeightType.FLOAT16),

  /** 8 bits of precision, 2 bytes; the range of floats. */
  BFLOAT16(WeightType.BFLOAT16),

  /**
   * A whole number in [-127, 127], 1 byte, times the scale of its column of the block, {@code max
   * |w| / 127} of this output's weights; in the table of an {@link EmbeddingBag}, that of its row.
   * A weight is off by half of the scale at most, and by the rounding of floats. The weights of an
   * output that are all below 2<sup>-119</sup> lose more, since their scale is rounded to few bits;
   * they become 0 if none is above 8.8e-44.
   */
  INT8(WeightType.INT8),

  /**
   * A whole number in [-127, 127] times a {@link #FLOAT16}, one for each 32 inputs of an output,
   * {@code max |w| / 127} of these: 1.06 bytes. A weight is off by half of that scale at most. This
   * is ggml's format of that name, in another order.
   *
   * <p>This type and those below are <b>packed</b>: laid out for the processor's products of bytes,
   * and read by forward products with a plan {@link BlockPlan#withRoundedInputs withRoundedInputs
   * (INT8)} alone. Magnitudes are at most 127 times the largest float16; scales below
   * 2<sup>-14</sup> are less precise.
   */
  Q8_0(WeightType.Q8_0),

  /**
   * A whole number in [-8, 7] times a {@link #FLOAT16}, one for each 32 inputs of an output, {@code
   * m / -8} with m the weight of the largest magnitude of these: 0.56 bytes. A weight is off by
   * half of that scale, or by all of it if it is about -m. ggml's format of that name; packed, as
   * {@link #Q8_0}.
   */
  Q4_0(WeightType.Q4_0),

  /**
   * A float of 4 bits (0, 0.5, 1, 1.5, 2, 3, 4, 6 and the same negated) times a power of two, one
   * for each 32 inputs of an output, such that the largest magnitude of these is 4 to 8 times it:
   * 0.53 bytes. A weight is off by that power at most, or by twice of it if it is near 8 times it.
   * MXFP4 of the Open Compute Project; packed, as {@link #Q8_0}.
   */
  MXFP4(WeightType.MXFP4);

  private final WeightType stored;

  ElementType(WeightType stored) {
    this.stored = stored;
  }

  /** Whether weights of this type are always packed, and only multiplied. */
  public boolean isPacked() {
    return stored.isPacked();
  }

  /** As the kernels know it. */
  WeightType stored() {
    return stored;
  }

  /**
   * As a softmax, a label tree or a bag keeps it.
   *
   * @throws IllegalArgumentException if it is packed
   */
  WeightType ofLayer() {
    return ReadOnlyWeights.requireNotPacked("type", stored);
  }

  static ElementType of(WeightType stored) {
    return switch (stored) {
      case FLOAT32 -> FLOAT32;
      case FLOAT16 -> FLOAT16;
      case BFLOAT16 -> BFLOAT16;
      case INT8, PACKED_INT8 -> INT8;
      case Q8_0 -> Q8_0;
      case Q4_0 -> Q4_0;
      case MXFP4 -> MXFP4;
    };
  }
}
