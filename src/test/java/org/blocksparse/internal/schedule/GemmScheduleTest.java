// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.schedule;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import java.util.stream.IntStream;
import org.blocksparse.testing.Data;
import org.blocksparse.testing.Seeded;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The rules of the C header for a GEMM schedule, checked on the packed array itself. */
@ExtendWith(Seeded.class)
final class GemmScheduleTest {
  private static final int MAGIC = 0x42534731;

  /** A pair of the schedule. */
  private record Pair(int read, int written) {}

  /** The packed array, read as the header describes it. */
  private static final class Packed {
    final int[] all;
    final int chunks;
    final int segments;
    final int rows;
    final int pairs;
    private int at = 5;
    final int writeBlock;
    final int rowStart;
    final int segmentStart;
    final int readBlock;
    final int pairStart;
    final int row;
    final int pairRead;
    final int pairWrite;

    Packed(GemmSchedule schedule) {
      all = new int[schedule.length()];
      schedule.packed().getInts(0, all, 0, all.length);
      assertEquals(MAGIC, all[0], "magic");
      chunks = all[1];
      segments = all[2];
      rows = all[3];
      pairs = all[4];
      writeBlock = take(chunks);
      rowStart = take(chunks + 1);
      segmentStart = take(chunks + 1);
      readBlock = take(segments);
      pairStart = take(segments + 1);
      row = take(rows);
      pairRead = take(pairs);
      pairWrite = take(pairs);
      assertEquals(all.length, at, "length");
      assertBoundaries(rowStart, chunks, rows, "row_start");
      assertBoundaries(segmentStart, chunks, segments, "segment_start");
      assertBoundaries(pairStart, segments, pairs, "pair_start");
    }

    private int take(int count) {
      int begin = at;
      at += count;
      return begin;
    }

    private void assertBoundaries(int begin, int parts, int total, String name) {
      assertEquals(0, all[begin], name + " begins");
      assertEquals(total, all[begin + parts], name + " ends");
      for (int i = 0; i < parts; i++) {
        assertTrue(all[begin + i] < all[begin + i + 1] || total == 0, name + " ascends at " + i);
      }
    }
  }

  /** Checks every invariant that does not depend on the indices; returns the pairs found. */
  private static Map<Pair, Integer> assertWellFormed(
      GemmSchedule schedule, int[] blockOfWritten, int[] blockOfRead) {
    Packed p = new Packed(schedule);
    boolean readsFewBlocks = Arrays.stream(blockOfRead).distinct().count() <= 1;
    int mostRows =
        readsFewBlocks ? GemmSchedule.MAX_CHUNK_ROWS : GemmSchedule.MAX_SORTED_CHUNK_ROWS;
    Map<Pair, Integer> found = new HashMap<>();
    Set<Integer> written = new HashSet<>();
    for (int c = 0; c < p.chunks; c++) {
      int rowBegin = p.all[p.rowStart + c];
      int count = p.all[p.rowStart + c + 1] - rowBegin;
      assertTrue(count >= 1 && count <= mostRows, count + " rows in chunk " + c);
      assertEquals(p.all[p.writeBlock + c], schedule.writeBlock(c));
      assertEquals(rowBegin, schedule.rowStart(c));
      for (int r = rowBegin; r < rowBegin + count; r++) {
        int row = p.all[p.row + r];
        assertEquals(row, schedule.row(r));
        assertTrue(written.add(row), "row " + row + " is in two places");
        assertEquals(blockOfWritten[row], p.all[p.writeBlock + c], "block of row " + row);
      }
      Set<Integer> blocks = new HashSet<>();
      assertEquals(p.all[p.segmentStart + c], schedule.segmentStart(c));
      for (int s = p.all[p.segmentStart + c]; s < p.all[p.segmentStart + c + 1]; s++) {
        int block = p.all[p.readBlock + s];
        assertEquals(block, schedule.readBlock(s));
        assertTrue(blocks.add(block), "chunk " + c + " reads block " + block + " twice");
        int before = 0;
        for (int pair = p.all[p.pairStart + s]; pair < p.all[p.pairStart + s + 1]; pair++) {
          int position = p.all[p.pairWrite + pair];
          assertEquals(position, schedule.pairWrite(pair));
          assertTrue(position >= before && position < count, "pair_write of pair " + pair);
          before = position;
          int read = p.all[p.pairRead + pair];
          assertEquals(read, schedule.pairRead(pair));
          assertEquals(blockOfRead[read], block, "block of row read " + read);
          found.merge(new Pair(read, p.all[p.row + rowBegin + position]), 1, Integer::sum);
        }
      }
    }
    assertEquals(p.rows, written.size());
    return found;
  }

  /** One chunk more than fits an array, and more than an int can count. */
  @Test
  void whatIsTooLongForAnArrayIsRefused() {
    int rows = 1 << 28;
    int chunks = (Integer.MAX_VALUE - 8 - 3 * rows - 8) / 5;
    assertEquals(
        3L * rows + 5L * chunks + 8,
        new GemmSchedule.Layout(chunks, chunks, rows, rows).arrayLength());
    for (int many : new int[] {chunks + 1, 2 * chunks}) {
      Exception e =
          assertThrows(
              IllegalArgumentException.class,
              new GemmSchedule.Layout(many, many, rows, rows)::arrayLength);
      assertTrue(e.getMessage().startsWith("268435456 rows and "), e.getMessage());
    }
  }

  @ParameterizedTest
  @CsvSource({
    "1, 1, 1, 1, 1",
    "2, 3, 7, 4, 8",
    "5, 2, 3, 3, 2",
    "64, 1, 1, 1, 1",
    "127, 1, 1, 2, 1",
    "128, 1, 1, 1, 4",
    "192, 1, 1, 1, 1",
    "193, 1, 1, 1, 1",
    "512, 1, 1, 1, 7",
    "513, 1, 1, 1, 7",
    "400, 2, 2, 3, 5",
    "30, 6, 1000, 5, 3000",
    "3, 4, 1, 4, 1",
    "1, 4, 1, 6, 9",
    "2, 3, 1, 5, 6",
    "4, 3, 5, 0, 5",
    "4, 0, 5, 3, 5",
    "0, 2, 3, 2, 3",
    "0, 0, 0, 0, 0"
  })
  void holdsEveryPairOfEverySampleOnce(
      int batch, int writeWindow, int writeBlocks, int readWindow, int readBlocks, Data data) {
    int[] writeIdx = data.indices((long) batch * writeWindow, writeBlocks);
    int[] readIdx = data.indices((long) batch * readWindow, readBlocks);
    try (GemmSchedule schedule =
        GemmSchedule.of(batch, writeIdx, writeBlocks, readIdx, readBlocks)) {
      Map<Pair, Integer> found = assertWellFormed(schedule, writeIdx, readIdx);
      for (int sample = 0; sample < batch; sample++) {
        for (int j = 0; j < writeWindow; j++) {
          for (int i = 0; i < readWindow; i++) {
            Pair pair = new Pair(sample * readWindow + i, sample * writeWindow + j);
            assertEquals(1, found.remove(pair), pair + " of sample " + sample);
          }
        }
      }
      assertTrue(found.isEmpty(), "pairs of different samples: " + found);
      assertEquals(writeIdx.length, schedule.rows());
      assertEquals((long) writeIdx.length * readWindow, schedule.pairs());
    }
  }

  @ParameterizedTest
  @CsvSource({"1, 3, 2, 2, 2", "90, 4, 7, 3, 8", "700, 2, 1, 1, 3", "700, 1, 3, 2, 1"})
  void holdsEveryPairOfSamplesOfAnyLengthOnce(
      int batch, int mostWritten, int writeBlocks, int mostRead, int readBlocks, Data data) {
    int[] writeBegins = begins(batch, mostWritten, data);
    int[] readBegins = begins(batch, mostRead, data);
    int[] writeIdx = data.indices(writeBegins[batch], writeBlocks);
    int[] readIdx = data.indices(readBegins[batch], readBlocks);
    SampleWindows write = SampleWindows.ragged(writeBegins, writeIdx);
    SampleWindows read = SampleWindows.ragged(readBegins, readIdx);
    try (GemmSchedule schedule = GemmSchedule.of(write, writeBlocks, read, readBlocks)) {
      Map<Pair, Integer> found = assertWellFormed(schedule, writeIdx, readIdx);
      for (int sample = 0; sample < batch; sample++) {
        for (int j = writeBegins[sample]; j < writeBegins[sample + 1]; j++) {
          for (int i = readBegins[sample]; i < readBegins[sample + 1]; i++) {
            assertEquals(1, found.remove(new Pair(i, j)), i + ", " + j + " of sample " + sample);
          }
        }
      }
      assertTrue(found.isEmpty(), "pairs of different samples: " + found);
      assertEquals(writeIdx.length, schedule.rows());
    }
  }

  /** Returns the begins of samples with 0 to {@code most} elements. */
  static int[] begins(int batch, int most, Data data) {
    int[] begins = new int[batch + 1];
    for (int sample = 0; sample < batch; sample++) {
      begins[sample + 1] = begins[sample] + data.below(most + 1);
    }
    return begins;
  }

  @Test
  void chunksOfABlockAreAsFewAndAsEqualAsCanBe() {
    int most = GemmSchedule.MAX_CHUNK_ROWS;
    int[] rowsOfBlock = {most, 1, most + 1, 2 * most, 3 * most - 1, 667};
    int[] writeIdx =
        IntStream.range(0, rowsOfBlock.length)
            .flatMap(block -> IntStream.generate(() -> block).limit(rowsOfBlock[block]))
            .toArray();
    int total = writeIdx.length;
    try (GemmSchedule schedule =
        GemmSchedule.of(total, writeIdx, rowsOfBlock.length, new int[total], 1)) {
      for (int c = 0, end; c < schedule.chunks(); c = end) {
        end = schedule.sameBlockEnd(c);
        int rows =
            (end < schedule.chunks() ? schedule.rowStart(end) : total) - schedule.rowStart(c);
        assertEquals(rowsOfBlock[schedule.writeBlock(c)], rows);
        assertEquals((rows - 1) / GemmSchedule.MAX_CHUNK_ROWS + 1, end - c, rows + " rows");
        for (int i = c; i < end; i++) {
          int next = i + 1 < schedule.chunks() ? schedule.rowStart(i + 1) : total;
          int expected = rows / (end - c);
          int actual = next - schedule.rowStart(i);
          assertTrue(actual == expected || actual == expected + 1, actual + " rows in " + i);
          assertEquals(schedule.writeBlock(c), schedule.writeBlock(i));
        }
      }
    }
  }

  /** Then a chunk reads few blocks, instead of all of them for a row or two each. */
  @Test
  void rowsOfOneBlockAreTakenByWhatTheyRead(Data data) {
    int[] readIdx = data.indices(4000, 8);
    try (GemmSchedule schedule = GemmSchedule.of(4000, new int[4000], 1, readIdx, 8)) {
      assertWellFormed(schedule, new int[4000], readIdx);
      int segments = schedule.segmentStart(schedule.chunks() - 1) + 8; // at most, in the last one
      assertTrue(schedule.chunks() > 4, schedule.chunks() + " chunks");
      assertTrue(segments <= schedule.chunks() + 2 * 8, segments + " segments");
    }
    // If one chunk has room for all rows, they stay in order.
    int few = GemmSchedule.MAX_CHUNK_ROWS;
    try (GemmSchedule schedule = GemmSchedule.of(few, new int[few], 1, data.indices(few, 8), 8)) {
      for (int r = 0; r < few; r++) {
        assertEquals(r, schedule.row(r));
      }
    }
  }

  @Test
  void rowsOneByOne(Data data) {
    int[] writeRow = IntStream.range(0, 300).map(r -> 7 * r).toArray();
    int[] readRow = data.indices(300, 50);
    int[] writeBlock = data.indices(300, 9);
    int[] blockOfWritten = new int[7 * 300];
    for (int r = 0; r < 300; r++) {
      blockOfWritten[writeRow[r]] = writeBlock[r];
    }
    try (GemmSchedule schedule = GemmSchedule.ofRows(writeRow, readRow, writeBlock, 9)) {
      Map<Pair, Integer> found = assertWellFormed(schedule, blockOfWritten, new int[50]);
      for (int r = 0; r < 300; r++) {
        assertEquals(1, found.remove(new Pair(readRow[r], writeRow[r])), "row " + r);
      }
      assertTrue(found.isEmpty());
    }
  }

  @Test
  void dense() {
    try (GemmSchedule schedule = GemmSchedule.dense(300)) {
      Map<Pair, Integer> found = assertWellFormed(schedule, new int[300], new int[300]);
      assertEquals(300, found.size());
      found.forEach((pair, count) -> assertEquals(pair.read(), pair.written()));
      // Rows stay in order, so that BLAS can read them in place.
      for (int r = 0; r < 300; r++) {
        assertEquals(r, schedule.row(r));
      }
    }
  }

  /** The same indices give the same schedule: results do not change from run to run. */
  @Test
  void dependsOnTheIndicesOnly(Data data) {
    int[] writeIdx = data.indices(600, 5);
    int[] readIdx = data.indices(900, 4);
    try (GemmSchedule one = GemmSchedule.of(300, writeIdx, 5, readIdx, 4);
        GemmSchedule two = GemmSchedule.of(300, writeIdx, 5, readIdx, 4)) {
      assertEquals(one.length(), two.length());
      for (int i = 0; i < one.length(); i++) {
        assertEquals(one.packed().getInt(i), two.packed().getInt(i));
      }
    }
  }

  @Test
  void closingFreesItsMemory() {
    GemmSchedule schedule = GemmSchedule.dense(5);
    assertFalse(schedule.packed().isClosed());
    schedule.close();
    schedule.close();
    assertTrue(schedule.packed().isClosed());
  }
}
