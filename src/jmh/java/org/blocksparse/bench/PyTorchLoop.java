// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDArrays;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.NDScope;
import ai.djl.ndarray.index.NDIndex;
import java.nio.FloatBuffer;
import org.blocksparse.bench.jobs.Operation;
import org.blocksparse.bench.jobs.Problem;
import org.blocksparse.bench.jobs.Products;
import org.blocksparse.bench.jobs.Workload;

/**
 * A loop over blocks: rows sorted by block with one index_select, a product for each block, the
 * products put back into the order of the samples and summed over the window.
 */
final class PyTorchLoop implements Products {
  private final Workload workload;
  private final Pairs pairs;
  private final NDManager manager = PyTorch.manager();
  private final NDArray h;
  private final NDArray gradOut;
  private final NDArray hRow;
  private final NDArray outRow;
  private final NDArray termsOfOut;
  private final NDArray termsOfH;
  private final NDArray[] blocks;
  private final NDArray gradW;
  private final NDArray[] gradBlocks;
  private NDArray result;

  PyTorchLoop(Problem problem) {
    workload = problem.workload;
    pairs = new Pairs(problem);
    h = PyTorch.wrap(manager, problem.h);
    gradOut = PyTorch.wrap(manager, problem.gradOut);
    hRow = manager.create(PyTorch.longs(pairs.hRow));
    outRow = manager.create(PyTorch.longs(pairs.outRow));
    termsOfOut = manager.create(PyTorch.longs(pairs.termsOfOut()));
    termsOfH = manager.create(PyTorch.longs(pairs.termsOfH()));
    NDArray W = PyTorch.wrap(manager, problem.W);
    blocks = blocksOf(W);
    gradW = manager.zeros(W.getShape());
    gradBlocks = blocksOf(gradW);
  }

  /** Returns views of the blocks that have pairs. */
  private NDArray[] blocksOf(NDArray weights) {
    NDArray[] views = new NDArray[pairs.groups()];
    for (int g = 0; g < views.length; g++) {
      views[g] = weights.get(pairs.block[g] / workload.oBlocks, pairs.block[g] % workload.oBlocks);
    }
    return views;
  }

  private NDArray rows(NDArray sorted, int group) {
    return sorted.get(new NDIndex().addSliceDim(pairs.start[group], pairs.start[group + 1]));
  }

  /** Returns the rows of an operand in the order of the pairs. */
  private static NDArray sorted(NDArray operand, int size, NDArray order) {
    return operand.reshape(-1, size).get(order);
  }

  private static NDArray summed(NDList products, NDArray terms, int rows, int window, int size) {
    NDArray inOrder = NDArrays.concat(products).get(terms);
    return window == 1 ? inOrder : inOrder.reshape(rows, window, size).sum(new int[] {1});
  }

  @Override
  public void run(Operation operation) {
    if (result != null && operation != Operation.GRAD_W) {
      result.close();
    }
    try (NDScope scope = new NDScope()) {
      scope.suppressNotUsedWarning();
      result = compute(operation);
      NDScope.unregister(result);
    }
  }

  @Override
  public FloatBuffer result(Operation operation) {
    return PyTorch.floats(result);
  }

  @Override
  public void close() {
    manager.close();
  }

  private NDArray compute(Operation operation) {
    int k = workload.iSize;
    int n = workload.oSize;
    switch (operation) {
      case FORWARD -> {
        NDArray x = sorted(h, k, hRow);
        NDList products = new NDList(pairs.groups());
        for (int g = 0; g < pairs.groups(); g++) {
          products.add(rows(x, g).matMul(blocks[g]));
        }
        return summed(products, termsOfOut, workload.batch * workload.oWin, workload.iWin, n);
      }
      case GRAD_H -> {
        NDArray y = sorted(gradOut, n, outRow);
        NDList products = new NDList(pairs.groups());
        for (int g = 0; g < pairs.groups(); g++) {
          products.add(rows(y, g).matMul(blocks[g].transpose()));
        }
        return summed(products, termsOfH, workload.batch * workload.iWin, workload.oWin, k);
      }
      case GRAD_W -> {
        NDArray x = sorted(h, k, hRow);
        NDArray y = sorted(gradOut, n, outRow);
        for (int g = 0; g < pairs.groups(); g++) {
          gradBlocks[g].addi(rows(x, g).transpose().matMul(rows(y, g)));
        }
        return gradW;
      }
      case FORWARD_AND_PLAN -> throw new IllegalArgumentException(operation.toString());
    }
    throw new AssertionError(operation);
  }
}
