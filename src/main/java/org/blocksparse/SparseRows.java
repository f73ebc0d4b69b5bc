// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import java.nio.FloatBuffer;
import java.nio.IntBuffer;
import java.util.List;
import org.blocksparse.internal.tensors.CsrRows;

/**
 * A sparse matrix in CSR form: rows of (index, value) entries, such as the words of a text with
 * their weights, the nonzero features of a sample, or its labels. Row r has the entries from {@code
 * offsets[r]} to {@code offsets[r + 1]}.
 *
 * <table>
 *   <caption>Shapes</caption>
 *   <tr><th>name</th><th>elements</th><th>meaning</th></tr>
 *   <tr><td>offsets</td><td>rows + 1</td><td>ascending (repeats allowed), from 0 to the number of entries</td></tr>
 *   <tr><td>indices</td><td>entries</td><td>at least 0; in any order</td></tr>
 *   <tr><td>values</td><td>entries</td><td>any float; without values, each is 1</td></tr>
 * </table>
 *
 * <p>An index may occur several times in a row; its values add up. Rows may be empty. Offsets are
 * 32-bit, so all rows together have at most 2<sup>31</sup> - 1 entries.
 *
 * <p>Rows are checked once, when they are created. Each operation also checks that indices fit its
 * vocabulary, in constant time. Rows over memory that others can change ({@link #wrap}) are checked
 * again by each operation.
 *
 * <p>Immutable, in off-heap memory with the lifetime rules of {@link Tensor}: running operations
 * finish after {@link #close}, and later uses throw {@link IllegalStateException}. The garbage
 * collector frees rows that are never closed. Any number of threads may use the same rows.
 */
public sealed interface SparseRows extends AutoCloseable permits CsrRows {
  /**
   * Returns rows with a copy of the given offsets and indices, whose values are 1.
   *
   * @throws IllegalArgumentException if offsets are empty, do not begin with 0, decrease, or do not
   *     end with the number of indices
   * @throws IndexOutOfBoundsException if an index is negative
   * @throws OutOfMemoryError if there is not enough native memory; the message names the bytes
   */
  static SparseRows of(int[] offsets, int[] indices) {
    return CsrRows.of(offsets, indices);
  }

  /**
   * Returns rows with a copy of the given offsets, indices and values. See {@link #of(int[],
   * int[])}.
   *
   * @throws IllegalArgumentException also if there are different numbers of values and indices
   */
  static SparseRows of(int[] offsets, int[] indices, float[] values) {
    return CsrRows.of(offsets, indices, values);
  }

  /**
   * Returns rows with a copy of the given indices, a row for each array, whose values are 1.
   *
   * @throws IllegalArgumentException if there are more than 2<sup>31</sup> - 1 entries, or
   *     2<sup>31</sup> - 9 rows and more
   * @throws IndexOutOfBoundsException if an index is negative
   * @throws OutOfMemoryError if there is not enough native memory; the message names the bytes
   */
  static SparseRows of(List<int[]> indices) {
    return CsrRows.of(indices);
  }

  /**
   * Returns rows with a copy of the given indices and values, a row for each pair of arrays. See
   * {@link #of(List)}.
   *
   * @throws IllegalArgumentException also if a row has different numbers of values and indices
   */
  static SparseRows of(List<int[]> indices, List<float[]> values) {
    return CsrRows.of(indices, values);
  }

  /**
   * Returns rows with a copy of the given indices that are in [0, bound), whose values are 1. Other
   * indices are ignored, and a bag of mode MEAN does not count them.
   *
   * @param bound the vocabulary of a bag, or the outputs of a layer
   * @param unknown counts the ignored indices
   * @throws IllegalArgumentException as {@link #of(List)}, or if the bound is less than 1
   * @throws OutOfMemoryError if there is not enough native memory; the message names the bytes
   */
  static SparseRows of(List<int[]> indices, int bound, UnknownIds unknown) {
    return CsrRows.of(indices, bound, unknown);
  }

  /**
   * Makes rows as {@link #of(List, int, UnknownIds)} does, with values.
   *
   * @throws IllegalArgumentException also if a row has different numbers of values and indices
   */
  static SparseRows of(List<int[]> indices, List<float[]> values, int bound, UnknownIds unknown) {
    return CsrRows.of(indices, values, bound, unknown);
  }

  /**
   * Wraps the memory of direct buffers as rows, each from its position to its limit, without a
   * copy; values are 1. The buffers stay reachable; closing the rows does not free them. Their
   * content must not change while a call uses the rows: an index that changes after its check can
   * read invalid memory, which ends the process. The content may change between two calls: the next
   * call checks it again, and throws as this method does. The memory must stay valid, as for {@link
   * FloatTensor#wrap(FloatBuffer, long...)}.
   *
   * @throws IllegalArgumentException if a buffer is not direct, not in native byte order, not
   *     aligned to 4 bytes, or of a closed arena; and as {@link #of(int[], int[])}
   * @throws IndexOutOfBoundsException if an index is negative
   * @throws UnsupportedOperationException if the native library is not in use
   */
  static SparseRows wrap(IntBuffer offsets, IntBuffer indices) {
    return CsrRows.wrap(offsets, indices);
  }

  /**
   * Wraps rows as {@link #wrap(IntBuffer, IntBuffer)} does, with values.
   *
   * @throws IllegalArgumentException also if there are different numbers of values and indices
   */
  static SparseRows wrap(IntBuffer offsets, IntBuffer indices, FloatBuffer values) {
    return CsrRows.wrap(offsets, indices, values);
  }

  /** Returns the number of rows. */
  int rows();

  /** Returns the total number of entries of all rows. */
  int entries();

  /** Returns whether entries have values. If not, each is 1. */
  boolean isWeighted();

  /**
   * Returns the number of entries of a row.
   *
   * @throws IndexOutOfBoundsException if the row is outside [0, rows)
   * @throws IllegalArgumentException if the rows wrap memory, and offsets were changed so that they
   *     decrease or are outside the entries
   * @throws IllegalStateException if the rows are closed
   */
  int size(int row);

  /** Returns the indices of a row, in a new array; errors as {@link #size}. */
  int[] indices(int row);

  /** Returns the values of a row, in a new array; errors as {@link #size}. */
  float[] values(int row);

  /**
   * Returns a view of rows [begin, end), with the same indices and values. Closing the original
   * closes the view. Closing the view does not close the original.
   *
   * @throws IndexOutOfBoundsException unless 0 &lt;= begin &lt;= end &lt;= rows
   * @throws IllegalArgumentException if offsets of these rows were changed; see {@link #size}
   * @throws IllegalStateException if the rows are closed
   */
  SparseRows slice(int begin, int end);

  /**
   * Returns a copy of some rows, in the given order: for example, a batch of shuffled samples.
   *
   * @param which indices of rows; repeats are allowed
   * @throws IndexOutOfBoundsException if an index is outside [0, rows)
   * @throws IllegalArgumentException if there are more than 2<sup>31</sup> - 1 entries, or if
   *     offsets of these rows were changed; see {@link #size}
   * @throws IllegalStateException if the rows are closed
   * @throws OutOfMemoryError if there is not enough native memory; the message names the bytes
   */
  SparseRows select(int... which);

  /**
   * Returns a copy of these rows with further columns, such as the vectors of a sentence encoder
   * beside the words of texts. Row r gets an entry of index {@code columns + c} and value {@code
   * dense[r, c]} for each c. The copy has values; if these rows have none, each is 1.
   *
   * @param columns the number of columns of these rows, above each of their indices
   * @param dense (rows, width), finite
   * @throws IllegalArgumentException if dense does not have this shape; if a value of it is not
   *     finite; if columns is less than 1, or columns + width is more than 2<sup>31</sup> - 9; or
   *     if there are more than 2<sup>31</sup> - 1 entries
   * @throws IndexOutOfBoundsException if an index of these rows is outside [0, columns)
   * @throws IllegalStateException if the rows or the tensor are closed
   * @throws OutOfMemoryError if there is not enough memory
   */
  SparseRows withDense(int columns, FloatTensor dense);

  /** Closes these rows; see the class comment. Idempotent. */
  @Override
  void close();
}
