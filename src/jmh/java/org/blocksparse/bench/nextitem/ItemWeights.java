// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench.nextitem;

import java.util.Arrays;
import java.util.List;
import org.blocksparse.SparseRows;

/** Inverse document frequencies of items, to some power: what everybody has says little. */
final class ItemWeights {
  private final double[] weights;

  ItemWeights(Baskets baskets, double power) {
    this.weights =
        Arrays.stream(baskets.counts())
            .mapToDouble(count -> Math.log((1.0 + baskets.training().size()) / count))
            .map(idf -> Math.pow(idf, power))
            .toArray();
  }

  /**
   * Weighted bags; the caller closes them.
   *
   * @param norm of each bag that is made 1: 1 for the sum of its weights, 2 for its length
   */
  SparseRows rows(List<int[]> bags, int norm) {
    return SparseRows.of(bags, bags.stream().map(bag -> values(bag, norm)).toList());
  }

  private float[] values(int[] bag, int norm) {
    double sum = Arrays.stream(bag).mapToDouble(item -> Math.pow(weights[item], norm)).sum();
    float[] values = new float[bag.length];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) (weights[bag[i]] / Math.pow(sum, 1.0 / norm));
    }
    return values;
  }
}
