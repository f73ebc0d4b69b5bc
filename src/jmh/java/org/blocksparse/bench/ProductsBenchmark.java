// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;

/** Block-sparse products and their gradients, by us and by others. Run it by {@link Main}. */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.SampleTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
public class ProductsBenchmark {
  @Param public Workload workload;
  @Param public Operation operation;
  @Param public Peer peer;

  private Problem problem;
  private Products products;

  @Setup
  public void setUp() {
    problem = new Problem(workload);
    products = peer.products(problem);
    products.run(operation);
    problem.check(operation, products.result(operation));
  }

  @TearDown
  public void tearDown() {
    products.close();
    problem.close();
  }

  @Benchmark
  public void run() {
    products.run(operation);
  }
}
