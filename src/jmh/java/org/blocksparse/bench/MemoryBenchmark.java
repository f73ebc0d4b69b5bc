// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import java.util.concurrent.TimeUnit;
import org.blocksparse.FloatTensor;
import org.bytedeco.javacpp.FloatPointer;
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
 * The first physical limit: how fast all threads together read memory, by how much of it there is,
 * so that what fits into a cache is measured against that cache. Each thread reads a part of its
 * own.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.SampleTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
public class MemoryBenchmark {
  /** Read in one call, so that starting threads is small against it. */
  private static final int MEGABYTES_OF_A_CALL = 512;

  @Param({"1", "4", "16", "64", "512"})
  public int megabytes;

  private FloatTensor[] memory;
  private FloatPointer[] pointers;
  private float[] sums;
  private int elements;

  /** Bytes that a call reads. */
  static double bytes() {
    return MEGABYTES_OF_A_CALL * 0x1p20;
  }

  @Setup
  public void setUp() {
    openblas.blas_set_num_threads(1);
    elements = (megabytes << 18) / Together.THREADS;
    memory = new FloatTensor[Together.THREADS];
    pointers = new FloatPointer[Together.THREADS];
    sums = new float[Together.THREADS];
    for (int t = 0; t < Together.THREADS; t++) {
      // Of a size that gets huge pages, however little of it is read.
      memory[t] = FloatTensor.zeros(Math.max(1 << 20, elements));
      memory[t].fill(1);
      pointers[t] = new FloatPointer(memory[t].asFloatBuffer());
    }
  }

  @TearDown
  public void tearDown() {
    for (FloatTensor part : memory) {
      part.close();
    }
  }

  @Benchmark
  public float[] read() {
    Together.run(
        t -> {
          for (int read = 0; read < MEGABYTES_OF_A_CALL; read += megabytes) {
            sums[t] = openblas.cblas_sdot(elements, pointers[t], 1, pointers[t], 1);
          }
        });
    return sums;
  }
}
