// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import java.util.function.IntConsumer;
import java.util.stream.IntStream;
import org.blocksparse.FloatTensor;
import org.blocksparse.bench.jobs.Problem;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.mkl.global.mkl_rt;
import org.bytedeco.openblas.global.openblas;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;

/**
 * The physical limits: the rate at which all processors together read memory of a given size, so
 * that a workload that fits into a cache is compared with that cache; and a large dense product on
 * each processor. A call ends when all threads have ended: the shortest times of independent
 * threads would add up to more than the machine can do.
 */
public class LimitsBenchmark extends Measured {
  private static final int THREADS = Runtime.getRuntime().availableProcessors();

  /** The megabytes of a call, so many that starting threads costs little. */
  private static final int MEGABYTES_OF_A_CALL = 512;

  private static void onAll(IntConsumer task) {
    IntStream.range(0, THREADS).parallel().forEach(task);
  }

  private static FloatPointer pointer(FloatTensor tensor) {
    return new FloatPointer(tensor.asFloatBuffer());
  }

  /** A part of the memory for each thread. */
  @State(Scope.Benchmark)
  public static class Memory {
    @Param({"1", "4", "16", "64", "512"})
    public int megabytes;

    private final FloatPointer[] parts = new FloatPointer[THREADS];
    private final float[] sums = new float[THREADS];

    @Setup
    public void setUp() {
      openblas.blas_set_num_threads(1);
      for (int t = 0; t < THREADS; t++) {
        // The size is large enough for huge pages, however little of it is read.
        FloatTensor memory = FloatTensor.zeros(Math.max(1 << 20, (megabytes << 18) / THREADS));
        memory.fill(1);
        parts[t] = pointer(memory);
      }
      Facts.put(Facts.BYTES, MEGABYTES_OF_A_CALL * 0x1p20);
    }
  }

  @Benchmark
  public float[] read(Memory memory) {
    int elements = (memory.megabytes << 18) / THREADS;
    onAll(
        t -> {
          for (int read = 0; read < MEGABYTES_OF_A_CALL; read += memory.megabytes) {
            FloatPointer part = memory.parts[t];
            memory.sums[t] = openblas.cblas_sdot(elements, part, 1, part, 1);
          }
        });
    return memory.sums;
  }

  /** Matrices of a dense product. */
  @State(Scope.Benchmark)
  public static class Matrices {
    /** On a busy machine, the shorter time is more likely to be undisturbed. */
    @Param({"1024", "2048"})
    public int size;

    private FloatPointer a;
    private FloatPointer b;
    private final FloatPointer[] c = new FloatPointer[THREADS];

    @Setup
    public void setUp() {
      openblas.blas_set_num_threads(1);
      mkl_rt.MKL_Set_Num_Threads(1);
      a = pointer(Problem.random(1, size, size));
      b = pointer(Problem.random(2, size, size));
      for (int t = 0; t < THREADS; t++) {
        c[t] = pointer(FloatTensor.zeros(size, size));
      }
      Facts.put(Facts.FLOPS, 2.0 * size * size * size * THREADS);
    }
  }

  @Benchmark
  public void openblas(Matrices m) {
    int n = m.size;
    int none = openblas.CblasNoTrans;
    onAll(
        t ->
            openblas.cblas_sgemm(
                openblas.CblasRowMajor, none, none, n, n, n, 1, m.a, n, m.b, n, 0, m.c[t], n));
  }

  @Benchmark
  public void mkl(Matrices m) {
    int n = m.size;
    int none = mkl_rt.CblasNoTrans;
    onAll(
        t ->
            mkl_rt.cblas_sgemm(
                mkl_rt.CblasRowMajor, none, none, n, n, n, 1, m.a, n, m.b, n, 0, m.c[t], n));
  }
}
