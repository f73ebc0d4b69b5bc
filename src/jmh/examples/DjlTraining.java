///usr/bin/env jbang "$0" "$@" ; exit $?
// SPDX-License-Identifier: Apache-2.0
//DEPS org.blocksparse:blocksparse-platform:0.1.0-SNAPSHOT
//DEPS ai.djl.pytorch:pytorch-engine:0.36.0
//DEPS ai.djl.pytorch:pytorch-jni:2.7.1-0.36.0
//DEPS ai.djl.pytorch:pytorch-native-cpu:2.7.1:linux-x86_64
//DEPS org.slf4j:slf4j-nop:2.0.17

import ai.djl.Model;
import ai.djl.ndarray.*;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.nn.Activation;
import ai.djl.nn.SequentialBlock;
import ai.djl.nn.core.Linear;
import ai.djl.training.*;
import ai.djl.training.loss.Loss;
import java.nio.*;
import java.util.stream.IntStream;
import org.blocksparse.*;
import org.blocksparse.bag.*;
import org.blocksparse.ranking.*;
import org.blocksparse.softmax.*;

class DjlTraining {
  static final int ROWS = 64, INPUTS = 5, FEATURES = 8;

  public static void main(String[] args) {
    // Each row is a bag of two words, and has a label of its own.
    int[] words = IntStream.range(0, 2 * ROWS).map(i -> i % 2 == 0 ? i / 2 : i % 19).toArray();
    try (var model = Model.newInstance("network", "PyTorch");
        var bag = EmbeddingBag.builder(ROWS, INPUTS).build();
        var softmax = HierarchicalSoftmax.builder(FEATURES, 100_000).build();
        var rows = SparseRows.of(IntStream.rangeClosed(0, ROWS).map(i -> 2 * i).toArray(), words);
        var labels = IntTensor.of(IntStream.range(0, ROWS).map(i -> 1000 * i).toArray(), ROWS)) {
      model.setBlock(
          new SequentialBlock()
              .add(Linear.builder().setUnits(16).build())
              .add(Activation::tanh)
              .add(Linear.builder().setUnits(FEATURES).build()));
      // The loss of this configuration is not used.
      try (Trainer network = model.newTrainer(new DefaultTrainingConfig(Loss.l2Loss()))) {
        network.initialize(new Shape(ROWS, INPUTS));
        Optimizer adagrad = Optimizer.adagrad(0.2f);
        for (int step = 0; step < 200; step++) {
          step(bag, network, softmax, rows, labels, adagrad);
        }
        try (var sums = bag.apply(rows);
            var input = share(sums, network.getManager());
            var h = network.evaluate(new NDList(input)).singletonOrThrow()) {
          System.out.println(topK(h, softmax, 1).output(42, 0)); // 42000
        }
      }
    }
  }

  /** A training step of a network and of the softmax above it. Returns the loss before it. */
  static double step(
      Trainer network,
      HierarchicalSoftmax softmax,
      NDArray input,
      IntTensor labels,
      Optimizer optimizer) {
    double loss;
    try (GradientCollector collector = network.newGradientCollector();
        NDScope scope = new NDScope()) { // frees the arrays of autograd
      scope.suppressNotUsedWarning();
      NDArray h = network.forward(new NDList(input)).singletonOrThrow();
      try (FloatTensor x = wrap(h);
          FloatTensor gradX = FloatTensor.zeros(x.shape().toArray())) {
        loss = softmax.step(x, labels, org.blocksparse.softmax.Loss.mean(), optimizer, gradX);
        NDArray constant = share(gradX, h.getManager());
        collector.backward(h.mul(constant).sum()); // its gradient for h is gradX
      }
    }
    network.step();
    return loss;
  }

  /** An array that shares the tensor's memory: close it before the tensor. */
  static NDArray share(FloatTensor tensor, NDManager manager) {
    Shape shape = new Shape(tensor.shape().toArray());
    return manager.create(tensor.asByteBuffer(), shape, DataType.FLOAT32);
  }

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
          FloatTensor gradSums = wrap(gradient)) {
        bag.step(words, gradSums, optimizer);
      }
      return loss;
    }
  }

  static Ranking topK(NDArray embeddings, HierarchicalSoftmax softmax, int k) {
    try (FloatTensor x = wrap(embeddings)) {
      return softmax.topK(x, k);
    }
  }

  /** Shares the array's memory if it is contiguous: close the tensor before the array. */
  static FloatTensor wrap(NDArray array) {
    if (array.getDataType() != DataType.FLOAT32) {
      throw new IllegalArgumentException("array: expected FLOAT32 but was " + array.getDataType());
    }
    ByteBuffer memory = array.toByteBuffer(true).order(ByteOrder.nativeOrder());
    return FloatTensor.wrap(memory, array.getShape().getShape());
  }
}
