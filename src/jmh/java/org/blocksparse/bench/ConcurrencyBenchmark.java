// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import java.util.concurrent.ForkJoinPool;
import java.util.concurrent.TimeUnit;
import org.blocksparse.Workers;
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
 * Forward products by one or more callers (JMH's threads) at the same time on the same weights,
 * each with some workers. One caller with 1 and 2 workers shows how the work scales; two callers
 * with 2 workers each should together get as much done as one.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.SampleTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
public class ConcurrencyBenchmark {
  @Param public Workload workload;

  @Param({"1", "2"})
  public int workers;

  private Problem problem;

  @Setup
  public void setUp() {
    problem = new Problem(workload);
  }

  @TearDown
  public void tearDown() {
    problem.close();
  }

  /** The state of one caller. */
  @State(Scope.Thread)
  public static class Caller {
    private BlocksparseProducts products;

    @Setup
    public void setUp(ConcurrencyBenchmark shared) {
      Workers workers =
          shared.workers == 1
              ? Workers.callingThread()
              : Workers.of(ForkJoinPool.commonPool(), shared.workers);
      products = new BlocksparseProducts(shared.problem, workers);
      products.run(Operation.FORWARD);
      shared.problem.check(Operation.FORWARD, products.result(Operation.FORWARD));
    }

    @TearDown
    public void tearDown() {
      products.close();
    }
  }

  @Benchmark
  public void forward(Caller caller) {
    caller.products.run(Operation.FORWARD);
  }
}
