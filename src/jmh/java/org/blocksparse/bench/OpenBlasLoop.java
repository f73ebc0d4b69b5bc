// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import static org.bytedeco.openblas.global.openblas.CblasNoTrans;
import static org.bytedeco.openblas.global.openblas.CblasRowMajor;
import static org.bytedeco.openblas.global.openblas.CblasTrans;
import static org.bytedeco.openblas.global.openblas.cblas_sgemm;

import java.nio.FloatBuffer;
import java.util.function.BiConsumer;
import java.util.stream.IntStream;
import org.blocksparse.bench.jobs.Problem;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.openblas.global.openblas;

/**
 * A careful user's loop over OpenBLAS's Java API: pairs sorted by block beforehand; a parallel
 * stream over the blocks, each with its rows gathered and one single-threaded cblas_sgemm; then the
 * products of each row summed, in parallel as well.
 */
final class OpenBlasLoop extends GatheredProducts {
  private final FloatBuffer w;
  private final ThreadLocal<Worker> worker = ThreadLocal.withInitial(Worker::new);

  OpenBlasLoop(Problem problem) {
    super(problem);
    w = problem.W.asFloatBuffer();
    // Belongs to the library that openblas calls; openblas_nolapack loads a second one, which this
    // would miss.
    openblas.blas_set_num_threads(1);
  }

  /** The pointers and gathered rows of one thread. */
  private final class Worker {
    final FloatBuffer x = buffer(pairs.mostRows(), k);
    final FloatBuffer y = buffer(pairs.mostRows(), n);
    final FloatPointer xRows = new FloatPointer(x);
    final FloatPointer yRows = new FloatPointer(y);
    final FloatPointer block = new FloatPointer(w);
    final FloatPointer gradBlock = new FloatPointer(gradW);
    final FloatPointer product = new FloatPointer(products);

    void forward(int group) {
      int m = pairs.rows(group);
      gatherX(group);
      block.position((long) pairs.block[group] * k * n);
      product.position((long) pairs.start[group] * n);
      cblas_sgemm(
          CblasRowMajor, CblasNoTrans, CblasNoTrans, m, n, k, 1, xRows, k, block, n, 0, product, n);
    }

    void gradH(int group) {
      int m = pairs.rows(group);
      gatherY(group);
      block.position((long) pairs.block[group] * k * n);
      product.position((long) pairs.start[group] * k);
      cblas_sgemm(
          CblasRowMajor, CblasNoTrans, CblasTrans, m, k, n, 1, yRows, n, block, n, 0, product, k);
    }

    void gradW(int group) {
      int m = pairs.rows(group);
      gatherX(group);
      gatherY(group);
      gradBlock.position((long) pairs.block[group] * k * n);
      cblas_sgemm(
          CblasRowMajor, CblasTrans, CblasNoTrans, k, n, m, 1, xRows, k, yRows, n, 1, gradBlock, n);
    }

    private void gatherX(int group) {
      Pairs.gather(h, pairs.hRow, pairs.start[group], pairs.start[group + 1], k, x, 0);
    }

    private void gatherY(int group) {
      Pairs.gather(gradOut, pairs.outRow, pairs.start[group], pairs.start[group + 1], n, y, 0);
    }
  }

  private void forEachGroup(BiConsumer<Worker, Integer> body) {
    IntStream.range(0, pairs.groups())
        .parallel()
        .forEach(group -> body.accept(worker.get(), group));
  }

  @Override
  void forward() {
    forEachGroup(Worker::forward);
  }

  @Override
  void gradH() {
    forEachGroup(Worker::gradH);
  }

  @Override
  void gradW() {
    forEachGroup(Worker::gradW);
  }

  @Override
  public void close() {
    worker.remove();
  }
}
