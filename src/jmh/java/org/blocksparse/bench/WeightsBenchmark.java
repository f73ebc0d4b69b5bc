// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import java.io.IOException;
import java.util.concurrent.TimeUnit;
import org.blocksparse.BlockPlan;
import org.blocksparse.ElementType;
import org.blocksparse.FloatTensor;
import org.blocksparse.HierarchicalSoftmax;
import org.blocksparse.IntTensor;
import org.blocksparse.Ranking;
import org.blocksparse.SparseBlockDot;
import org.blocksparse.Weights;
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
  /** One of the workloads with its weights in a type. */
  @State(Scope.Benchmark)
  public static class Blocks {
    @Param({"HSM_200", "HSM_1000", "WINDOW_64", "EXPERTS", "ONE_ROW"})
    public Workload workload;

    @Param public ElementType type;

    private Problem problem;
    private Weights weights;
    private IntTensor inputIdx;
    private IntTensor outputIdx;
    private BlockPlan plan;
    private FloatTensor bias;
    private FloatTensor out;
    private FloatTensor gradH;

    @Setup
    public void setUp() {
      problem = new Problem(workload);
      weights = Weights.of(problem.W, type);
      inputIdx = IntTensor.of(problem.inputIdx, workload.batch, workload.iWin);
      outputIdx = IntTensor.of(problem.outputIdx, workload.batch, workload.oWin);
      plan = BlockPlan.of(inputIdx, outputIdx, workload.iBlocks, workload.oBlocks);
      bias = FloatTensor.zeros(workload.oBlocks, workload.oSize);
      out = FloatTensor.zeros(workload.batch, workload.oWin, workload.oSize);
      gradH = FloatTensor.zeros(workload.batch, workload.iWin, workload.iSize);
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
    @Param({"PEAKED_1", "PEAKED_256"})
    public TopKWorkload workload;

    @Param public ElementType type;

    private SoftmaxProblem problem;
    private HierarchicalSoftmax layer;

    @Setup
    public void setUp() throws IOException {
      problem = workload.problem();
      layer = problem.layer.withWeights(type);
    }

    @TearDown
    public void tearDown() {
      layer.close();
      problem.close();
    }
  }

  @Benchmark
  public void forward(Blocks state) {
    SparseBlockDot.apply(state.weights, state.problem.h, state.bias, state.plan, state.out);
  }

  @Benchmark
  public void gradientOfH(Blocks state) {
    SparseBlockDot.gradH(state.weights, state.problem.gradOut, state.plan, state.gradH);
  }

  @Benchmark
  public Ranking topK(Search state) {
    return state.layer.topK(state.problem.x, Softmax.K);
  }
}
