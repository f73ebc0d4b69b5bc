// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.nextitem;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.IntToDoubleFunction;
import org.blocksparse.SparseRows;
import org.blocksparse.classifier.LabelCounts;

/**
 * Makes rows of features of histories: weighted items, whose weights sum to 1.
 *
 * <p>In a sequence, the weight of an item falls with its age, the number of items since. The bag
 * has a row of its table for each item and each rate of decay, so that it distinguishes the last
 * items from older ones. In a basket, rare items weigh more.
 *
 * @param ordered true for sequences, false for baskets
 * @param counts how often training had each item, and how many sequences; of new items, how often
 *     they were seen since
 * @param newItems the number of items that came after the training, the last of all
 * @param decays the factors by which the weight of an item falls with its age, for each of its rows
 *     in the table of the bag; 1 for baskets
 * @param transitionDecay the factor by which the weight of an item falls with its age, for the
 *     transitions; ignored for baskets
 * @param repeatDecay the factor by which the weight of an item falls with its age, as an item that
 *     comes again; 0: the model has no scores of repeats
 */
record HistoryRows(
    boolean ordered,
    LabelCounts counts,
    int newItems,
    List<Double> decays,
    double transitionDecay,
    double repeatDecay) {
  /**
   * The maximum number of items of a history with a weight: older ones would weigh almost nothing.
   */
  static final int MOST_ITEMS = 50;

  /** The maximum number of last items that may repeat. */
  static final int MOST_REPEATS = 1000;

  /**
   * The maximum number of other items with which training sees an item in any order, drawn at
   * random: otherwise its time grows with the square of a basket. On average it sees 160 of a large
   * basket.
   */
  static final int MOST_OF_BASKET = 200;

  private static final List<Double> NO_DECAY = List.of(1.0);

  private static final List<Double> DECAYS = List.of(0.4, 0.9);

  /** The decay of a history's items in the search for the nearest sequences. */
  private static final double NEAREST_DECAY = 0.8;

  /** The first candidate of the decay of transitions. */
  static final double TRANSITION_DECAY = 0.6;

  /**
   * Returns the decays of a bag that is trained in order; in any order, items of all ages weigh the
   * same.
   */
  static List<Double> decays(boolean ordered) {
    return ordered ? DECAYS : NO_DECAY;
  }

  /** Returns the rows of a training before it chooses decays. */
  static HistoryRows of(boolean ordered, LabelCounts counts) {
    return new HistoryRows(ordered, counts, 0, decays(ordered), TRANSITION_DECAY, 0);
  }

  /** Returns these rows with the counts of all items, new ones included. */
  HistoryRows with(int itemsAfterTraining, long... newCounts) {
    LabelCounts more = new LabelCounts(counts.examples(), newCounts);
    return new HistoryRows(ordered, more, itemsAfterTraining, decays, transitionDecay, repeatDecay);
  }

  /** Returns whether an item, one of {@code items}, came after the training. */
  boolean isNew(int item, int items) {
    return item >= items - newItems;
  }

  /**
   * Estimates the divisor of an item's transitions in training, for each occurrence, as if all
   * sequences had the mean length.
   */
  double pairsPerItem() {
    if (!ordered) {
      return 1;
    }
    long[] each = counts.ofLabels();
    double occurrences = 0;
    double popularity = 0;
    for (int item = 0; item < each.length - newItems; item++) {
      occurrences += each[item];
      popularity += each[item] / Math.pow(each[item] + 1.0, Transitions.POPULARITY);
    }
    int length = (int) Math.max(2, Math.round(occurrences / Math.max(1, counts.examples())));
    double pairs = 0;
    for (int distance = 1; distance < length && distance <= MOST_ITEMS; distance++) {
      pairs += (length - distance) * Math.pow(Transitions.PER_DISTANCE, distance - 1);
    }
    double mean = (1 + Transitions.BACKWARD) * pairs / length;
    return occurrences == 0 ? 1 : mean * popularity / occurrences;
  }

  HistoryRows withTransitionDecay(double decay) {
    return new HistoryRows(ordered, counts, newItems, decays, decay, repeatDecay);
  }

  HistoryRows withRepeatDecay(double decay) {
    return new HistoryRows(ordered, counts, newItems, decays, transitionDecay, decay);
  }

  /** Returns whether items of a history are scored as items that come again. */
  boolean hasRepeats() {
    return repeatDecay > 0;
  }

  /** Returns the number of last items of a history that have a weight. */
  int mostItems() {
    return hasRepeats() ? MOST_REPEATS : MOST_ITEMS;
  }

  HistoryRows withDecays(List<Double> others) {
    return new HistoryRows(ordered, counts, newItems, others, transitionDecay, repeatDecay);
  }

  /** Returns the number of items up to the last that training had. */
  int knownItems() {
    int known = counts.ofLabels().length;
    while (known > 0 && count(known - 1) == 0) {
      known--;
    }
    return known;
  }

  /** Returns the rows of the table of the bag for each item. */
  int rowsPerItem() {
    return decays.size();
  }

  /** Returns the rows for the bag. */
  SparseRows ofBag(List<int[]> histories) {
    return rows(histories, decays, item -> ordered ? 1 : Math.sqrt(rarity(item)));
  }

  /**
   * Returns the rows for the transitions; items that neither training had nor a sighting have none.
   */
  SparseRows ofTransitions(List<int[]> histories) {
    List<Double> decay = ordered ? List.of(transitionDecay) : NO_DECAY;
    return rows(
        histories,
        decay,
        item -> {
          long count = count(item);
          return count == 0 ? 0 : ordered ? Math.sqrt(count) : rarity(item);
        });
  }

  /**
   * Returns the rows for the nearest sequences, which new items are not in; rare items weigh more.
   */
  SparseRows ofNearest(List<int[]> histories) {
    int items = counts.ofLabels().length;
    List<Double> decay = ordered ? List.of(NEAREST_DECAY) : NO_DECAY;
    return rows(histories, decay, item -> isNew(item, items) ? 0 : rarity(item));
  }

  /**
   * Returns the rows for texts.
   *
   * @param items the number of items with a row of similar items; later ones have none
   */
  SparseRows ofTexts(List<int[]> histories, int items) {
    List<Double> decay = ordered ? List.of(transitionDecay) : NO_DECAY;
    return rows(histories, decay, item -> item >= items ? 0 : ordered ? 1 : rarity(item));
  }

  /** Returns the rows for repeats: the items themselves. */
  SparseRows ofRepeats(List<int[]> histories) {
    return rows(histories, MOST_REPEATS, List.of(repeatDecay), item -> 1);
  }

  /**
   * Returns how often training had an item; of one that came later, how often it was seen since.
   */
  long count(int item) {
    return counts.ofLabels()[item];
  }

  /**
   * Returns the inverse document frequency; 0 where a damaged file has more occurrences than
   * baskets.
   */
  private double rarity(int item) {
    return Math.max(0, Math.log((2.0 + counts.examples()) / (1.0 + count(item))));
  }

  private SparseRows rows(List<int[]> histories, List<Double> factors, IntToDoubleFunction weight) {
    return rows(histories, MOST_ITEMS, factors, weight);
  }

  private SparseRows rows(
      List<int[]> histories, int most, List<Double> factors, IntToDoubleFunction weight) {
    List<int[]> indices = new ArrayList<>();
    List<float[]> values = new ArrayList<>();
    for (int[] history : histories) {
      int size = ordered ? Math.min(most, history.length) : history.length;
      int[] features = new int[factors.size() * size];
      double[] weights = new double[features.length];
      int end = 0;
      for (int d = 0; d < factors.size(); d++) {
        int begin = end;
        double sum = 0;
        for (int age = 0; age < size; age++) {
          int item = history[history.length - 1 - age];
          double value = Math.pow(factors.get(d), age) * weight.applyAsDouble(item);
          if (value > 0) {
            features[end] = factors.size() * item + d;
            weights[end++] = value;
            sum += value;
          }
        }
        for (int i = begin; i < end; i++) {
          weights[i] /= sum;
        }
      }
      indices.add(Arrays.copyOf(features, end));
      float[] of = new float[end];
      for (int i = 0; i < end; i++) {
        of[i] = (float) weights[i];
      }
      values.add(of);
    }
    return SparseRows.of(indices, values);
  }
}
