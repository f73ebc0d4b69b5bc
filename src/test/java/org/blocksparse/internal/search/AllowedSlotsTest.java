// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.search;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import org.blocksparse.testing.Data;
import org.junit.jupiter.api.Test;

/** The slots that lists allow, compared with sets of outputs. */
final class AllowedSlotsTest {
  private static final int OUTPUTS = 8;

  /** Classes of 4, 3 and 1 outputs. */
  private static final ClassTable TABLE =
      new ClassTable(
          new int[] {1, 0, 2, 0, 1, 0, 0, 1},
          new int[] {2, 0, 0, 3, 1, 2, 1, 0},
          new int[][] {{1, 6, 5, 3}, {7, 4, 0}, {2}},
          4);

  /** Allowed slots, and the same slots as sets, by class. */
  private record Case(AllowedSlots allowed, List<BitSet> expected, boolean ascending) {
    Case and(Case other) {
      List<BitSet> both = new ArrayList<>();
      for (int c = 0; c < TABLE.classes(); c++) {
        BitSet slots = (BitSet) expected.get(c).clone();
        slots.and(other.expected.get(c));
        both.add(slots);
      }
      return new Case(allowed.and(other.allowed), both, ascending && other.ascending);
    }

    int size(int classNumber) {
      return expected.get(classNumber).cardinality();
    }
  }

  private static Case listed(Data data) {
    boolean only = data.below(2) == 0;
    boolean ascending = data.below(2) == 0;
    int[] outputs = data.indices(data.below(2 * OUTPUTS), OUTPUTS);
    SlotList list = SlotList.of(TABLE, outputs);
    List<BitSet> expected = new ArrayList<>();
    for (int c = 0; c < TABLE.classes(); c++) {
      expected.add(new BitSet());
      expected.get(c).set(0, only ? 0 : TABLE.size(c));
    }
    for (int output : outputs) {
      expected.get(TABLE.classOf()[output]).set(TABLE.slotOf()[output], only);
    }
    return new Case(
        AllowedSlots.of(TABLE, only, ascending ? list.ascending() : list), expected, ascending);
  }

  private static void assertAllows(Case that) {
    AllowedSlots allowed = that.allowed;
    boolean none = true;
    for (int c = 0; c < TABLE.classes(); c++) {
      int size = that.size(c);
      assertEquals(size > 0, allowed.any(c), "any of " + c);
      assertEquals(size == TABLE.size(c), allowed.all(c), "all of " + c);
      BitSet found = new BitSet();
      allowed.forEachRun(
          c,
          (begin, end) -> {
            assertTrue(begin < end, begin + " to " + end);
            assertTrue(found.length() <= begin, "ascending");
            found.set(begin, end);
          });
      assertEquals(that.expected.get(c), found, "slots of " + c);
      none &= size == 0;
    }
    assertEquals(none, allowed.none());
  }

  @Test
  void aListAllowsWhatItSays() {
    for (int seed = 0; seed < 500; seed++) {
      Case one = listed(new Data(seed));
      assertAllows(one);
      int[] runs = new int[1];
      for (int c = 0; c < TABLE.classes(); c++) {
        runs[0] = 0;
        one.allowed.forEachRun(c, (begin, end) -> runs[0]++);
        BitSet slots = one.expected.get(c);
        long starts = slots.stream().filter(s -> s == 0 || !slots.get(s - 1)).count();
        assertEquals(starts, runs[0], "as few runs as there are");
        int atLeast = one.allowed.atLeast(c);
        assertTrue(atLeast >= 0 && atLeast <= one.size(c), "at least " + atLeast);
        if (one.ascending) {
          assertEquals(one.size(c), atLeast, "it is known of a list without repeats");
        }
      }
    }
  }

  @Test
  void twoListsAllowWhatBothDo() {
    for (int seed = 0; seed < 500; seed++) {
      Data data = new Data(seed);
      Case one = listed(data);
      Case other = listed(data);
      Case both = one.and(other);
      assertAllows(both);
      assertAllows(both.and(listed(data)));
      for (int c = 0; c < TABLE.classes(); c++) {
        int known = one.allowed.atLeast(c) + other.allowed.atLeast(c) - TABLE.size(c);
        assertEquals(Math.max(0, known), both.allowed.atLeast(c), "of class " + c);
      }
    }
  }

  @Test
  void everythingIsAllowedAsAWhole() {
    AllowedSlots all = AllowedSlots.all(TABLE);
    for (int c = 0; c < TABLE.classes(); c++) {
      assertTrue(all.all(c) && all.any(c));
      assertEquals(TABLE.size(c), all.atLeast(c));
    }
  }
}
