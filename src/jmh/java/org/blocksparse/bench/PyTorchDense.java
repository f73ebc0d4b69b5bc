// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDArrays;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.NDScope;
import ai.djl.ndarray.index.NDIndex;
import java.nio.FloatBuffer;
import org.blocksparse.bench.jobs.Softmax;
import org.blocksparse.bench.jobs.SoftmaxOperation;
import org.blocksparse.bench.jobs.SoftmaxProblem;
import org.blocksparse.softmax.ClassAssignment;

/**
 * All outputs in PyTorch's best way: the blocks beside each other, transposed beforehand, as one
 * dense matrix; one product; a softmax over each class; times the softmax over the classes; and, if
 * requested, a search for the likeliest. It takes some rows at a time if there are many outputs.
 */
final class PyTorchDense implements Softmax {
  /** The probabilities that are computed at a time: 256 MB. */
  private static final int ELEMENTS_AT_A_TIME = 1 << 26;

  private final int batch;
  private final int rowsAtATime;
  private final ClassAssignment classes;
  private final NDManager manager = PyTorch.manager();
  private final NDArray x;
  private final NDArray w1;
  private final NDArray b1;
  private final NDArray w2;
  private final NDArray b2;
  private NDArray result;

  PyTorchDense(SoftmaxProblem problem) {
    batch = problem.batch;
    classes = problem.layer.assignment();
    int room = classes.classCount() * classes.slots();
    int parts = 1 + (batch - 1) / Math.max(1, ELEMENTS_AT_A_TIME / room);
    rowsAtATime = 1 + (batch - 1) / parts; // the parts are as equal as possible
    x = PyTorch.wrap(manager, problem.x);
    w1 = PyTorch.wrap(manager, problem.layer.W1());
    b1 = PyTorch.wrap(manager, problem.layer.b1());
    b2 = manager.create(biases(problem)).reshape(room);
    w2 =
        PyTorch.wrap(manager, problem.layer.W2())
            .transpose(1, 0, 2)
            .reshape(problem.layer.features(), room);
  }

  /**
   * Returns the biases of the outputs; slots without one get a bias that gives them no probability.
   */
  private float[] biases(SoftmaxProblem problem) {
    float[] biases = problem.layer.b2().toArray();
    for (int c = 0; c < classes.classCount(); c++) {
      for (int slot = classes.size(c); slot < classes.slots(); slot++) {
        biases[c * classes.slots() + slot] = Float.NEGATIVE_INFINITY;
      }
    }
    return biases;
  }

  @Override
  public void run(SoftmaxOperation operation) {
    if (result != null) {
      result.close();
    }
    try (NDScope scope = new NDScope()) {
      scope.suppressNotUsedWarning();
      result = operation == SoftmaxOperation.TOP_K ? likeliest() : all(x);
      NDScope.unregister(result);
    }
  }

  /** Returns all probabilities, (rows, classes, slots). */
  private NDArray all(NDArray rows) {
    NDArray ofClasses = rows.matMul(w1).addi(b1).softmax(1).expandDims(2);
    NDArray ofSlots =
        rows.matMul(w2)
            .addi(b2)
            .reshape(rows.getShape().get(0), classes.classCount(), classes.slots())
            .softmax(2);
    return ofSlots.muli(ofClasses);
  }

  private NDArray likeliest() {
    NDList parts = new NDList();
    for (int begin = 0; begin < batch; begin += rowsAtATime) {
      int end = Math.min(begin + rowsAtATime, batch);
      try (NDScope scope = new NDScope()) {
        scope.suppressNotUsedWarning();
        NDArray all = all(x.get(new NDIndex(begin + ":" + end))).reshape(end - begin, -1);
        NDArray part = all.topK(K, 1).get(0).log();
        NDScope.unregister(part);
        parts.add(part);
      }
    }
    return parts.size() == 1 ? parts.get(0) : NDArrays.concat(parts);
  }

  @Override
  public FloatBuffer result() {
    return PyTorch.floats(result);
  }

  @Override
  public void close() {
    manager.close();
  }
}
