// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.nextitem;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.blocksparse.SparseRows;
import org.blocksparse.linear.SparseWeights;
import org.blocksparse.ranking.Filter;
import org.blocksparse.ranking.Ranking;
import org.junit.jupiter.api.Test;

final class TransitionsTest {
  /** Item 0 has 700 followers, each as frequent as its number modulo 7; 500 are kept. */
  @Test
  void theMostFrequentFollowersAreKept() {
    int followers = 700;
    List<int[]> sequences = new ArrayList<>();
    long[] counts = new long[1 + followers];
    for (int item = 1; item <= followers; item++) {
      for (int times = 0; times <= item % 7; times++) {
        sequences.add(new int[] {0, item});
        counts[0]++;
        counts[item]++;
      }
    }
    try (SparseWeights weights = Transitions.of(sequences, counts, true);
        SparseRows zero = SparseRows.of(List.of(new int[] {0}))) {
      Ranking ranking = weights.topK(zero, followers, Filter.without());
      Set<Integer> kept =
          IntStream.range(0, ranking.size(0))
              .filter(rank -> ranking.score(0, rank) > 0)
              .mapToObj(rank -> ranking.output(0, rank))
              .collect(Collectors.toSet());
      Set<Integer> frequent =
          IntStream.rangeClosed(1, followers)
              .filter(item -> item % 7 >= 2)
              .boxed()
              .collect(Collectors.toSet());
      assertEquals(500, frequent.size());
      assertEquals(frequent, kept);
    }
  }
}
