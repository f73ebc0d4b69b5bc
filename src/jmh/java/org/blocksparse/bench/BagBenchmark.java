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

/** An embedding bag: {@code mvn -f src/jmh -Dbench.args="run --part BAG"}. */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.SampleTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
public class BagBenchmark {
  @Param public BagOperation operation;
  @Param public BagPeer peer;

  private BagPeer.Bag bag;
  private int calls;

  @Setup
  public void setUp() {
    BagProblem problem = new BagProblem();
    bag = peer.bag(problem);
    try (BagPeer.Bag expected = BagPeer.PLAIN_JAVA.bag(problem)) {
      bag.step(1);
      expected.step(1);
      bag.forward(0);
      expected.forward(0);
      float[] sums = bag.sums();
      for (int i = 0; i < sums.length; i++) {
        if (!(Math.abs(sums[i] - expected.sums()[i]) <= 1e-6)) {
          throw new IllegalStateException(
              "element " + i + ": " + sums[i] + " in place of " + expected.sums()[i]);
        }
      }
    }
  }

  @TearDown
  public void tearDown() {
    bag.close();
  }

  @Benchmark
  public void run() {
    int batch = calls++ % BagProblem.BATCHES;
    if (operation == BagOperation.FORWARD) {
      bag.forward(batch);
    } else {
      bag.step(batch);
    }
  }
}
