// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench.jobs;

import java.nio.FloatBuffer;
import org.blocksparse.FloatTensor;
import org.blocksparse.GradientOptions;
import org.blocksparse.IntTensor;
import org.blocksparse.Workers;
import org.blocksparse.products.BlockPlan;
import org.blocksparse.products.Epilogue;
import org.blocksparse.products.SparseBlockDot;
import org.blocksparse.products.SparseBlockOuter;

/** {@link SparseBlockDot} as a user calls it. */
public final class BlocksparseProducts implements Products {
  private final Problem problem;
  private final IntTensor inputIdx;
  private final IntTensor outputIdx;
  private final BlockPlan plan;
  private final FloatTensor bias;
  private final FloatTensor out;
  private final FloatTensor gradH;
  private final FloatTensor gradW;

  public BlocksparseProducts(Problem problem) {
    this(problem, Workers.common());
  }

  public BlocksparseProducts(Problem problem, Workers workers) {
    this.problem = problem;
    Workload workload = problem.workload;
    inputIdx = IntTensor.of(problem.inputIdx, workload.batch, workload.iWin);
    outputIdx = IntTensor.of(problem.outputIdx, workload.batch, workload.oWin);
    plan =
        BlockPlan.of(inputIdx, outputIdx, workload.iBlocks, workload.oBlocks).withWorkers(workers);
    bias = FloatTensor.zeros(workload.oBlocks, workload.oSize);
    out = FloatTensor.zeros(workload.batch, workload.oWin, workload.oSize);
    gradH = FloatTensor.zeros(workload.batch, workload.iWin, workload.iSize);
    gradW = FloatTensor.zeros(problem.W.shape());
  }

  @Override
  public void run(Operation operation) {
    switch (operation) {
      case FORWARD ->
          SparseBlockDot.apply(problem.W, problem.h, plan, Epilogue.none().withBias(bias), out);
      case FORWARD_AND_PLAN -> {
        try (BlockPlan fresh = BlockPlan.of(inputIdx, outputIdx, plan.iBlocks(), plan.oBlocks())) {
          SparseBlockDot.apply(problem.W, problem.h, fresh, Epilogue.none().withBias(bias), out);
        }
      }
      case GRAD_H ->
          SparseBlockDot.gradH(
              problem.W, problem.gradOut, plan, GradientOptions.overwrite(), gradH);
      case GRAD_W -> SparseBlockOuter.applyInPlace(problem.h, problem.gradOut, plan, 1, gradW);
    }
  }

  @Override
  public FloatBuffer result(Operation operation) {
    FloatTensor result =
        switch (operation) {
          case FORWARD, FORWARD_AND_PLAN -> out;
          case GRAD_H -> gradH;
          case GRAD_W -> gradW;
        };
    return result.asFloatBuffer();
  }

  @Override
  public void close() {
    plan.close();
    inputIdx.close();
    outputIdx.close();
    bias.close();
    out.close();
    gradH.close();
    gradW.close();
  }
}
