// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import java.util.Map;
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

/** A whole mixture of experts: {@code mvn -f src/jmh -Dbench.args="run --part MOE"}. */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.SampleTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
public class MoeBenchmark {
  private static final double TOLERANCE = 1e-4;

  /** The share of elements that may be off: a few rows of a thousand. */
  private static final double MOST_OFF = 0.005;

  private static final double STEP_TOLERANCE = 0.01;

  @Param({"64", "1024"})
  public int tokens;

  @Param public MoeActivation activation;
  @Param public MoeOperation operation;
  @Param public Peer peer;

  private Moe layer;

  /** One peer compared with the other, in a forward and a backward pass and a step. */
  @Setup
  public void setUp() {
    MoeProblem problem = new MoeProblem(tokens, activation);
    layer = peer.moe(problem);
    Peer other = peer == Peer.BLOCKSPARSE ? Peer.PYTORCH_LOOP : Peer.BLOCKSPARSE;
    try (Moe reference = other.moe(problem)) {
      for (Moe each : new Moe[] {layer, reference}) {
        each.forward();
        each.backward();
      }
      Map<String, float[]> expected = reference.results();
      layer.results().forEach((name, values) -> requireClose(name, expected.get(name), values));
      layer.step();
      reference.step();
      Map<String, float[]> parameters = reference.parameters();
      layer.parameters().forEach((name, values) -> requireStep(name, parameters.get(name), values));
    }
  }

  /**
   * Within a share of the largest element: sums of many terms that cancel out are less exact. Where
   * such a sum is 0 but for rounding, two peers may be on two sides of the kink of ReLU: a few
   * elements of gradients may differ by what depends on it.
   */
  private static void requireClose(String name, float[] expected, float[] actual) {
    double largest = 0;
    for (float value : expected) {
      largest = Math.max(largest, Math.abs(value));
    }
    int off = 0;
    for (int i = 0; i < expected.length; i++) {
      if (!(Math.abs(expected[i] - actual[i]) <= TOLERANCE * largest)) {
        off++;
      }
    }
    if (off > MOST_OFF * expected.length) {
      throw new IllegalStateException(
          name + ": " + off + " of " + expected.length + " elements are not those of the other");
    }
  }

  /**
   * On the average: the first step of Adam has the sign of the gradient, and the size of the rate,
   * however small the gradient is. Where that is 0 but for rounding, two peers go two ways.
   */
  private static void requireStep(String name, float[] expected, float[] actual) {
    double sum = 0;
    for (int i = 0; i < expected.length; i++) {
      sum += Math.abs(expected[i] - actual[i]);
    }
    double mean = sum / expected.length;
    if (!(mean <= STEP_TOLERANCE * MoeProblem.RATE)) {
      throw new IllegalStateException(name + ": off by " + mean + " on the average");
    }
  }

  @TearDown
  public void tearDown() {
    layer.close();
  }

  @Benchmark
  public void run() {
    switch (operation) {
      case FORWARD -> layer.forward();
      case BACKWARD -> layer.backward();
      case ADAM_STEP -> layer.step();
    }
  }
}
