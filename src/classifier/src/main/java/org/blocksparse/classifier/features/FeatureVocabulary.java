// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.features;

import java.nio.ByteBuffer;
import java.util.Base64;

/**
 * The rows of the table that features have: each feature that training kept has a row of its own,
 * and others have none. Rows of characters in a row follow each other. Immutable, for any number of
 * threads.
 */
public final class FeatureVocabulary {
  /** The bits of a key: among a million features, one in a million others is mistaken for one. */
  static final int KEY_BITS = 40;

  /** The vocabulary without features. */
  public static final FeatureVocabulary NONE = of(new KeyTable());

  private static final int KEY_BYTES = KEY_BITS / 8;

  private final KeyTable keys;
  private final int rows;
  private final int charactersBegin;
  private final int charactersEnd;

  private FeatureVocabulary(KeyTable keys, int rows, int charactersBegin, int charactersEnd) {
    this.keys = keys;
    this.rows = rows;
    this.charactersBegin = charactersBegin;
    this.charactersEnd = charactersEnd;
  }

  /**
   * Returns a vocabulary in which the features of a table have rows of their own; the table must
   * not change.
   */
  public static FeatureVocabulary of(KeyTable keys) {
    return of(keys, 0, 0);
  }

  /**
   * Returns a vocabulary of which some rows are those of characters in a row.
   *
   * @param charactersBegin the first of them
   * @param charactersEnd the one after the last
   */
  public static FeatureVocabulary of(KeyTable keys, int charactersBegin, int charactersEnd) {
    return new FeatureVocabulary(keys, keys.size(), charactersBegin, charactersEnd);
  }

  /**
   * Returns this vocabulary with rows of character n-grams.
   *
   * @throws IllegalArgumentException if there are no such rows
   */
  public FeatureVocabulary withCharacters(int begin, int end) {
    if (begin > end || end > rows) {
      throw new IllegalArgumentException(
          "expected characters in rows up to " + rows + " but was " + begin + "-" + end);
    }
    return new FeatureVocabulary(keys, rows, begin, end);
  }

  /** Returns a table of the keys that have rows of their own, with room for more. */
  public KeyTable keys(int more) {
    KeyTable copy = new KeyTable(rows + more);
    for (int row = 0; row < rows; row++) {
      copy.add(keys.key(row));
    }
    return copy;
  }

  public int rows() {
    return rows;
  }

  public boolean hasCharacters() {
    return charactersBegin < charactersEnd;
  }

  public int charactersBegin() {
    return charactersBegin;
  }

  public int charactersEnd() {
    return charactersEnd;
  }

  public boolean isOfCharacters(int row) {
    return row >= charactersBegin && row < charactersEnd;
  }

  /** Returns the number of rows that are not of characters in a row. */
  public int otherRows() {
    return rows - (charactersEnd - charactersBegin);
  }

  /**
   * Returns the number of a row among those that are not of characters in a row; negative if it is.
   */
  public int otherRow(int row) {
    return row < charactersBegin
        ? row
        : row < charactersEnd ? -1 : row - (charactersEnd - charactersBegin);
  }

  /** Returns the row with a number among those that are not of characters in a row. */
  public int rowOfOther(int other) {
    return other < charactersBegin ? other : other + (charactersEnd - charactersBegin);
  }

  /** Returns the row of a feature; negative if it has none. */
  public int row(long key) {
    return keys.find(key);
  }

  /** Returns the keys by row as text, for the metadata of a file. */
  public String encoded() {
    ByteBuffer bytes = ByteBuffer.allocate(KEY_BYTES * rows);
    for (int row = 0; row < rows; row++) {
      bytes.put((byte) (keys.key(row) >>> 32)).putInt((int) keys.key(row));
    }
    return Base64.getUrlEncoder().withoutPadding().encodeToString(bytes.array());
  }

  /**
   * Returns the vocabulary of an encoded text.
   *
   * @throws IllegalArgumentException if it is not the text of that many different keys
   */
  public static FeatureVocabulary decode(String text, int rows) {
    ByteBuffer bytes = ByteBuffer.wrap(Base64.getUrlDecoder().decode(text));
    if (bytes.remaining() != (long) KEY_BYTES * rows) {
      throw new IllegalArgumentException(
          "expected " + (long) KEY_BYTES * rows + " bytes but was " + bytes.remaining());
    }
    KeyTable keys = new KeyTable(rows);
    for (int row = 0; row < rows; row++) {
      long key = ((long) (bytes.get() & 0xff) << 32) | (bytes.getInt() & 0xffffffffL);
      if (keys.add(key) != row) {
        throw new IllegalArgumentException("key " + row + " is there twice");
      }
    }
    return of(keys);
  }
}
