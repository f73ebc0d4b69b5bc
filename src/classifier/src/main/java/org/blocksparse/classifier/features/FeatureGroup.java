// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.features;

/** The kinds of features of a text. Each is weighted separately, so that none dominates. */
public enum FeatureGroup {
  /** A word or piece; or the index of a feature, if examples have features. */
  WORD(0, 1),

  /** Several words in a row. */
  WORDS_IN_A_ROW(1, 0.5f),

  /** Characters in a row inside a word. */
  CHARACTERS(2, 1);

  private static final FeatureGroup[] ALL = values();

  private final int number;
  private final float length;

  FeatureGroup(int number, float length) {
    this.number = number;
    this.length = length;
  }

  /** Returns a group by its number. */
  public static FeatureGroup of(int number) {
    return ALL[number];
  }

  /** Returns the number of a group, from 0 on. */
  public int number() {
    return number;
  }

  /** Returns the lengths of the groups' parts of a row, by number. */
  public static float[] lengths() {
    float[] lengths = new float[ALL.length];
    for (FeatureGroup group : ALL) {
      lengths[group.number] = group.length;
    }
    return lengths;
  }
}
