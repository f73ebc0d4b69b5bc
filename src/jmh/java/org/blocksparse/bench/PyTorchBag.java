// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import ai.djl.engine.Engine;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.NDScope;
import ai.djl.ndarray.types.Shape;
import ai.djl.ndarray.types.SparseFormat;
import ai.djl.nn.core.Embedding;
import ai.djl.training.GradientCollector;
import java.nio.FloatBuffer;
import java.util.Arrays;
import org.blocksparse.bench.jobs.Bag;
import org.blocksparse.bench.jobs.BagProblem;
import org.blocksparse.bench.jobs.BlocksparseBag;

/**
 * A bag of the PyTorch operations that DJL has: {@code torch.embedding}, which makes all rows
 * before they are averaged, autograd, and Adagrad over the whole table. DJL provides neither {@code
 * torch.nn.EmbeddingBag} with a sparse gradient, which would do less, nor an operation that adds to
 * chosen rows.
 */
final class PyTorchBag implements Bag {
  private static final int[] ENTRIES = {1};
  private static final float EPSILON = 1e-8f;

  private final NDManager manager = PyTorch.manager();
  private final NDArray table;
  private final NDArray squares;
  private final NDArray gradOut;
  private final NDArray[] batches;
  private NDArray out;

  PyTorchBag(BagProblem problem) {
    table =
        manager.create(
            FloatBuffer.wrap(BlocksparseBag.table()),
            new Shape(BagProblem.VOCABULARY, BagProblem.FEATURES));
    table.setRequiresGradient(true);
    squares = table.zerosLike();
    gradOut = manager.full(new Shape(BagProblem.BATCH, BagProblem.FEATURES), Bag.GRADIENT);
    Shape shape = new Shape(BagProblem.BATCH, BagProblem.ENTRIES);
    batches =
        Arrays.stream(problem.indices)
            .map(indices -> manager.create(PyTorch.longs(indices), shape))
            .toArray(NDArray[]::new);
  }

  private NDArray means(int batch) {
    return Embedding.embedding(batches[batch], table, SparseFormat.DENSE)
        .singletonOrThrow()
        .mean(ENTRIES);
  }

  @Override
  public void forward(int batch) {
    if (out != null) {
      out.close();
    }
    try (NDScope scope = new NDScope()) {
      scope.suppressNotUsedWarning();
      out = means(batch);
      NDScope.unregister(out);
    }
  }

  @Override
  public void step(int batch) {
    try (NDScope scope = new NDScope();
        GradientCollector collector = Engine.getEngine("PyTorch").newGradientCollector()) {
      scope.suppressNotUsedWarning();
      collector.zeroGradients();
      collector.backward(means(batch).mul(gradOut).sum());
    }
    try (NDScope scope = new NDScope()) {
      scope.suppressNotUsedWarning();
      NDArray gradient = table.getGradient();
      squares.addi(gradient.square());
      table.subi(gradient.mul(Bag.RATE).divi(squares.sqrt().addi(EPSILON)));
    }
  }

  @Override
  public float[] means() {
    return out.toFloatArray();
  }

  @Override
  public void close() {
    manager.close();
  }
}
