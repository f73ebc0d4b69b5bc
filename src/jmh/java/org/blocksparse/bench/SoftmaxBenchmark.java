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

/** The two-level softmax, from log probabilities to training. Run it by {@link Main}. */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.SampleTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
public class SoftmaxBenchmark {
  @Param public SoftmaxWorkload workload;
  @Param public SoftmaxOperation operation;
  @Param public Peer peer;

  private SoftmaxProblem problem;
  private Softmax softmax;

  @Setup
  public void setUp() {
    problem = SoftmaxProblem.of(workload, operation);
    softmax = peer.softmax(problem);
    switch (operation) {
      case TARGET, ALL, TOP_K -> {
        softmax.run(operation);
        problem.check(operation, softmax.result());
      }
      case STEP, STEP_ADAGRAD -> {
        // The second step sees what the first one did to the parameters.
        for (int step = 0; step < 2; step++) {
          double loss = problem.loss();
          softmax.run(operation);
          SoftmaxProblem.compare(operation, loss, softmax.result().get(0));
        }
        if (problem.loss() >= softmax.result().get(0)) {
          throw new IllegalStateException(operation + ": the loss does not go down");
        }
      }
    }
  }

  @TearDown
  public void tearDown() {
    softmax.close();
    problem.close();
  }

  @Benchmark
  public void run() {
    softmax.run(operation);
  }
}
