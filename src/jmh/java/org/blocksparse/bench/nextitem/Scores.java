// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench.nextitem;

import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.blocksparse.ranking.Ranking;

/**
 * The best items for a basket, and how they share a probability of 1.
 *
 * @param items the very best first
 * @param shares of each
 */
record Scores(int[] items, double[] shares) {
  /** How many items are kept for a basket: enough to add the scores of two models. */
  static final int KEPT = 200;

  /** The best of some items by their scores; shares are made to sum to 1. */
  static Scores best(Map<Integer, Double> scores) {
    int[] items =
        scores.keySet().stream()
            .sorted((a, b) -> Double.compare(scores.get(b), scores.get(a)))
            .limit(KEPT)
            .mapToInt(item -> item)
            .toArray();
    return new Scores(items, normalized(Arrays.stream(items).mapToDouble(scores::get).toArray()));
  }

  /** Those of each row. */
  static List<Scores> of(Ranking ranking) {
    return IntStream.range(0, ranking.batch())
        .mapToObj(
            row ->
                new Scores(
                    ranking.outputs(row),
                    normalized(
                        IntStream.range(0, ranking.size(row))
                            .mapToDouble(rank -> ranking.probability(row, rank))
                            .toArray())))
        .toList();
  }

  private static double[] normalized(double[] shares) {
    double sum = Arrays.stream(shares).sum();
    return Arrays.stream(shares).map(share -> share / sum).toArray();
  }

  /** The scores of two models for the same baskets, added: a share of the second. */
  static List<Scores> sum(List<Scores> first, List<Scores> second, double ofSecond) {
    return IntStream.range(0, first.size())
        .mapToObj(
            i -> {
              Map<Integer, Double> sum = new HashMap<>();
              first.get(i).addTo(sum, 1 - ofSecond);
              second.get(i).addTo(sum, ofSecond);
              return best(sum);
            })
        .toList();
  }

  private void addTo(Map<Integer, Double> sum, double factor) {
    for (int i = 0; i < items.length; i++) {
      sum.merge(items[i], factor * shares[i], Double::sum);
    }
  }

  /** The share of baskets whose hidden item is among the first 10. */
  static double hits(List<Scores> scores, int[] hidden) {
    return IntStream.range(0, hidden.length)
            .filter(i -> Arrays.stream(scores.get(i).items).limit(10).anyMatch(n -> n == hidden[i]))
            .count()
        / (double) hidden.length;
  }
}
