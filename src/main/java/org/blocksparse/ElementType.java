// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

/**
 * The storage type of read-only weights. Fewer bits need less memory and bandwidth: with few rows
 * per block, products are faster by as much.
 *
 * <p>Layers widen weights to float32 as they read them; x, sums and results are float32. In
 * products of {@link Weights}, the type also decides how x is rounded: {@link
 * org.blocksparse.products.BlockPlan} lists it. <b>The stored weights are the model</b>: every
 * guarantee (bitwise results, error bounds, exact search, probabilities that sum to one) holds for
 * the dequantized values, not for the values before rounding. {@link Weights#widened} returns the
 * dequantized values.
 *
 * <p>{@link Weights} of PACKED_BFLOAT16 and the types below it are <b>packed</b>: they have a
 * layout for dot-product instructions, and only forward products accept them.
 *
 * <p>Rounding is to nearest, ties to even.
 */
public enum ElementType {
  /** 24 bits of precision, 4 bytes: no rounding. */
  FLOAT32(false),

  /** 11 bits of precision, 2 bytes; magnitudes up to 65504, below 2<sup>-14</sup> less precise. */
  FLOAT16(false),

  /** 8 bits of precision, 2 bytes; the range of floats. */
  BFLOAT16(false),

  /**
   * The numbers of {@link #BFLOAT16}, packed: products of experts and blocks with many rows are
   * faster. Layers of BFLOAT16 become this type without rounding again. A softmax, a label tree or
   * a bag cannot have it.
   */
  PACKED_BFLOAT16(true),

  /**
   * An integer in [-127, 127], 1 byte, times a scale: {@code max |w| / 127} over the weights of an
   * output in a block, or over a table row of an {@link org.blocksparse.bag.EmbeddingBag}. The
   * error of a weight is at most half the scale, plus float rounding. If all weights of an output
   * are below 2<sup>-119</sup>, the error is larger, because the scale is subnormal; if none is
   * above 8.8e-44, they become 0.
   */
  INT8(true),

  /**
   * An integer in [-127, 127] times a {@link #FLOAT16} scale per group of 32 inputs of an output,
   * {@code max |w| / 127} of the group: 1.06 bytes. The error of a weight is at most half the
   * scale. This is ggml's format of the same name, in another memory order.
   *
   * <p>A softmax, a label tree or a bag cannot have this type and those below. Magnitudes are at
   * most 127 times the largest float16; scales below 2<sup>-14</sup> are less precise.
   */
  Q8_0(true),

  /**
   * An integer in [-8, 7] times a {@link #FLOAT16} scale per group of 32 inputs of an output,
   * {@code m / -8}, where m is the weight of the largest magnitude in the group: 0.56 bytes. The
   * error of a weight is at most half the scale, or the whole scale for weights near -m. This is
   * ggml's format of the same name.
   */
  Q4_0(true),

  /**
   * A 4-bit float (0, 0.5, 1, 1.5, 2, 3, 4, 6, or negative) times a power of two per group of 32
   * inputs of an output, so that the largest magnitude of the group is 4 to 8 times this scale:
   * 0.53 bytes. The error of a weight is at most the scale, or twice the scale for weights near 8
   * times the scale. This is MXFP4 of the Open Compute Project.
   */
  MXFP4(true),

  /**
   * An integer in [0, 15] times a scale, minus a minimum, both per group of 32 inputs of an output
   * and both integers in [0, 63] times a {@link #FLOAT16} per 256 inputs: 0.58 bytes. 15 times the
   * scale reaches from the minimum to the largest weight of the group: the error of a weight is at
   * most half the scale, plus float rounding. This is ggml's format of the same name; ggml searches
   * for the scales of the least error.
   */
  Q4_K(true),

  /**
   * An integer in [-32, 31] times a scale per group of 16 inputs of an output, which is an integer
   * of 8 bits times a {@link #FLOAT16} per 256 inputs: 0.82 bytes. 31 times the scale reaches the
   * largest magnitude of the group: the error of a weight is at most half the scale, plus float
   * rounding. This is ggml's format of the same name; ggml searches for the scales of the least
   * error.
   */
  Q6_K(true),

  /**
   * An integer in [0, 31] times a scale, minus a minimum, as {@link #Q4_K} with one bit more: 0.71
   * bytes. The error of a weight is at most half the scale, plus float rounding. This is ggml's
   * format of the same name; ggml searches for the scales of the least error.
   */
  Q5_K(true),

  /**
   * An integer in [0, 3] times a scale, minus a minimum, both per group of 16 inputs of an output
   * and both integers in [0, 63] times a {@link #FLOAT16} per 256 inputs: 0.39 bytes. The error of
   * a weight is at most half the scale, plus float rounding. ggml's format of the same name has
   * integers in [0, 15] for both, and fits here without rounding.
   */
  Q2_K(true),

  /**
   * An integer in [0, 31] times a {@link #FLOAT16} scale, minus a {@link #FLOAT16} minimum, per
   * group of 32 inputs of an output: 0.75 bytes. The error of a weight is at most half the scale,
   * plus float rounding. This is ggml's format of the same name; its Q4_1 fits here without
   * rounding.
   */
  Q5_1(true),

  /**
   * One of 16 values of ggml's table, from -127 to 113, times a {@link #FLOAT16} scale per group of
   * 32 inputs of an output, {@code m / -127}, where m is the weight of the largest magnitude in the
   * group: 0.56 bytes. Values near 0 lie closer to each other. The error of a weight is at most 12
   * times the scale, or 14 times for weights near -m.
   */
  IQ4_NL(true),

  /**
   * The values of {@link #IQ4_NL}, times a scale per group of 32 inputs of an output, which is an
   * integer of 8 bits times a {@link #FLOAT16} per 256 inputs: 0.54 bytes. ggml's format of the
   * same name has integers of 6 bits, and fits here without rounding.
   */
  IQ4_XS(true);

  private final boolean packed;

  ElementType(boolean packed) {
    this.packed = packed;
  }

  /** Returns whether {@link Weights} of this type are packed, for forward products only. */
  public boolean isPacked() {
    return packed;
  }
}
