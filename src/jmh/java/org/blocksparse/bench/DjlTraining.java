// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.NDScope;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.GradientCollector;
import ai.djl.training.Trainer;
import org.blocksparse.EmbeddingBag;
import org.blocksparse.FloatTensor;
import org.blocksparse.HierarchicalSoftmax;
import org.blocksparse.IntTensor;
import org.blocksparse.Optimizer;
import org.blocksparse.SparseRows;

/** The training of src/doc/djl.md: a network of PyTorch's between layers of ours. */
final class DjlTraining {
  private DjlTraining() {}

  // example: djl-softmax
  /** A step of training of a network and of the softmax that it ends in; the loss before it. */
  static double step(
      Trainer network,
      HierarchicalSoftmax softmax,
      NDArray input,
      IntTensor labels,
      Optimizer optimizer) {
    double loss;
    try (GradientCollector collector = network.newGradientCollector();
        NDScope scope = new NDScope()) { // frees what autograd has made
      scope.suppressNotUsedWarning();
      NDArray h = network.forward(new NDList(input)).singletonOrThrow();
      try (FloatTensor x = DjlBridge.wrap(h);
          FloatTensor gradX = FloatTensor.zeros(x.shape().toArray())) {
        loss = softmax.step(x, labels, optimizer, gradX);
        NDArray constant = share(gradX, h.getManager());
        collector.backward(h.mul(constant).sum()); // whose gradient for h is gradX
      }
    }
    network.step();
    return loss;
  }

  /** The tensor's own memory as an array; to be closed before the tensor is. */
  static NDArray share(FloatTensor tensor, NDManager manager) {
    Shape shape = new Shape(tensor.shape().toArray());
    return manager.create(tensor.asByteBuffer(), shape, DataType.FLOAT32);
  }

  // end of example

  // example: djl-bag
  /** The same with bags of words below the network. */
  static double step(
      EmbeddingBag bag,
      Trainer network,
      HierarchicalSoftmax softmax,
      SparseRows words,
      IntTensor labels,
      Optimizer optimizer) {
    try (FloatTensor sums = bag.apply(words);
        NDArray input = share(sums, network.getManager())) {
      input.setRequiresGradient(true);
      double loss = step(network, softmax, input, labels, optimizer);
      try (NDArray gradient = input.getGradient();
          FloatTensor gradSums = DjlBridge.wrap(gradient)) {
        bag.step(words, gradSums, optimizer);
      }
      return loss;
    }
  }

  // end of example
}
