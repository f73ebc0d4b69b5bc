// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench.nextitem;

import java.util.Comparator;
import java.util.PriorityQueue;
import org.blocksparse.FloatTensor;
import org.blocksparse.products.BlockPlan;
import org.blocksparse.products.SparseBlockGemv;

/** Selects the best of the dot products with all items: nothing is missed. */
final class AllItems implements Recommender, AutoCloseable {
  private final FloatTensor weights;
  private final FloatTensor scores;
  private final float[] values;
  private final BlockPlan plan = BlockPlan.dense(1);

  /**
   * A search over vectors that stay the caller's.
   *
   * @param items (items, features)
   */
  AllItems(FloatTensor items) {
    long count = items.shape().dim(0);
    this.weights = items.reshape(1, 1, count, items.shape().dim(1)).transposeBlocks();
    this.scores = FloatTensor.zeros(1, 1, count);
    this.values = new float[(int) count];
  }

  @Override
  public int[] best(float[] user, int[] seen) {
    scores.fill(0);
    try (FloatTensor h = FloatTensor.of(user, 1, 1, user.length)) {
      SparseBlockGemv.applyInPlace(weights, h, plan, scores);
    }
    scores.get(0, values, 0, values.length);
    for (int item : seen) {
      values[item] = Float.NEGATIVE_INFINITY;
    }
    PriorityQueue<Integer> best =
        new PriorityQueue<>(Comparator.comparingDouble(item -> values[item]));
    float least = Float.NEGATIVE_INFINITY;
    for (int item = 0; item < values.length; item++) {
      if (values[item] > least) {
        best.add(item);
        if (best.size() > K) {
          best.remove();
          least = values[best.element()];
        }
      }
    }
    return best.stream().sorted(best.comparator().reversed()).mapToInt(item -> item).toArray();
  }

  @Override
  public void close() {
    plan.close();
    scores.close();
  }
}
