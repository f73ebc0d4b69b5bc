// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.features;

/**
 * The lengths of character n-grams that are features.
 *
 * @param least at least 1; 0 if there are none
 * @param most at most {@link #LONGEST}
 */
public record CharacterNgrams(int least, int most) {
  public static final int LONGEST = 10;

  public static final CharacterNgrams NONE = new CharacterNgrams(0, 0);

  /** The lengths that a training tries. */
  public static final CharacterNgrams TRIED = new CharacterNgrams(2, 5);

  /**
   * Returns a range; 0 and 0 are none.
   *
   * @throws IllegalArgumentException unless both are 0 or {@code 1 <= least <= most <= LONGEST}
   */
  public static CharacterNgrams of(int least, int most) {
    if (least == 0 && most == 0) {
      return NONE;
    }
    if (least < 1 || least > most || most > LONGEST) {
      throw new IllegalArgumentException(
          "charNgrams: expected 1 <= least <= most <= "
              + LONGEST
              + ", or 0 and 0,"
              + " but was "
              + least
              + " and "
              + most);
    }
    return new CharacterNgrams(least, most);
  }

  public boolean areNone() {
    return most == 0;
  }

  @Override
  public String toString() {
    return areNone() ? "none" : least + "-" + most;
  }
}
