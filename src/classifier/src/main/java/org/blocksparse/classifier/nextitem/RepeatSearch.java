// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.nextitem;

import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.function.IntConsumer;
import java.util.stream.IntStream;
import org.blocksparse.bag.EmbeddingBag;
import org.blocksparse.classifier.examples.Sequence;
import org.blocksparse.linear.SparseWeights;
import org.blocksparse.mixture.Mixture;
import org.blocksparse.ranking.Ranking;
import org.blocksparse.softmax.HierarchicalSoftmax;

/**
 * Searches for the weight and the decay of scores of repeats, by nDCG on held-out sequences.
 *
 * <p>Repeats have a weight only if they gain more than a standard error over a ranking of new items
 * alone: where users never come back to an item, the model stays as it is. The other scorers keep
 * their proportion, and so the ranking of new items.
 */
final class RepeatSearch {
  /** The first is measured with all decays. */
  private static final double[] SHARES = {0.3, 0.05, 0.1, 0.2, 0.45, 0.6, 0.75, 0.9};

  private static final double[] DECAYS = {0.8, 0.4, 0.6, 0.9, 0.95, 0.98, 0.99, 1.0};

  private final NextItem model;
  private final Mixture sum;
  private final List<Sequence> heldOut;
  private final IntConsumer listener;
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
    this.listener = listener;
  }

  /** The maximum number of choices that are measured. */
  static int choices() {
    return DECAYS.length + SHARES.length; // new items alone; decays; other shares
  }

  /**
   * The best choice.
   *
   * @param model without scores of repeats
   * @param heldOut sequences, each with items before its targets
   * @param listener receives the number of sequences that were measured, each for every choice
   */
  static Choice choose(NextItem model, List<Sequence> heldOut, IntConsumer listener) {
    if (shareOfRepeats(heldOut) == 0) {
      return Choice.NONE;
    }
    try (SparseWeights repeats = NextItemFile.repeats(model.labels())) {
      return new RepeatSearch(model, sum(model, repeats), heldOut, listener).best();
    }
  }

  /** The share of targets that are in the history. */
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

  /** The model with a choice; itself if that has no repeats. It shares the layers of the model. */
  static NextItem with(NextItem model, Choice choice) {
    return choice.share == 0
        ? model
        : with(model, sum(model, NextItemFile.repeats(model.labels())), choice);
  }

  private static NextItem with(NextItem model, Mixture sum, Choice choice) {
    float[] weights = Arrays.copyOf(model.mixture().weights(), 3);
    for (int scorer = 0; scorer < 2; scorer++) {
      weights[scorer] *= (float) (1 - choice.share);
    }
    weights[2] = (float) choice.share;
    return model.with(sum.withWeights(weights), model.rows().withRepeatDecay(choice.decay));
  }

  private static Mixture sum(NextItem model, SparseWeights repeats) {
    Mixture parts = model.mixture();
    return NextItemFile.sum(
        parts.scorer(NextItemFile.LAYER, EmbeddingBag.class),
        parts.scorer(NextItemFile.LAYER, HierarchicalSoftmax.class),
        parts.scorer(NextItemFile.TRANSITIONS, SparseWeights.class),
        repeats);
  }

  private Choice best() {
    double[] without = ndcgs(model, Repeats.EXCLUDE);
    Choice best = Choice.NONE;
    double[] ofBest = without;
    for (double decay : DECAYS) {
      Choice choice = new Choice(SHARES[0], decay, Double.NaN);
      double[] ndcgs = ndcgs(with(model, sum, choice), Repeats.INCLUDE);
      if (best.share == 0 || mean(ndcgs) > mean(ofBest)) {
        best = choice;
        ofBest = ndcgs;
      }
    }
    double decay = best.decay;
    for (double share : Arrays.copyOfRange(SHARES, 1, SHARES.length)) {
      Choice choice = new Choice(share, decay, Double.NaN);
      double[] ndcgs = ndcgs(with(model, sum, choice), Repeats.INCLUDE);
      if (mean(ndcgs) > mean(ofBest)) {
        best = choice;
        ofBest = ndcgs;
      }
    }
    boolean helps = isClearGain(without, ofBest);
    return helps ? new Choice(best.share, best.decay, mean(ofBest)) : Choice.NONE;
  }

  private static double mean(double[] values) {
    return Arrays.stream(values).average().orElse(0);
  }

  /** Whether the gain is larger than its standard error. */
  private static boolean isClearGain(double[] before, double[] after) {
    int n = before.length;
    double gain = mean(after) - mean(before);
    double variance =
        IntStream.range(0, n).mapToDouble(i -> after[i] - before[i] - gain).map(d -> d * d).sum()
            / Math.max(1, n - 1);
    return gain > Math.sqrt(variance / n);
  }

  /** The nDCG of each sequence. */
  private double[] ndcgs(NextItem of, Repeats repeats) {
    double[] ndcgs = new double[heldOut.size()];
    int[] size = new int[1];
    of.evaluate(
        heldOut,
        NextItem.CUTOFF,
        repeats,
        (ranking, targets) -> {
          for (int row = 0; row < targets.size(); row++) {
            ndcgs[size[0]++] = ndcg(ranking, row, targets.get(row));
          }
          listener.accept(measured + size[0]);
        });
    measured += heldOut.size();
    return ndcgs;
  }

  private static double ndcg(Ranking ranking, int row, int[] targets) {
    double gain = 0;
    double most = 0;
    for (int rank = 0; rank < NextItem.CUTOFF; rank++) {
      double discount = 1 / Math.log(rank + 2);
      int output = rank < ranking.size(row) ? ranking.output(row, rank) : -1;
      gain += IntStream.of(targets).anyMatch(target -> target == output) ? discount : 0;
      most += rank < targets.length ? discount : 0;
    }
    return gain / most;
  }
}
