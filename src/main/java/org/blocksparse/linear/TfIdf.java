// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.linear;

import java.util.Arrays;
import org.blocksparse.internal.kernels.Bags;

/**
 * Weights of features that are counted. A feature that a row has n times gets (1 + log n) times its
 * inverse document frequency, and the row is scaled to length 1.
 *
 * @param inverse the inverse document frequency of each feature; shared and not to be changed
 */
@SuppressWarnings("ArrayRecordComponent") // nobody compares them
record TfIdf(float[] inverse) {
  /** Takes a feature of a row, and how often the row has it. */
  private interface Sink {
    void take(int feature, int count);
  }

  /**
   * The weights of some rows without values: 1 + log((1 + rows) / (1 + rows that have the
   * feature)), which is finite for features that no row has.
   */
  static TfIdf of(Bags counts, int features) {
    int[] rowsWith = new int[features];
    for (int row = 0; row < counts.count(); row++) {
      forEach(counts, row, (feature, count) -> rowsWith[feature]++);
    }
    float[] inverse = new float[features];
    for (int feature = 0; feature < features; feature++) {
      inverse[feature] = (float) (1 + Math.log((1.0 + counts.count()) / (1.0 + rowsWith[feature])));
    }
    return new TfIdf(inverse);
  }

  /** Rows without values, weighted; the features of each ascend. */
  public SparseMatrix weighted(Bags counts) {
    int[] sizes = new int[counts.count()];
    for (int row = 0; row < sizes.length; row++) {
      int each = row;
      forEach(counts, row, (feature, count) -> sizes[each]++);
    }
    int[] offsets = RowLists.offsets(sizes);
    int[] columns = new int[offsets[sizes.length]];
    float[] values = new float[offsets[sizes.length]];
    int[] at = {0};
    for (int row = 0; row < sizes.length; row++) {
      double[] squares = {0};
      forEach(
          counts,
          row,
          (feature, count) -> {
            double value = (1 + Math.log(count)) * inverse[feature];
            columns[at[0]] = feature;
            values[at[0]++] = (float) value;
            squares[0] += value * value;
          });
      float scale = squares[0] > 0 ? (float) (1 / Math.sqrt(squares[0])) : 0;
      for (int entry = offsets[row]; entry < offsets[row + 1]; entry++) {
        values[entry] *= scale;
      }
    }
    return new SparseMatrix(offsets, columns, values);
  }

  private static void forEach(Bags counts, int row, Sink sink) {
    int begin = counts.offsets().getInt(row);
    int[] all = new int[counts.offsets().getInt(row + 1L) - begin];
    counts.indices().storage().getInts(counts.indices().begin() + begin, all, 0, all.length);
    Arrays.sort(all);
    int first = 0;
    for (int i = 1; i <= all.length; i++) {
      if (i == all.length || all[i] != all[first]) {
        sink.take(all[first], i - first);
        first = i;
      }
    }
  }
}
