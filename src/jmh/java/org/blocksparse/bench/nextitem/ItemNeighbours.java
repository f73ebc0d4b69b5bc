// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench.nextitem;

import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;

/**
 * Counts which items are together in a basket: item j scores the sum over the items i that were
 * seen of P(j | i), each by the inverse document frequency of i. The most popular items follow.
 */
final class ItemNeighbours {
  private static final int POPULAR = 200;

  /** Popularity decides only where counts of neighbors do not. */
  private static final double FACTOR_OF_POPULARITY = 1e-9;

  private final int baskets;
  private final int[] counts;
  private final Neighbours[] neighbours;
  private final Map<Integer, Double> popular = new HashMap<>();

  /** The items that are in a basket with another, and in how many. */
  private record Neighbours(int[] items, int[] counts) {
    /** Those of items in any order, some of them several times. */
    static Neighbours of(int[] others) {
      int[] items = Arrays.stream(others).sorted().distinct().toArray();
      int[] counts = new int[items.length];
      Arrays.stream(others).forEach(other -> counts[Arrays.binarySearch(items, other)]++);
      return new Neighbours(items, counts);
    }
  }

  /** The counts of some baskets. */
  ItemNeighbours(int items, List<int[]> baskets) {
    this.baskets = baskets.size();
    this.counts = new int[items];
    baskets.forEach(basket -> Arrays.stream(basket).forEach(item -> counts[item]++));
    int[][] basketsOf = Arrays.stream(counts).mapToObj(int[]::new).toArray(int[][]::new);
    int[] filled = new int[items];
    for (int i = 0; i < this.baskets; i++) {
      for (int item : baskets.get(i)) {
        basketsOf[item][filled[item]++] = i;
      }
    }
    this.neighbours =
        IntStream.range(0, items)
            .mapToObj(
                item ->
                    Neighbours.of(
                        Arrays.stream(basketsOf[item])
                            .flatMap(basket -> Arrays.stream(baskets.get(basket)))
                            .filter(other -> other != item)
                            .toArray()))
            .toArray(Neighbours[]::new);
    IntStream.range(0, items)
        .boxed()
        .sorted((a, b) -> Integer.compare(counts[b], counts[a]))
        .limit(POPULAR)
        .forEach(item -> popular.put(item, FACTOR_OF_POPULARITY * counts[item]));
  }

  /** The scores of the most popular items, without those that were seen. */
  Map<Integer, Double> popular(int[] seen) {
    Map<Integer, Double> scores = new HashMap<>(popular);
    Arrays.stream(seen).forEach(scores::remove);
    return scores;
  }

  /** The scores of neighbors and of popular items, without those that were seen. */
  Map<Integer, Double> scores(int[] seen) {
    Map<Integer, Double> scores = popular(seen);
    for (int item : seen) {
      double weight = Math.log((1.0 + baskets) / counts[item]) / counts[item];
      Neighbours others = neighbours[item];
      for (int n = 0; n < others.items.length; n++) {
        scores.merge(others.items[n], weight * others.counts[n], Double::sum);
      }
    }
    Arrays.stream(seen).forEach(scores::remove);
    return scores;
  }
}
