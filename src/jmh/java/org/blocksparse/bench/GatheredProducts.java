// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import java.nio.FloatBuffer;
import org.blocksparse.FloatTensor;
import org.blocksparse.bench.jobs.Operation;
import org.blocksparse.bench.jobs.Problem;
import org.blocksparse.bench.jobs.Products;
import org.blocksparse.bench.jobs.Workload;

/** Products of gathered rows, sorted by block, whose results for each row are summed afterwards. */
abstract class GatheredProducts implements Products {
  final int k;
  final int n;
  final Pairs pairs;
  final FloatBuffer h;
  final FloatBuffer gradOut;

  /** Products with a row for each pair. */
  final FloatBuffer products;

  final FloatBuffer gradW;
  private final Workload workload;
  private final int[] termsOfOut;
  private final int[] termsOfH;
  private final FloatBuffer out;
  private final FloatBuffer gradH;

  GatheredProducts(Problem problem) {
    workload = problem.workload;
    k = workload.iSize;
    n = workload.oSize;
    pairs = new Pairs(problem);
    termsOfOut = pairs.termsOfOut();
    termsOfH = pairs.termsOfH();
    h = problem.h.asFloatBuffer();
    gradOut = problem.gradOut.asFloatBuffer();
    products = buffer(pairs.count(), Math.max(k, n));
    out = buffer(workload.batch, workload.oWin, n);
    gradH = buffer(workload.batch, workload.iWin, k);
    gradW = FloatTensor.zeros(problem.W.shape()).asFloatBuffer();
  }

  /** Returns aligned memory that lives as long as the buffer. */
  static FloatBuffer buffer(long... dims) {
    return FloatTensor.zeros(dims).asFloatBuffer();
  }

  /** Computes the products of the rows of h with their blocks, n columns each. */
  abstract void forward();

  /** Computes the products of the rows of gradOut with their blocks, k columns each. */
  abstract void gradH();

  /** Adds the products of the rows of h and gradOut to gradW. */
  abstract void gradW();

  @Override
  public final void run(Operation operation) {
    switch (operation) {
      case FORWARD -> {
        forward();
        Pairs.sum(products, termsOfOut, workload.iWin, n, out);
      }
      case GRAD_H -> {
        gradH();
        Pairs.sum(products, termsOfH, workload.oWin, k, gradH);
      }
      case GRAD_W -> gradW();
      case FORWARD_AND_PLAN -> throw new IllegalArgumentException(operation.toString());
    }
  }

  @Override
  public final FloatBuffer result(Operation operation) {
    return switch (operation) {
      case FORWARD, FORWARD_AND_PLAN -> out;
      case GRAD_H -> gradH;
      case GRAD_W -> gradW;
    };
  }
}
