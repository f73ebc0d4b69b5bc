// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.nextitem;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.blocksparse.ElementType;
import org.blocksparse.SparseRows;
import org.blocksparse.linear.SparseWeights;
import org.blocksparse.mixture.NearestExamples;

/**
 * Turns the sequences of a training into examples that vote for their items: session-kNN. A
 * sequence is near a history if they share many items, and it has few others. In sequences, a
 * frequent item gets smaller votes; a basket divides one vote among its items.
 */
final class NearestSequences {
  /** The number of nearest sequences that vote. */
  private static final int NEAREST = 100;

  /**
   * The maximum number of sequences, enough to find near ones; with more, a search is slow for
   * frequent items.
   */
  private static final int MOST_SEQUENCES = 100_000;

  /** The power of the count of an item that divides its votes, in sequences. */
  private static final double POPULARITY = 0.5;

  private NearestSequences() {}

  /**
   * Returns examples; null if no sequence has two items.
   *
   * @param counts how often the sequences have each item
   */
  static NearestExamples ofOrNull(List<int[]> sequences, boolean ordered, long... counts) {
    List<int[]> sets =
        sequences.stream()
            .map(sequence -> IntStream.of(sequence).distinct().toArray())
            .filter(set -> set.length > 1)
            .toList();
    if (sets.isEmpty()) {
      return null;
    }
    double perSequence = sets.stream().mapToDouble(set -> sum(set, counts)).average().orElse(1);
    int stride = (sets.size() + MOST_SEQUENCES - 1) / MOST_SEQUENCES;
    List<int[]> some = new ArrayList<>();
    List<float[]> similar = new ArrayList<>();
    List<float[]> votes = new ArrayList<>();
    for (int s = 0; s < sets.size(); s += stride) {
      int[] set = sets.get(s);
      some.add(set);
      similar.add(equal(set.length, 1 / Math.sqrt(set.length + 1.0)));
      votes.add(ordered ? votes(set, perSequence, counts) : equal(set.length, 1.0 / set.length));
    }
    try (SparseRows examples = SparseRows.of(some, similar);
        SparseRows outputs = SparseRows.of(some, votes)) {
      SparseWeights nearest = SparseWeights.ofRows(examples, counts.length);
      return new NearestExamples(nearest, SparseWeights.of(outputs, counts.length), NEAREST);
    }
  }

  /** Returns a copy with weights of a type; null for null. */
  static NearestExamples copyOrNull(NearestExamples nearest, ElementType type) {
    if (nearest == null) {
      return null;
    }
    SparseWeights examples = nearest.examples().withWeights(type);
    try {
      return new NearestExamples(examples, nearest.outputs().withWeights(type), nearest.k());
    } catch (Throwable e) {
      examples.close();
      throw e;
    }
  }

  /** Closes examples; null is ignored. */
  static void close(NearestExamples nearest) {
    if (nearest != null) {
      nearest.examples().close();
      nearest.outputs().close();
    }
  }

  private static float[] equal(int length, double value) {
    float[] values = new float[length];
    Arrays.fill(values, (float) value);
    return values;
  }

  /** Returns the votes of a sequence for its items. */
  private static float[] votes(int[] set, double perSequence, long... counts) {
    float[] votes = new float[set.length];
    for (int i = 0; i < votes.length; i++) {
      votes[i] = (float) (vote(set[i], counts) / perSequence);
    }
    return votes;
  }

  private static double sum(int[] set, long... counts) {
    return IntStream.of(set).mapToDouble(item -> vote(item, counts)).sum();
  }

  private static double vote(int item, long... counts) {
    return Math.pow(counts[item], -POPULARITY);
  }
}
