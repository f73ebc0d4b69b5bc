// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.nextitem;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.IntConsumer;
import java.util.stream.IntStream;
import org.blocksparse.classifier.examples.Sequence;

/** The nDCG of each of some held-out sequences, which compares models. */
final class HeldOutNdcg {
  private final double[] each;

  private HeldOutNdcg(double... each) {
    this.each = each;
  }

  /**
   * Measures a model.
   *
   * @param heldOut sequences, each with items before its targets
   * @param listener receives the number of sequences that were measured
   */
  static HeldOutNdcg of(
      NextItem model, List<Sequence> heldOut, Repeats repeats, IntConsumer listener) {
    List<int[]> ranked = new ArrayList<>();
    List<int[]> all = new ArrayList<>();
    model.evaluate(
        heldOut,
        NextItem.CUTOFF,
        repeats,
        (ranking, targets) -> {
          IntStream.range(0, targets.size()).mapToObj(ranking::outputs).forEach(ranked::add);
          all.addAll(targets);
          listener.accept(all.size());
        });
    return of(ranked, all);
  }

  /** Measures lists of items, best first, by the targets of each. */
  static HeldOutNdcg of(List<int[]> ranked, List<int[]> targets) {
    double[] ndcgs = new double[targets.size()];
    Arrays.setAll(ndcgs, row -> ndcg(ranked.get(row), targets.get(row)));
    return new HeldOutNdcg(ndcgs);
  }

  private static double ndcg(int[] ranked, int... targets) {
    double gain = 0;
    double most = 0;
    for (int rank = 0; rank < NextItem.CUTOFF; rank++) {
      double discount = 1 / Math.log(rank + 2);
      int output = rank < ranked.length ? ranked[rank] : -1;
      gain += IntStream.of(targets).anyMatch(target -> target == output) ? discount : 0;
      most += rank < targets.length ? discount : 0;
    }
    return gain / most;
  }

  double mean() {
    return Arrays.stream(each).average().orElse(0);
  }

  /** Returns whether the gain over another model is larger than its standard error. */
  boolean isClearGainOver(HeldOutNdcg other) {
    return mean() - other.mean() > standardErrorOfGainOver(other);
  }

  /** Returns the standard error of the gain over another model on these sequences. */
  double standardErrorOfGainOver(HeldOutNdcg other) {
    int n = each.length;
    double gain = mean() - other.mean();
    double variance =
        IntStream.range(0, n).mapToDouble(i -> each[i] - other.each[i] - gain).map(d -> d * d).sum()
            / Math.max(1, n - 1);
    return Math.sqrt(variance / n);
  }
}
