// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import static org.blocksparse.ElementType.BFLOAT16;
import static org.blocksparse.ElementType.FLOAT32;
import static org.blocksparse.ElementType.INT8;
import static org.blocksparse.ElementType.MXFP4;
import static org.blocksparse.ElementType.Q4_0;
import static org.blocksparse.ElementType.Q8_0;

import java.io.File;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.blocksparse.ElementType;

/** Ways to compute the workloads: ours, and the best that can be had without it. */
public enum Peer {
  /** This library. */
  BLOCKSPARSE,
  /** This library with all products on OpenBLAS: the batched cblas_sgemm over gathered rows. */
  BLOCKSPARSE_BLAS,
  /** This library, without its search: all outputs are scored, and the likeliest selected. */
  BLOCKSPARSE_FULL,
  /** This library where it has no native code. */
  JAVA,
  /** A loop over blocks by hand: rows gathered, cblas_sgemm of OpenBLAS, scattered. */
  OPENBLAS_LOOP,
  /** Rows gathered, one cblas_sgemm_batch of MKL with a product for each block, scattered. */
  MKL_BATCH,
  /** PyTorch: a block gathered for each pair, then one batched product. */
  PYTORCH_BMM,
  /** PyTorch: rows sorted by block, a product for each block. */
  PYTORCH_LOOP,
  /** PyTorch: one dense product for all outputs, then a softmax for each class. */
  PYTORCH_DENSE,
  /** The program fasttext with its hierarchical softmax over a binary tree. */
  FASTTEXT,
  /** The experts of ggml, the library of llama.cpp. */
  GGML,
  /** Those of ik_llama.cpp, a faster fork. */
  IK_LLAMA,
  /** ONNX Runtime, through its API in Java: QMoE. */
  ONNX_RUNTIME;

  /** The most that gather + bmm may allocate for a call. */
  private static final long MAX_GATHERED_BYTES = 8L << 30;

  /** The capacity of the buffer that results are checked in. */
  private static final double MAX_RESULT_BYTES = 1L << 30;

  /** Options of its JVM. */
  List<String> jvmArgs() {
    return switch (this) {
      case BLOCKSPARSE, BLOCKSPARSE_FULL -> List.of("-Dblocksparse.backend=native");
      case BLOCKSPARSE_BLAS -> List.of("-Dblocksparse.backend=native", "-Dblocksparse.path=blas");
      case JAVA -> List.of("-Dblocksparse.backend=java");
      case PYTORCH_BMM, PYTORCH_LOOP, PYTORCH_DENSE ->
          List.of(
              // All processors, no call home, no search for other builds of PyTorch.
              "-Dai.djl.pytorch.num_threads=" + Runtime.getRuntime().availableProcessors(),
              "-DOPT_OUT_TRACKING=true",
              "-Dai.djl.offline=true",
              "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn");
      case OPENBLAS_LOOP, MKL_BATCH, FASTTEXT, GGML, IK_LLAMA, ONNX_RUNTIME -> List.of();
    };
  }

  /** Whether it makes sense to ask this peer for products of blocks at all. */
  boolean hasProducts() {
    return switch (this) {
      case BLOCKSPARSE,
          BLOCKSPARSE_BLAS,
          JAVA,
          OPENBLAS_LOOP,
          MKL_BATCH,
          PYTORCH_BMM,
          PYTORCH_LOOP ->
          true;
      case BLOCKSPARSE_FULL, PYTORCH_DENSE, FASTTEXT, GGML, IK_LLAMA, ONNX_RUNTIME -> false;
    };
  }

  /** Whether it is measured for gradients in a quick run as well: both of our native paths. */
  boolean isOurPath() {
    return this == BLOCKSPARSE || this == BLOCKSPARSE_BLAS;
  }

  /** Whether it makes sense to ask this peer for that. */
  boolean has(SoftmaxOperation operation) {
    return switch (this) {
      case BLOCKSPARSE, JAVA -> true;
      case PYTORCH_DENSE ->
          operation == SoftmaxOperation.ALL || operation == SoftmaxOperation.TOP_K;
      case FASTTEXT -> operation == SoftmaxOperation.STEP;
      case BLOCKSPARSE_BLAS,
          BLOCKSPARSE_FULL,
          OPENBLAS_LOOP,
          MKL_BATCH,
          PYTORCH_BMM,
          PYTORCH_LOOP,
          GGML,
          IK_LLAMA,
          ONNX_RUNTIME ->
          false;
    };
  }

  /** Whether it looks for the likeliest of very many outputs. */
  boolean hasTopK() {
    return this == BLOCKSPARSE || this == BLOCKSPARSE_FULL || this == PYTORCH_DENSE;
  }

  /** Whether it looks for them without scoring all, and can leave some out. */
  boolean isSearch() {
    return this == BLOCKSPARSE;
  }

  /** Why it cannot compute that, if it cannot. */
  Optional<String> reasonToSkip(Workload workload, Operation operation) {
    if (this == PYTORCH_BMM && operation == Operation.GRAD_W) {
      return Optional.of("DJL has no index_add to sum gathered gradients with");
    }
    if (this == PYTORCH_BMM && workload.gatheredBytes() > MAX_GATHERED_BYTES) {
      return Optional.of(
          "would gather %.1f GB of blocks".formatted(workload.gatheredBytes() / 1e9));
    }
    return Optional.empty();
  }

  /** Why it cannot compute that, if it cannot. */
  Optional<String> reasonToSkip(SoftmaxWorkload workload, SoftmaxOperation operation) {
    boolean makesAll = operation == SoftmaxOperation.ALL || this == PYTORCH_DENSE;
    if (makesAll && workload.resultBytes() > MAX_RESULT_BYTES) {
      return Optional.of("would make a result of %.1f GB".formatted(workload.resultBytes() / 1e9));
    }
    if (this == JAVA && workload != SoftmaxWorkload.OUTPUTS_20000) {
      return Optional.of("takes too long on larger ones");
    }
    return this == FASTTEXT ? reasonToSkipFastText(workload) : Optional.empty();
  }

  private static Optional<String> reasonToSkipFastText(SoftmaxWorkload workload) {
    if (workload.batch != FastTextBenchmark.ROWS_PER_STEP
        || workload.outputs() > FastTextBenchmark.EXAMPLES) {
      return Optional.of("would train on other numbers of rows or labels");
    }
    String path = System.getenv().getOrDefault("PATH", "");
    boolean installed =
        Stream.of(path.split(File.pathSeparator))
            .anyMatch(f -> new File(f, "fasttext").canExecute());
    return installed
        ? Optional.empty()
        : Optional.of("is not installed (apt-get install fasttext)");
  }

  /** Its implementation of a problem. */
  Softmax softmax(SoftmaxProblem problem) {
    return switch (this) {
      case BLOCKSPARSE, JAVA -> new BlocksparseSoftmax(problem);
      case BLOCKSPARSE_FULL -> new FullScoring(problem);
      case PYTORCH_DENSE -> new PyTorchDense(problem);
      case BLOCKSPARSE_BLAS,
          OPENBLAS_LOOP,
          MKL_BATCH,
          PYTORCH_BMM,
          PYTORCH_LOOP,
          FASTTEXT,
          GGML,
          IK_LLAMA,
          ONNX_RUNTIME ->
          throw new IllegalArgumentException(this + " has no such softmax");
    };
  }

  /** Whether it has a whole mixture of experts. */
  boolean hasMoe() {
    return this == BLOCKSPARSE || this == PYTORCH_LOOP;
  }

  /** Its implementation of a problem. */
  Moe moe(MoeProblem problem) {
    return this == BLOCKSPARSE ? new BlocksparseMoe(problem) : new PyTorchMoe(problem);
  }

  /** The types in which it has the experts of a {@link MoeShape}. */
  List<ElementType> typesOfExperts() {
    return switch (this) {
      case BLOCKSPARSE -> List.of(FLOAT32, BFLOAT16, INT8, Q8_0, Q4_0, MXFP4);
      case GGML -> List.of(FLOAT32, BFLOAT16, Q8_0, Q4_0, MXFP4);
      case IK_LLAMA -> List.of(BFLOAT16, Q8_0, Q4_0, MXFP4);
      case ONNX_RUNTIME -> List.of(Q8_0, Q4_0);
      case BLOCKSPARSE_BLAS,
          BLOCKSPARSE_FULL,
          JAVA,
          OPENBLAS_LOOP,
          MKL_BATCH,
          PYTORCH_BMM,
          PYTORCH_LOOP,
          PYTORCH_DENSE,
          FASTTEXT ->
          List.of();
    };
  }

  /** Its implementation of a problem. */
  Products products(Problem problem) {
    return switch (this) {
      case BLOCKSPARSE, BLOCKSPARSE_BLAS, JAVA -> new BlocksparseProducts(problem);
      case OPENBLAS_LOOP -> new OpenBlasLoop(problem);
      case MKL_BATCH -> new MklBatch(problem);
      case PYTORCH_BMM -> new PyTorchBmm(problem);
      case PYTORCH_LOOP -> new PyTorchLoop(problem);
      case BLOCKSPARSE_FULL, PYTORCH_DENSE, FASTTEXT, GGML, IK_LLAMA, ONNX_RUNTIME ->
          throw new IllegalArgumentException(this + " does not multiply blocks");
    };
  }

  @Override
  public String toString() {
    return Names.of(this);
  }
}
