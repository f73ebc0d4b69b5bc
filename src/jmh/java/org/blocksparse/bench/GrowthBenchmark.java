// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import org.blocksparse.FloatTensor;
import org.blocksparse.IntTensor;
import org.blocksparse.Optimizer;
import org.blocksparse.products.BlockPlan;
import org.blocksparse.products.Epilogue;
import org.blocksparse.products.SparseBlockDot;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.blocksparse.softmax.Loss;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;

/** How the cost grows with one size while the others stay as they are. */
@BenchmarkMode(Mode.SampleTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
public class GrowthBenchmark {
  private static final int SIZE = 128;
  private static final int BATCH = 1024;
  private static final int BLOCKS = 128;

  /** One block of {@link #SIZE} x {@link #SIZE} for each sample, forward, plan included. */
  private static final class Layer implements AutoCloseable {
    private final int blocks;
    private final FloatTensor W;
    private final FloatTensor h;
    private final FloatTensor b;
    private final FloatTensor out;
    private final IntTensor inputIdx;
    private final IntTensor outputIdx;

    Layer(int batch, int blocks) {
      this.blocks = blocks;
      SplittableRandom random = new SplittableRandom(3);
      W = Problem.random(1, 1, blocks, SIZE, SIZE);
      h = Problem.random(2, batch, 1, SIZE);
      b = FloatTensor.zeros(blocks, SIZE);
      out = FloatTensor.zeros(batch, 1, SIZE);
      inputIdx = IntTensor.zeros(batch, 1);
      outputIdx =
          IntTensor.of(
              IntStream.generate(() -> random.nextInt(blocks)).limit(batch).toArray(), batch, 1);
    }

    void forward() {
      try (BlockPlan plan = BlockPlan.of(inputIdx, outputIdx, 1, blocks)) {
        SparseBlockDot.apply(W, h, plan, Epilogue.none().withBias(b), out);
      }
    }

    @Override
    public void close() {
      W.close();
      h.close();
      b.close();
      out.close();
      inputIdx.close();
      outputIdx.close();
    }
  }

  /** By batch. */
  @State(Scope.Benchmark)
  public static class Batches {
    @Param({"1", "10", "100", "1000", "10000", "100000"})
    public int batch;

    private Layer layer;

    @Setup
    public void setUp() {
      layer = new Layer(batch, BLOCKS);
    }

    @TearDown
    public void tearDown() {
      layer.close();
    }
  }

  /** By blocks. */
  @State(Scope.Benchmark)
  public static class Blocks {
    @Param({"16", "32", "64", "128", "256", "512", "1024"})
    public int blocks;

    private Layer layer;

    @Setup
    public void setUp() {
      layer = new Layer(BATCH, blocks);
    }

    @TearDown
    public void tearDown() {
      layer.close();
    }
  }

  /**
   * By outputs: what a step does with the classes themselves, and with those of its targets, grows;
   * what it does with the others does not.
   */
  @State(Scope.Benchmark)
  public static class Outputs {
    private static final Optimizer SGD = Optimizer.sgd(0.01f);

    @Param({"10000", "30000", "100000", "300000", "1000000"})
    public int outputs;

    @Param public GrowthTargets targets;

    private HierarchicalSoftmax layer;
    private FloatTensor x;
    private FloatTensor gradX;
    private IntTensor ofRows;

    @Setup
    public void setUp() {
      GrowthTargets.Step step = targets.step(outputs);
      layer =
          HierarchicalSoftmax.builder(GrowthTargets.FEATURES, outputs)
              .classes(step.classes())
              .build();
      x = Problem.random(4, GrowthTargets.BATCH, GrowthTargets.FEATURES);
      gradX = FloatTensor.zeros(x.shape());
      ofRows = IntTensor.of(step.targets(), GrowthTargets.BATCH);
    }

    @TearDown
    public void tearDown() {
      layer.close();
      x.close();
      gradX.close();
      ofRows.close();
    }
  }

  @Benchmark
  public void batch(Batches state) {
    state.layer.forward();
  }

  @Benchmark
  public void blocks(Blocks state) {
    state.layer.forward();
  }

  @Benchmark
  public double outputs(Outputs state) {
    return state.layer.step(state.x, state.ofRows, Loss.mean(), Outputs.SGD, state.gradX);
  }
}
