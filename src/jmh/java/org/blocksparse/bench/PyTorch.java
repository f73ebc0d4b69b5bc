// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.NDScope;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.Arrays;
import org.blocksparse.FloatTensor;

/** The common part of the PyTorch peers. */
abstract class PyTorch implements Products {
  final Workload workload;
  final NDManager manager = NDManager.newBaseManager(Device.cpu(), "PyTorch");
  final NDArray h;
  final NDArray gradOut;
  final NDArray W;

  private NDArray result;

  PyTorch(Problem problem) {
    workload = problem.workload;
    h = wrap(manager, problem.h);
    gradOut = wrap(manager, problem.gradOut);
    W = wrap(manager, problem.W);
  }

  /** The tensor's own memory as an array. */
  static NDArray wrap(NDManager manager, FloatTensor tensor) {
    long[] dims = new long[tensor.shape().rank()];
    Arrays.setAll(dims, axis -> tensor.shape().dim(axis));
    return manager.create(tensor.asByteBuffer(), new Shape(dims), DataType.FLOAT32);
  }

  static FloatBuffer floats(NDArray array) {
    return array.toByteBuffer(true).order(ByteOrder.nativeOrder()).asFloatBuffer();
  }

  static long[] longs(int[] values) {
    return Arrays.stream(values).asLongStream().toArray();
  }

  /** Computes it; the result is a new array, or one that lives as long as this object. */
  abstract NDArray compute(Operation operation);

  @Override
  public final void run(Operation operation) {
    if (result != null && operation != Operation.GRAD_W) {
      result.close();
    }
    try (NDScope scope = new NDScope()) {
      scope.suppressNotUsedWarning();
      result = compute(operation);
      NDScope.unregister(result);
    }
  }

  @Override
  public final FloatBuffer result(Operation operation) {
    return floats(result);
  }

  @Override
  public void close() {
    manager.close();
  }
}
