// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import ai.djl.Model;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDArrays;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.nn.Activation;
import ai.djl.nn.Block;
import ai.djl.nn.SequentialBlock;
import ai.djl.nn.core.Linear;
import ai.djl.training.DefaultTrainingConfig;
import ai.djl.training.GradientCollector;
import ai.djl.training.Trainer;
import ai.djl.training.tracker.Tracker;
import java.util.List;
import java.util.SplittableRandom;
import java.util.function.UnaryOperator;
import org.blocksparse.FloatTensor;
import org.blocksparse.IntTensor;
import org.blocksparse.Optimizer;
import org.blocksparse.SparseRows;
import org.blocksparse.bag.EmbeddingBag;
import org.blocksparse.products.BlockPlan;
import org.blocksparse.products.Epilogue;
import org.blocksparse.products.OptimizerState;
import org.blocksparse.products.SparseBlockDot;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.blocksparse.softmax.Loss;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** A network of PyTorch's below a softmax of ours, against one that is PyTorch's altogether. */
final class DjlTrainingTest {
  private static final int BATCH = 8;
  private static final int INPUTS = 5;
  private static final int FEATURES = 6;
  private static final int OUTPUTS = 30;
  private static final float TOLERANCE = 1e-5f;

  /** How far a weight is moved. */
  private static final float MOVED = 1e-2f;

  /** Rates at which a step changes a parameter by its gradient. */
  private static final Optimizer SGD = Optimizer.sgd(1);

  private final Model model = Model.newInstance("network", "PyTorch");
  private final NDManager manager = model.getNDManager();
  private final HierarchicalSoftmax softmax =
      HierarchicalSoftmax.builder(FEATURES, OUTPUTS).classes(5).seed(3).build();
  private final int[] outputs = new SplittableRandom(7).ints(BATCH, 0, OUTPUTS).toArray();
  private final IntTensor labels = IntTensor.of(outputs, BATCH);
  private final Trainer trainer = trainer();

  private Trainer trainer() {
    model.setBlock(
        new SequentialBlock()
            .add(Linear.builder().setUnits(4).build())
            .add(Activation::tanh)
            .add(Linear.builder().setUnits(FEATURES).build()));
    Trainer made =
        model.newTrainer(
            new DefaultTrainingConfig(ai.djl.training.loss.Loss.l2Loss())
                .optOptimizer(
                    ai.djl.training.optimizer.Optimizer.sgd()
                        .setLearningRateTracker(Tracker.fixed(1))
                        .build()));
    made.initialize(new Shape(BATCH, INPUTS));
    return made;
  }

  @AfterEach
  void close() {
    trainer.close();
    model.close();
    softmax.close();
    labels.close();
  }

  private List<NDArray> parameters() {
    Block block = model.getBlock();
    return block.getParameters().values().stream().map(p -> p.getArray()).toList();
  }

  /** The loss of the same two-level softmax, made of operations of PyTorch. */
  private NDArray lossInPyTorch(NDArray h, NDArray[] ofSoftmax) {
    NDArray classes = h.matMul(ofSoftmax[0]).add(ofSoftmax[1]).logSoftmax(1);
    NDArray sum = manager.create(0f);
    for (int row = 0; row < BATCH; row++) {
      int c = softmax.assignment().classOf(outputs[row]);
      int slot = softmax.assignment().slotOf(outputs[row]);
      NDArray slots =
          h.get(row)
              .expandDims(0)
              .matMul(ofSoftmax[2].get(c))
              .add(ofSoftmax[3].get(c))
              .get(":, :{}", softmax.assignment().size(c))
              .logSoftmax(1);
      sum = sum.add(classes.get(row).get(c)).add(slots.get(0).get(slot));
    }
    return sum.neg().div(BATCH);
  }

  private NDArray[] softmaxInPyTorch() {
    NDArray[] arrays = new NDArray[4];
    FloatTensor[] tensors = {softmax.W1(), softmax.b1(), softmax.W2(), softmax.b2()};
    for (int p = 0; p < arrays.length; p++) {
      Shape shape = new Shape(tensors[p].shape().toArray());
      arrays[p] = manager.create(tensors[p].toArray(), shape);
      arrays[p].setRequiresGradient(true);
    }
    return arrays;
  }

  /** The second step shows whether the first one has left a gradient behind. */
  @Test
  void stepsAreThoseOfPyTorchsAutograd() {
    for (int step = 0; step < 2; step++) {
      NDArray input = manager.randomNormal(new Shape(BATCH, INPUTS));
      NDArray[] ofSoftmax = softmaxInPyTorch();
      double expected = backward(input, ofSoftmax);
      List<float[]> stepped =
          parameters().stream().map(p -> p.sub(p.getGradient()).toFloatArray()).toList();
      parameters().forEach(p -> p.getGradient().muli(0));

      assertEquals(expected, DjlTraining.step(trainer, softmax, input, labels, SGD), TOLERANCE);
      for (int p = 0; p < stepped.size(); p++) {
        float[] actual = parameters().get(p).toFloatArray();
        assertArrayEquals(stepped.get(p), actual, TOLERANCE, "parameter " + p);
      }
      FloatTensor[] tensors = {softmax.W1(), softmax.b1(), softmax.W2(), softmax.b2()};
      for (int p = 0; p < tensors.length; p++) {
        float[] wanted = ofSoftmax[p].sub(ofSoftmax[p].getGradient()).toFloatArray();
        assertArrayEquals(wanted, tensors[p].toArray(), TOLERANCE, "of the softmax: " + p);
      }
    }
  }

  /** All gradients by PyTorch alone; the loss. */
  private float backward(NDArray input, NDArray[] ofSoftmax) {
    return backward(input, UnaryOperator.identity(), ofSoftmax);
  }

  /** The same with something between the network and the softmax. */
  private float backward(NDArray input, UnaryOperator<NDArray> between, NDArray[] ofSoftmax) {
    try (GradientCollector collector = trainer.newGradientCollector()) {
      NDArray h = trainer.forward(new NDList(input)).singletonOrThrow();
      NDArray loss = lossInPyTorch(between.apply(h), ofSoftmax);
      collector.backward(loss);
      return loss.getFloat();
    }
  }

  /** The first weight is moved to both sides, and so is the loss. */
  @Test
  void theGradientIsThatOfDifferences() {
    NDArray input = manager.randomNormal(new Shape(BATCH, INPUTS));
    try (FloatTensor weights = DjlTraining.wrap(parameters().get(0))) {
      float before = weights.get(0, 0);
      double[] losses = new double[2];
      for (int side = 0; side < 2; side++) {
        weights.set(before + (2 * side - 1) * MOVED, 0, 0);
        NDArray h = trainer.evaluate(new NDList(input)).singletonOrThrow();
        try (FloatTensor x = DjlTraining.wrap(h)) {
          losses[side] = softmax.loss(x, labels);
        }
      }
      weights.set(before, 0, 0);
      DjlTraining.step(trainer, softmax, input, labels, SGD);
      double gradient = before - weights.get(0, 0);
      assertEquals((losses[1] - losses[0]) / (2 * MOVED), gradient, 1e-4);
    }
  }

  @Test
  void nothingIsCopied() {
    NDArray input = manager.randomNormal(new Shape(BATCH, INPUTS));
    try (GradientCollector collector = trainer.newGradientCollector();
        FloatTensor gradX = FloatTensor.zeros(BATCH, FEATURES)) {
      NDArray h = trainer.forward(new NDList(input)).singletonOrThrow();
      try (FloatTensor x = DjlTraining.wrap(h);
          NDArray gradient = DjlTraining.share(gradX, manager)) {
        x.set(42, 3, 2);
        assertEquals(42, h.getFloat(3, 2));
        gradX.set(43, 1, 2);
        assertEquals(43, gradient.getFloat(1, 2));
      }
      collector.backward(h.sum());
    }
  }

  @Test
  void bagsBelowTheNetworkLearnToo() {
    try (EmbeddingBag bag = EmbeddingBag.builder(20, INPUTS).seed(1).build();
        SparseRows words = SparseRows.of(new int[] {0, 2, 4, 6, 8, 10, 12, 14, 16}, new int[16])) {
      float[] table = bag.table().toArray();
      NDArray input = manager.create(bag.apply(words).toArray(), new Shape(BATCH, INPUTS));
      input.setRequiresGradient(true);
      backward(input, softmaxInPyTorch());
      parameters().forEach(p -> p.getGradient().muli(0));
      float[] gradient = input.getGradient().sum(new int[] {0}).toFloatArray();

      DjlTraining.step(bag, trainer, softmax, words, labels, SGD);
      for (int f = 0; f < INPUTS; f++) { // every word of every row is word 0
        assertEquals(table[f] - gradient[f], bag.table().get(0, f), TOLERANCE);
      }
    }
  }

  /** Each row of what the network makes goes through one of three experts, to the softmax. */
  @Test
  void expertsInTheNetworkLearnToo() {
    int[] expertOf = {0, 2, 1, 1, 0, 2, 2, 0};
    NDArray input = manager.randomNormal(new Shape(BATCH, INPUTS));
    NDArray experts = manager.randomNormal(new Shape(1, 3, FEATURES, FEATURES));
    experts.setRequiresGradient(true);
    try (FloatTensor W = FloatTensor.of(experts.toFloatArray(), 1, 3, FEATURES, FEATURES);
        OptimizerState state = OptimizerState.of(W);
        IntTensor inputIdx = IntTensor.zeros(BATCH, 1);
        IntTensor outputIdx = IntTensor.of(expertOf, BATCH, 1);
        BlockPlan plan = BlockPlan.of(inputIdx, outputIdx, 1, 3)) {
      UnaryOperator<NDArray> inPyTorch =
          h -> {
            NDList rows = new NDList();
            for (int row = 0; row < BATCH; row++) {
              rows.add(h.get(row).expandDims(0).matMul(experts.get(0, expertOf[row])));
            }
            return NDArrays.concat(rows);
          };
      double expected = backward(input, inPyTorch, softmaxInPyTorch());
      List<float[]> stepped =
          parameters().stream().map(p -> p.sub(p.getGradient()).toFloatArray()).toList();
      parameters().forEach(p -> p.getGradient().muli(0));

      assertEquals(expected, stepThroughExperts(input, W, plan, state), TOLERANCE);
      for (int p = 0; p < stepped.size(); p++) {
        float[] actual = parameters().get(p).toFloatArray();
        assertArrayEquals(stepped.get(p), actual, TOLERANCE, "parameter " + p);
      }
      float[] ofExperts = experts.sub(experts.getGradient()).toFloatArray();
      assertArrayEquals(ofExperts, W.toArray(), TOLERANCE, "experts");
    }
  }

  private double stepThroughExperts(
      NDArray input, FloatTensor W, BlockPlan plan, OptimizerState state) {
    double loss;
    try (GradientCollector collector = trainer.newGradientCollector()) {
      NDArray h = trainer.forward(new NDList(input)).singletonOrThrow();
      try (FloatTensor x = DjlTraining.wrap(h);
          FloatTensor out =
              SparseBlockDot.apply(W, x.reshape(BATCH, 1, FEATURES), plan, Epilogue.none());
          FloatTensor gradOut = FloatTensor.zeros(BATCH, 1, FEATURES)) {
        FloatTensor ofSoftmax = gradOut.reshape(BATCH, FEATURES);
        loss = softmax.step(out.reshape(BATCH, FEATURES), labels, Loss.mean(), SGD, ofSoftmax);
        try (FloatTensor gradX = SparseBlockDot.gradH(W, gradOut, plan);
            NDArray constant = DjlTraining.share(gradX.reshape(BATCH, FEATURES), manager)) {
          SparseBlockDot.stepW(x.reshape(BATCH, 1, FEATURES), gradOut, plan, SGD, W, state);
          collector.backward(h.mul(constant).sum());
        }
      }
    }
    trainer.step();
    return loss;
  }

  @Test
  void theLossGoesDown() {
    NDArray input = manager.randomNormal(new Shape(BATCH, INPUTS), DataType.FLOAT32);
    double first = DjlTraining.step(trainer, softmax, input, labels, Optimizer.sgd(0.3f));
    double last = first;
    for (int step = 0; step < 50; step++) {
      last = DjlTraining.step(trainer, softmax, input, labels, Optimizer.sgd(0.3f));
    }
    assertTrue(last < first / 2, first + " to " + last);
  }
}
