// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.blocksparse.internal.optimizer.UpdateRule.Kind;

/**
 * A {@link SoftmaxPart} as bytes, little-endian: this header; its weights, its biases, and both
 * again for each moment that its rule keeps.
 *
 * @param number of the part
 * @param weights how many
 * @param biases how many
 * @param rule what the state is for
 * @param steps that Adam has counted
 * @param array all of it
 */
record PartBytes(int number, long weights, long biases, Kind rule, int steps, byte[] array) {
  private static final int MAGIC = 0x31705342; // BSp1
  private static final int HEADER_BYTES = 4 + 4 + 8 + 8 + 4 + 4;

  /** Room for a part. */
  static PartBytes allocate(int number, long weights, long biases, Kind rule, int steps) {
    long length = length(weights, biases, rule);
    if (length > Integer.MAX_VALUE - 8) {
      throw new IllegalStateException(
          "part: its " + length + " bytes are more than an array can hold, 2^31 - 9");
    }
    byte[] array = new byte[(int) length];
    buffer(array)
        .putInt(MAGIC)
        .putInt(number)
        .putLong(weights)
        .putLong(biases)
        .putInt(code(rule))
        .putInt(steps);
    return new PartBytes(number, weights, biases, rule, steps, array);
  }

  /**
   * What {@link #array} gave.
   *
   * @throws IllegalArgumentException if it is something else
   */
  static PartBytes of(byte[] array) {
    ByteBuffer all = buffer(array);
    if (array.length < HEADER_BYTES || all.getInt() != MAGIC) {
      throw new IllegalArgumentException("parts: expected what SoftmaxPart.toBytes returns");
    }
    int number = all.getInt();
    long weights = all.getLong();
    long biases = all.getLong();
    int code = all.getInt();
    for (Kind rule : Kind.values()) {
      if (code(rule) == code && array.length == length(weights, biases, rule)) {
        return new PartBytes(number, weights, biases, rule, all.getInt(), array);
      }
    }
    throw new IllegalArgumentException("parts: part " + number + " is damaged");
  }

  private static int code(Kind rule) {
    return switch (rule) {
      case SGD -> 0;
      case ADAGRAD -> 1;
      case ADAM -> 2;
    };
  }

  private static long length(long weights, long biases, Kind rule) {
    return HEADER_BYTES + 4 * (1L + rule.moments()) * (weights + biases);
  }

  private static ByteBuffer buffer(byte[] array) {
    return ByteBuffer.wrap(array).order(ByteOrder.LITTLE_ENDIAN);
  }

  /** Where the numbers are to be put, from the first on. */
  ByteBuffer numbers() {
    return buffer(array).position(HEADER_BYTES);
  }

  /** The weights, or those of a moment that are beside them. */
  ByteBuffer weights(int moment) {
    return slice((1L + moment) * (weights + biases), weights);
  }

  /** The biases, or those of a moment that are beside them. */
  ByteBuffer biases(int moment) {
    return slice((1L + moment) * (weights + biases) + weights, biases);
  }

  private ByteBuffer slice(long begin, long count) {
    return ByteBuffer.wrap(array, HEADER_BYTES + (int) (4 * begin), (int) (4 * count));
  }
}
