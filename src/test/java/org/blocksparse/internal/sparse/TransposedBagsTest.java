// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.sparse;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.IntUnaryOperator;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.blocksparse.internal.memory.Slice;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.sparse.Bags.Reduction;
import org.blocksparse.internal.sparse.TransposedBags.Tasks;
import org.blocksparse.testing.Data;
import org.blocksparse.testing.Data.Numbers;
import org.blocksparse.testing.Seeded;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

@ExtendWith(Seeded.class)
final class TransposedBagsTest {
  private static final int BOUND = 1 << 20;

  /** An entry from the viewpoint of the row that it names. */
  record Entry(int bag, float factor) {}

  /** A number of entries, and the row that each names. */
  record Case(String name, int entries, IntUnaryOperator rowOfEntry) {
    @Override
    public String toString() {
      return name + ", " + entries + " entries";
    }
  }

  /** Returns cases around the sizes from which on threads share the work. */
  static Stream<Case> cases() {
    return IntStream.of(0, 1, 511, 512, 513, 1025, 8191, 8192, 8193, 30_011)
        .boxed()
        .flatMap(
            entries ->
                Stream.of(
                    new Case("one row", entries, e -> BOUND - 1),
                    new Case("a row each", entries, e -> e * 31 % BOUND),
                    new Case("far apart", entries, e -> e % 16 << 16),
                    new Case("few often, others once", entries, e -> e % 3 == 0 ? e : e % 5)));
  }

  @ParameterizedTest
  @MethodSource("cases")
  void everyRowHasItsEntriesInOrder(Case of, Data data) {
    int bags = of.entries() / 7 + 1;
    int[] rows = IntStream.range(0, of.entries()).map(of.rowOfEntry()).toArray();
    int[] offsets = data.indices(bags + 1, of.entries() + 1); // some bags are empty
    Arrays.sort(offsets);
    offsets[0] = 0;
    offsets[bags] = of.entries();
    float[] values = data.floats(Numbers.GAUSSIAN, of.entries());
    Storage memory = Storage.allocate(offsets.length + 2L * of.entries());
    memory.putInts(0, offsets, 0, offsets.length);
    memory.putInts(offsets.length, rows, 0, rows.length);
    memory.putFloats(offsets.length + rows.length, values, 0, values.length);
    for (Reduction reduction : Reduction.values()) {
      for (boolean weighted : new boolean[] {false, true}) {
        Slice factors = weighted ? new Slice(memory, offsets.length + rows.length) : null;
        Bags given =
            new Bags(
                bags,
                new Slice(memory, 0),
                new Slice(memory, offsets.length),
                factors,
                rows.length);
        Map<Integer, List<Entry>> expected = expected(given, reduction);
        for (Tasks tasks : List.of(ONE_BY_ONE, BACKWARDS, AT_THE_SAME_TIME)) {
          try (TransposedBags made = TransposedBags.of(given, BOUND, reduction, tasks)) {
            assertEquals(expected, found(made));
          }
        }
      }
    }
    memory.close();
  }

  private static final Tasks ONE_BY_ONE = (count, task) -> IntStream.range(0, count).forEach(task);

  private static final Tasks BACKWARDS =
      (count, task) -> IntStream.range(0, count).map(t -> count - 1 - t).forEach(task);

  private static final Tasks AT_THE_SAME_TIME =
      (count, task) -> IntStream.range(0, count).parallel().forEach(task);

  private static Map<Integer, List<Entry>> expected(Bags bags, Reduction reduction) {
    Map<Integer, List<Entry>> byRow = new TreeMap<>();
    for (int bag = 0; bag < bags.count(); bag++) {
      int begin = bags.offsets().getInt(bag);
      int end = bags.offsets().getInt(bag + 1L);
      for (int e = begin; e < end; e++) {
        float factor = (float) (reduction.factor(end - begin) * bags.value(e));
        byRow
            .computeIfAbsent(bags.indices().getInt(e), row -> new ArrayList<>())
            .add(new Entry(bag, factor));
      }
    }
    return byRow;
  }

  private static Map<Integer, List<Entry>> found(TransposedBags made) {
    Map<Integer, List<Entry>> byRow = new TreeMap<>();
    Bags whole = made.whole().bags();
    for (int r = 0; r < whole.count(); r++) {
      List<Entry> entries = entries(whole, r);
      assertTrue(entries.size() <= TransposedBags.PART, "rows with more entries are cut");
      assertNull(byRow.put(made.whole().targets().getInt(r), entries));
    }
    Bags cut = made.cut().bags();
    for (int r = 0; r < cut.count(); r++) {
      List<Entry> entries = new ArrayList<>();
      for (Entry part : entries(cut, r)) {
        assertEquals(1, part.factor());
        List<Entry> ofPart = entries(made.parts(), part.bag());
        assertEquals(0, entries.size() % TransposedBags.PART, "only the last part may be shorter");
        entries.addAll(ofPart);
      }
      assertTrue(entries.size() > TransposedBags.PART);
      assertNull(byRow.put(made.cut().targets().getInt(r), entries));
    }
    return byRow;
  }

  private static List<Entry> entries(Bags bags, int bag) {
    return IntStream.range(bags.offsets().getInt(bag), bags.offsets().getInt(bag + 1L))
        .mapToObj(e -> new Entry(bags.indices().getInt(e), bags.value(e)))
        .toList();
  }
}
