// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench.nextitem;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.blocksparse.SparseRows;
import org.blocksparse.linear.LinearLabelTree;
import org.blocksparse.ranking.Filter;

/**
 * Weights of its own for each item over the items seen. It learns each item of a basket from all
 * others.
 */
final class BasketTree implements AutoCloseable {
  private final ItemWeights weights;
  private final LinearLabelTree tree;

  BasketTree(Baskets baskets, long seed) {
    this.weights = new ItemWeights(baskets, 1);
    List<int[]> others = new ArrayList<>();
    List<int[]> next = new ArrayList<>();
    for (int[] basket : baskets.training()) {
      for (int item : basket) {
        others.add(Arrays.stream(basket).filter(other -> other != item).toArray());
        next.add(new int[] {item});
      }
    }
    try (SparseRows x = weights.rows(others, 2);
        SparseRows targets = SparseRows.of(next)) {
      this.tree =
          LinearLabelTree.builder(baskets.items(), baskets.items()).seed(seed).train(x, targets);
    }
  }

  List<Scores> scores(List<int[]> seen) {
    try (SparseRows rows = weights.rows(seen, 2)) {
      return Scores.of(tree.topK(rows, Scores.KEPT, Filter.without(rows)));
    }
  }

  @Override
  public void close() {
    tree.close();
  }
}
