// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.tensors;

import static java.util.Objects.requireNonNull;

import java.nio.Buffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.IntBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.blocksparse.FloatTensor;
import org.blocksparse.SparseRows;
import org.blocksparse.UnknownIds;
import org.blocksparse.internal.memory.Slice;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.sparse.Bags;
import org.blocksparse.internal.sparse.RowsCheck;

/** Offsets, indices and values in memory that other rows may share. */
public final class CsrRows implements SparseRows {
  /** The elements that are copied at a time. */
  private static final int PIECE = 1 << 10;

  private static final String DENSE = "(rows, width)";

  private final int rows;

  private final int entries;

  /** rows + 1 offsets, from 0 on. */
  private final Storage offsets;

  private final Slice indices;

  /** The values; null if each is 1. */
  private final Slice values;

  private final boolean view;

  /** Whether the memory belongs to other code, which may change it between two calls. */
  private final boolean wrapped;

  private final int maxIndex;

  private volatile boolean closed;

  /** Returns the only implementation of sparse rows. */
  public static CsrRows from(SparseRows rows) {
    return (CsrRows) rows;
  }

  private CsrRows(
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

  public static SparseRows of(int[] offsets, int[] indices) {
    return copy(offsets, indices, null);
  }

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

  public static SparseRows of(List<int[]> indices) {
    return copy(indices, null);
  }

  public static SparseRows of(List<int[]> indices, List<float[]> values) {
    return copy(indices, requireNonNull(values, "values"));
  }

  public static SparseRows of(List<int[]> indices, int bound, UnknownIds unknown) {
    return known(indices, null, bound, unknown);
  }

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

  public static SparseRows wrap(IntBuffer offsets, IntBuffer indices) {
    return view(offsets, indices, null);
  }

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

  /** Returns rows that take ownership of storages, which are closed if the rows are rejected. */
  private static SparseRows checked(
      Storage offsets, Storage indices, Storage values, boolean wrapped) {
    try {
      RowsCheck.offsets("", offsets, requireEntries(indices.elements()));
      return new CsrRows(
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

  @Override
  public int rows() {
    return rows;
  }

  @Override
  public int entries() {
    return entries;
  }

  @Override
  public boolean isWeighted() {
    return values != null;
  }

  /** Returns the largest index at the creation of the rows, -1 if there are no entries. */
  public int maxIndex() {
    return maxIndex;
  }

  @Override
  public int size(int row) {
    try (OperandLease lease = lease("rows")) {
      return length(row);
    }
  }

  @Override
  public int[] indices(int row) {
    try (OperandLease lease = lease("rows")) {
      int[] result = new int[length(row)];
      indices.storage().getInts(indices.begin() + begin(row), result, 0, result.length);
      return result;
    }
  }

  @Override
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

  @Override
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
        return new CsrRows(
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

  @Override
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

  @Override
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

  /** Returns rows + 1 offsets, from 0 on, in a new array; the caller leases them. */
  public int[] offsets() {
    int[] all = newOffsets(rows);
    getOffsets(all);
    return all;
  }

  /** Copies the offsets into the first elements of an array. */
  public void getOffsets(int[] into) {
    offsets.getInts(0, into, 0, rows + 1);
  }

  /** Returns the indices of all rows, in a new array; leased by the caller. */
  public int[] indices() {
    int[] all = new int[entries];
    getIndices(all);
    return all;
  }

  /** Copies the indices into the first elements of an array. */
  public void getIndices(int[] into) {
    indices.storage().getInts(indices.begin(), into, 0, entries);
  }

  /** Returns these rows in the form for kernels. */
  public Bags bags() {
    return new Bags(rows, new Slice(offsets, 0), indices, values, entries);
  }

  /**
   * Checks that there are as many rows as in a batch.
   *
   * @throws IllegalArgumentException if there are not
   */
  public void requireRows(String name, int batch) {
    if (rows != batch) {
      throw new IllegalArgumentException(
          name + ": expected (batch) = (" + batch + ") rows but was " + rows);
    }
  }

  /**
   * Returns the largest index; for wrapped memory, which may have changed, it is computed again.
   */
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
   * Returns the exclusive bound of all indices, after {@link #requireIndices} has checked them
   * against a bound.
   */
  public int indexBound(int checked) {
    return wrapped ? checked : maxIndex + 1;
  }

  /**
   * Checks that all indices are in [0, bound), and that offsets are in order.
   *
   * @throws IndexOutOfBoundsException with the first index outside
   * @throws IllegalArgumentException if offsets were changed and are not in order
   */
  public void requireIndices(String name, String boundName, int bound) {
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
   * Returns the number of indices that are at least a bound.
   *
   * @throws IllegalArgumentException if offsets were changed so that they are not in order
   */
  public long countFrom(String name, int bound) {
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
  public void requireFinite(String name) {
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
  public void requireNoOverlap(String outName, FloatTensor out, String name) {
    if (closed || out.isClosed()) {
      return; // the following lease rejects it
    }
    long size = out.shape().size();
    if (Storage.overlap(Dense.from(out).storage(), 0, size, offsets, 0, rows + 1L)
        || overlaps(Dense.from(out).storage(), size, indices)
        || (values != null && overlaps(Dense.from(out).storage(), size, values))) {
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
  public OperandLease lease(OperandLease lease, String name) {
    if (closed
        || !lease.tryHold(offsets)
        || !lease.tryHold(indices.storage())
        || !lease.tryHold(values == null ? null : values.storage())) {
      lease.close();
      throw new IllegalStateException(name + ": the " + this + " are closed");
    }
    return lease;
  }

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
