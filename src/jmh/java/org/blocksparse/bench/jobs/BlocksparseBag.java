// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench.jobs;

import java.util.Arrays;
import org.blocksparse.FloatTensor;
import org.blocksparse.Optimizer;
import org.blocksparse.SparseRows;
import org.blocksparse.bag.EmbeddingBag;

/** {@link EmbeddingBag} as a user calls it. */
public final class BlocksparseBag implements Bag {
  private final EmbeddingBag bag =
      EmbeddingBag.builder(BagProblem.VOCABULARY, BagProblem.FEATURES).build();
  private final SparseRows[] batches;
  private final FloatTensor out = FloatTensor.zeros(BagProblem.BATCH, BagProblem.FEATURES);
  private final FloatTensor gradOut = FloatTensor.zeros(BagProblem.BATCH, BagProblem.FEATURES);
  private final Optimizer optimizer = Optimizer.adagrad(RATE);

  public BlocksparseBag(BagProblem problem) {
    batches =
        Arrays.stream(problem.indices)
            .map(indices -> SparseRows.of(BagProblem.offsets(), indices))
            .toArray(SparseRows[]::new);
    gradOut.fill(GRADIENT);
  }

  /** Returns the values of a new table. */
  public static float[] table() {
    try (EmbeddingBag same =
        EmbeddingBag.builder(BagProblem.VOCABULARY, BagProblem.FEATURES).build()) {
      return same.table().toArray();
    }
  }

  @Override
  public void forward(int batch) {
    bag.apply(batches[batch], out);
  }

  @Override
  public void step(int batch) {
    bag.step(batches[batch], gradOut, optimizer);
  }

  @Override
  public float[] means() {
    return out.toArray();
  }

  @Override
  public void close() {
    bag.close();
    out.close();
    gradOut.close();
    Arrays.stream(batches).forEach(SparseRows::close);
  }
}
