// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.spark;

import java.nio.ByteBuffer;
import org.apache.commons.codec.digest.MurmurHash3;

/**
 * A row as bytes, the same for equal rows however their features were stored: its label, its
 * weight, and its features; of those that are mostly zero, the others alone, with their indices.
 */
final class EncodedRow {
  private static final int HEADER_BYTES = 12;
  private static final int DENSE = -1;

  private EncodedRow() {}

  /**
   * The bytes.
   *
   * @param label the number of the label
   */
  static byte[] of(int label, float weight, float[] features) {
    int present = 0;
    for (float value : features) {
      present += isPresent(value) ? 1 : 0;
    }
    boolean dense = 2 * present >= features.length;
    ByteBuffer bytes =
        ByteBuffer.allocate(HEADER_BYTES + (dense ? 4 * features.length : 8 * present));
    bytes.putInt(label).putFloat(weight).putInt(dense ? DENSE : present);
    for (int i = 0; i < features.length; i++) {
      if (dense) {
        bytes.putFloat(features[i]);
      } else if (isPresent(features[i])) {
        bytes.putInt(i).putFloat(features[i]);
      }
    }
    return bytes.array();
  }

  /** Negative zero is a number of its own, as it is for the bits of a product. */
  private static boolean isPresent(float value) {
    return Float.floatToRawIntBits(value) != 0;
  }

  /** A hash of all that the row is. */
  static long hash(byte[] row) {
    return MurmurHash3.hash128x64(row, 0, row.length, 0)[0];
  }

  static int label(byte[] row) {
    return ByteBuffer.wrap(row).getInt();
  }

  /** The label of a row that begins at the position of the buffer, which stays. */
  static int label(ByteBuffer row) {
    return row.getInt(row.position());
  }

  /** The bytes of a row. */
  static int length(ByteBuffer row, int features) {
    int present = row.getInt(row.position() + HEADER_BYTES - 4);
    return HEADER_BYTES + (present == DENSE ? 4 * features : 8 * present);
  }

  static float weight(ByteBuffer row) {
    return row.getFloat(row.position() + 4);
  }

  /** Writes the features to {@code to}, from {@code begin} on, where zeros are. */
  static void features(ByteBuffer row, float[] to, int begin, int features) {
    int at = row.position() + HEADER_BYTES;
    int present = row.getInt(at - 4);
    if (present == DENSE) {
      row.slice(at, 4 * features).asFloatBuffer().get(to, begin, features);
      return;
    }
    for (int i = 0; i < present; i++) {
      to[begin + row.getInt(at + 8 * i)] = row.getFloat(at + 8 * i + 4);
    }
  }
}
