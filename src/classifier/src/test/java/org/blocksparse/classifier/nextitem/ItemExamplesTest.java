// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.nextitem;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.stream.IntStream;
import org.blocksparse.SparseRows;
import org.blocksparse.classifier.LabelCounts;
import org.blocksparse.classifier.examples.Sequence;
import org.blocksparse.ranking.Labels;
import org.junit.jupiter.api.Test;

/** The examples of sequences, and the rows of histories. */
final class ItemExamplesTest {
  /** A basket of two has one other item, which a random part must keep. */
  @Test
  void aPartOfABasketHasAnotherItemAndNotTheTarget() {
    List<Sequence> baskets =
        List.of(
            new Sequence("one", List.of("a", "b")),
            new Sequence("two", List.of("c", "d", "e", "c")));
    ItemExamples examples = new ItemExamples(baskets, false, 3);
    assertEquals(5, examples.size());
    int[] targets = examples.next(IntStream.range(0, 5).toArray());
    for (int draw = 0; draw < 200; draw++) {
      assertArrayEquals(new int[] {1 - targets[0]}, examples.seen(false, 0).get(0));
      int[] part = examples.seen(false, 3).get(0);
      assertTrue(part.length >= 1, "nothing is seen");
      assertTrue(IntStream.of(part).noneMatch(item -> item == targets[3]), "the target is seen");
    }
  }

  /**
   * In a basket, an item weighs the root of its inverse frequency; in a sequence, all weigh the
   * same.
   */
  @Test
  void rowsOfTheBagWeighRareItemsOfBaskets() {
    LabelCounts counts = new LabelCounts(10, new long[] {1, 9});
    List<int[]> history = List.of(new int[] {0, 1});
    double rare = Math.sqrt(Math.log(12 / 2.0));
    double frequent = Math.sqrt(Math.log(12 / 10.0));
    try (SparseRows row = HistoryRows.of(false, counts).ofBag(history)) {
      assertArrayEquals(new int[] {1, 0}, row.indices(0));
      assertEquals(frequent / (rare + frequent), row.values(0)[0], 1e-6);
      assertEquals(rare / (rare + frequent), row.values(0)[1], 1e-6);
    }
  }

  /** Two unknown items are two targets that no ranking contains; a known one counts once. */
  @Test
  void targetsAreDistinctAlsoWhereItemsAreUnknown() {
    Sequence user = new Sequence("u", List.of("a", "x", "b", "y", "a"));
    UserHistory history = new UserHistory(user, Labels.of("a", "b"));
    assertArrayEquals(new int[] {0, 3, 1, 5}, history.targets(0, 5, 2));
    assertArrayEquals(new int[] {0, 1, 0}, history.known(5, 3));
    assertArrayEquals(new int[] {0, 1}, history.known(4, 3));
  }
}
