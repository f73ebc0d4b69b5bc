// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import org.blocksparse.internal.kernels.GemmSchedule;
import org.blocksparse.internal.kernels.OuterSchedule;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;

/** Building the schedules of a plan for about {@value #PAIRS} pairs. */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.SampleTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
public class PlanBenchmark {
  private static final int PAIRS = 100_000;

  /** Input and output blocks that each sample selects. */
  @Param({"1", "8"})
  public int window;

  /** Blocks to select from, on each side if the window is larger than 1. */
  @Param({"64", "1000"})
  public int blocks;

  private int batch;
  private int iBlocks;
  private int[] inputIdx;
  private int[] outputIdx;

  @Setup
  public void setUp() {
    SplittableRandom random = new SplittableRandom(9);
    batch = PAIRS / (window * window);
    iBlocks = window == 1 ? 1 : blocks;
    inputIdx =
        IntStream.generate(() -> random.nextInt(iBlocks)).limit((long) batch * window).toArray();
    outputIdx =
        IntStream.generate(() -> random.nextInt(blocks)).limit((long) batch * window).toArray();
  }

  @Benchmark
  public int gemm() {
    try (GemmSchedule schedule = GemmSchedule.of(batch, outputIdx, blocks, inputIdx, iBlocks)) {
      return schedule.pairs();
    }
  }

  @Benchmark
  public int outer() {
    try (OuterSchedule schedule = OuterSchedule.of(batch, inputIdx, iBlocks, outputIdx, blocks)) {
      return schedule.pairs();
    }
  }
}
