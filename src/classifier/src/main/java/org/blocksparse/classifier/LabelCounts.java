// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier;

import java.io.ByteArrayOutputStream;
import java.util.Arrays;
import java.util.Base64;
import org.blocksparse.ranking.Metrics;

/**
 * The number of examples of a training, and of examples with each label, by the label's number. A
 * model stores them as numbers of variable length (LEB128) in base 64, the examples first.
 */
@SuppressWarnings("ArrayRecordComponent") // never compared
public record LabelCounts(long examples, long[] ofLabels) {
  private static final int BITS = 7;
  private static final int MORE = 1 << BITS;

  /** The minimum number of examples for propensities. */
  private static final int FEWEST_EXAMPLES = 3;

  /**
   * The longest text; more letters would leave too little room for the keys of features in the
   * header of a file.
   */
  private static final int LONGEST_TEXT = 1 << 20;

  /** Returns the text of these; empty if it is too long for a file with a vocabulary. */
  String encoded() {
    String text = text();
    return text.length() <= LONGEST_TEXT ? text : "";
  }

  /** Returns the text of these, of any length. */
  public String text() {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream(ofLabels.length + Long.BYTES);
    put(examples, bytes);
    Arrays.stream(ofLabels).forEach(count -> put(count, bytes));
    return Base64.getUrlEncoder().withoutPadding().encodeToString(bytes.toByteArray());
  }

  private static void put(long value, ByteArrayOutputStream bytes) {
    long rest = value;
    while (rest >= MORE) {
      bytes.write((int) (rest % MORE) | MORE);
      rest >>>= BITS;
    }
    bytes.write((int) rest);
  }

  /**
   * Returns the counts of an encoded text.
   *
   * @throws IllegalArgumentException if it is not the text of the counts of {@code labels} labels
   */
  public static LabelCounts decode(String text, int labels) {
    byte[] bytes = Base64.getUrlDecoder().decode(text);
    long[] numbers = new long[Math.min(labels + 1, bytes.length)];
    int size = 0;
    int shift = 0;
    long number = 0;
    for (byte next : bytes) {
      if (size == numbers.length || shift > Long.SIZE - 2 * BITS) {
        throw notCounts(labels);
      }
      number |= (long) (next & (MORE - 1)) << shift;
      shift += BITS;
      if (next >= 0) {
        numbers[size++] = number;
        number = 0;
        shift = 0;
      }
    }
    if (size != labels + 1 || shift != 0) {
      throw notCounts(labels);
    }
    return new LabelCounts(numbers[0], Arrays.copyOfRange(numbers, 1, size));
  }

  private static IllegalArgumentException notCounts(int labels) {
    return new IllegalArgumentException("expected the counts of " + labels + " labels");
  }

  /**
   * Returns the sum of these counts and those of other examples, which have at least as many
   * labels.
   */
  public LabelCounts with(LabelCounts more) {
    long[] sums = more.ofLabels.clone();
    for (int label = 0; label < ofLabels.length; label++) {
      sums[label] += ofLabels[label];
    }
    return new LabelCounts(examples + more.examples, sums);
  }

  /** Returns whether these are enough for {@link #propensities}. */
  boolean havePropensities() {
    return examples >= FEWEST_EXAMPLES;
  }

  /**
   * Returns the propensities of labels, by the constants that are used where nothing better is
   * known.
   *
   * @param unknown the count of numbers to add, for labels that training has not seen
   */
  double[] propensities(int unknown) {
    return Metrics.propensities(Arrays.copyOf(ofLabels, ofLabels.length + unknown), examples);
  }
}
