// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import static java.nio.charset.StandardCharsets.US_ASCII;
import static java.util.Objects.requireNonNull;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.Arrays;
import org.blocksparse.Optimizer.Kind;
import org.blocksparse.internal.files.SafeTensorsReader.Values;
import org.blocksparse.internal.files.TensorStateEntries;
import org.blocksparse.internal.kernels.Link;

/**
 * A {@link PartMemory} as bytes, little-endian: a header, which begins with the kind of its layer;
 * the steps that it had taken when each of its outputs was added; its weights, its biases, and both
 * again for each moment that its rule keeps.
 *
 * @param number the number of the part
 * @param weights how many
 * @param biases how many
 * @param rule the rule of the state
 * @param steps the steps that Adam has counted
 * @param begun the steps that the class had taken when each of its outputs was added; empty: all
 *     took part in all steps. Of the class level, one number if there are such outputs
 */
@SuppressWarnings("ArrayRecordComponent")
record PartBytes(
    int number, long weights, long biases, Kind rule, int steps, int[] begun, ByteBuffer all) {
  private static final int MAGIC_OF_SOFTMAX = 0x32705342; // BSp2
  private static final int MAGIC_OF_LABEL_TREE = 0x32745342; // BSt2
  private static final int RULE_BYTES = 12; // the name, and zeros
  private static final int HEADER_BYTES = 4 + 4 + 8 + 8 + RULE_BYTES + 4 + 4;

  private static int magic(Link link) {
    return link == Link.SOFTMAX ? MAGIC_OF_SOFTMAX : MAGIC_OF_LABEL_TREE;
  }

  /** Allocates the bytes of a part. */
  static PartBytes allocate(
      Link link, int number, long weights, long biases, Kind rule, int steps, int[] begun) {
    long length = HEADER_BYTES + 4L * begun.length + 4 * (1L + rule.moments()) * (weights + biases);
    if (length > Integer.MAX_VALUE - 8) {
      throw new IllegalStateException(
          "part: its " + length + " bytes are more than an array can hold, 2^31 - 9");
    }
    ByteBuffer all = ByteBuffer.allocate((int) length).order(ByteOrder.LITTLE_ENDIAN);
    all.putInt(magic(link)).putInt(number).putLong(weights).putLong(biases);
    all.put(Arrays.copyOf(rule.name().getBytes(US_ASCII), RULE_BYTES)).putInt(steps);
    all.putInt(begun.length);
    for (int ofOutput : begun) {
      all.putInt(ofOutput);
    }
    return new PartBytes(number, weights, biases, rule, steps, begun, all);
  }

  /**
   * Reads what {@link #array} gave.
   *
   * @throws IllegalArgumentException if it is something else, or of another kind of layer, or has
   *     what no model file may have
   */
  static PartBytes of(Link link, byte[] bytes) {
    ByteBuffer all = ByteBuffer.wrap(requireNonNull(bytes, "parts")).order(ByteOrder.LITTLE_ENDIAN);
    if (bytes.length < HEADER_BYTES || all.getInt() != magic(link)) {
      throw new IllegalArgumentException(
          "parts: expected what "
              + "LayerPart.toBytes returns of a "
              + (link == Link.SOFTMAX ? "HierarchicalSoftmax" : "LabelTree"));
    }
    int number = all.getInt();
    long weights = all.getLong();
    long biases = all.getLong();
    byte[] name = new byte[RULE_BYTES];
    all.get(name);
    int steps = all.getInt();
    int begunCount = all.getInt();
    long own = HEADER_BYTES + 4L * begunCount;
    for (Kind rule : Kind.values()) {
      boolean named =
          Arrays.equals(name, Arrays.copyOf(rule.name().getBytes(US_ASCII), RULE_BYTES));
      long numbers = 4 * (1L + rule.moments()) * (weights + biases);
      boolean counted = fits(weights, bytes) && fits(biases, bytes) && fits(begunCount, bytes);
      if (named && counted && numbers == bytes.length - own) {
        int[] begun = new int[begunCount];
        all.slice(HEADER_BYTES, 4 * begunCount)
            .order(ByteOrder.LITTLE_ENDIAN)
            .asIntBuffer()
            .get(begun);
        return new PartBytes(number, weights, biases, rule, steps, begun, all).requireLoadable();
      }
    }
    throw new IllegalArgumentException("parts: part " + number + " is damaged");
  }

  /** Returns whether elements are so few that nothing that is computed with them overflows. */
  private static boolean fits(long elements, byte[] bytes) {
    return 0 <= elements && elements <= bytes.length;
  }

  /** Requires that {@link ModelFile} would load the part. */
  private PartBytes requireLoadable() {
    if (steps < 0) {
      throw new IllegalArgumentException(
          "parts: part " + number + ": its steps = " + steps + " are negative");
    }
    for (int ofOutput : begun) {
      if (ofOutput < 0 || ofOutput > steps) {
        throw new IllegalArgumentException(
            "parts: part "
                + number
                + ": an output was added after "
                + ofOutput
                + " steps, expected a number in [0, "
                + steps
                + "]");
      }
    }
    FloatBuffer numbers =
        all.slice(numbersBegin(), all.limit() - numbersBegin())
            .order(ByteOrder.LITTLE_ENDIAN)
            .asFloatBuffer();
    for (int moment = -1; moment < rule.moments(); moment++) {
      boolean squares =
          moment >= 0
              && TensorStateEntries.values(moment, rule.moments())
                  == Values.FINITE_AND_NOT_NEGATIVE;
      for (long i = 0; i < weights + biases; i++) {
        float value = numbers.get();
        if (!Float.isFinite(value) || (squares && value < 0)) {
          throw new IllegalArgumentException(
              "parts: part "
                  + number
                  + ": element "
                  + i
                  + (moment < 0 ? "" : " of moment " + moment)
                  + " = "
                  + value
                  + (Float.isFinite(value)
                      ? " is negative, as no sum of squares"
                      : " is not finite"));
        }
      }
    }
    return this;
  }

  @SuppressWarnings("ByteBufferBackingArray") // the whole of it, by allocate and by of
  byte[] array() {
    return all.array();
  }

  private int numbersBegin() {
    return HEADER_BYTES + 4 * begun.length;
  }

  /** Returns the buffer, positioned at the first number. */
  ByteBuffer numbers() {
    return all.position(numbersBegin());
  }

  /** Returns the weights, or those of a moment that are beside them. */
  ByteBuffer weights(int moment) {
    return slice((1L + moment) * (weights + biases), weights);
  }

  /** Returns the biases, or those of a moment that are beside them. */
  ByteBuffer biases(int moment) {
    return slice((1L + moment) * (weights + biases) + weights, biases);
  }

  private ByteBuffer slice(long begin, long count) {
    return all.slice(numbersBegin() + (int) (4 * begin), (int) (4 * count));
  }
}
