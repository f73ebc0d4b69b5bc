// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.fasttext;

import java.io.IOException;
import org.blocksparse.FileFormatException;

/**
 * The rows of a fastText matrix in product quantization (Jégou et al., 2011): each part of a row is
 * one of 256 centroids. Immutable.
 */
final class QuantizedRows {
  private static final int CENTROIDS = 256;

  /**
   * The maximum number of floats per byte: a part of 16 columns is eight times fastText's default.
   */
  private static final int MOST_FLOATS_PER_BYTE = 16;

  private final int columns;

  /** The size of a part; the last one may be shorter. */
  private final int partSize;

  private final int parts;
  private final byte[] codes;

  /** The centroids of the first part, then those of the next one. */
  private final float[] centroids;

  /** The norm code of each row; null if rows have no norm of their own. */
  private final byte[] normCodes;

  private final float[] norms;

  private QuantizedRows(
      int columns, int partSize, byte[] codes, float[] centroids, byte[] normCodes, float[] norms) {
    this.columns = columns;
    this.partSize = partSize;
    this.parts = parts(columns, partSize);
    this.codes = codes;
    this.centroids = centroids;
    this.normCodes = normCodes;
    this.norms = norms;
  }

  private static int parts(int columns, int partSize) {
    return (int) (((long) columns + partSize - 1) / partSize);
  }

  /**
   * Reads a matrix.
   *
   * @throws FileFormatException also if its floats would take many times the bytes of the file
   */
  static QuantizedRows read(String matrix, long rows, int columns, FastTextInput in)
      throws IOException {
    boolean hasNorms = in.bool(matrix + " qnorm");
    FastTextMatrix.requireShape(matrix, rows, columns, in);
    int size = in.int32(matrix + " codes");
    in.require(matrix + " codes", size, 1);
    byte[] codes = in.bytes(matrix + " codes", size);
    int partSize = header(matrix + " quantizer", columns, in);
    long expected = rows * parts(columns, partSize);
    if (size != expected) {
      throw in.wrong(matrix + " codes", "expected " + expected + " bytes but was " + size);
    }
    if (rows * columns / MOST_FLOATS_PER_BYTE > in.size()) {
      throw in.wrong(
          matrix,
          "("
              + rows
              + ", "
              + columns
              + ") floats are more than "
              + MOST_FLOATS_PER_BYTE
              + " for each byte of the file");
    }
    float[] centroids = centroids(matrix + " centroids", columns, in);
    if (!hasNorms) {
      return new QuantizedRows(columns, partSize, codes, centroids, null, null);
    }
    in.require(matrix + " norm codes", rows, 1);
    byte[] normCodes = in.bytes(matrix + " norm codes", (int) rows);
    header(matrix + " norm quantizer", 1, in);
    float[] norms = centroids(matrix + " norms", 1, in);
    return new QuantizedRows(columns, partSize, codes, centroids, normCodes, norms);
  }

  /** Reads all of a quantizer but its centroids; returns the size of a part. */
  private static int header(String field, int columns, FastTextInput in) throws IOException {
    in.int32(field + " dim", columns, columns);
    int parts = in.int32(field + " nsubq");
    int partSize = in.int32(field + " dsub", 1, columns);
    if (parts != parts(columns, partSize)) {
      throw in.wrong(
          field + " nsubq", "expected " + parts(columns, partSize) + " but was " + parts);
    }
    int last = columns - (parts - 1) * partSize;
    in.int32(field + " lastdsub", last, last);
    return partSize;
  }

  private static float[] centroids(String field, int columns, FastTextInput in) throws IOException {
    in.require(field, columns, (long) CENTROIDS * Float.BYTES);
    if (columns > (Integer.MAX_VALUE - 8) / CENTROIDS) {
      throw in.wrong(field, "expected at most 2^31 - 9 floats");
    }
    float[] centroids = new float[columns * CENTROIDS];
    in.floats(field, centroids, 0, centroids.length);
    return centroids;
  }

  /** Copies a row into an array. */
  void get(int row, float[] to, int begin) {
    float norm = normCodes == null ? 1 : norms[normCodes[row] & 0xFF];
    int code = row * parts;
    for (int column = 0; column < columns; column += partSize) {
      int size = Math.min(partSize, columns - column);
      int centroid = column * CENTROIDS + (codes[code++] & 0xFF) * size;
      for (int i = 0; i < size; i++) {
        to[begin + column + i] = norm * centroids[centroid + i];
      }
    }
  }
}
