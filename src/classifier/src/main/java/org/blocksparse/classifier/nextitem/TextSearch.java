// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.nextitem;

import java.util.function.Function;
import org.blocksparse.linear.SparseWeights;
import org.blocksparse.mixture.Mixture;

/**
 * Searches for the weight of similar texts, by nDCG on held-out sequences. Texts have a weight only
 * if they gain more than a standard error; otherwise the model is unchanged.
 */
final class TextSearch {
  private static final double[] SHARES = {0.05, 0.1, 0.2, 0.3, 0.45, 0.6};

  /**
   * A choice.
   *
   * @param share the weight of texts, by which those of the other scorers fall; 0: there are none
   * @param gain the nDCG on held-out sequences, less that without texts
   * @param standardError the standard error of the gain
   */
  record Choice(double share, double gain, double standardError) {
    static final Choice NONE = new Choice(0, 0, 0);
  }

  private TextSearch() {}

  /** Returns the number of choices that are measured. */
  static int choices() {
    return 1 + SHARES.length;
  }

  /**
   * Returns the best choice.
   *
   * @param model without texts
   * @param texts weights of each item for those with similar texts
   * @param measure returns the nDCG of a model on held-out sequences
   */
  static Choice choose(
      NextItem model, SparseWeights texts, Function<NextItem, HeldOutNdcg> measure) {
    HeldOutNdcg without = measure.apply(model);
    double best = 0;
    HeldOutNdcg ofBest = without;
    for (double share : SHARES) {
      HeldOutNdcg ndcg = measure.apply(with(model, texts, share));
      if (best == 0 || ndcg.mean() > ofBest.mean()) {
        best = share;
        ofBest = ndcg;
      }
    }
    return new Choice(
        ofBest.isClearGainOver(without) ? best : 0,
        ofBest.mean() - without.mean(),
        ofBest.standardErrorOfGainOver(without));
  }

  /** Returns the model with texts of a share; it has the layers of the model. */
  static NextItem with(NextItem model, SparseWeights texts, double share) {
    Mixture parts = model.mixture();
    Mixture sum = NextItemFile.sum(parts, NextItemFile.nearestOrNull(parts), texts, null);
    return model.with(sum, model.rows()).withLast(share, parts.weights());
  }
}
