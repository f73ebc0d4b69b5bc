// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import org.blocksparse.bench.jobs.BlocksparseSoftmax;
import org.blocksparse.bench.jobs.Softmax;
import org.blocksparse.bench.jobs.SoftmaxOperation;
import org.blocksparse.bench.jobs.SoftmaxProblem;
import org.blocksparse.bench.jobs.TopKWorkload;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;

/** The {@link Softmax#K} likeliest of a million outputs, by a search or by scoring all. */
public class TopKBenchmark extends Measured {
  /** A layer, computed by this library or another one. */
  @State(Scope.Benchmark)
  public abstract static class Layer {
    private SoftmaxProblem problem;
    private Softmax softmax;

    abstract TopKWorkload workload();

    abstract Softmax softmax(SoftmaxProblem of);

    @Setup
    public void setUp() {
      problem = workload().problem();
      softmax = softmax(problem);
      run();
      problem.check(SoftmaxOperation.TOP_K, softmax.result());
      softmax.openedClasses().ifPresent(mean -> Facts.put("classes opened", mean));
    }

    void run() {
      softmax.run(SoftmaxOperation.TOP_K);
    }

    @TearDown
    public void tearDown() {
      softmax.close();
      problem.close();
    }
  }

  /** The search of this library. */
  public static class Search extends Layer {
    @Param public TopKWorkload workload;

    @Override
    TopKWorkload workload() {
      return workload;
    }

    @Override
    Softmax softmax(SoftmaxProblem of) {
      return new BlocksparseSoftmax(of);
    }
  }

  /** Scores of all outputs in PyTorch; it cannot skip any. */
  public static class PyTorch extends Layer {
    @Param({"PEAKED_1", "PEAKED_256", "FLAT_1", "FLAT_256"})
    public TopKWorkload workload;

    @Override
    TopKWorkload workload() {
      return workload;
    }

    @Override
    Softmax softmax(SoftmaxProblem of) {
      return new PyTorchDense(of);
    }
  }

  @Benchmark
  public void blocksparse(Search search) {
    search.run();
  }

  @Benchmark
  public void pytorchDense(PyTorch dense) {
    dense.run();
  }
}
