// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import org.blocksparse.Activation;
import org.blocksparse.ElementType;
import org.blocksparse.bench.jobs.Operation;
import org.blocksparse.bench.jobs.SoftmaxOperation;
import org.blocksparse.bench.jobs.SoftmaxWorkload;
import org.blocksparse.bench.jobs.Workload;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Each benchmark compares its results before it measures; the workloads here are small. */
final class PeersTest {
  @TempDir private Path folder;

  @ParameterizedTest
  @EnumSource(
      value = Operation.class,
      names = {"FORWARD", "GRAD_H", "GRAD_W"})
  void products(Operation operation) {
    for (ProductsBenchmark.Blocks blocks :
        List.of(
            new ProductsBenchmark.Blocksparse(),
            new ProductsBenchmark.OpenBlas(),
            new ProductsBenchmark.Mkl(),
            new ProductsBenchmark.PyTorch())) {
      blocks.workload = Workload.WINDOW_32;
      blocks.operation = operation;
      blocks.setUp();
      blocks.tearDown();
    }
  }

  @ParameterizedTest
  @EnumSource(
      value = ElementType.class,
      names = {"INT8", "BFLOAT16"})
  void dense(ElementType type) {
    for (DenseBenchmark.Product product :
        List.of(
            new DenseBenchmark.Blocksparse(),
            new DenseBenchmark.Mkl(),
            new DenseBenchmark.OneDnn())) {
      product.weights = type;
      product.rows = 33;
      product.inputs = 96;
      product.outputs = 65;
      product.setUp();
    }
  }

  @ParameterizedTest
  @EnumSource(SoftmaxOperation.class)
  void softmax(SoftmaxOperation operation) {
    ours(operation);
    if (operation == SoftmaxOperation.ALL || operation == SoftmaxOperation.TOP_K) {
      SoftmaxBenchmark.PyTorch dense = new SoftmaxBenchmark.PyTorch();
      dense.operation = operation;
      check(dense);
    }
  }

  private static void ours(SoftmaxOperation operation) {
    SoftmaxBenchmark.Blocksparse layer = new SoftmaxBenchmark.Blocksparse();
    layer.operation = operation;
    check(layer);
  }

  private static void check(SoftmaxBenchmark.Layer layer) {
    layer.workload = SoftmaxWorkload.OUTPUTS_20000;
    layer.setUp();
    layer.tearDown();
  }

  @Test
  void bags() {
    for (BagBenchmark.Table table :
        List.of(new BagBenchmark.Blocksparse(), new BagBenchmark.PyTorch())) {
      table.operation = BagBenchmark.Operation.FORWARD;
      table.setUp();
      table.tearDown();
    }
  }

  @ParameterizedTest
  @EnumSource(
      value = Activation.class,
      names = {"RELU", "SILU", "SWIGLU"})
  void mixtures(Activation activation) {
    MoeBenchmark.Layer layer = new MoeBenchmark.Blocksparse();
    layer.tokens = 64;
    layer.activation = activation;
    layer.operation = MoeBenchmark.Operation.FORWARD;
    layer.setUp();
    layer.tearDown();
  }

  /** Each engine is compared with double precision; ggml and its fork must be built manually. */
  @Test
  void experts() throws IOException {
    Results results = new Experts(1e-4, folder.resolve("log"), "OWN", "1,3").measure();
    Set<String> engines =
        results.all().stream().map(Results.Result::method).collect(Collectors.toSet());
    assertTrue(engines.containsAll(Set.of("blocksparse", "onnx-runtime")), engines::toString);
    long ours = results.all().stream().filter(r -> r.method().equals("blocksparse")).count();
    assertEquals(2 * 7, ours);
  }
}
