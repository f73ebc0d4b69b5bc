// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.programs;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.blocksparse.Backend;
import org.blocksparse.FloatTensor;
import org.blocksparse.Workers;
import org.blocksparse.internal.backend.KernelChoice;
import org.blocksparse.internal.binding.Blocksparse;
import org.blocksparse.internal.kernels.KernelWorkers;
import org.blocksparse.products.BlockPlan;
import org.blocksparse.products.Epilogue;
import org.blocksparse.products.SparseBlockDot;
import org.blocksparse.testing.BlockProblem;
import org.blocksparse.testing.BlockProblem.Sizes;
import org.blocksparse.testing.ChildJvm;
import org.blocksparse.testing.Data;
import org.blocksparse.testing.Data.Numbers;
import org.blocksparse.testing.Oracle;
import org.bytedeco.openblas.global.openblas_nolapack;

/**
 * Multiplies with this library and, in other threads and with its own number of threads, with
 * bytedeco's OpenBLAS; the main class of the JVMs of {@code OtherBlasTest}.
 */
public final class OtherBlasProgram {
  /** A size so large that OpenBLAS uses its own threads. */
  private static final int SIZE = 160;

  private static final int THEIR_THREADS = 2;

  private OtherBlasProgram() {}

  public static void main(String[] args) throws Exception {
    if (args[0].equals("other first")) {
      openblas_nolapack.blas_set_num_threads(THEIR_THREADS);
    }
    ProductProgram.compute();
    tellThreads("load");
    ChildJvm.check(Backend.selfTest().isEmpty(), "the self-test finds nothing wrong");
    tellThreads("self-test");
    Workers openBlas = KernelWorkers.of(KernelChoice.available().get("OpenBLAS"));
    tellThreads("choice of OpenBLAS");
    openblas_nolapack.blas_set_num_threads(THEIR_THREADS);
    tellThreads("theirs");
    long end = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(700);
    ExecutorService threads = Executors.newFixedThreadPool(6);
    List<Future<?>> futures = new ArrayList<>();
    for (int i = 0; i < 3; i++) {
      int seed = i;
      futures.add(threads.submit(() -> multiplyTheirs(seed, end)));
      futures.add(threads.submit(() -> multiplyOurs(seed, end, openBlas)));
    }
    for (Future<?> future : futures) {
      future.get();
    }
    threads.shutdown();
    System.out.println("all exact");
  }

  private static void tellThreads(String when) {
    System.out.println("after " + when + ": " + Blocksparse.blocksparse_openblas_threads());
  }

  private static void multiplyTheirs(int seed, long end) {
    Data data = new Data(seed);
    float[] a = data.floats(Numbers.SMALL_INTEGERS, SIZE * SIZE);
    float[] b = data.floats(Numbers.SMALL_INTEGERS, SIZE * SIZE);
    float[] expected = new float[SIZE * SIZE];
    for (int i = 0; i < SIZE; i++) {
      for (int k = 0; k < SIZE; k++) {
        for (int j = 0; j < SIZE; j++) {
          expected[i * SIZE + j] += a[i * SIZE + k] * b[k * SIZE + j];
        }
      }
    }
    while (System.nanoTime() < end) {
      float[] c = new float[SIZE * SIZE];
      openblas_nolapack.cblas_sgemm(
          openblas_nolapack.CblasRowMajor,
          openblas_nolapack.CblasNoTrans,
          openblas_nolapack.CblasNoTrans,
          SIZE,
          SIZE,
          SIZE,
          1,
          a,
          SIZE,
          b,
          SIZE,
          0,
          c,
          SIZE);
      if (!Arrays.equals(expected, c)) {
        throw new IllegalStateException("their product is wrong");
      }
    }
  }

  private static void multiplyOurs(int seed, long end, Workers workers) {
    BlockProblem p =
        new Data(seed).blocks(new Sizes(200, 3, 4, 40, 50, 3, 2), Numbers.SMALL_INTEGERS);
    Sizes s = p.sizes();
    try (FloatTensor W = FloatTensor.of(p.W(), s.W());
        FloatTensor h = FloatTensor.of(p.h(), s.h());
        FloatTensor b = FloatTensor.of(p.b(), s.b());
        BlockPlan plan = p.plan(workers)) {
      while (System.nanoTime() < end) {
        try (FloatTensor out = SparseBlockDot.apply(W, h, plan, Epilogue.none().withBias(b))) {
          Oracle.dot(p).assertExact("our product", out);
        }
      }
    }
  }
}
