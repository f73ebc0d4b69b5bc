// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.schedule;

import static org.blocksparse.testing.Failures.assertRejects;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import org.blocksparse.testing.Data;
import org.blocksparse.testing.Seeded;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The rules of the C header for an OUTER schedule, checked on the packed array itself. */
@ExtendWith(Seeded.class)
final class OuterScheduleTest {
  private static final int MAGIC = 0x42534F31;

  private record Pair(int x, int y) {}

  /** Checks every invariant; returns the pairs found. */
  private static Map<Pair, Integer> assertWellFormed(
      OuterSchedule schedule, int[] xIdx, int[] yIdx) {
    int[] all = new int[schedule.length()];
    schedule.packed().getInts(0, all, 0, all.length);
    assertEquals(MAGIC, all[0], "magic");
    int blocks = all[1];
    int pairs = all[2];
    assertEquals(blocks, schedule.blocks());
    assertEquals(pairs, schedule.pairs());
    int yBlock = 3 + blocks;
    int pairStart = yBlock + blocks;
    int pairX = pairStart + blocks + 1;
    int pairY = pairX + pairs;
    assertEquals(all.length, pairY + pairs, "length");
    assertEquals(0, all[pairStart], "pair_start begins");
    assertEquals(pairs, all[pairStart + blocks], "pair_start ends");
    Set<Pair> seen = new HashSet<>();
    Map<Pair, Integer> found = new HashMap<>();
    int most = 0;
    for (int b = 0; b < blocks; b++) {
      Pair block = new Pair(all[3 + b], all[yBlock + b]);
      assertEquals(block, new Pair(schedule.xBlock(b), schedule.yBlock(b)));
      assertTrue(seen.add(block), block + " is in two places");
      int begin = all[pairStart + b];
      int end = all[pairStart + b + 1];
      assertTrue(begin < end, "a block without pairs");
      assertEquals(begin, schedule.pairStart(b));
      most = Math.max(most, end - begin);
      for (int p = begin; p < end; p++) {
        Pair pair = new Pair(all[pairX + p], all[pairY + p]);
        assertEquals(pair, new Pair(schedule.pairX(p), schedule.pairY(p)));
        assertEquals(block, new Pair(xIdx[pair.x], yIdx[pair.y]), "block of " + pair);
        found.merge(pair, 1, Integer::sum);
      }
    }
    assertEquals(most, schedule.maxPairs());
    return found;
  }

  @ParameterizedTest
  @CsvSource({
    "1, 1, 1, 1, 1",
    "2, 4, 8, 3, 7",
    "6, 3, 1, 2, 2",
    "300, 2, 2, 3, 5",
    "40, 6, 3000, 5, 5000",
    "40, 3, 4, 2, 1", // the block of x changes, that of y does not
    "4, 3, 5, 0, 5",
    "4, 0, 5, 3, 5",
    "0, 2, 3, 2, 3"
  })
  void holdsEveryPairOfEverySampleOnce(
      int batch, int xWindow, int xBlocks, int yWindow, int yBlocks, Data data) {
    int[] xIdx = data.indices((long) batch * xWindow, xBlocks);
    int[] yIdx = data.indices((long) batch * yWindow, yBlocks);
    try (OuterSchedule schedule = OuterSchedule.of(batch, xIdx, xBlocks, yIdx, yBlocks)) {
      Map<Pair, Integer> found = assertWellFormed(schedule, xIdx, yIdx);
      for (int sample = 0; sample < batch; sample++) {
        for (int i = 0; i < xWindow; i++) {
          for (int j = 0; j < yWindow; j++) {
            Pair pair = new Pair(sample * xWindow + i, sample * yWindow + j);
            assertEquals(1, found.remove(pair), pair + " of sample " + sample);
          }
        }
      }
      assertTrue(found.isEmpty(), "pairs of different samples: " + found);
    }
  }

  @ParameterizedTest
  @CsvSource({
    "1, 3, 2, 2, 2",
    "90, 4, 7, 3, 8",
    "50, 3, 3000, 4, 5000",
    "40, 3, 4, 2, 1",
    "9, 0, 3, 2, 3"
  })
  void holdsEveryPairOfSamplesOfAnyLengthOnce(
      int batch, int mostX, int xBlocks, int mostY, int yBlocks, Data data) {
    int[] xBegins = GemmScheduleTest.begins(batch, mostX, data);
    int[] yBegins = GemmScheduleTest.begins(batch, mostY, data);
    int[] xIdx = data.indices(xBegins[batch], xBlocks);
    int[] yIdx = data.indices(yBegins[batch], yBlocks);
    SampleWindows x = SampleWindows.ragged(xBegins, xIdx);
    SampleWindows y = SampleWindows.ragged(yBegins, yIdx);
    try (OuterSchedule schedule = OuterSchedule.of(x, xBlocks, y, yBlocks)) {
      Map<Pair, Integer> found = assertWellFormed(schedule, xIdx, yIdx);
      for (int sample = 0; sample < batch; sample++) {
        for (int i = xBegins[sample]; i < xBegins[sample + 1]; i++) {
          for (int j = yBegins[sample]; j < yBegins[sample + 1]; j++) {
            assertEquals(1, found.remove(new Pair(i, j)), i + ", " + j + " of sample " + sample);
          }
        }
      }
      assertTrue(found.isEmpty(), "pairs of different samples: " + found);
    }
  }

  /** As many pairs as fit an array, each in a block of its own, and one more. */
  @Test
  void whatIsTooLongForAnArrayIsRefused() {
    int most = (Integer.MAX_VALUE - 8 - 4) / 5;
    assertEquals(5L * most + 4, new OuterSchedule.Sizes(most, most, 1).length());
    assertRejects(
        "429496728 pairs in 429496728 blocks need more than the 2147483639 numbers of one"
            + " schedule; split the batch",
        new OuterSchedule.Sizes(most + 1, most + 1, 1)::length);
  }

  /** The cost of an update must not depend on the number of blocks. */
  @Test
  void sizeDependsOnThePairsOnly() {
    int[] idx = {0, 1};
    try (OuterSchedule few = OuterSchedule.of(2, idx, 2, idx, 2);
        OuterSchedule many = OuterSchedule.of(2, idx, 1 << 30, idx, 1 << 30)) {
      assertEquals(few.length(), many.length());
    }
  }

  @Test
  void ofRows(Data data) {
    int[] writeBlock = data.indices(500, 6);
    int[] rows = new int[500];
    int[] read = new int[500];
    for (int r = 0; r < 500; r++) {
      rows[r] = r;
      read[r] = 499 - r;
    }
    try (GemmSchedule opened = GemmSchedule.ofRows(rows, read, writeBlock, 6);
        OuterSchedule schedule = OuterSchedule.ofRows(opened)) {
      Map<Pair, Integer> found = assertWellFormed(schedule, new int[500], writeBlock);
      assertEquals(500, found.size());
      found.forEach((pair, count) -> assertEquals(pair.x(), 499 - pair.y()));
      // The order of blocks is that of the chunks, which callers traverse with it.
      int block = 0;
      for (int c = 0; c < opened.chunks(); c = opened.sameBlockEnd(c)) {
        assertEquals(opened.writeBlock(c), schedule.yBlock(block++));
      }
      assertEquals(block, schedule.blocks());
    }
  }
}
