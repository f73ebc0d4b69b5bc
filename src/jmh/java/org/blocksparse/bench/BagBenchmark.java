// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import org.blocksparse.bench.jobs.Bag;
import org.blocksparse.bench.jobs.BagProblem;
import org.blocksparse.bench.jobs.BlocksparseBag;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;

/** An embedding bag. */
public class BagBenchmark extends Measured {
  private static final double TOLERANCE = 1e-6;

  /** An operation on a batch. */
  public enum Operation {
    FORWARD(1),
    /** Reads and writes the table and the state of Adagrad. */
    ADAGRAD_STEP(4);

    private final int passes;

    Operation(int passes) {
      this.passes = passes;
    }
  }

  /** A bag, compared with plain loops in Java. */
  @State(Scope.Benchmark)
  public abstract static class Table {
    @Param public Operation operation;

    private Bag bag;
    private int calls;

    abstract Bag bag(BagProblem of);

    @Setup
    public void setUp() {
      BagProblem problem = new BagProblem();
      bag = bag(problem);
      Bag expected = new PlainBag(problem);
      bag.step(1);
      expected.step(1);
      bag.forward(0);
      expected.forward(0);
      float[] means = bag.means();
      for (int i = 0; i < means.length; i++) {
        if (!(Math.abs(means[i] - expected.means()[i]) <= TOLERANCE)) {
          throw new IllegalStateException(
              "element " + i + ": expected " + expected.means()[i] + " but was " + means[i]);
        }
      }
      double bytes = problem.distinctRows() * BagProblem.FEATURES * Float.BYTES;
      Facts.putCost(operation.passes * bytes, 0);
    }

    void run() {
      int batch = calls++ % BagProblem.BATCHES;
      if (operation == Operation.FORWARD) {
        bag.forward(batch);
      } else {
        bag.step(batch);
      }
    }

    @TearDown
    public void tearDown() {
      bag.close();
    }
  }

  /** The bag of this library. */
  public static class Blocksparse extends Table {
    @Override
    Bag bag(BagProblem of) {
      return new BlocksparseBag(of);
    }
  }

  /** A user's own loops. */
  public static class Plain extends Table {
    @Override
    Bag bag(BagProblem of) {
      return new PlainBag(of);
    }
  }

  /** The embedding and the Adagrad of DJL. */
  public static class PyTorch extends Table {
    @Override
    Bag bag(BagProblem of) {
      return new PyTorchBag(of);
    }
  }

  @Benchmark
  public void blocksparse(Blocksparse table) {
    table.run();
  }

  @Benchmark
  public void plainJava(Plain table) {
    table.run();
  }

  @Benchmark
  public void pytorch(PyTorch table) {
    table.run();
  }
}
