// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import ai.djl.Model;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDScope;
import ai.djl.ndarray.types.Shape;
import ai.djl.nn.Activation;
import ai.djl.nn.SequentialBlock;
import ai.djl.nn.core.Linear;
import ai.djl.training.DefaultTrainingConfig;
import ai.djl.training.GradientCollector;
import ai.djl.training.Trainer;
import ai.djl.training.loss.Loss;
import ai.djl.training.tracker.Tracker;
import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;
import org.blocksparse.IntTensor;
import org.blocksparse.Optimizer;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;

/**
 * A step of training of a small network of PyTorch's, which ends in our softmax over classes or in
 * PyTorch's own over all labels: {@code mvn -f src/jmh -Dbench.args="run --part NETWORK"}.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.SampleTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
public class NetworkBenchmark {
  private static final int FEATURES = 256;
  private static final int LABELS = 100_000;
  private static final float RATE = 0.01f;

  @Param({"64", "1024"})
  public int batch;

  private Model model;
  private Trainer trainer;
  private NDArray input;
  private NDArray labelArray;
  private IntTensor labels;
  private HierarchicalSoftmax softmax;

  private void setUp(int... layers) {
    model = Model.newInstance("network", "PyTorch");
    SequentialBlock block = new SequentialBlock();
    for (int units : layers) {
      if (block.getChildren().size() > 0) {
        block.add(Activation::relu);
      }
      block.add(Linear.builder().setUnits(units).build());
    }
    model.setBlock(block);
    trainer =
        model.newTrainer(
            new DefaultTrainingConfig(Loss.softmaxCrossEntropyLoss())
                .optOptimizer(
                    ai.djl.training.optimizer.Optimizer.sgd()
                        .setLearningRateTracker(Tracker.fixed(RATE))
                        .build()));
    trainer.initialize(new Shape(batch, FEATURES));
    input = model.getNDManager().randomNormal(new Shape(batch, FEATURES));
    int[] targets = new SplittableRandom(1).ints(batch, 0, LABELS).toArray();
    labels = IntTensor.of(targets, batch);
    labelArray = model.getNDManager().create(targets);
  }

  /** The network without an end. */
  @State(Scope.Benchmark)
  public static class Ours {
    @Setup
    public void setUp(NetworkBenchmark shared) {
      shared.setUp(FEATURES, FEATURES);
      shared.softmax = HierarchicalSoftmax.builder(FEATURES, LABELS).build();
    }

    @TearDown
    public void tearDown(NetworkBenchmark shared) {
      shared.softmax.close();
      shared.close();
    }
  }

  /** The network with one more layer. */
  @State(Scope.Benchmark)
  public static class PyTorchs {
    @Setup
    public void setUp(NetworkBenchmark shared) {
      shared.setUp(FEATURES, FEATURES, LABELS);
    }

    @TearDown
    public void tearDown(NetworkBenchmark shared) {
      shared.close();
    }
  }

  private void close() {
    labels.close();
    trainer.close();
    model.close();
  }

  @Benchmark
  public double softmaxOfOurs(Ours ours) {
    return DjlTraining.step(trainer, softmax, input, labels, Optimizer.sgd(RATE));
  }

  @Benchmark
  public float softmaxOfPyTorch(PyTorchs its) {
    float value;
    try (GradientCollector collector = trainer.newGradientCollector();
        NDScope scope = new NDScope()) {
      scope.suppressNotUsedWarning();
      NDArray logits = trainer.forward(new NDList(input)).singletonOrThrow();
      NDArray loss = trainer.getLoss().evaluate(new NDList(labelArray), new NDList(logits));
      collector.backward(loss);
      value = loss.getFloat();
    }
    trainer.step();
    return value;
  }
}
