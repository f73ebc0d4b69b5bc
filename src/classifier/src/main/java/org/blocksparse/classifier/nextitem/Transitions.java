// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.nextitem;

import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.blocksparse.SparseRows;
import org.blocksparse.linear.SparseWeights;

/**
 * Counts which items follow which: item-kNN with distances. A pair of a sequence counts less the
 * more items are between its two, and less if the other item came before. A frequent follower
 * counts less. The weights of an item sum to 1. In baskets, the weight is the share of the baskets
 * with one item that hold the other; in a large basket, only some others count.
 */
final class Transitions {
  static final double PER_DISTANCE = 0.9;
  static final double BACKWARD = 0.3;
  static final double POPULARITY = 0.2;

  /** The number of weights kept for an item, the largest ones. */
  static final int MOST_FOLLOWERS = 500;

  private final List<int[]> sequences;
  private final long[] counts;
  private final boolean ordered;
  private final float[] sums;
  private final int[] found;

  /** A fixed seed, so that equal sequences have equal weights. */
  private final SplittableRandom random = new SplittableRandom(0);

  private int size;

  private Transitions(List<int[]> sequences, long[] counts, boolean ordered) {
    this.sequences = sequences;
    this.counts = counts;
    this.ordered = ordered;
    this.sums = new float[counts.length];
    this.found = new int[counts.length];
  }

  /**
   * Returns the weights of pairs.
   *
   * @param counts how often the sequences have each item
   */
  static SparseWeights of(List<int[]> sequences, long[] counts, boolean ordered) {
    return new Transitions(sequences, counts, ordered).count();
  }

  private SparseWeights count() {
    int items = counts.length;
    int[] starts = new int[items + 1];
    for (int item = 0; item < items; item++) {
      starts[item + 1] = Math.toIntExact(starts[item] + counts[item]);
    }
    int[] next = starts.clone();
    int[] sequenceOf = new int[starts[items]];
    int[] placeOf = new int[starts[items]];
    for (int s = 0; s < sequences.size(); s++) {
      int[] sequence = sequences.get(s);
      for (int place = 0; place < sequence.length; place++) {
        int at = next[sequence[place]]++;
        sequenceOf[at] = s;
        placeOf[at] = place;
      }
    }
    int[][] followers = new int[items][];
    float[][] weights = new float[items][];
    for (int item = 0; item < items; item++) {
      for (int at = starts[item]; at < starts[item + 1]; at++) {
        addPairs(sequences.get(sequenceOf[at]), placeOf[at]);
      }
      followers[item] = largest();
      weights[item] = weights(item, followers[item]);
      clear();
    }
    try (SparseRows rows = SparseRows.of(Arrays.asList(followers), Arrays.asList(weights))) {
      return SparseWeights.of(rows, items);
    }
  }

  /** Adds the pairs of an item at a place with the others of its sequence. */
  private void addPairs(int[] sequence, int place) {
    if (!ordered) {
      addPairsOfBasket(sequence, place);
      return;
    }
    int begin = Math.max(0, place - HistoryRows.MOST_ITEMS);
    int end = Math.min(sequence.length, place + HistoryRows.MOST_ITEMS + 1);
    for (int other = begin; other < end; other++) {
      int item = sequence[other];
      if (item != sequence[place]) {
        double direction = other > place ? 1 : BACKWARD;
        double weight = direction * Math.pow(PER_DISTANCE, Math.abs(other - place) - 1);
        add(item, (float) (weight / Math.pow(counts[item] + 1.0, POPULARITY)));
      }
    }
  }

  /** Adds all others, or some at equal distances from a random one on: none comes twice. */
  private void addPairsOfBasket(int[] basket, int place) {
    int others = basket.length - 1;
    int added = Math.min(others, HistoryRows.MOST_OF_BASKET);
    int stride = added == 0 ? 1 : others / added;
    int first = place + 1 + (stride == 1 ? 0 : random.nextInt(stride));
    for (int i = 0; i < added; i++) {
      int item = basket[(int) ((first + (long) i * stride) % basket.length)];
      if (item != basket[place]) {
        add(item, 1);
      }
    }
  }

  private void add(int item, float weight) {
    if (sums[item] == 0) {
      found[size++] = item;
    }
    sums[item] += weight;
  }

  private int[] largest() {
    if (size <= MOST_FOLLOWERS) {
      return Arrays.copyOf(found, size);
    }
    return IntStream.of(found)
        .limit(size)
        .boxed()
        .sorted((a, b) -> Float.compare(sums[b], sums[a]))
        .limit(MOST_FOLLOWERS)
        .mapToInt(i -> i)
        .toArray();
  }

  private float[] weights(int item, int[] followers) {
    double total = counts[item];
    if (ordered) {
      total = IntStream.of(followers).mapToDouble(follower -> sums[follower]).sum();
    }
    float[] weights = new float[followers.length];
    for (int i = 0; i < weights.length; i++) {
      weights[i] = (float) (sums[followers[i]] / total);
    }
    return weights;
  }

  private void clear() {
    for (int i = 0; i < size; i++) {
      sums[found[i]] = 0;
    }
    size = 0;
  }
}
