// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import org.blocksparse.bench.jobs.BlocksparseProducts;
import org.blocksparse.bench.jobs.Operation;
import org.blocksparse.bench.jobs.Problem;
import org.blocksparse.bench.jobs.Products;
import org.blocksparse.bench.jobs.Workload;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;

/** Block-sparse products and their gradients. */
public class ProductsBenchmark extends Measured {
  /** A workload, computed by one library. */
  @State(Scope.Benchmark)
  public abstract static class Blocks {
    @Param public Workload workload;

    @Param({"FORWARD", "GRAD_H", "GRAD_W"})
    public Operation operation;

    private Problem problem;
    private Products products;

    abstract Products products(Problem of);

    @Setup
    public void setUp() {
      problem = new Problem(workload);
      products = products(problem);
      run();
      problem.check(operation, products.result(operation));
      Facts.putCost(workload.bytes(operation), workload.flops());
    }

    void run() {
      products.run(operation);
    }

    @TearDown
    public void tearDown() {
      products.close();
      problem.close();
    }
  }

  /** The products of this library. */
  public static class Blocksparse extends Blocks {
    @Override
    Products products(Problem of) {
      return new BlocksparseProducts(of);
    }
  }

  /** A hand-written loop over blocks with OpenBLAS. */
  public static class OpenBlas extends Blocks {
    @Override
    Products products(Problem of) {
      return new OpenBlasLoop(of);
    }
  }

  /** A batch of products with MKL. */
  public static class Mkl extends Blocks {
    @Override
    Products products(Problem of) {
      return new MklBatch(of);
    }
  }

  /** A loop over blocks in PyTorch. */
  public static class PyTorch extends Blocks {
    @Override
    Products products(Problem of) {
      return new PyTorchLoop(of);
    }
  }

  @Benchmark
  public void blocksparse(Blocksparse blocks) {
    blocks.run();
  }

  /** Runs this library with all products on OpenBLAS. */
  @Benchmark
  @Fork(
      value = 1,
      jvmArgsAppend = {NATIVE, MEMORY, "-Dblocksparse.path=blas"})
  public void blocksparseBlas(Blocksparse blocks) {
    blocks.run();
  }

  @Benchmark
  public void openblasLoop(OpenBlas blocks) {
    blocks.run();
  }

  @Benchmark
  public void mklBatch(Mkl blocks) {
    blocks.run();
  }

  @Benchmark
  public void pytorchLoop(PyTorch blocks) {
    blocks.run();
  }
}
