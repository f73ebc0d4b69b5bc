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
import org.openjdk.jmh.infra.BenchmarkParams;

/**
 * The first physical limit: how fast all threads together read memory, by how much of it there is,
 * so that what fits into a cache is measured against that cache. Each thread reads a part of its
 * own.
 */
@State(Scope.Thread)
@BenchmarkMode(Mode.SampleTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
public class MemoryBenchmark {
  @Param({"1", "4", "16", "64", "512"})
  public int megabytes;

  private FloatTensor memory;
  private FloatPointer pointer;
  private int elements;

  @Setup
  public void setUp(BenchmarkParams params) {
    elements = (megabytes << 18) / params.getThreads();
    // Of a size that gets huge pages, however little of it is read.
    memory = FloatTensor.zeros(Math.max(1 << 20, elements));
    memory.fill(1);
    pointer = new FloatPointer(memory.asFloatBuffer());
  }

  @TearDown
  public void tearDown() {
    memory.close();
  }

  @Benchmark
  public float read() {
    return openblas.cblas_sdot(elements, pointer, 1, pointer, 1);
  }
}
