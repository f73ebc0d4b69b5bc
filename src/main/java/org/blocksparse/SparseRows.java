// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static java.util.Objects.requireNonNull;

import java.nio.Buffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.IntBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.blocksparse.internal.Check;
import org.blocksparse.internal.OperandLease;
import org.blocksparse.internal.memory.Slice;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.sparse.Bags;
import org.blocksparse.internal.sparse.RowsCheck;

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
public final class SparseRows implements AutoCloseable {
  /** Elements that are copied at a time. */
  private static final int PIECE = 1 << 10;

  private static final String DENSE = "(rows, width)";

  private final int rows;
  private final int entries;

  /** rows + 1 offsets, from 0 on. */
  private final Storage offsets;

  private final Slice indices;

  /** Null: each is 1. */
  private final Slice values;

  private final boolean view;

  /** Whether the memory belongs to other code, which may change it between two calls. */
  private final boolean wrapped;

  private final int maxIndex;
  private volatile boolean closed;

  private SparseRows(
      Storage offsets, int entries, Slice indices, Slice values, boolean view, boolean wrapped) {
    this.rows = Math.toIntExact(offsets.elements() - 1);
    this.entries = entries;
    this.offsets = offsets;
    this.indices = indices;
    this.values = values;
    this.view = view;
    this.wrapped = wrapped;
    this.maxIndex = RowsCheck.maxIndex("", indices, entries);
  }

  /**
   * Rows with a copy of the given offsets and indices, whose values are 1.
   *
   * @throws IllegalArgumentException if offsets are empty, do not begin with 0, decrease, or do not
   *     end with the number of indices
   * @throws IndexOutOfBoundsException if an index is negative
   * @throws OutOfMemoryError if there is not enough native memory; the message names the bytes
   */
  public static SparseRows of(int[] offsets, int[] indices) {
    return copy(offsets, indices, null);
  }

  /**
   * Rows with a copy of the given offsets, indices and values. See {@link #of(int[], int[])}.
   *
   * @throws IllegalArgumentException also if there are different numbers of values and indices
   */
  public static SparseRows of(int[] offsets, int[] indices, float[] values) {
    return copy(offsets, indices, requireNonNull(values, "values"));
  }

  private static SparseRows copy(int[] offsets, int[] indices, float[] values) {
    requireNonNull(offsets, "offsets");
    requireNonNull(indices, "indices");
    if (values != null) {
      Check.length("values", indices.length, values.length);
    }
    return make(
        offsets.length,
        indices.length,
        values != null,
        (offsetsTo, indicesTo, valuesTo) -> {
          offsetsTo.putInts(0, offsets, 0, offsets.length);
          indicesTo.putInts(0, indices, 0, indices.length);
          if (values != null) {
            valuesTo.putFloats(0, values, 0, values.length);
          }
        });
  }

  /**
   * Rows with a copy of the given indices, a row for each array, whose values are 1.
   *
   * @throws IllegalArgumentException if there are more than 2<sup>31</sup> - 1 entries, or
   *     2<sup>31</sup> - 9 rows and more
   * @throws IndexOutOfBoundsException if an index is negative
   * @throws OutOfMemoryError if there is not enough native memory; the message names the bytes
   */
  public static SparseRows of(List<int[]> indices) {
    return copy(indices, null);
  }

  /**
   * Rows with a copy of the given indices and values, a row for each pair of arrays. See {@link
   * #of(List)}.
   *
   * @throws IllegalArgumentException also if a row has different numbers of values and indices
   */
  public static SparseRows of(List<int[]> indices, List<float[]> values) {
    return copy(indices, requireNonNull(values, "values"));
  }

  /**
   * Rows with a copy of the given indices that are in [0, bound), whose values are 1. Other indices
   * are ignored, and a bag of mode MEAN does not count them.
   *
   * @param bound the vocabulary of a bag, or the outputs of a layer
   * @param unknown counts the ignored indices
   * @throws IllegalArgumentException as {@link #of(List)}, or if the bound is less than 1
   * @throws OutOfMemoryError if there is not enough native memory; the message names the bytes
   */
  public static SparseRows of(List<int[]> indices, int bound, UnknownIds unknown) {
    return known(indices, null, bound, unknown);
  }

  /**
   * As {@link #of(List, int, UnknownIds)}, with values.
   *
   * @throws IllegalArgumentException also if a row has different numbers of values and indices
   */
  public static SparseRows of(
      List<int[]> indices, List<float[]> values, int bound, UnknownIds unknown) {
    return known(indices, requireNonNull(values, "values"), bound, unknown);
  }

  private static SparseRows known(
      List<int[]> indices, List<float[]> values, int bound, UnknownIds unknown) {
    Check.atLeast(1, "bound", bound);
    requireNonNull(unknown, "unknown");
    if (values != null) {
      Check.length("values", requireNonNull(indices, "indices").size(), values.size());
    }
    List<int[]> known = new ArrayList<>();
    List<float[]> valuesOfKnown = values == null ? null : new ArrayList<>();
    long ignored = 0;
    for (int r = 0; r < requireNonNull(indices, "indices").size(); r++) {
      int[] row = requireNonNull(indices.get(r), "indices");
      int[] entries =
          IntStream.range(0, row.length).filter(i -> row[i] >= 0 && row[i] < bound).toArray();
      ignored += row.length - entries.length;
      known.add(Arrays.stream(entries).map(i -> row[i]).toArray());
      if (values != null) {
        float[] ofRow = requireNonNull(values.get(r), "values");
        Check.length("values[" + r + "]", row.length, ofRow.length);
        float[] kept = new float[entries.length];
        for (int i = 0; i < kept.length; i++) {
          kept[i] = ofRow[entries[i]];
        }
        valuesOfKnown.add(kept);
      }
    }
    SparseRows rows = copy(known, valuesOfKnown);
    unknown.add(ignored);
    return rows;
  }

  private static SparseRows copy(List<int[]> indices, List<float[]> values) {
    int rows = requireNonNull(indices, "indices").size();
    if (rows >= Check.LARGEST_ARRAY) {
      throw new IllegalArgumentException(
          "indices: expected less than " + Check.LARGEST_ARRAY + " rows but was " + rows);
    }
    int[] offsets = newOffsets(rows);
    if (values != null) {
      Check.length("values", indices.size(), values.size());
    }
    for (int r = 0; r < indices.size(); r++) {
      int length = requireNonNull(indices.get(r), "indices").length;
      if (values != null) {
        int found = requireNonNull(values.get(r), "values").length;
        Check.length("values[" + r + "]", length, found);
      }
      offsets[r + 1] = Math.toIntExact(requireEntries((long) offsets[r] + length));
    }
    return make(
        offsets.length,
        offsets[offsets.length - 1],
        values != null,
        (offsetsTo, indicesTo, valuesTo) -> {
          offsetsTo.putInts(0, offsets, 0, offsets.length);
          for (int r = 0; r < indices.size(); r++) {
            int[] row = indices.get(r);
            indicesTo.putInts(offsets[r], row, 0, offsets[r + 1] - offsets[r]);
            if (values != null) {
              valuesTo.putFloats(offsets[r], values.get(r), 0, offsets[r + 1] - offsets[r]);
            }
          }
        });
  }

  private static int[] newOffsets(int rows) {
    return new int[rows + 1];
  }

  private static long requireEntries(long entries) {
    if (entries > Integer.MAX_VALUE) {
      throw new IllegalArgumentException(
          "indices: more entries than the 2^31 - 1 that offsets can count");
    }
    return entries;
  }

  /**
   * Rows over the memory of direct buffers, each from its position to its limit, without a copy;
   * values are 1. The buffers stay reachable; closing the rows does not free them. Their content
   * must not change while a call uses the rows: an index that changes after its check can read
   * invalid memory, which ends the process. The content may change between two calls: the next call
   * checks it again, and throws as this method does. The memory must stay valid, as for {@link
   * FloatTensor#wrap(FloatBuffer, long...)}.
   *
   * @throws IllegalArgumentException if a buffer is not direct, not in native byte order, not
   *     aligned to 4 bytes, or of a closed arena; and as {@link #of(int[], int[])}
   * @throws IndexOutOfBoundsException if an index is negative
   * @throws UnsupportedOperationException if the native library is not in use
   */
  public static SparseRows wrap(IntBuffer offsets, IntBuffer indices) {
    return view(offsets, indices, null);
  }

  /**
   * As {@link #wrap(IntBuffer, IntBuffer)}, with values.
   *
   * @throws IllegalArgumentException also if there are different numbers of values and indices
   */
  public static SparseRows wrap(IntBuffer offsets, IntBuffer indices, FloatBuffer values) {
    return view(offsets, indices, requireNonNull(values, "values"));
  }

  private static SparseRows view(IntBuffer offsets, IntBuffer indices, FloatBuffer values) {
    requireWrappable("offsets", requireNonNull(offsets, "offsets"), offsets.order());
    requireWrappable("indices", requireNonNull(indices, "indices"), indices.order());
    if (values != null) {
      requireWrappable("values", values, values.order());
      Check.length("values", indices.remaining(), values.remaining());
    }
    return checked(
        Storage.wrap("offsets", offsets),
        Storage.wrap("indices", indices),
        values == null ? null : Storage.wrap("values", values),
        true);
  }

  private static void requireWrappable(String name, Buffer buffer, ByteOrder order) {
    if (!buffer.isDirect() || order != ByteOrder.nativeOrder()) {
      throw new IllegalArgumentException(
          name
              + ": expected a direct buffer in native byte order but was"
              + (buffer.isDirect() ? "" : " on the heap")
              + (order == ByteOrder.nativeOrder() ? "" : " in " + order));
    }
  }

  /** Sets the content of new memory. */
  private interface Content {
    void writeTo(Storage offsets, Storage indices, Storage values);
  }

  private static SparseRows make(int offsets, int entries, boolean weighted, Content content) {
    Storage[] memory = Storage.allocateAll(offsets, entries, weighted ? entries : 0);
    try {
      content.writeTo(memory[0], memory[1], memory[2]);
    } catch (Throwable e) {
      Storage.closeAll(memory);
      throw e;
    }
    if (!weighted) {
      memory[2].close();
    }
    return checked(memory[0], memory[1], weighted ? memory[2] : null, false);
  }

  /** Rows that take ownership of storages, which are closed if the rows are rejected. */
  private static SparseRows checked(
      Storage offsets, Storage indices, Storage values, boolean wrapped) {
    try {
      RowsCheck.offsets("", offsets, requireEntries(indices.elements()));
      return new SparseRows(
          offsets,
          (int) indices.elements(),
          new Slice(indices, 0),
          values == null ? null : new Slice(values, 0),
          false,
          wrapped);
    } catch (Throwable e) {
      offsets.close();
      indices.close();
      if (values != null) {
        values.close();
      }
      throw e;
    }
  }

  /** The number of rows. */
  public int rows() {
    return rows;
  }

  /** The total number of entries of all rows. */
  public int entries() {
    return entries;
  }

  /** Whether entries have values. If not, each is 1. */
  public boolean isWeighted() {
    return values != null;
  }

  /** The largest index at the creation of the rows, -1 if there are no entries. */
  int maxIndex() {
    return maxIndex;
  }

  /**
   * The number of entries of a row.
   *
   * @throws IndexOutOfBoundsException if the row is outside [0, rows)
   * @throws IllegalArgumentException if the rows wrap memory, and offsets were changed so that they
   *     decrease or are outside the entries
   * @throws IllegalStateException if the rows are closed
   */
  public int size(int row) {
    try (OperandLease lease = lease("rows")) {
      return length(row);
    }
  }

  /** The indices of a row, in a new array; errors as {@link #size}. */
  public int[] indices(int row) {
    try (OperandLease lease = lease("rows")) {
      int[] result = new int[length(row)];
      indices.storage().getInts(indices.begin() + begin(row), result, 0, result.length);
      return result;
    }
  }

  /** The values of a row, in a new array; errors as {@link #size}. */
  public float[] values(int row) {
    try (OperandLease lease = lease("rows")) {
      float[] result = new float[length(row)];
      if (values == null) {
        Arrays.fill(result, 1);
      } else {
        values.storage().getFloats(values.begin() + begin(row), result, 0, result.length);
      }
      return result;
    }
  }

  private int begin(int row) {
    return offsets.getInt(Check.index("row", row, "rows", rows));
  }

  private int length(int row) {
    int begin = begin(row);
    int end = offsets.getInt(row + 1L);
    if (wrapped) {
      RowsCheck.someOffsets("rows: ", row, new int[] {begin, end}, entries);
    }
    return end - begin;
  }

  /**
   * A view of rows [begin, end), with the same indices and values. Closing the original closes the
   * view. Closing the view does not close the original.
   *
   * @throws IndexOutOfBoundsException unless 0 &lt;= begin &lt;= end &lt;= rows
   * @throws IllegalArgumentException if offsets of these rows were changed; see {@link #size}
   * @throws IllegalStateException if the rows are closed
   */
  public SparseRows slice(int begin, int end) {
    Check.range("begin", begin, "end - begin", (long) end - begin, "rows", rows);
    try (OperandLease lease = lease("rows")) {
      int count = end - begin;
      int[] shifted = newOffsets(count);
      offsets.getInts(begin, shifted, 0, shifted.length);
      if (wrapped) {
        RowsCheck.someOffsets("rows: ", begin, shifted, entries);
      }
      int first = shifted[0];
      for (int i = 0; i <= count; i++) {
        shifted[i] -= first;
      }
      Storage own = Storage.allocate(shifted.length);
      try {
        own.putInts(0, shifted, 0, shifted.length);
        return new SparseRows(
            own,
            shifted[count],
            new Slice(indices.storage(), indices.begin() + first),
            values == null ? null : new Slice(values.storage(), values.begin() + first),
            true,
            wrapped);
      } catch (Throwable e) {
        own.close();
        throw e;
      }
    }
  }

  /**
   * A copy of some rows, in the given order: for example, a batch of shuffled samples.
   *
   * @param which indices of rows; repeats are allowed
   * @throws IndexOutOfBoundsException if an index is outside [0, rows)
   * @throws IllegalArgumentException if there are more than 2<sup>31</sup> - 1 entries, or if
   *     offsets of these rows were changed; see {@link #size}
   * @throws IllegalStateException if the rows are closed
   * @throws OutOfMemoryError if there is not enough native memory; the message names the bytes
   */
  public SparseRows select(int... which) {
    try (OperandLease lease = lease("rows")) {
      int[] chosen = newOffsets(requireNonNull(which, "which").length);
      for (int i = 0; i < which.length; i++) {
        Check.index("which", which[i], i, 0, "rows", rows);
        chosen[i + 1] = Math.toIntExact(requireEntries((long) chosen[i] + length(which[i])));
      }
      return make(
          chosen.length,
          chosen[which.length],
          values != null,
          (offsetsTo, indicesTo, valuesTo) -> {
            offsetsTo.putInts(0, chosen, 0, chosen.length);
            int[] piece = new int[PIECE];
            for (int i = 0; i < which.length; i++) {
              int from = begin(which[i]);
              copy(indices, from, chosen[i], chosen[i + 1], piece, indicesTo);
              if (values != null) {
                copy(values, from, chosen[i], chosen[i + 1], piece, valuesTo);
              }
            }
          });
    }
  }

  /**
   * A copy of these rows with further columns, such as the vectors of a sentence encoder beside the
   * words of texts. Row r gets an entry of index {@code columns + c} and value {@code dense[r, c]}
   * for each c. The copy has values; if these rows have none, each is 1.
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
  public SparseRows withDense(int columns, FloatTensor dense) {
    Check.dimension("columns", columns);
    Check.shape("dense", dense, DENSE, rows, Check.rank("dense", dense, DENSE, 2).shape().dim(1));
    int width = (int) Math.min(dense.shape().dim(1), Check.LARGEST_ARRAY);
    if (width > Check.LARGEST_ARRAY - columns) {
      throw new IllegalArgumentException(
          "columns: expected at most "
              + (Check.LARGEST_ARRAY - width)
              + " beside those of dense but was "
              + columns);
    }
    requireIndices("rows", "columns", columns);
    int[] further = IntStream.range(columns, columns + width).toArray();
    float[] all = dense.toArray();
    List<int[]> indicesOfRows = new ArrayList<>();
    List<float[]> valuesOfRows = new ArrayList<>();
    for (int r = 0; r < rows; r++) {
      int[] own = indices(r);
      int[] both = Arrays.copyOf(own, own.length + width);
      System.arraycopy(further, 0, both, own.length, width);
      float[] values = Arrays.copyOf(values(r), both.length);
      for (int c = 0; c < width; c++) {
        float value = all[r * width + c];
        if (!Float.isFinite(value)) {
          throw new IllegalArgumentException(
              "dense[" + r + ", " + c + "]: expected a finite number but was " + value);
        }
        values[own.length + c] = value;
      }
      indicesOfRows.add(both);
      valuesOfRows.add(values);
    }
    return of(indicesOfRows, valuesOfRows);
  }

  /** Copies elements of any type to [begin, end), in small pieces to save heap. */
  private static void copy(Slice from, int first, int begin, int end, int[] piece, Storage to) {
    for (int at = begin; at < end; ) {
      int count = Math.min(piece.length, end - at);
      from.storage().getInts(from.begin() + first + (at - begin), piece, 0, count);
      to.putInts(at, piece, 0, count);
      at += count;
    }
  }

  /** rows + 1 offsets, from 0 on, in a new array; leased by the caller. */
  int[] offsets() {
    int[] all = newOffsets(rows);
    getOffsets(all);
    return all;
  }

  /** The same, in the first elements of an array. */
  void getOffsets(int[] into) {
    offsets.getInts(0, into, 0, rows + 1);
  }

  /** The indices of all rows, in a new array; leased by the caller. */
  int[] indices() {
    int[] all = new int[entries];
    getIndices(all);
    return all;
  }

  /** The same, in the first elements of an array. */
  void getIndices(int[] into) {
    indices.storage().getInts(indices.begin(), into, 0, entries);
  }

  /** These rows in the form that kernels take. */
  Bags bags() {
    return new Bags(rows, new Slice(offsets, 0), indices, values, entries);
  }

  /**
   * Checks that there are as many rows as in a batch.
   *
   * @throws IllegalArgumentException if there are not
   */
  void requireRows(String name, int batch) {
    if (rows != batch) {
      throw new IllegalArgumentException(
          name + ": expected (batch) = (" + batch + ") rows but was " + rows);
    }
  }

  /** The largest index; for wrapped memory, which may have changed, it is computed again. */
  private int checkedMaxIndex(String name) {
    if (!wrapped) {
      return maxIndex;
    }
    try (OperandLease lease = lease(name)) {
      RowsCheck.offsets(name + ": ", offsets, entries);
      return RowsCheck.maxIndex(name + ": ", indices, entries);
    }
  }

  /**
   * The exclusive bound of all indices, after {@link #requireIndices} has checked them against a
   * bound.
   */
  int indexBound(int checked) {
    return wrapped ? checked : maxIndex + 1;
  }

  /**
   * Checks that all indices are in [0, bound), and that offsets are in order.
   *
   * @throws IndexOutOfBoundsException with the first index outside
   * @throws IllegalArgumentException if offsets were changed and are not in order
   */
  void requireIndices(String name, String boundName, int bound) {
    if (checkedMaxIndex(name) < bound) {
      return;
    }
    for (int r = 0; r < rows; r++) {
      for (int index : indices(r)) {
        if (index >= bound) {
          throw new IndexOutOfBoundsException(
              name
                  + ": index "
                  + index
                  + " of row "
                  + r
                  + " is outside [0, "
                  + boundName
                  + " = "
                  + bound
                  + ")");
        }
      }
    }
  }

  /**
   * The number of indices that are at least a bound.
   *
   * @throws IllegalArgumentException if offsets were changed so that they are not in order
   */
  long countFrom(String name, int bound) {
    if (checkedMaxIndex(name) < bound) {
      return 0;
    }
    long count = 0;
    for (int r = 0; r < rows; r++) {
      count += Arrays.stream(indices(r)).filter(index -> index >= bound).count();
    }
    return count;
  }

  /**
   * Checks that all values are finite, and that offsets are in order. The caller leases these rows.
   *
   * @throws IllegalArgumentException with the first value that is not
   */
  void requireFinite(String name) {
    checkedMaxIndex(name);
    for (int r = 0; r < rows && values != null; r++) {
      float[] ofRow = values(r);
      for (int i = 0; i < ofRow.length; i++) {
        if (!Float.isFinite(ofRow[i])) {
          throw new IllegalArgumentException(
              name + ": value " + i + " of row " + r + " = " + ofRow[i] + " is not finite");
        }
      }
    }
  }

  /**
   * Checks that an output shares no memory with these rows.
   *
   * @throws IllegalArgumentException if it has
   */
  void requireNoOverlap(String outName, FloatTensor out, String name) {
    if (closed || out.isClosed()) {
      return; // the lease that follows refuses it
    }
    long size = out.shape().size();
    if (Storage.overlap(out.storage(), 0, size, offsets, 0, rows + 1L)
        || overlaps(out.storage(), size, indices)
        || (values != null && overlaps(out.storage(), size, values))) {
      throw new IllegalArgumentException(
          outName + ": shares memory with " + name + "; an output must not overlap an input");
    }
  }

  private boolean overlaps(Storage out, long size, Slice slice) {
    return Storage.overlap(out, 0, size, slice.storage(), slice.begin(), entries);
  }

  private OperandLease lease(String name) {
    return lease(new OperandLease(), name);
  }

  /**
   * Adds these rows to a lease.
   *
   * @throws IllegalStateException if they are closed; what was added before is released then
   */
  OperandLease lease(OperandLease lease, String name) {
    if (closed
        || !lease.tryHold(offsets)
        || !lease.tryHold(indices.storage())
        || !lease.tryHold(values == null ? null : values.storage())) {
      lease.close();
      throw new IllegalStateException(name + ": the " + this + " are closed");
    }
    return lease;
  }

  /** Closes these rows; see the class comment. Idempotent. */
  @Override
  public void close() {
    closed = true;
    offsets.close();
    if (!view) {
      indices.storage().close();
      if (values != null) {
        values.storage().close();
      }
    }
  }

  @Override
  public String toString() {
    return "SparseRows("
        + rows
        + " rows, "
        + entries
        + (isWeighted() ? " weighted entries)" : " entries)");
  }
}
