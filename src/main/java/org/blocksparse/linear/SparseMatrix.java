// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.linear;

import java.util.Arrays;
import java.util.stream.IntStream;
import org.blocksparse.internal.memory.GrowingArrays;
import org.blocksparse.internal.sparse.Bags;

/**
 * Sparse rows on the heap: row r has the entries [offsets[r], offsets[r + 1]). The columns of a row
 * ascend, and each is there once, so that the size of an entry is that of its column. The arrays
 * are shared and must not be changed.
 *
 * @param columns the column of each entry
 * @param values the values of the entries; null if all are 1
 */
record SparseMatrix(int[] offsets, int[] columns, float[] values) {
  /** Receives the numbers of what a row belongs to. */
  interface Sink {
    void take(int thing);
  }

  /** Lists the things that a row belongs to, each once; each call gives the same list. */
  interface Membership {
    void forEach(int row, Sink sink);
  }

  /**
   * Returns the rows that belong to each of {@code count} things, ascending: one row of this matrix
   * for each thing, without values.
   */
  static SparseMatrix transposed(int count, int rows, Membership membership) {
    int[] sizes = new int[count];
    for (int row = 0; row < rows; row++) {
      membership.forEach(row, thing -> sizes[thing]++);
    }
    int[] begins = offsets(sizes);
    int[] next = begins.clone();
    int[] all = new int[begins[count]];
    for (int row = 0; row < rows; row++) {
      int each = row;
      membership.forEach(row, thing -> all[next[thing]++] = each);
    }
    return new SparseMatrix(begins, all, null);
  }

  /**
   * Returns the begins of parts of these sizes, and the end of the last.
   *
   * @throws IllegalArgumentException if together they are more than an array can hold
   */
  static int[] offsets(int[] sizes) {
    int[] offsets = new int[sizes.length + 1];
    long end = 0;
    for (int i = 0; i < sizes.length; i++) {
      end += sizes[i];
      if (end > GrowingArrays.MAX_LENGTH) {
        throw new IllegalArgumentException(
            "features: rows of labels, or of clusters, have more than 2^31 - 9 entries together");
      }
      offsets[i + 1] = (int) end;
    }
    return offsets;
  }

  /** Returns a copy of all bags; see {@link #of(Bags, int[], String)}. */
  static SparseMatrix of(Bags bags, String what) {
    return of(bags, IntStream.range(0, bags.count()).toArray(), what);
  }

  /**
   * Returns a copy of some bags, which were checked and are leased; entries of a bag with the same
   * index are added up.
   *
   * @param chosen the bags, ascending
   * @param what an index is of, in messages
   * @throws IllegalArgumentException if a sum is not finite
   */
  static SparseMatrix of(Bags bags, int[] chosen, String what) {
    int[] offsets = new int[chosen.length + 1];
    int[] columns = new int[bags.entries()];
    float[] values = new float[bags.entries()];
    int size = 0;
    for (int r = 0; r < chosen.length; r++) {
      int row = chosen[r];
      int begin = bags.offsets().getInt(row);
      long[] sorted = new long[bags.offsets().getInt(row + 1L) - begin]; // by index, then entry
      for (int i = 0; i < sorted.length; i++) {
        sorted[i] = (long) bags.indices().getInt(begin + i) << 32 | (begin + i);
      }
      Arrays.sort(sorted);
      for (int i = 0; i < sorted.length; size++) {
        int column = (int) (sorted[i] >> 32);
        double sum = bags.value((int) sorted[i++]);
        while (i < sorted.length && (int) (sorted[i] >> 32) == column) {
          sum += bags.value((int) sorted[i++]);
        }
        columns[size] = column;
        values[size] = (float) sum;
        if (!Float.isFinite(values[size])) {
          throw new IllegalArgumentException(
              what + " " + column + " in row " + row + " add up to " + sum);
        }
      }
      offsets[r + 1] = size;
    }
    boolean isFull = size == columns.length;
    return new SparseMatrix(
        offsets,
        isFull ? columns : Arrays.copyOf(columns, size),
        isFull ? values : Arrays.copyOf(values, size));
  }

  /** Returns this matrix without entries of value 0. */
  SparseMatrix withoutZeros() {
    int[] kept = new int[offsets.length];
    int size = 0;
    for (int row = 0; row < rows(); row++) {
      for (int entry = offsets[row]; entry < offsets[row + 1]; entry++) {
        if (values[entry] != 0) {
          columns[size] = columns[entry];
          values[size++] = values[entry];
        }
      }
      kept[row + 1] = size;
    }
    return new SparseMatrix(kept, Arrays.copyOf(columns, size), Arrays.copyOf(values, size));
  }

  /** Returns the transposed matrix, with {@code count} rows; requires values. */
  SparseMatrix transposed(int count) {
    int[] begins = new int[count + 1];
    for (int column : columns) {
      begins[column + 1]++;
    }
    for (int column = 0; column < count; column++) {
      begins[column + 1] += begins[column];
    }
    int[] next = begins.clone();
    int[] rowOf = new int[columns.length];
    float[] moved = new float[columns.length];
    for (int row = 0; row < rows(); row++) {
      for (int entry = offsets[row]; entry < offsets[row + 1]; entry++) {
        int to = next[columns[entry]]++;
        rowOf[to] = row;
        moved[to] = values[entry];
      }
    }
    return new SparseMatrix(begins, rowOf, moved);
  }

  int rows() {
    return offsets.length - 1;
  }

  /** Returns the number of entries of a row. */
  int size(int row) {
    return offsets[row + 1] - offsets[row];
  }

  /** Returns the sum of the squares of a row. */
  double squaredNorm(int row) {
    double squares = 0;
    for (int entry = offsets[row]; entry < offsets[row + 1]; entry++) {
      squares += (double) values[entry] * values[entry];
    }
    return squares;
  }
}
