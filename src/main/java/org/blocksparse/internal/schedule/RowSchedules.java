// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.schedule;

import org.blocksparse.internal.memory.GrowingArrays;
import org.blocksparse.internal.memory.Storage;

/**
 * Schedules of rows that are given one by one, all read for block 0. Each is made in the memory of
 * the previous one, which must no longer be in use, and must not be closed: in steady state nothing
 * is allocated.
 */
public final class RowSchedules implements AutoCloseable {
  private final RadixSort sort = new RadixSort();
  private int[] order = new int[0];
  private int[] packed = new int[0];

  /** The memory of the GEMM schedule; null until needed. */
  private Storage ofGemm;

  /** The memory of the OUTER schedule; null until needed. */
  private Storage ofOuter;

  /**
   * Returns the schedule in which row {@code writeRow[r]} is row {@code readRow[r]} times block
   * {@code (0, writeBlock[r])}. Arrays may be longer.
   *
   * @param rows how many there are
   * @param writeRow null: in order
   * @param readRow null: in order
   * @param writeBlock each in [0, writeBlocks)
   */
  public GemmSchedule gemm(
      int rows, int[] writeRow, int[] readRow, int[] writeBlock, int writeBlocks) {
    order = GrowingArrays.ints(order, rows);
    for (int r = 0; r < rows; r++) {
      order[r] = r;
    }
    int[] byBlock = sort.sort(writeBlock, writeBlocks, order, rows);
    int chunks = 0;
    for (int begin = 0, end; begin < rows; begin = end) {
      end = GemmSchedule.sameBlockEnd(writeBlock, byBlock, begin, rows);
      chunks += GemmSchedule.chunksOf(end - begin, GemmSchedule.MAX_CHUNK_ROWS);
    }
    GemmSchedule.Layout layout = new GemmSchedule.Layout(chunks, chunks, rows, rows);
    packed = GrowingArrays.ints(packed, layout.arrayLength());
    layout.writeHeader(packed);
    int writeBlockAt = (int) layout.writeBlock();
    int rowStart = (int) layout.rowStart();
    int segmentStart = (int) layout.segmentStart();
    int readBlock = (int) layout.readBlock();
    int pairStart = (int) layout.pairStart();
    int row = (int) layout.row();
    int pairRead = (int) layout.pairRead();
    int pairWrite = (int) layout.pairWrite();
    int chunk = 0;
    for (int begin = 0, end; begin < rows; begin = end) {
      end = GemmSchedule.sameBlockEnd(writeBlock, byBlock, begin, rows);
      int ofBlock = GemmSchedule.chunksOf(end - begin, GemmSchedule.MAX_CHUNK_ROWS);
      for (int i = 0; i < ofBlock; i++, chunk++) {
        int first = GemmSchedule.chunkBegin(begin, end, i, ofBlock);
        int last = GemmSchedule.chunkBegin(begin, end, i + 1, ofBlock);
        packed[writeBlockAt + chunk] = writeBlock[byBlock[begin]];
        packed[rowStart + chunk] = first;
        packed[segmentStart + chunk] = chunk;
        packed[readBlock + chunk] = 0;
        packed[pairStart + chunk] = first;
        for (int r = first; r < last; r++) {
          packed[row + r] = writeRow == null ? byBlock[r] : writeRow[byBlock[r]];
          packed[pairRead + r] = readRow == null ? byBlock[r] : readRow[byBlock[r]];
          packed[pairWrite + r] = r - first;
        }
      }
    }
    packed[rowStart + chunks] = rows;
    packed[segmentStart + chunks] = chunks;
    packed[pairStart + chunks] = rows;
    int length = (int) layout.length();
    ofGemm = atLeast(ofGemm, length);
    ofGemm.putInts(0, packed, 0, length);
    return new GemmSchedule(ofGemm, layout);
  }

  /** Returns {@link OuterSchedule#ofRows} of a schedule that {@link #gemm} has made. */
  public OuterSchedule outer(GemmSchedule rows) {
    OuterSchedule.Sizes sizes = OuterSchedule.sizesOfRows(rows);
    int length = sizes.length();
    packed = GrowingArrays.ints(packed, length);
    OuterSchedule.packRows(rows, sizes, packed);
    ofOuter = atLeast(ofOuter, length);
    ofOuter.putInts(0, packed, 0, length);
    return new OuterSchedule(ofOuter, sizes);
  }

  private static Storage atLeast(Storage storage, int elements) {
    if (storage != null && storage.elements() >= elements) {
      return storage;
    }
    Storage larger = Storage.allocate(elements + elements / 2L);
    close(storage);
    return larger;
  }

  private static void close(Storage storage) {
    if (storage != null) {
      storage.close();
    }
  }

  /** Frees the memory of the schedules. */
  @Override
  public void close() {
    close(ofGemm);
    close(ofOuter);
  }
}
