// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.examples;

import static java.util.Objects.requireNonNull;

import java.util.Arrays;
import java.util.List;
import org.blocksparse.internal.tensors.Check;

/**
 * A text or sparse features to classify, and the labels that are right for it, if they are known.
 * Immutable.
 */
public final class Example {
  private final List<String> labels;

  /** The text; null if there are features. */
  private final String text;

  private final int[] indices;
  private final float[] values;

  private Example(List<String> labels, String text, int[] indices, float[] values) {
    this.labels = List.copyOf(Check.noNulls("labels", labels));
    this.text = text;
    this.indices = indices;
    this.values = values;
  }

  /** Returns a text with its labels. */
  public static Example ofText(String text, String... labels) {
    return ofText(text, Arrays.asList(requireNonNull(labels, "labels")));
  }

  /** Returns a text with its labels. */
  public static Example ofText(String text, List<String> labels) {
    return new Example(labels, requireNonNull(text, "text"), null, null);
  }

  /**
   * Returns sparse features with their labels.
   *
   * @param indices the features that are not zero, each at least 0, in any order; values of an
   *     index that is there several times are added
   * @param values how large they are: as many, all finite
   * @throws IllegalArgumentException if there are not as many, or a value or a sum is not finite
   * @throws IndexOutOfBoundsException if an index is negative
   */
  public static Example ofFeatures(int[] indices, float[] values, List<String> labels) {
    if (requireNonNull(indices, "indices").length != requireNonNull(values, "values").length) {
      throw new IllegalArgumentException(
          "values: expected " + indices.length + " as of indices but was " + values.length);
    }
    for (int i = 0; i < indices.length; i++) {
      if (indices[i] < 0) {
        throw new IndexOutOfBoundsException("indices[" + i + "] = " + indices[i] + " is negative");
      }
      if (!Float.isFinite(values[i])) {
        throw new IllegalArgumentException("values[" + i + "] = " + values[i] + " is not finite");
      }
    }
    return summed(indices, values, labels);
  }

  /** Returns an example that has each index once, ascending: lengths of values are those of vectors. */
  private static Example summed(int[] indices, float[] values, List<String> labels) {
    long[] sorted = new long[indices.length]; // sorted by index, then by position
    Arrays.setAll(sorted, i -> (long) indices[i] << 32 | i);
    Arrays.sort(sorted);
    int[] distinct = new int[sorted.length];
    float[] sums = new float[sorted.length];
    int size = 0;
    for (int i = 0; i < sorted.length; size++) {
      int index = (int) (sorted[i] >> 32);
      double sum = values[(int) sorted[i++]];
      while (i < sorted.length && (int) (sorted[i] >> 32) == index) {
        sum += values[(int) sorted[i++]];
      }
      distinct[size] = index;
      sums[size] = (float) sum;
      if (!Float.isFinite(sums[size])) {
        throw new IllegalArgumentException("values: those of index " + index + " sum to " + sum);
      }
    }
    return new Example(labels, null, Arrays.copyOf(distinct, size), Arrays.copyOf(sums, size));
  }

  /** Returns the right labels; empty if they are not known. */
  public List<String> labels() {
    return labels;
  }

  /** Returns whether this is a text; if not, it has features. */
  public boolean isText() {
    return text != null;
  }

  /**
   * Returns the text.
   *
   * @throws IllegalStateException if this is not a text
   */
  public String text() {
    if (text == null) {
      throw new IllegalStateException("example: has features, not a text");
    }
    return text;
  }

  public int[] indices() {
    return indices;
  }

  public float[] values() {
    return values;
  }

  @Override
  public String toString() {
    return labels + " " + (text != null ? text : indices.length + " features");
  }
}
