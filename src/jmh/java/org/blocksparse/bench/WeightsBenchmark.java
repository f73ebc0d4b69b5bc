// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import java.io.IOException;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.blocksparse.ElementType;
import org.blocksparse.FloatTensor;
import org.blocksparse.GradientOptions;
import org.blocksparse.IntTensor;
import org.blocksparse.Weights;
import org.blocksparse.products.BlockPlan;
import org.blocksparse.products.Epilogue;
import org.blocksparse.products.SparseBlockDot;
import org.blocksparse.ranking.Ranking;
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

/** Products, and searches for the likeliest outputs, with weights of each type. */
@BenchmarkMode(Mode.SampleTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
public class WeightsBenchmark {
  /** Bound by arithmetic, by memory, small, few and large, and nothing shared. */
  static final List<Workload> WORKLOADS =
      List.of(
          Workload.HSM_200,
          Workload.HSM_1000,
          Workload.WINDOW_64,
          Workload.EXPERTS,
          Workload.ONE_ROW);

  static final List<TopKWorkload> SEARCHES =
      List.of(TopKWorkload.PEAKED_1, TopKWorkload.PEAKED_256);

  /** One of the workloads with its weights in a type. */
  @State(Scope.Benchmark)
  public static class Blocks {
    @Param public Workload workload;

    @Param({"FLOAT32", "FLOAT16", "BFLOAT16"})
    public ElementType type;

    private Problem problem;
    private Weights weights;
    private IntTensor inputIdx;
    private IntTensor outputIdx;
    private BlockPlan plan;
    private BlockPlan exactPlan;
    private FloatTensor bias;
    private FloatTensor out;
    private FloatTensor gradH;

    @Setup
    public void setUp() {
      problem = new Problem(workload, type);
      weights = Weights.of(problem.W, type);
      inputIdx = IntTensor.of(problem.inputIdx, workload.batch, workload.iWin);
      outputIdx = IntTensor.of(problem.outputIdx, workload.batch, workload.oWin);
      plan = BlockPlan.of(inputIdx, outputIdx, workload.iBlocks, workload.oBlocks);
      exactPlan = plan.withExactInputs();
      bias = FloatTensor.zeros(workload.oBlocks, workload.oSize);
      out = FloatTensor.zeros(workload.batch, workload.oWin, workload.oSize);
      gradH = FloatTensor.zeros(workload.batch, workload.iWin, workload.iSize);
      forward();
      problem.check(Operation.FORWARD, out.asFloatBuffer());
      gradientOfH();
      problem.check(Operation.GRAD_H, gradH.asFloatBuffer());
      if (type == ElementType.BFLOAT16) {
        roundedForward();
        problem.checkRounded(out.asFloatBuffer());
      }
    }

    private void forward() {
      SparseBlockDot.apply(weights, problem.h, exactPlan, Epilogue.none().withBias(bias), out);
    }

    private void roundedForward() {
      SparseBlockDot.apply(weights, problem.h, plan, Epilogue.none().withBias(bias), out);
    }

    private void gradientOfH() {
      SparseBlockDot.gradH(weights, problem.gradOut, plan, GradientOptions.overwrite(), gradH);
    }

    @TearDown
    public void tearDown() {
      plan.close();
      inputIdx.close();
      outputIdx.close();
      weights.close();
      bias.close();
      out.close();
      gradH.close();
      problem.close();
    }
  }

  /** A layer with its weights in a type, and rows to search for. */
  @State(Scope.Benchmark)
  public static class Search {
    @Param public TopKWorkload workload;

    @Param({"FLOAT32", "FLOAT16", "BFLOAT16", "INT8"})
    public ElementType type;

    private SoftmaxProblem problem;
    private HierarchicalSoftmax layer;

    @Setup
    public void setUp() throws IOException {
      SoftmaxProblem given = workload.problem();
      layer = given.layer.withWeights(type);
      problem = given.with(layer.withWeights(ElementType.FLOAT32)); // what the weights stand for
      problem.check(SoftmaxOperation.TOP_K, BlocksparseSoftmax.logProbabilities(topK()));
    }

    private Ranking topK() {
      return layer.topK(problem.x, Softmax.K);
    }

    @TearDown
    public void tearDown() {
      layer.close();
      problem.close();
    }
  }

  @Benchmark
  public void forward(Blocks state) {
    state.forward();
  }

  /** Of {@link ElementType#BFLOAT16} alone. */
  @Benchmark
  public void roundedForward(Blocks state) {
    state.roundedForward();
  }

  @Benchmark
  public void gradientOfH(Blocks state) {
    state.gradientOfH();
  }

  @Benchmark
  public Ranking topK(Search state) {
    return state.topK();
  }
}
