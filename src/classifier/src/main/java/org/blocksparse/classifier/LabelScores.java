// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier;

import org.blocksparse.FloatTensor;
import org.blocksparse.SparseRows;
import org.blocksparse.bag.EmbeddingBag;
import org.blocksparse.linear.LinearLabelTree;
import org.blocksparse.ranking.Filter;
import org.blocksparse.ranking.Ranking;
import org.blocksparse.softmax.TwoLevelLayer;

/** The scores of the labels of some rows, by one head or by two. */
interface LabelScores extends AutoCloseable {
  /** Allows all labels. */
  Filter ALL = Filter.without();

  Ranking topK(int k, Filter allowed);

  /** All labels with some probability, in (0, 1]. */
  Ranking atLeast(double probability);

  @Override
  void close();

  /** The scores of the embedding head. */
  static LabelScores of(EmbeddingBag bag, TwoLevelLayer<?> layer, SparseRows rows) {
    FloatTensor x = bag.apply(rows);
    return new LabelScores() {
      @Override
      public Ranking topK(int k, Filter allowed) {
        return layer.topK(x, k, allowed);
      }

      @Override
      public Ranking atLeast(double probability) {
        return layer.atLeast(x, probability);
      }

      @Override
      public void close() {
        x.close();
      }
    };
  }

  /**
   * The scores of the linear head.
   *
   * @param rows the caller's to close
   */
  static LabelScores of(LinearLabelTree tree, SparseRows rows) {
    return new LabelScores() {
      @Override
      public Ranking topK(int k, Filter allowed) {
        return tree.topK(rows, k, allowed);
      }

      @Override
      public Ranking atLeast(double probability) {
        return tree.atLeast(rows, probability);
      }

      @Override
      public void close() {}
    };
  }
}
