// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import static org.bytedeco.mkl.global.mkl_rt.CblasNoTrans;
import static org.bytedeco.mkl.global.mkl_rt.CblasRowMajor;
import static org.bytedeco.mkl.global.mkl_rt.CblasTrans;

import java.nio.FloatBuffer;
import java.util.Arrays;
import java.util.stream.IntStream;
import org.blocksparse.bench.jobs.Problem;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.IntPointer;
import org.bytedeco.javacpp.PointerPointer;
import org.bytedeco.mkl.global.mkl_rt;

/**
 * All rows gathered in the order of the blocks, one cblas_sgemm_batch of MKL on all processors with
 * a group for each block, then the products of each row summed. The arguments of the batch are made
 * beforehand.
 */
final class MklBatch extends GatheredProducts {
  private static final int GATHERED_ROWS = 64;

  private final FloatBuffer x;
  private final FloatBuffer y;
  private final Batch forward;
  private final Batch backward;
  private final Batch outer;

  MklBatch(Problem problem) {
    super(problem);
    x = buffer(pairs.count(), k);
    y = buffer(pairs.count(), n);
    mkl_rt.MKL_Set_Num_Threads(Runtime.getRuntime().availableProcessors());

    int groups = pairs.groups();
    int[] rows = IntStream.range(0, groups).map(pairs::rows).toArray();
    int[] ks = all(k);
    int[] ns = all(n);
    PointerPointer<FloatPointer> xs = places(x, pairs.start, k);
    PointerPointer<FloatPointer> ys = places(y, pairs.start, n);
    FloatBuffer w = problem.W.asFloatBuffer();
    PointerPointer<FloatPointer> ws = places(w, pairs.block, k * n);
    PointerPointer<FloatPointer> gradWs = places(gradW, pairs.block, k * n);
    int none = CblasNoTrans;
    int yes = CblasTrans;
    forward =
        new Batch(
            none, none, rows, ns, ks, xs, ks, ws, ns, 0, places(products, pairs.start, n), ns);
    backward =
        new Batch(none, yes, rows, ks, ns, ys, ns, ws, ns, 0, places(products, pairs.start, k), ks);
    outer = new Batch(yes, none, ks, ns, rows, xs, ks, ys, ns, 1, gradWs, ns);
  }

  private int[] all(int value) {
    int[] values = new int[pairs.groups()];
    Arrays.fill(values, value);
    return values;
  }

  private PointerPointer<FloatPointer> places(FloatBuffer buffer, int[] numbers, int size) {
    FloatPointer base = new FloatPointer(buffer);
    PointerPointer<FloatPointer> places = new PointerPointer<>(pairs.groups());
    for (int g = 0; g < pairs.groups(); g++) {
      places.put(g, base.getPointer((long) numbers[g] * size));
    }
    return places;
  }

  /** The arguments of one call. */
  private final class Batch {
    private final IntPointer transA;
    private final IntPointer transB;
    private final IntPointer m;
    private final IntPointer n;
    private final IntPointer k;
    private final FloatPointer alpha;
    private final PointerPointer<FloatPointer> a;
    private final IntPointer lda;
    private final PointerPointer<FloatPointer> b;
    private final IntPointer ldb;
    private final FloatPointer beta;
    private final PointerPointer<FloatPointer> c;
    private final IntPointer ldc;
    private final IntPointer groupSizes = new IntPointer(all(1));

    Batch(
        int transA,
        int transB,
        int[] m,
        int[] n,
        int[] k,
        PointerPointer<FloatPointer> a,
        int[] lda,
        PointerPointer<FloatPointer> b,
        int[] ldb,
        float beta,
        PointerPointer<FloatPointer> c,
        int[] ldc) {
      float[] alphas = new float[pairs.groups()];
      Arrays.fill(alphas, 1);
      float[] betas = new float[pairs.groups()];
      Arrays.fill(betas, beta);
      this.transA = new IntPointer(all(transA));
      this.transB = new IntPointer(all(transB));
      this.m = new IntPointer(m);
      this.n = new IntPointer(n);
      this.k = new IntPointer(k);
      this.alpha = new FloatPointer(alphas);
      this.a = a;
      this.lda = new IntPointer(lda);
      this.b = b;
      this.ldb = new IntPointer(ldb);
      this.beta = new FloatPointer(betas);
      this.c = c;
      this.ldc = new IntPointer(ldc);
    }

    void run() {
      mkl_rt.cblas_sgemm_batch(
          CblasRowMajor,
          transA,
          transB,
          m,
          n,
          k,
          alpha,
          a,
          lda,
          b,
          ldb,
          beta,
          c,
          ldc,
          pairs.groups(),
          groupSizes);
    }
  }

  private void gather(FloatBuffer from, int[] rows, int size, FloatBuffer to) {
    IntStream.range(0, (rows.length + GATHERED_ROWS - 1) / GATHERED_ROWS)
        .parallel()
        .forEach(
            task -> {
              int begin = task * GATHERED_ROWS;
              int end = Math.min(rows.length, begin + GATHERED_ROWS);
              Pairs.gather(from, rows, begin, end, size, to, begin);
            });
  }

  @Override
  void forward() {
    gather(h, pairs.hRow, k, x);
    forward.run();
  }

  @Override
  void gradH() {
    gather(gradOut, pairs.outRow, n, y);
    backward.run();
  }

  @Override
  void gradW() {
    gather(h, pairs.hRow, k, x);
    gather(gradOut, pairs.outRow, n, y);
    outer.run();
  }

  @Override
  public void close() {
    mkl_rt.MKL_Thread_Free_Buffers();
  }
}
