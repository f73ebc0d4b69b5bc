// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.NDScope;
import java.nio.FloatBuffer;

/**
 * All outputs in PyTorch's best way: the blocks beside each other, transposed beforehand, as one
 * dense matrix; one product; a softmax over each class; times the softmax over the classes; and, if
 * wanted, a search for the likeliest.
 */
final class PyTorchDense implements Softmax {
  private final SoftmaxWorkload workload;
  private final NDManager manager = NDManager.newBaseManager(Device.cpu(), "PyTorch");
  private final NDArray x;
  private final NDArray w1;
  private final NDArray b1;
  private final NDArray w2;
  private final NDArray b2;
  private NDArray result;

  PyTorchDense(SoftmaxProblem problem) {
    workload = problem.workload;
    x = PyTorch.wrap(manager, problem.x);
    w1 = PyTorch.wrap(manager, problem.layer.W1());
    b1 = PyTorch.wrap(manager, problem.layer.b1());
    b2 = PyTorch.wrap(manager, problem.layer.b2()).reshape(workload.outputs());
    w2 =
        PyTorch.wrap(manager, problem.layer.W2())
            .transpose(1, 0, 2)
            .reshape(workload.features, workload.outputs());
  }

  @Override
  public void run(SoftmaxOperation operation) {
    if (result != null) {
      result.close();
    }
    try (NDScope scope = new NDScope()) {
      scope.suppressNotUsedWarning();
      NDArray classes = x.matMul(w1).addi(b1).softmax(1).expandDims(2);
      NDArray slots =
          x.matMul(w2)
              .addi(b2)
              .reshape(workload.batch, workload.classes, workload.slots)
              .softmax(2);
      NDArray all = slots.muli(classes);
      result =
          operation == SoftmaxOperation.TOP_K
              ? all.reshape(workload.batch, workload.outputs()).topK(K, 1).get(0).log()
              : all;
      NDScope.unregister(result);
    }
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
