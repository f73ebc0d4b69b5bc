// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.nextitem;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.IntStream;
import org.blocksparse.SparseRows;
import org.blocksparse.Workers;
import org.blocksparse.linear.SparseWeights;
import org.blocksparse.ranking.Labels;
import org.blocksparse.ranking.Ranking;
import org.junit.jupiter.api.Test;

final class TextSimilaritiesTest {
  private static Labels items(int count) {
    return Labels.of(IntStream.range(0, count).mapToObj(item -> "i" + item).toList());
  }

  /** Returns row {@code item} of the weights, dense. */
  private static double[] row(SparseWeights weights, int item) {
    double[] row = new double[weights.outputs()];
    try (SparseRows one = SparseRows.of(List.of(new int[] {item}))) {
      Ranking ranking = weights.topK(one, row.length);
      for (int rank = 0; rank < ranking.size(0); rank++) {
        row[ranking.output(0, rank)] = ranking.score(0, rank);
      }
    }
    return row;
  }

  private static SparseWeights weights(int items, Map<String, String> texts) {
    return new TextSimilarities(items(items), texts, Workers.common()).weights(items(items));
  }

  private static Map<String, Double> tfIdf(List<String> words, List<List<String>> all) {
    Map<String, Double> of = new HashMap<>();
    for (String word : words) {
      long count = words.stream().filter(word::equals).count();
      long rows = all.stream().filter(other -> other.contains(word)).count();
      of.put(word, (1 + Math.log(count)) * (1 + Math.log((1.0 + all.size()) / (1 + rows))));
    }
    double length = Math.sqrt(of.values().stream().mapToDouble(v -> v * v).sum());
    of.replaceAll((word, value) -> value / length);
    return of;
  }

  @Test
  void weightsAreCosinesWhoseSumIsOne() {
    Random random = new Random(1);
    int items = 37;
    List<List<String>> texts = new ArrayList<>();
    Map<String, String> textOf = new HashMap<>();
    for (int item = 0; item < items; item++) {
      List<String> words =
          IntStream.range(0, item % 7).mapToObj(i -> "w" + random.nextInt(12)).toList();
      texts.add(words);
      textOf.put("i" + item, String.join(" ", words));
    }
    try (SparseWeights weights = weights(items, textOf)) {
      for (int item = 0; item < items; item++) {
        double[] expected = new double[items];
        Map<String, Double> of = tfIdf(texts.get(item), texts);
        double sum = 0;
        for (int other = 0; other < items; other++) {
          Map<String, Double> with = tfIdf(texts.get(other), texts);
          for (Map.Entry<String, Double> word : of.entrySet()) {
            double product = word.getValue() * with.getOrDefault(word.getKey(), 0.0);
            expected[other] += other == item ? 0 : product;
          }
          sum += expected[other];
        }
        for (int other = 0; other < items && sum > 0; other++) {
          expected[other] /= sum;
        }
        assertArrayEquals(expected, row(weights, item), 1e-6, "item " + item);
      }
    }
  }

  @Test
  void onlyTheMostSimilarAreKept() {
    int items = TextSimilarities.MOST_SIMILAR + 30;
    Map<String, String> texts = new HashMap<>();
    for (int item = 0; item < items; item++) {
      texts.put("i" + item, "all " + (item < 50 ? "first" : "last"));
    }
    TextSimilarities similar = new TextSimilarities(items(items), texts, Workers.common());
    int[] of = similar.similar(7);
    assertEquals(TextSimilarities.MOST_SIMILAR, of.length);
    Set<Integer> nearest = new TreeSet<>();
    IntStream.of(of).limit(49).forEach(nearest::add);
    nearest.add(7);
    assertEquals(50, nearest.size());
    assertEquals(49, nearest.stream().mapToInt(i -> i).max().orElseThrow());
  }

  @Test
  void noTextIsLikeNoOther() {
    for (Map<String, String> texts :
        List.of(Map.<String, String>of(), Map.of("i0", "one"), Map.of("i0", "...", "i1", "...?"))) {
      try (SparseWeights weights = weights(2, texts)) {
        assertEquals(2, weights.features());
        assertArrayEquals(new double[2], row(weights, 0));
      }
    }
  }

  @Test
  void itemsThatAreLeftOutGetNoWeight() {
    Map<String, String> texts = Map.of("i0", "a b", "i1", "a b", "i2", "a c", "i3", "b c");
    TextSimilarities all = new TextSimilarities(items(4), texts, Workers.common());
    try (SparseWeights some = all.weights(Labels.of(List.of("i3", "i0", "i2")));
        SparseWeights ofAll = all.weights(items(4))) {
      double[] weights = row(ofAll, 0);
      double both = weights[2] + weights[3];
      double[] expected = {weights[3] / both, 0, weights[2] / both};
      assertArrayEquals(expected, row(some, 1), 1e-6);
    }
  }
}
