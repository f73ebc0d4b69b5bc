// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench.nextitem;

import java.io.IOException;
import java.nio.file.Path;
import org.blocksparse.FloatTensor;
import org.blocksparse.IntTensor;
import org.blocksparse.Optimizer;
import org.blocksparse.SparseRows;
import org.blocksparse.bag.EmbeddingBag;
import org.blocksparse.softmax.ClassAssignment;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.blocksparse.softmax.Loss;

/** A bag of the items seen, and a softmax of two levels over all items. */
final class SoftmaxModel implements Model {
  private static final Optimizer ADAGRAD = Optimizer.adagrad(0.1f);

  private final EmbeddingBag bag;
  private final HierarchicalSoftmax softmax;

  SoftmaxModel(int items, int features, ClassAssignment classes, long seed) {
    this.bag = EmbeddingBag.builder(items, features).seed(seed).build();
    this.softmax = HierarchicalSoftmax.builder(features, items).classes(classes).seed(seed).build();
  }

  @Override
  public double step(SparseRows seen, int[] next) {
    try (FloatTensor x = bag.apply(seen);
        FloatTensor gradX = FloatTensor.zeros(x.shape());
        IntTensor targets = IntTensor.of(next, next.length)) {
      double loss = softmax.step(x, targets, Loss.mean(), ADAGRAD, gradX);
      bag.step(seen, gradX, ADAGRAD);
      return loss;
    }
  }

  @Override
  public float[][] users(SparseRows seen) {
    try (FloatTensor x = bag.apply(seen)) {
      return Vectors.rows(x);
    }
  }

  void save(Path file) throws IOException {
    softmax.save(file);
  }

  @Override
  public void close() {
    bag.close();
    softmax.close();
  }
}
