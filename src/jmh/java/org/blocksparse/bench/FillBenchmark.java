// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import java.util.concurrent.TimeUnit;
import org.blocksparse.FloatTensor;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.Pointer;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;

/** How fast a tensor is filled, and made of zeros, on one thread; the limit is C's memset. */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.SampleTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
public class FillBenchmark {
  @Param({"1", "32"})
  public int megabytes;

  private FloatTensor tensor;
  private FloatPointer pointer;

  @Setup
  public void setUp() {
    tensor = FloatTensor.zeros((long) megabytes << 18);
    pointer = new FloatPointer(tensor.asFloatBuffer());
  }

  @TearDown
  public void tearDown() {
    tensor.close();
  }

  @Benchmark
  public void memset() {
    Pointer.memset(pointer, 1, (long) megabytes << 20);
  }

  @Benchmark
  public void fill() {
    tensor.fill(1.5f);
  }

  /** New memory, which the system clears when it is first touched, here by reading each page. */
  @Benchmark
  public float zeros() {
    try (FloatTensor zeros = FloatTensor.zeros((long) megabytes << 18)) {
      float sum = 0;
      for (long at = 0; at < (long) megabytes << 18; at += 1024) {
        sum += zeros.get(at);
      }
      return sum;
    }
  }
}
