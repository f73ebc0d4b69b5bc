// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import java.io.IOException;
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

/** The {@link Softmax#K} likeliest outputs, by a search or by scoring all. */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.SampleTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
public class TopKBenchmark {
  @Param public TopKWorkload workload;
  @Param public Peer peer;

  private SoftmaxProblem problem;
  private Softmax softmax;

  @Setup
  public void setUp() throws IOException {
    problem = workload.problem();
    softmax = peer.softmax(problem);
    softmax.run(SoftmaxOperation.TOP_K);
    problem.check(SoftmaxOperation.TOP_K, softmax.result());
    OpenedClasses.mean = softmax.openedClasses();
  }

  @TearDown
  public void tearDown() {
    softmax.close();
    problem.close();
  }

  @Benchmark
  public void run() {
    softmax.run(SoftmaxOperation.TOP_K);
  }
}
