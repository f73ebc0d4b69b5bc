// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import org.blocksparse.bench.jobs.BlocksparseSoftmax;
import org.blocksparse.bench.jobs.Softmax;
import org.blocksparse.bench.jobs.SoftmaxOperation;
import org.blocksparse.bench.jobs.SoftmaxProblem;
import org.blocksparse.bench.jobs.SoftmaxWorkload;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OperationsPerInvocation;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/** The two-level softmax, from log probabilities to training. */
public class SoftmaxBenchmark extends Measured {
  /** A layer, computed by this library or another one. */
  @State(Scope.Benchmark)
  public abstract static class Layer {
    @Param public SoftmaxWorkload workload;

    private SoftmaxProblem problem;
    private Softmax softmax;

    abstract SoftmaxOperation operation();

    abstract Softmax softmax(SoftmaxProblem of);

    @Setup
    public void setUp() {
      if (operation() == SoftmaxOperation.ALL && workload.bytesOfAll() > Integer.MAX_VALUE) {
        throw new IllegalArgumentException("all probabilities of " + workload + " are too many");
      }
      problem = SoftmaxProblem.of(workload, operation());
      softmax = softmax(problem);
      switch (operation()) {
        case TARGET, ALL, TOP_K -> {
          run();
          problem.check(operation(), softmax.result());
        }
        case STEP, STEP_ADAGRAD -> {
          // The second step shows how the first one changed the parameters.
          for (int step = 0; step < 2; step++) {
            double loss = problem.loss();
            run();
            SoftmaxProblem.compare(operation(), loss, softmax.result().get(0));
          }
          if (problem.loss() >= softmax.result().get(0)) {
            throw new IllegalStateException(operation() + ": the loss does not go down");
          }
        }
      }
      Facts.putCost(workload.bytes(operation()), workload.flops(operation()));
    }

    void run() {
      softmax.run(operation());
    }

    @TearDown
    public void tearDown() {
      softmax.close();
      problem.close();
    }
  }

  /** The layer of this library. */
  public static class Blocksparse extends Layer {
    @Param public SoftmaxOperation operation;

    @Override
    SoftmaxOperation operation() {
      return operation;
    }

    @Override
    Softmax softmax(SoftmaxProblem of) {
      return new BlocksparseSoftmax(of);
    }
  }

  /** One dense product in PyTorch. */
  public static class PyTorch extends Layer {
    @Param({"ALL", "TOP_K"})
    public SoftmaxOperation operation;

    @Override
    SoftmaxOperation operation() {
      return operation;
    }

    @Override
    Softmax softmax(SoftmaxProblem of) {
      return new PyTorchDense(of);
    }
  }

  @Benchmark
  public void blocksparse(Blocksparse layer) {
    layer.run();
  }

  @Benchmark
  public void pytorchDense(PyTorch layer) {
    layer.run();
  }

  /** Runs a training of the whole program, and reports it by the step. */
  @Benchmark
  @BenchmarkMode(Mode.SingleShotTime)
  @Warmup(iterations = 0)
  @Measurement(iterations = 1)
  @OperationsPerInvocation(FastText.STEPS)
  public void fastText(FastText program) throws Exception {
    program.train();
  }
}
