// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.nextitem;

import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.function.IntConsumer;
import org.blocksparse.classifier.examples.Sequence;
import org.blocksparse.linear.SparseWeights;
import org.blocksparse.mixture.Mixture;

/**
 * Searches for the weight and the decay of scores of repeats, by nDCG on held-out sequences.
 *
 * <p>Repeats have a weight only if they gain more than a standard error over a ranking of new items
 * alone: if users never return to an item, the model is unchanged. The other scorers keep their
 * proportion, and so the ranking of new items.
 */
final class RepeatSearch {
  /** The shares of repeats; the first is measured with all decays. */
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

  /** Returns the maximum number of choices that are measured. */
  static int choices() {
    return DECAYS.length + SHARES.length; // new items alone, decays, other shares
  }

  /**
   * Returns the best choice.
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
    HeldOutNdcg without = measured(model, Repeats.EXCLUDE);
    Choice best = Choice.NONE;
    HeldOutNdcg ofBest = without;
    for (double decay : DECAYS) {
      Choice choice = new Choice(SHARES[0], decay, Double.NaN);
      HeldOutNdcg ndcg = measured(with(model, sum, choice), Repeats.INCLUDE);
      if (best.share == 0 || ndcg.mean() > ofBest.mean()) {
        best = choice;
        ofBest = ndcg;
      }
    }
    double decay = best.decay;
    for (double share : Arrays.copyOfRange(SHARES, 1, SHARES.length)) {
      Choice choice = new Choice(share, decay, Double.NaN);
      HeldOutNdcg ndcg = measured(with(model, sum, choice), Repeats.INCLUDE);
      if (ndcg.mean() > ofBest.mean()) {
        best = choice;
        ofBest = ndcg;
      }
    }
    boolean helps = ofBest.isClearGainOver(without);
    return helps ? new Choice(best.share, best.decay, ofBest.mean()) : Choice.NONE;
  }

  private HeldOutNdcg measured(NextItem of, Repeats repeats) {
    int before = measured;
    measured += heldOut.size();
    return HeldOutNdcg.of(of, heldOut, repeats, count -> listener.accept(before + count));
  }
}
