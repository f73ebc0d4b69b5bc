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

/** The second physical limit: one large dense product on all processors, by the faster library. */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.SampleTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
public class DenseBenchmark {
  /** Who multiplies. */
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
  private FloatTensor c;
  private FloatPointer aPointer;
  private FloatPointer bPointer;
  private FloatPointer cPointer;

  @Setup
  public void setUp() {
    a = Problem.random(1, size, size);
    b = Problem.random(2, size, size);
    c = FloatTensor.zeros(size, size);
    aPointer = new FloatPointer(a.asFloatBuffer());
    bPointer = new FloatPointer(b.asFloatBuffer());
    cPointer = new FloatPointer(c.asFloatBuffer());
    int processors = Runtime.getRuntime().availableProcessors();
    switch (library) {
      case OPENBLAS -> openblas.blas_set_num_threads(processors);
      case MKL -> mkl_rt.MKL_Set_Num_Threads(processors);
    }
  }

  @TearDown
  public void tearDown() {
    a.close();
    b.close();
    c.close();
  }

  @Benchmark
  public void sgemm() {
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
              cPointer,
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
              cPointer,
              size);
    }
  }
}
