// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.spark;

import java.nio.ByteBuffer;
import org.apache.commons.codec.digest.MurmurHash3;

/**
 * A row as bytes, equal for equal rows however their features were stored: its labels, its weight,
 * and its features; if most of these are zero, only the others, with their indices.
 */
final class EncodedRow {
  /**
   * The label, or -1 minus the number of labels, which follow; the weight; the number of present
   * features.
   */
  private static final int HEADER_BYTES = 12;

  private static final int DENSE = -1;

  private EncodedRow() {}

  /**
   * Returns the bytes.
   *
   * @param labels the numbers of the labels, ascending
   */
  static byte[] of(int[] labels, float weight, float[] features) {
    int present = 0;
    for (float value : features) {
      present += isPresent(value) ? 1 : 0;
    }
    boolean dense = 2 * present >= features.length;
    int labelBytes = labels.length == 1 ? 0 : 4 * labels.length;
    ByteBuffer bytes =
        ByteBuffer.allocate(
            HEADER_BYTES + labelBytes + (dense ? 4 * features.length : 8 * present));
    bytes.putInt(labels.length == 1 ? labels[0] : -1 - labels.length);
    bytes.putFloat(weight).putInt(dense ? DENSE : present);
    for (int i = 0; i < labelBytes / 4; i++) {
      bytes.putInt(labels[i]);
    }
    for (int i = 0; i < features.length; i++) {
      if (dense) {
        bytes.putFloat(features[i]);
      } else if (isPresent(features[i])) {
        bytes.putInt(i).putFloat(features[i]);
      }
    }
    return bytes.array();
  }

  /**
   * Returns whether a value is present; negative zero is, as it matters for the bits of a product.
   */
  private static boolean isPresent(float value) {
    return Float.floatToRawIntBits(value) != 0;
  }

  /** Returns a hash of the whole row. */
  static long hash(byte[] row) {
    return MurmurHash3.hash128x64(row, 0, row.length, 0)[0];
  }

  static int[] labels(byte[] row) {
    return labels(ByteBuffer.wrap(row));
  }

  /** Returns the labels of a row that begins at the position of the buffer, which does not move. */
  static int[] labels(ByteBuffer row) {
    int first = row.getInt(row.position());
    if (first >= 0) {
      return new int[] {first};
    }
    int[] labels = new int[-1 - first];
    row.slice(row.position() + HEADER_BYTES, 4 * labels.length).asIntBuffer().get(labels);
    return labels;
  }

  /** Returns the begin of the features. */
  private static int begin(ByteBuffer row) {
    int first = row.getInt(row.position());
    return row.position() + HEADER_BYTES + (first >= 0 ? 0 : 4 * (-1 - first));
  }

  private static int present(ByteBuffer row) {
    return row.getInt(row.position() + HEADER_BYTES - 4);
  }

  /** Returns the bytes of a row. */
  static int length(ByteBuffer row, int features) {
    int present = present(row);
    return begin(row) - row.position() + (present == DENSE ? 4 * features : 8 * present);
  }

  static float weight(ByteBuffer row) {
    return row.getFloat(row.position() + 4);
  }

  /** Writes the features to {@code to}, from {@code begin} on, where zeros are. */
  static void features(ByteBuffer row, float[] to, int begin, int features) {
    int at = begin(row);
    int present = present(row);
    if (present == DENSE) {
      row.slice(at, 4 * features).asFloatBuffer().get(to, begin, features);
      return;
    }
    for (int i = 0; i < present; i++) {
      to[begin + row.getInt(at + 8 * i)] = row.getFloat(at + 8 * i + 4);
    }
  }
}
