// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.nextitem;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.function.IntConsumer;
import java.util.stream.IntStream;
import org.blocksparse.SparseRows;
import org.blocksparse.classifier.examples.Sequence;
import org.blocksparse.linear.SparseWeights;
import org.blocksparse.mixture.Mixture;

/**
 * Searches for the weight and the decay of scores of repeats, by nDCG on held-out sequences.
 *
 * <p>Repeats have a weight only if they gain more than a standard error over a ranking of new items
 * alone: if users never return to an item, the model is unchanged. The other scorers keep their
 * proportion, and so the ranking of new items: each sequence is ranked once for all choices.
 */
final class RepeatSearch {
  /** The shares of repeats; the first is measured with all decays. */
  private static final double[] SHARES = {0.3, 0.05, 0.1, 0.2, 0.45, 0.6, 0.75, 0.9};

  private static final double[] DECAYS = {0.8, 0.4, 0.6, 0.9, 0.95, 0.98, 0.99, 1.0};

  private final NextItem model;
  private final Mixture sum;
  private final List<Sequence> heldOut;
  private final List<int[]> histories;
  private final IntConsumer listener;
  private final List<int[]> targets = new ArrayList<>();
  private final List<Scored> ofNew;
  private final List<Scored> ofHistory;
  private int measured;

  /**
   * A choice.
   *
   * @param share the weight of repeats, by which those of the other scorers fall; 0: there are none
   * @param decay {@link HistoryRows#repeatDecay}
   * @param ndcg on held-out sequences, of all items
   */
  record Choice(double share, double decay, double ndcg) {
    static final Choice NONE = new Choice(0, 0, Double.NaN);
  }

  private RepeatSearch(NextItem model, Mixture sum, List<Sequence> heldOut, IntConsumer listener) {
    this.model = model;
    this.sum = sum;
    this.heldOut = heldOut;
    this.histories =
        heldOut.stream()
            .map(s -> new UserHistory(s, model.labels()).known(s.known(), HistoryRows.MOST_REPEATS))
            .toList();
    this.listener = listener;
    this.ofNew = ranked(NextItem.CUTOFF, Repeats.EXCLUDE, targets);
    this.ofHistory = ranked(HistoryRows.MOST_REPEATS, Repeats.ONLY, new ArrayList<>());
  }

  /** Returns how often all held-out sequences are ranked. */
  static int choices() {
    return 3; // new items, items of the history, and both with the choice
  }

  /**
   * Returns the best choice.
   *
   * @param model without scores of repeats
   * @param heldOut sequences, each with items before its targets
   * @param listener receives the number of sequences that were ranked, each time again
   */
  static Choice choose(NextItem model, List<Sequence> heldOut, IntConsumer listener) {
    if (shareOfRepeats(heldOut) == 0) {
      return Choice.NONE;
    }
    try (SparseWeights repeats = NextItemFile.repeats(model.labels())) {
      return new RepeatSearch(model, sum(model, repeats), heldOut, listener).best();
    }
  }

  /** Returns the share of targets that are in the history. */
  static double shareOfRepeats(List<Sequence> sequences) {
    long repeats = 0;
    long all = 0;
    for (Sequence sequence : sequences) {
      List<String> items = sequence.items();
      Set<String> targets = Set.copyOf(items.subList(sequence.known(), items.size()));
      all += targets.size();
      repeats +=
          items.subList(0, sequence.known()).stream().filter(targets::contains).distinct().count();
    }
    return all == 0 ? 0 : (double) repeats / all;
  }

  /**
   * Returns the model with a choice; itself if that has no repeats. It shares the layers of the
   * model.
   */
  static NextItem with(NextItem model, Choice choice) {
    return choice.share == 0
        ? model
        : with(model, sum(model, NextItemFile.repeats(model.labels())), choice);
  }

  private static NextItem with(NextItem model, Mixture sum, Choice choice) {
    NextItem changed = model.with(sum, model.rows().withRepeatDecay(choice.decay));
    return changed.withLast(choice.share, model.mixture().weights());
  }

  private static Mixture sum(NextItem model, SparseWeights repeats) {
    Mixture parts = model.mixture();
    return NextItemFile.sum(
        parts, NextItemFile.nearestOrNull(parts), NextItemFile.textsOrNull(parts), repeats);
  }

  private Choice best() {
    Choice best = null;
    for (double decay : DECAYS) {
      best = better(best, SHARES[0], decay, repeats(decay));
    }
    List<float[]> repeats = repeats(best.decay);
    for (double share : Arrays.copyOfRange(SHARES, 1, SHARES.length)) {
      best = better(best, share, best.decay, repeats);
    }
    int before = measured;
    HeldOutNdcg chosen =
        HeldOutNdcg.of(
            with(model, sum, best), heldOut, Repeats.INCLUDE, count -> listen(before + count));
    HeldOutNdcg without = HeldOutNdcg.of(ofNew.stream().map(Scored::items).toList(), targets);
    boolean helps = chosen.isClearGainOver(without);
    return helps ? new Choice(best.share, best.decay, chosen.mean()) : Choice.NONE;
  }

  private Choice better(Choice best, double share, double decay, List<float[]> repeats) {
    List<int[]> top = new ArrayList<>();
    for (int row = 0; row < targets.size(); row++) {
      top.add(top(ofNew.get(row), ofHistory.get(row), repeats.get(row), share));
    }
    double ndcg = HeldOutNdcg.of(top, targets).mean();
    return best == null || ndcg > best.ndcg ? new Choice(share, decay, ndcg) : best;
  }

  /** Items, best first, with their scores without repeats. */
  private record Scored(int[] items, float[] scores) {}

  /**
   * Ranks the items of each sequence without scores of repeats.
   *
   * @param all receives the targets
   */
  private List<Scored> ranked(int k, Repeats which, List<int[]> all) {
    int before = measured;
    List<Scored> ranked = new ArrayList<>();
    model.evaluate(
        heldOut,
        k,
        which,
        (ranking, targets) -> {
          for (int row = 0; row < targets.size(); row++) {
            float[] scores = new float[ranking.size(row)];
            for (int rank = 0; rank < scores.length; rank++) {
              scores[rank] = ranking.score(row, rank);
            }
            ranked.add(new Scored(ranking.outputs(row), scores));
          }
          all.addAll(targets);
          listen(before + all.size());
        });
    return ranked;
  }

  /** Returns the scores of the items of each history as repeats. */
  private List<float[]> repeats(double decay) {
    float[] scores = new float[model.labels().size()];
    List<float[]> repeats = new ArrayList<>();
    try (SparseRows rows = model.rows().withRepeatDecay(decay).ofRepeats(histories)) {
      for (int row = 0; row < rows.rows(); row++) {
        int[] items = rows.indices(row);
        float[] values = rows.values(row);
        for (int i = 0; i < items.length; i++) {
          scores[items[i]] += values[i];
        }
        int[] ranked = ofHistory.get(row).items;
        float[] ofRow = new float[ranked.length];
        for (int i = 0; i < ranked.length; i++) {
          ofRow[i] = scores[ranked[i]];
        }
        repeats.add(ofRow);
        IntStream.of(items).forEach(item -> scores[item] = 0);
      }
    }
    return repeats;
  }

  /** Returns the best items of both, with a share of the scores of repeats, best first. */
  private static int[] top(Scored ofNew, Scored ofHistory, float[] repeats, double share) {
    int[] top = new int[NextItem.CUTOFF];
    double[] scores = new double[top.length];
    int size = 0;
    for (int i = 0; i < ofNew.items.length + repeats.length; i++) {
      int ofRepeats = i - ofNew.items.length;
      int item = ofRepeats < 0 ? ofNew.items[i] : ofHistory.items[ofRepeats];
      double score =
          ofRepeats < 0
              ? (1 - share) * ofNew.scores[i]
              : (1 - share) * ofHistory.scores[ofRepeats] + share * repeats[ofRepeats];
      int at = Math.min(size, top.length - 1);
      if (at == size || score > scores[at]) {
        for (; at > 0 && score > scores[at - 1]; at--) {
          top[at] = top[at - 1];
          scores[at] = scores[at - 1];
        }
        top[at] = item;
        scores[at] = score;
        size = Math.min(size + 1, top.length);
      }
    }
    return Arrays.copyOf(top, size);
  }

  private void listen(int count) {
    measured = count;
    listener.accept(count);
  }
}
