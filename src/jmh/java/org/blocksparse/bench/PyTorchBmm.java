// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.types.Shape;

/**
 * Gather + bmm, as one finds it in most code for PyTorch: a copy of the block for each pair, then
 * one batched product, which also sums over the window.
 */
final class PyTorchBmm extends PyTorch {
  private final NDArray blocks;
  private final NDArray outMajor;
  private final NDArray inMajor;

  PyTorchBmm(Problem problem) {
    super(problem);
    blocks = W.reshape((long) workload.iBlocks * workload.oBlocks, workload.iSize, workload.oSize);
    int pairs = Math.toIntExact(workload.pairs());
    long[] byOut = new long[pairs];
    long[] byIn = new long[pairs];
    for (int b = 0; b < workload.batch; b++) {
      for (int i = 0; i < workload.iWin; i++) {
        for (int j = 0; j < workload.oWin; j++) {
          long block =
              (long) problem.inputIdx[b * workload.iWin + i] * workload.oBlocks
                  + problem.outputIdx[b * workload.oWin + j];
          byOut[(b * workload.oWin + j) * workload.iWin + i] = block;
          byIn[(b * workload.iWin + i) * workload.oWin + j] = block;
        }
      }
    }
    outMajor = manager.create(byOut);
    inMajor = manager.create(byIn);
  }

  @Override
  NDArray compute(Operation operation) {
    int batch = workload.batch;
    int k = workload.iSize;
    int n = workload.oSize;
    return switch (operation) {
      case FORWARD -> {
        NDArray gathered =
            blocks.get(outMajor).reshape(batch, workload.oWin, (long) workload.iWin * k, n);
        NDArray rows =
            h.reshape(batch, 1, 1, (long) workload.iWin * k)
                .broadcast(new Shape(batch, workload.oWin, 1, (long) workload.iWin * k));
        yield rows.matMul(gathered);
      }
      case GRAD_H -> {
        NDArray gathered =
            blocks.get(inMajor).reshape((long) batch * workload.iWin, workload.oWin, k, n);
        NDArray rows =
            gradOut
                .reshape(batch, 1, workload.oWin, n, 1)
                .broadcast(new Shape(batch, workload.iWin, workload.oWin, n, 1))
                .reshape((long) batch * workload.iWin, workload.oWin, n, 1);
        yield gathered.matMul(rows).sum(new int[] {1});
      }
      case GRAD_W, FORWARD_AND_PLAN -> throw new IllegalArgumentException(operation.toString());
    };
  }
}
