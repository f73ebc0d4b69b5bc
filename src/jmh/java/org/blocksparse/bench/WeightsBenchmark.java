// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import org.blocksparse.ElementType;
import org.blocksparse.FloatTensor;
import org.blocksparse.GradientOptions;
import org.blocksparse.IntTensor;
import org.blocksparse.Weights;
import org.blocksparse.bench.jobs.BlocksparseSoftmax;
import org.blocksparse.bench.jobs.Operation;
import org.blocksparse.bench.jobs.Problem;
import org.blocksparse.bench.jobs.Softmax;
import org.blocksparse.bench.jobs.SoftmaxOperation;
import org.blocksparse.bench.jobs.SoftmaxProblem;
import org.blocksparse.bench.jobs.TopKWorkload;
import org.blocksparse.bench.jobs.Workload;
import org.blocksparse.products.BlockPlan;
import org.blocksparse.products.Epilogue;
import org.blocksparse.products.SparseBlockDot;
import org.blocksparse.ranking.Ranking;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;

/** Products, and searches for the likeliest outputs, with weights of each type. */
public class WeightsBenchmark extends Measured {
  /** A workload with its weights in a type. */
  @State(Scope.Benchmark)
  public abstract static class Blocks {
    /**
     * These are bound by arithmetic, bound by memory, small, few and large, and without sharing.
     */
    @Param({"HSM_200", "HSM_1000", "WINDOW_64", "EXPERTS", "ONE_ROW"})
    public Workload workload;

    private Problem problem;
    private Weights weights;
    private BlockPlan plan;
    private Epilogue epilogue;
    private FloatTensor out;
    private FloatTensor gradH;

    abstract ElementType type();

    BlockPlan plan(BlockPlan made) {
      return made;
    }

    @Setup
    public void setUp() {
      problem = new Problem(workload, type());
      weights = Weights.of(problem.W, type());
      try (IntTensor inputIdx = IntTensor.of(problem.inputIdx, workload.batch, workload.iWin);
          IntTensor outputIdx = IntTensor.of(problem.outputIdx, workload.batch, workload.oWin)) {
        plan = plan(BlockPlan.of(inputIdx, outputIdx, workload.iBlocks, workload.oBlocks));
      }
      epilogue = Epilogue.none().withBias(FloatTensor.zeros(workload.oBlocks, workload.oSize));
      out = FloatTensor.zeros(workload.batch, workload.oWin, workload.oSize);
      gradH = FloatTensor.zeros(workload.batch, workload.iWin, workload.iSize);
      check();
      Facts.putCost(workload.bytes(Operation.FORWARD, type()), workload.flops());
    }

    void check() {
      forward();
      problem.check(Operation.FORWARD, out.asFloatBuffer());
      gradientOfH();
      problem.check(Operation.GRAD_H, gradH.asFloatBuffer());
    }

    void forward() {
      SparseBlockDot.apply(weights, problem.h, plan, epilogue, out);
    }

    private void gradientOfH() {
      SparseBlockDot.gradH(weights, problem.gradOut, plan, GradientOptions.overwrite(), gradH);
    }

    @TearDown
    public void tearDown() {
      plan.close();
      weights.close();
      out.close();
      gradH.close();
      problem.close();
    }
  }

  /** Rounded weights with inputs in floats. */
  public static class Narrow extends Blocks {
    @Param({"FLOAT32", "FLOAT16", "BFLOAT16"})
    public ElementType type;

    @Override
    ElementType type() {
      return type;
    }

    @Override
    BlockPlan plan(BlockPlan made) {
      return made.withInputBits(32);
    }
  }

  /** Rounded weights and inputs. */
  public static class AllNarrow extends Blocks {
    @Param("BFLOAT16")
    public ElementType type;

    @Override
    ElementType type() {
      return type;
    }

    @Override
    void check() {
      forward();
      super.problem.checkRounded(super.out.asFloatBuffer());
    }
  }

  /** A layer with its weights in a type, and rows to search for. */
  @State(Scope.Benchmark)
  public static class Search {
    @Param({"PEAKED_1", "PEAKED_256"})
    public TopKWorkload workload;

    @Param({"FLOAT32", "FLOAT16", "BFLOAT16", "INT8"})
    public ElementType type;

    private SoftmaxProblem problem;
    private HierarchicalSoftmax layer;

    @Setup
    public void setUp() {
      SoftmaxProblem given = workload.problem();
      layer = given.layer.withWeights(type);
      problem = given.with(layer.withWeights(ElementType.FLOAT32)); // the rounded weights as floats
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
  public void forward(Narrow blocks) {
    blocks.forward();
  }

  @Benchmark
  public void forwardOfRounded(AllNarrow blocks) {
    blocks.forward();
  }

  @Benchmark
  public void gradientOfH(Narrow blocks) {
    ((Blocks) blocks).gradientOfH();
  }

  @Benchmark
  public Ranking topK(Search search) {
    return search.topK();
  }
}
