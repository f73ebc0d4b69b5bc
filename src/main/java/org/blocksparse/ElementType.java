// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import org.blocksparse.internal.WeightType;

/**
 * The type that read-only weights are stored as. Fewer bits are less memory, and less to read:
 * where each block serves a few rows, products take as much less time.
 *
 * <p>Weights are widened to floats as they are loaded; x, sums and results are floats (x is not,
 * where {@link BlockPlan#withRoundedInputs} is chosen). <b>The stored weights are the model</b>:
 * every promise (bits, error bounds, exact search, probabilities that sum to one) holds for the
 * floats that they stand for, not for those that they were made of. {@link Weights#widened} returns
 * them.
 *
 * <p>Numbers are rounded to the nearest, of two the even one.
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
  INT8(WeightType.INT8);

  private final WeightType stored;

  ElementType(WeightType stored) {
    this.stored = stored;
  }

  /** As the kernels know it. */
  WeightType stored() {
    return stored;
  }

  static ElementType of(WeightType stored) {
    return switch (stored) {
      case FLOAT32 -> FLOAT32;
      case FLOAT16 -> FLOAT16;
      case BFLOAT16 -> BFLOAT16;
      case INT8 -> INT8;
    };
  }
}
