// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import java.util.Map;
import org.blocksparse.Activation;
import org.blocksparse.bench.jobs.BlocksparseMoe;
import org.blocksparse.bench.jobs.Moe;
import org.blocksparse.bench.jobs.MoeProblem;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;

/** A whole mixture of experts: forward, backward and training. */
public class MoeBenchmark extends Measured {
  private static final double TOLERANCE = 1e-4;

  /** The share of elements that may exceed the tolerance: a few rows in a thousand. */
  private static final double MAX_OFF = 0.005;

  private static final double STEP_TOLERANCE = 0.01;

  /** An operation on a batch with a given routing. */
  public enum Operation {
    FORWARD(1, 1),
    /** Computes all gradients, after an unmeasured forward pass. Each product has two gradients. */
    BACKWARD(2, 2),
    /** Runs forward, backward and Adam, which reads and writes weights and two moments. */
    ADAM_STEP(3, 7);

    private final int products;
    private final int passes;

    Operation(int products, int passes) {
      this.products = products;
      this.passes = passes;
    }
  }

  /** A layer, compared with that of another library in all operations. */
  @State(Scope.Benchmark)
  public abstract static class Layer {
    @Param({"64", "1024"})
    public int tokens;

    @Param({"RELU", "SILU", "SWIGLU"})
    public Activation activation;

    @Param public Operation operation;

    private Moe layer;

    abstract Moe layer(MoeProblem of);

    abstract Moe other(MoeProblem of);

    @Setup
    public void setUp() {
      MoeProblem problem = new MoeProblem(tokens, activation);
      layer = layer(problem);
      try (Moe reference = other(problem)) {
        for (Moe each : new Moe[] {layer, reference}) {
          each.forward();
          each.backward();
        }
        Map<String, float[]> expected = reference.results();
        layer.results().forEach((name, values) -> requireClose(name, expected.get(name), values));
        layer.step();
        reference.step();
        Map<String, float[]> parameters = reference.parameters();
        layer
            .parameters()
            .forEach((name, values) -> requireStep(name, parameters.get(name), values));
      }
      layer.forward();
      double perToken = problem.weights() / MoeProblem.EXPERTS * MoeProblem.TOP;
      Facts.putCost(
          Float.BYTES * operation.passes * problem.weights(),
          2 * operation.products * tokens * perToken);
    }

    void run() {
      switch (operation) {
        case FORWARD -> layer.forward();
        case BACKWARD -> layer.backward();
        case ADAM_STEP -> layer.step();
      }
    }

    @TearDown
    public void tearDown() {
      layer.close();
    }
  }

  /**
   * Compares relative to the largest element: sums of many terms that cancel out are less exact. If
   * such a sum is 0 except for rounding, two peers may be on different sides of the kink of ReLU:
   * the few elements of gradients that depend on it may differ.
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
    if (off > MAX_OFF * expected.length) {
      throw new IllegalStateException(
          name + ": " + off + " of " + expected.length + " elements are not those of the other");
    }
  }

  /**
   * Compares on average: the first step of Adam has the sign of the gradient, and the size of the
   * rate, however small the gradient is. If that is 0 except for rounding, two peers move in
   * different directions.
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

  /** The layer of this library. */
  public static class Blocksparse extends Layer {
    @Override
    Moe layer(MoeProblem of) {
      return new BlocksparseMoe(of);
    }

    @Override
    Moe other(MoeProblem of) {
      return new PyTorchMoe(of);
    }
  }

  /** The layer in PyTorch. */
  public static class PyTorch extends Layer {
    @Override
    Moe layer(MoeProblem of) {
      return new PyTorchMoe(of);
    }

    @Override
    Moe other(MoeProblem of) {
      return new BlocksparseMoe(of);
    }
  }

  @Benchmark
  public void blocksparse(Blocksparse layer) {
    layer.run();
  }

  @Benchmark
  public void pytorchLoop(PyTorch layer) {
    layer.run();
  }
}
