// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.nextitem;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.blocksparse.SparseRows;
import org.blocksparse.classifier.LabelCounts;
import org.blocksparse.classifier.examples.Sequence;
import org.blocksparse.classifier.training.TrainingOptions;
import org.blocksparse.linear.SparseWeights;
import org.blocksparse.mixture.NearestExamples;
import org.blocksparse.ranking.Labels;
import org.blocksparse.softmax.ClassAssignment;

/**
 * The examples of a {@link NextItem}: places of items in sequences. Each item is predicted from the
 * items before it, or from a random part of the others.
 *
 * <p>Items get numbers in the order of their first occurrence, whatever their names are: names may
 * reveal when an item appeared, including held-out occurrences.
 */
final class ItemExamples {
  /** The examples to cluster, enough to find similar items. */
  private static final int MOST_TO_CLUSTER = 500_000;

  private final boolean ordered;
  private final SplittableRandom random;
  private final Labels labels;
  private final List<int[]> sequences = new ArrayList<>();
  private final HistoryRows rows;
  private final int[] sequenceOf;
  private final int[] placeOf;

  /**
   * Numbers the items.
   *
   * @throws IllegalArgumentException if no sequence has two items
   */
  ItemExamples(List<Sequence> learned, boolean ordered, long seed) {
    this.ordered = ordered;
    this.random = new SplittableRandom(seed);
    Map<String, Integer> numbers = new LinkedHashMap<>();
    for (Sequence sequence : learned) {
      IntStream items =
          sequence.items().stream()
              .mapToInt(item -> numbers.computeIfAbsent(item, i -> numbers.size()));
      // Shares of baskets and rarities count an item once per basket.
      sequences.add((ordered ? items : items.distinct()).toArray());
    }
    int first = ordered ? 1 : 0;
    int size = 0;
    for (int[] sequence : sequences) {
      size = Math.addExact(size, sequence.length > 1 ? sequence.length - first : 0);
    }
    if (size == 0) {
      throw new IllegalArgumentException("sequences: expected one with two items to learn or more");
    }
    this.sequenceOf = new int[size];
    this.placeOf = new int[size];
    int end = 0;
    for (int s = 0; s < sequences.size(); s++) {
      int length = sequences.get(s).length;
      for (int place = first; length > 1 && place < length; place++) {
        sequenceOf[end] = s;
        placeOf[end++] = place;
      }
    }
    this.labels = Labels.of(List.copyOf(numbers.keySet()));
    long[] counts = new long[numbers.size()];
    sequences.forEach(sequence -> IntStream.of(sequence).forEach(item -> counts[item]++));
    this.rows = HistoryRows.of(ordered, new LabelCounts(sequences.size(), counts));
  }

  int size() {
    return placeOf.length;
  }

  int items() {
    return labels.size();
  }

  /** Returns the names of the items by their numbers. */
  Labels labels() {
    return labels;
  }

  /** Returns rows with the default decays. */
  HistoryRows rows() {
    return rows;
  }

  SparseWeights transitions() {
    return Transitions.of(sequences, rows.counts().ofLabels(), ordered);
  }

  /** Returns the sequences, which vote for their items; null if none has two. */
  NearestExamples nearestOrNull() {
    return NearestSequences.ofOrNull(sequences, ordered, rows.counts().ofLabels());
  }

  /** Puts items that occur with the same others into one class. */
  ClassAssignment classes(int count, TrainingOptions learning) {
    int[] some = Arrays.copyOf(shuffled(), Math.min(MOST_TO_CLUSTER, size()));
    int[] offsets = IntStream.rangeClosed(0, some.length).toArray();
    try (SparseRows seen = rows.ofBag(seen(ordered, some));
        SparseRows next = SparseRows.of(offsets, next(some))) {
      return ClassAssignment.clustered(
          seen, next, items(), count, learning.seed(), learning.workers());
    }
  }

  /** Returns the numbers of all examples in random order. */
  int[] shuffled() {
    int[] order = IntStream.range(0, size()).toArray();
    for (int i = order.length - 1; i > 0; i--) {
      int other = random.nextInt(i + 1);
      int kept = order[i];
      order[i] = order[other];
      order[other] = kept;
    }
    return order;
  }

  /**
   * Returns the items that are seen of some examples.
   *
   * @param before whether these are all before the one to predict, or else a random part of the
   *     others, which each call draws again
   */
  List<int[]> seen(boolean before, int... which) {
    List<int[]> seen = new ArrayList<>(which.length);
    for (int example : which) {
      int[] sequence = sequences.get(sequenceOf[example]);
      int place = placeOf[example];
      seen.add(before ? beginning(sequence, place) : part(sequence, place));
    }
    return seen;
  }

  /** Returns the items that some examples predict. */
  int[] next(int... which) {
    return IntStream.of(which)
        .map(example -> sequences.get(sequenceOf[example])[placeOf[example]])
        .toArray();
  }

  private static int[] beginning(int[] sequence, int end) {
    return Arrays.copyOfRange(sequence, Math.max(0, end - HistoryRows.MOST_ITEMS), end);
  }

  /** Returns a random part of the others, one at least; of a basket, more often a large one. */
  private int[] part(int[] sequence, int place) {
    double uniform = random.nextDouble();
    double share = ordered ? uniform : 1 - Math.pow(uniform, 4);
    int others = sequence.length - 1;
    int most = HistoryRows.MOST_OF_BASKET;
    if (others > most) {
      int[] part = new int[Math.min(most, 1 + (int) (share * most))];
      for (int i = 0; i < part.length; i++) {
        part[i] = sequence[(place + random.nextInt(1, sequence.length)) % sequence.length];
      }
      return part;
    }
    int kept = (place + 1 + random.nextInt(others)) % sequence.length;
    int[] part = new int[others];
    int size = 0;
    for (int other = 0; other < sequence.length; other++) {
      if (other != place && (other == kept || random.nextDouble() < share)) {
        part[size++] = sequence[other];
      }
    }
    return Arrays.copyOf(part, size);
  }
}
