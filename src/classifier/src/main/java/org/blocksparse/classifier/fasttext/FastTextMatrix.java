// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.fasttext;

import java.io.IOException;
import org.blocksparse.FileFormatException;
import org.blocksparse.FloatTensor;

/**
 * A matrix of a fastText file that is about to be read. The file is known to be long enough.
 *
 * @param quantized its rows, already read; null: floats follow in the file
 */
record FastTextMatrix(
    String name, int rows, int columns, QuantizedRows quantized, FastTextInput in) {
  /** Floats that are read at once. */
  private static final int PIECE = 1 << 18;

  /** Reads what is before the floats of a matrix, or all of a quantized one. */
  static FastTextMatrix begin(
      String name, boolean isQuantized, long rows, int columns, FastTextInput in)
      throws IOException {
    if (isQuantized) {
      QuantizedRows quantized = QuantizedRows.read(name, rows, columns, in);
      return new FastTextMatrix(name, (int) rows, columns, quantized, in);
    }
    requireShape(name, rows, columns, in);
    in.require(name, rows, (long) columns * Float.BYTES);
    return new FastTextMatrix(name, (int) rows, columns, null, in);
  }

  static void requireShape(String name, long rows, int columns, FastTextInput in)
      throws IOException {
    long m = in.int64(name + " rows");
    long n = in.int64(name + " columns");
    if (m != rows || n != columns) {
      throw in.wrong(
          name, "expected shape (" + rows + ", " + columns + ") but was (" + m + ", " + n + ")");
    }
    if (rows < 1 || rows > Integer.MAX_VALUE - 8) {
      throw in.wrong(name, "expected rows in [1, 2^31 - 9] but was " + rows);
    }
  }

  /** Receives rows, one after another. */
  private interface Sink {
    void take(int firstRow, int count, float[] rows);
  }

  private void read(Sink sink) throws IOException {
    int most = Math.min(rows, Math.max(1, PIECE / columns));
    float[] piece = new float[most * columns];
    for (long first = 0; first < rows; first += most) { // int would overflow near 2^31 rows
      int row = (int) first;
      int count = Math.min(most, rows - row);
      if (quantized == null) {
        in.floats(name, piece, 0, count * columns);
      } else {
        for (int i = 0; i < count; i++) {
          quantized.get(row + i, piece, i * columns);
        }
      }
      sink.take(row, count, piece);
    }
  }

  /** Returns the whole matrix, (rows, columns). */
  FloatTensor floats() throws IOException {
    FloatTensor floats = FloatTensor.zeros(rows, columns);
    return filled(
        floats, (row, count, piece) -> floats.put((long) row * columns, piece, 0, count * columns));
  }

  /** Returns the weights of a layer with one class, (1, columns, rows). */
  FloatTensor transposed() throws IOException {
    FloatTensor weights = FloatTensor.zeros(1, columns, rows);
    float[] column = new float[Math.min(rows, Math.max(1, PIECE / columns))];
    return filled(
        weights,
        (row, count, piece) -> {
          for (int c = 0; c < columns; c++) {
            for (int i = 0; i < count; i++) {
              column[i] = piece[i * columns + c];
            }
            weights.put((long) c * rows + row, column, 0, count);
          }
        });
  }

  private FloatTensor filled(FloatTensor floats, Sink sink) throws IOException {
    try {
      read(sink);
      return floats;
    } catch (Throwable e) {
      floats.close();
      throw e;
    }
  }

  /**
   * Returns the whole matrix, row by row.
   *
   * @throws FileFormatException if it is larger than an array
   */
  float[] array() throws IOException {
    if ((long) rows * columns > Integer.MAX_VALUE - 8) {
      throw in.wrong(name, "expected at most 2^31 - 9 numbers for a binary tree");
    }
    float[] all = new float[rows * columns];
    read((row, count, piece) -> System.arraycopy(piece, 0, all, row * columns, count * columns));
    return all;
  }
}
