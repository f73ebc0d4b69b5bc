// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import java.util.concurrent.TimeUnit;
import org.blocksparse.FloatTensor;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.mkl.global.mkl_rt;
import org.bytedeco.openblas.global.openblas;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;

/**
 * The second physical limit: a large dense product on each processor at once, by the faster
 * library.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.SampleTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
public class DenseBenchmark {
  /** The library that multiplies. */
  public enum Library {
    OPENBLAS,
    MKL
  }

  @Param public Library library;

  /** Rows and columns. A machine that is not quiet is more likely to be so for the shorter time. */
  @Param({"1024", "2048"})
  public int size;

  private FloatTensor a;
  private FloatTensor b;
  private FloatTensor[] c;
  private FloatPointer aPointer;
  private FloatPointer bPointer;
  private FloatPointer[] cPointers;

  /** Floating-point operations of a call. */
  static double flops(int size) {
    return 2.0 * size * size * size * Together.THREADS;
  }

  @Setup
  public void setUp() {
    a = Problem.random(1, size, size);
    b = Problem.random(2, size, size);
    aPointer = new FloatPointer(a.asFloatBuffer());
    bPointer = new FloatPointer(b.asFloatBuffer());
    c = new FloatTensor[Together.THREADS];
    cPointers = new FloatPointer[Together.THREADS];
    for (int t = 0; t < Together.THREADS; t++) {
      c[t] = FloatTensor.zeros(size, size);
      cPointers[t] = new FloatPointer(c[t].asFloatBuffer());
    }
    switch (library) {
      case OPENBLAS -> openblas.blas_set_num_threads(1);
      case MKL -> mkl_rt.MKL_Set_Num_Threads(1);
    }
  }

  @TearDown
  public void tearDown() {
    a.close();
    b.close();
    for (FloatTensor each : c) {
      each.close();
    }
  }

  @Benchmark
  public void sgemm() {
    Together.run(t -> multiply(cPointers[t]));
  }

  private void multiply(FloatPointer result) {
    switch (library) {
      case OPENBLAS ->
          openblas.cblas_sgemm(
              openblas.CblasRowMajor,
              openblas.CblasNoTrans,
              openblas.CblasNoTrans,
              size,
              size,
              size,
              1,
              aPointer,
              size,
              bPointer,
              size,
              0,
              result,
              size);
      case MKL ->
          mkl_rt.cblas_sgemm(
              mkl_rt.CblasRowMajor,
              mkl_rt.CblasNoTrans,
              mkl_rt.CblasNoTrans,
              size,
              size,
              size,
              1,
              aPointer,
              size,
              bPointer,
              size,
              0,
              result,
              size);
    }
  }
}
