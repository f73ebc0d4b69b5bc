// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static org.blocksparse.testing.Failures.assertFails;
import static org.blocksparse.testing.Failures.assertRejects;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.IntBuffer;
import java.util.Arrays;
import java.util.List;
import org.blocksparse.internal.tensors.CsrRows;
import org.blocksparse.internal.tensors.OperandLease;
import org.blocksparse.testing.ThreadHeap;
import org.junit.jupiter.api.Test;

final class SparseRowsTest {
  private static final int[] OFFSETS = {0, 2, 2, 5};
  private static final int[] INDICES = {7, 0, 3, 3, 9};
  private static final float[] VALUES = {1.5f, -2, Float.NaN, 0, 4};

  private static IntBuffer direct(int... values) {
    IntBuffer buffer =
        ByteBuffer.allocateDirect(4 * values.length).order(ByteOrder.nativeOrder()).asIntBuffer();
    return buffer.put(0, values);
  }

  private static FloatBuffer direct(float... values) {
    FloatBuffer buffer =
        ByteBuffer.allocateDirect(4 * values.length).order(ByteOrder.nativeOrder()).asFloatBuffer();
    return buffer.put(0, values);
  }

  private static void assertRows(boolean weighted, SparseRows rows) {
    try (rows) {
      assertEquals(3, rows.rows());
      assertEquals(5, rows.entries());
      assertEquals(9, CsrRows.from(rows).maxIndex());
      assertEquals(weighted, rows.isWeighted());
      for (int r = 0; r < 3; r++) {
        int begin = OFFSETS[r];
        int end = OFFSETS[r + 1];
        assertEquals(end - begin, rows.size(r));
        assertArrayEquals(Arrays.copyOfRange(INDICES, begin, end), rows.indices(r));
        float[] ones = new float[end - begin];
        Arrays.fill(ones, 1);
        assertArrayEquals(weighted ? Arrays.copyOfRange(VALUES, begin, end) : ones, rows.values(r));
      }
    }
  }

  /** A failed allocation would leave a lease that is never ended. */
  @Test
  void areAddedToALeaseWithoutMemory() {
    long least = Long.MAX_VALUE;
    try (SparseRows rows = SparseRows.of(OFFSETS, INDICES, VALUES)) {
      for (int time = 0; time < 20; time++) {
        try (OperandLease lease = new OperandLease()) {
          long before = ThreadHeap.taken();
          CsrRows.from(rows).lease(lease, "rows");
          least = Math.min(least, ThreadHeap.taken() - before);
        }
      }
    }
    assertEquals(0, least);
  }

  @Test
  void ofArrays() {
    assertRows(false, SparseRows.of(OFFSETS, INDICES));
    assertRows(true, SparseRows.of(OFFSETS, INDICES, VALUES));
  }

  @Test
  void ofLists() {
    List<int[]> indices = List.of(new int[] {7, 0}, new int[0], new int[] {3, 3, 9});
    assertRows(false, SparseRows.of(indices));
    List<float[]> values =
        List.of(new float[] {1.5f, -2}, new float[0], new float[] {Float.NaN, 0, 4});
    assertRows(true, SparseRows.of(indices, values));
  }

  @Test
  void ofMemory() {
    assumeTrue(Backend.isNative());
    assertRows(false, SparseRows.wrap(direct(OFFSETS), direct(INDICES)));
    assertRows(true, SparseRows.wrap(direct(OFFSETS), direct(INDICES), direct(VALUES)));
    // A buffer from its position to its limit.
    IntBuffer offsets = direct(9, 0, 2, 2, 5, 1).position(1).limit(5);
    assertRows(true, SparseRows.wrap(offsets, direct(INDICES), direct(VALUES)));
    assertEquals(1, offsets.position());
  }

  @Test
  void ofMemory_isNotCopied() {
    assumeTrue(Backend.isNative());
    FloatBuffer values = direct(VALUES);
    try (SparseRows rows = SparseRows.wrap(direct(OFFSETS), direct(INDICES), values)) {
      values.put(1, 42);
      assertEquals(42, rows.values(0)[1]);
    }
  }

  @Test
  void arrays_areCopied() {
    float[] values = VALUES.clone();
    int[] indices = INDICES.clone();
    SparseRows rows = SparseRows.of(OFFSETS, indices, values);
    values[0] = 100;
    indices[0] = 100;
    assertRows(true, rows);
  }

  @Test
  void none() {
    try (SparseRows none = SparseRows.of(List.of());
        SparseRows empty = SparseRows.of(new int[] {0, 0}, new int[0])) {
      assertEquals(0, none.rows());
      assertEquals(-1, CsrRows.from(none).maxIndex());
      assertEquals(1, empty.rows());
      assertEquals(0, empty.size(0));
    }
  }

  @Test
  void slices_shareMemory_andKnowTheirOwnIndices() {
    SparseRows rows = SparseRows.of(OFFSETS, INDICES, VALUES);
    SparseRows slice = rows.slice(0, 2);
    assertEquals(2, slice.rows());
    assertEquals(7, CsrRows.from(slice).maxIndex());
    SparseRows last = rows.slice(1, 3);
    SparseRows ofSlice = last.slice(1, 2);
    assertArrayEquals(new int[] {3, 3, 9}, ofSlice.indices(0));
    assertArrayEquals(new float[] {Float.NaN, 0, 4}, ofSlice.values(0));
    assertEquals(3, ofSlice.entries());
    slice.close();
    assertThrows(IllegalStateException.class, () -> slice.indices(0));
    assertArrayEquals(new int[] {7, 0}, rows.indices(0));
    rows.close();
    assertThrows(IllegalStateException.class, () -> last.indices(0));
    assertThrows(IllegalStateException.class, () -> last.slice(0, 1));
  }

  @Test
  void selected_areCopies() {
    try (SparseRows rows = SparseRows.of(OFFSETS, INDICES, VALUES)) {
      SparseRows selected = rows.select(2, 0, 2);
      rows.close();
      try (selected) {
        assertEquals(3, selected.rows());
        assertArrayEquals(new int[] {7, 0}, selected.indices(1));
        assertArrayEquals(new int[] {3, 3, 9}, selected.indices(2));
        assertArrayEquals(new float[] {Float.NaN, 0, 4}, selected.values(0));
      }
    }
    try (SparseRows rows = SparseRows.of(OFFSETS, INDICES);
        SparseRows selected = rows.select(1)) {
      assertFalse(selected.isWeighted());
      assertEquals(-1, CsrRows.from(selected).maxIndex());
    }
  }

  @Test
  void manyRows_areCheckedInPieces() {
    int count = 30_000;
    int[] offsets = new int[count + 1];
    int[] indices = new int[count];
    for (int i = 0; i < count; i++) {
      offsets[i + 1] = i + 1;
      indices[i] = i;
    }
    try (SparseRows rows = SparseRows.of(offsets, indices)) {
      assertEquals(count - 1, CsrRows.from(rows).maxIndex());
      assertArrayEquals(new int[] {20_000}, rows.indices(20_000));
    }
    indices[20_000] = -5;
    assertFails(
        IndexOutOfBoundsException.class,
        "indices[20000] = -5 is negative",
        () -> SparseRows.of(offsets, indices));
    offsets[8192] = 8190;
    assertRejects(
        "offsets[8192] = 8190 is less than the one before", () -> SparseRows.of(offsets, indices));
  }

  @Test
  void memory_isFreed() {
    long before = FloatTensor.allocatedBytes();
    try (SparseRows rows = SparseRows.of(OFFSETS, INDICES, VALUES);
        SparseRows slice = rows.slice(0, 1)) {
      assertTrue(FloatTensor.allocatedBytes() > before);
      assertEquals("SparseRows(3 rows, 5 weighted entries)", rows.toString());
      assertEquals("SparseRows(1 rows, 2 weighted entries)", slice.toString());
    }
    assertTrue(FloatTensor.allocatedBytes() <= before);
  }

  @Test
  void withDenseAppendsColumns() {
    try (SparseRows rows = SparseRows.of(OFFSETS, INDICES);
        FloatTensor dense = FloatTensor.of(new float[] {1, 2, 3, 4, 5, 0}, 3, 2);
        SparseRows both = rows.withDense(10, dense);
        SparseRows again = both.withDense(12, dense)) {
      assertArrayEquals(new int[] {7, 0, 10, 11}, both.indices(0));
      assertArrayEquals(new float[] {1, 1, 1, 2}, both.values(0));
      assertArrayEquals(new int[] {10, 11}, both.indices(1));
      assertArrayEquals(new float[] {3, 4}, both.values(1));
      assertArrayEquals(new int[] {3, 3, 9, 10, 11, 12, 13}, again.indices(2));
      assertArrayEquals(new float[] {1, 1, 1, 5, 0, 5, 0}, again.values(2));
    }
  }
}
