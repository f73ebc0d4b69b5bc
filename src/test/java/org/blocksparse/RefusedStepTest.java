// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.blocksparse.bag.EmbeddingBag;
import org.blocksparse.experts.Routing;
import org.blocksparse.experts.TopKGate;
import org.blocksparse.io.LoadOptions;
import org.blocksparse.io.TensorFile;
import org.blocksparse.products.Activations;
import org.blocksparse.products.BlockPlan;
import org.blocksparse.products.Epilogue;
import org.blocksparse.products.InputBias;
import org.blocksparse.products.OptimizerState;
import org.blocksparse.products.SparseBlockDot;
import org.blocksparse.products.SparseBlockGemv;
import org.blocksparse.products.SparseBlockOuter;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.blocksparse.softmax.LabelTree;
import org.blocksparse.softmax.LayerBuilder;
import org.blocksparse.softmax.Loss;
import org.blocksparse.testing.KernelsUnderTest;
import org.blocksparse.testing.LayerParameters;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** A rejected step of training, or another rejected write, has no effect. */
final class RefusedStepTest {
  private static final int FEATURES = 4;
  private static final int CLASSES = 3;
  private static final int SLOTS = 5;

  static Stream<KernelsUnderTest> kernels() {
    return KernelsUnderTest.forBlocks(FEATURES, SLOTS).stream();
  }

  private static HierarchicalSoftmax layer(Workers workers) {
    return HierarchicalSoftmax.builder(FEATURES, CLASSES * SLOTS)
        .classes(CLASSES)
        .workers(workers)
        .seed(1)
        .build();
  }

  @ParameterizedTest
  @MethodSource("kernels")
  void xThatSharesMemoryWithAParameter(KernelsUnderTest kernels) {
    try (HierarchicalSoftmax layer = layer(kernels.workers())) {
      LayerParameters before = LayerParameters.of(layer);
      Map<String, FloatTensor> views =
          Map.of(
              "W1", layer.W1().reshape(CLASSES, FEATURES),
              "W2", layer.W2().reshape(CLASSES * SLOTS, FEATURES));
      views.forEach(
          (name, x) -> {
            try (IntTensor many = IntTensor.zeros(x.shape().dim(0))) {
              assertEquals(
                  name + ": shares memory with x; an output must not overlap an input",
                  assertThrows(
                          IllegalArgumentException.class,
                          () -> layer.step(x, many, Optimizer.sgd(1)))
                      .getMessage());
            }
          });
      before.assertSame("after refused steps", layer);
    }
  }

  @Test
  void parametersThatShareMemoryAreNoLayer() {
    try (FloatTensor all = FloatTensor.zeros(CLASSES * FEATURES * SLOTS);
        FloatTensor W1 = FloatTensor.zeros(FEATURES, CLASSES);
        FloatTensor b1 = W1.reshape(FEATURES * CLASSES);
        FloatTensor b2 = FloatTensor.zeros(FEATURES * CLASSES, SLOTS)) {
      LayerBuilder<IntTensor, HierarchicalSoftmax> builder =
          HierarchicalSoftmax.builder(1, CLASSES * FEATURES * SLOTS).classes(CLASSES * FEATURES);
      assertEquals(
          "b1: shares memory with W1",
          assertThrows(
                  IllegalArgumentException.class,
                  () ->
                      builder.build(
                          W1.reshape(1, CLASSES * FEATURES),
                          b1,
                          all.reshape(CLASSES * FEATURES, 1, SLOTS),
                          b2))
              .getMessage());
    }
  }

  /** A step with another rule drops the state of an optimizer, but a rejected step does not. */
  @ParameterizedTest
  @MethodSource("kernels")
  void aLossThatIsNotFiniteLeavesTheOptimizerStateAlone(KernelsUnderTest kernels) {
    Optimizer adam = Optimizer.adam(0.1f);
    for (Optimizer other : List.of(Optimizer.sgd(0.1f), Optimizer.adagrad(0.1f))) {
      try (HierarchicalSoftmax expected = layer(kernels.workers());
          HierarchicalSoftmax actual = layer(kernels.workers());
          FloatTensor x = FloatTensor.of(new float[] {1, -1, 2, 0.5f}, 1, FEATURES);
          FloatTensor bad = FloatTensor.of(new float[] {1, Float.NaN, 2, 0}, 1, FEATURES);
          IntTensor targets = IntTensor.of(new int[] {7}, 1)) {
        expected.step(x, targets, adam);
        actual.step(x, targets, adam);
        assertThrows(ArithmeticException.class, () -> actual.step(bad, targets, other));
        // The loss is not finite within the class of the target, but finite at the class level.
        float kept = actual.b2().get(1, 0);
        actual.b2().set(Float.NaN, 1, 0);
        assertThrows(ArithmeticException.class, () -> actual.step(x, targets, other));
        actual.b2().set(kept, 1, 0);
        expected.step(x, targets, adam);
        actual.step(x, targets, adam);
        LayerParameters.of(expected).assertSame("after " + other, actual);
      }
    }
  }

  /** Every operation checks every tensor that it writes. */
  @Test
  void mappedMemoryIsNeverWritten(@TempDir Path folder) throws IOException {
    Path file = folder.resolve("model.safetensors");
    try (HierarchicalSoftmax saved =
        HierarchicalSoftmax.builder(64, 512).classes(8).seed(1).build()) {
      saved.save(file);
    }
    try (HierarchicalSoftmax mapped = HierarchicalSoftmax.load(file, LoadOptions.mapped());
        FloatTensor x = FloatTensor.zeros(1, 16);
        IntTensor targets = IntTensor.of(new int[] {3}, 1)) {
      float[] before = mapped.W2().toArray();
      // 8 * 64 * 64 numbers, the size of each parameter of some layer.
      assertReadOnly(
          "W1",
          () -> {
            try (HierarchicalSoftmax layer =
                HierarchicalSoftmax.builder(16, 2048)
                    .classes(2048)
                    .build(
                        mapped.W2().reshape(16, 2048),
                        FloatTensor.zeros(2048),
                        FloatTensor.zeros(2048, 16, 1),
                        FloatTensor.zeros(2048, 1))) {
              layer.step(x, targets, Optimizer.sgd(0.1f));
            }
          });
      assertReadOnlyIn(file, "b1", x, targets);
      assertReadOnlyIn(file, "b2", x, targets);
      assertArrayEquals(before, mapped.W2().toArray());
    }
    outputs(file);
    Path tensors = folder.resolve("tensors");
    try (FloatTensor saved = FloatTensor.zeros(512, 64);
        FloatTensor savedColumn = FloatTensor.zeros(512, 1)) {
      TensorFile.save(tensors, Map.of("many", saved, "column", savedColumn));
    }
    try (TensorFile mapped = TensorFile.open(tensors, LoadOptions.mapped());
        FloatTensor many = mapped.floats("many");
        FloatTensor column = mapped.floats("column")) {
      activations(many, column);
      biases(many, column);
      gatesAndBags(many, column);
      for (FloatTensor tensor : List.of(many, column)) {
        assertArrayEquals(new float[(int) tensor.shape().size()], tensor.toArray());
      }
    }
    bagOfAFile(folder.resolve("bag"));
  }

  private static void assertReadOnlyIn(Path file, String name, FloatTensor x, IntTensor targets)
      throws IOException {
    int classes = 8 * 64 * 64;
    try (HierarchicalSoftmax mapped = HierarchicalSoftmax.load(file, LoadOptions.mapped());
        HierarchicalSoftmax layer =
            HierarchicalSoftmax.builder(16, classes)
                .classes(classes)
                .build(
                    FloatTensor.zeros(16, classes),
                    name.equals("b1") ? mapped.W2().reshape(classes) : FloatTensor.zeros(classes),
                    FloatTensor.zeros(classes, 16, 1),
                    name.equals("b2")
                        ? mapped.W2().reshape(classes, 1)
                        : FloatTensor.zeros(classes, 1))) {
      for (Optimizer rule : List.of(Optimizer.sgd(0.1f), Optimizer.adam(0.1f))) {
        assertReadOnly(name, () -> layer.step(x, targets, rule));
      }
      for (FloatTensor parameter : List.of(layer.W1(), layer.W2())) {
        for (float value : parameter.toArray()) {
          assertEquals(0, value, "a parameter that could be written");
        }
      }
    }
  }

  private static void outputs(Path file) throws IOException {
    try (HierarchicalSoftmax mapped = HierarchicalSoftmax.load(file, LoadOptions.mapped());
        FloatTensor W = FloatTensor.zeros(1, 1, 64, 64);
        FloatTensor noBias = FloatTensor.zeros(1, 64);
        FloatTensor rows = FloatTensor.zeros(512, 1, 64);
        FloatTensor x = FloatTensor.zeros(64, 64);
        FloatTensor few = FloatTensor.zeros(8, 64);
        IntTensor targets = IntTensor.zeros(512);
        IntTensor zeros = IntTensor.zeros(512, 1);
        BlockPlan plan = BlockPlan.of(zeros, zeros, 1, 1)) {
      FloatTensor file512 = mapped.W2().reshape(512, 1, 64);
      assertReadOnly(
          "out",
          () -> SparseBlockDot.apply(W, rows, plan, Epilogue.none().withBias(noBias), file512));
      assertReadOnly(
          "gradH", () -> SparseBlockDot.gradH(W, rows, plan, GradientOptions.overwrite(), file512));
      assertReadOnly("o", () -> SparseBlockGemv.applyInPlace(W, rows, plan, file512));
      try (HierarchicalSoftmax other = HierarchicalSoftmax.builder(64, 512).classes(8).build()) {
        assertReadOnly("out", () -> other.probabilities(x, mapped.W2().reshape(64, 512)));
        assertReadOnly("out", () -> other.logProbabilities(x, mapped.W2().reshape(64, 512)));
      }
      try (HierarchicalSoftmax other = HierarchicalSoftmax.builder(64, 9).classes(3).build();
          FloatTensor x512 = FloatTensor.zeros(512, 64)) {
        assertReadOnly(
            "gradX",
            () ->
                other.step(
                    x512, targets, Loss.mean(), Optimizer.sgd(0.1f), mapped.W2().reshape(512, 64)));
      }
      try (IntTensor eight = IntTensor.of(new int[] {0, 1, 2, 3, 4, 5, 6, 7}, 8, 1);
          IntTensor eightZeros = IntTensor.zeros(8, 1);
          BlockPlan blocks = BlockPlan.of(eightZeros, eight, 1, 8);
          BlockPlan biases = BlockPlan.of(eightZeros, eight, 1, 512)) {
        FloatTensor h = few.reshape(8, 1, 64);
        FloatTensor weights = mapped.W2().reshape(1, 8, 64, 64);
        assertReadOnly(
            "gradW", () -> SparseBlockDot.gradW(h, h, blocks, GradientOptions.add(1), weights));
        assertReadOnly("o", () -> SparseBlockOuter.applyInPlace(h, h, blocks, 1, weights));
        assertReadOnly(
            "gradW",
            () -> SparseBlockDot.gradW(h, h, blocks, GradientOptions.overwrite(), weights));
        assertReadOnly("gradW", () -> SparseBlockDot.clearGradW(blocks, weights));
        try (OptimizerState state = OptimizerState.of(weights)) {
          for (Optimizer rule : List.of(Optimizer.sgd(0.1f), Optimizer.adam(0.1f))) {
            assertReadOnly("W", () -> SparseBlockDot.stepW(h, h, blocks, rule, weights, state));
          }
        }
        assertReadOnly(
            "gradB",
            () ->
                SparseBlockDot.gradB(
                    h, biases, GradientOptions.add(1), mapped.W2().reshape(512, 64)));
      }
    }
  }

  private static void activations(FloatTensor many, FloatTensor column) {
    FloatTensor file = many.reshape(512, 1, 64);
    try (FloatTensor W = FloatTensor.zeros(1, 1, 64, 64);
        FloatTensor rows = FloatTensor.zeros(512, 1, 64);
        FloatTensor result = FloatTensor.zeros(512, 1, 64);
        FloatTensor gate = FloatTensor.zeros(512, 1);
        FloatTensor gradGate = FloatTensor.zeros(512, 1);
        IntTensor zeros = IntTensor.zeros(512, 1);
        BlockPlan plan = BlockPlan.of(zeros, zeros, 1, 1)) {
      Activation f = Activation.SILU;
      assertReadOnly("a", () -> Activations.apply(f, rows, file));
      assertReadOnly("a", () -> Activations.apply(f, rows, gate, file, Workers.common()));
      assertReadOnly("gradZ", () -> Activations.gradient(f, rows, rows, file));
      assertReadOnly(
          "gradZ",
          () ->
              Activations.gradient(
                  f,
                  rows,
                  rows,
                  GradientOptions.overwrite().withGate(gate, gradGate),
                  file,
                  Workers.common()));
      assertReadOnly(
          "gradGate",
          () ->
              Activations.gradient(
                  f,
                  rows,
                  rows,
                  GradientOptions.overwrite().withGate(gate, column),
                  result,
                  Workers.common()));
      assertReadOnly(
          "gradZ",
          () ->
              SparseBlockDot.gradH(
                  W, rows, plan, GradientOptions.overwrite().withActivation(f, rows), file));
      assertReadOnly(
          "gradGate",
          () ->
              SparseBlockDot.gradH(
                  W,
                  rows,
                  plan,
                  GradientOptions.overwrite().withActivation(f, rows).withGate(gate, column),
                  result));
      assertReadOnly(
          "gradZ",
          () ->
              Activations.gradient(f, rows, rows, GradientOptions.add(1), file, Workers.common()));
      assertReadOnly(
          "gradZ",
          () ->
              SparseBlockDot.gradH(
                  W, rows, plan, GradientOptions.add(1).withActivation(f, rows), file));
      assertReadOnly(
          "gradH", () -> SparseBlockDot.gradH(W, rows, plan, GradientOptions.add(1), file));
      Epilogue intoFile = Epilogue.none().withActivation(f, file);
      assertReadOnly("z", () -> SparseBlockDot.apply(W, rows, plan, intoFile, result));
      assertReadOnly("out", () -> SparseBlockDot.apply(W, rows, plan, Epilogue.none(), file));
      for (FloatTensor left : List.of(result, gradGate)) {
        for (float value : left.toArray()) {
          assertEquals(0, value, "what could be written beside what could not");
        }
      }
    }
  }

  private static void biases(FloatTensor many, FloatTensor column) {
    try (FloatTensor rows = FloatTensor.zeros(512, 1, 64);
        FloatTensor gate = FloatTensor.zeros(512, 1);
        FloatTensor bias = FloatTensor.zeros(512, 64);
        IntTensor zeros = IntTensor.zeros(512, 1);
        BlockPlan inputs = BlockPlan.of(zeros, zeros, 512, 1);
        BlockPlan outputs = BlockPlan.of(zeros, zeros, 1, 512);
        OptimizerState state = OptimizerState.of(many)) {
      assertReadOnly(
          "gradBias",
          () -> InputBias.gradBias(rows, null, inputs, GradientOptions.overwrite(), many));
      assertReadOnly(
          "gradBias",
          () -> InputBias.gradBias(rows, gate, inputs, GradientOptions.overwrite(), many));
      assertReadOnly(
          "gradBias", () -> InputBias.gradBias(rows, null, inputs, GradientOptions.add(1), many));
      assertReadOnly(
          "gradBias", () -> InputBias.gradBias(rows, gate, inputs, GradientOptions.add(1), many));
      assertReadOnly("gradBias", () -> InputBias.clearGradBias(inputs, many));
      assertReadOnly(
          "gradGate",
          () -> InputBias.gradGate(bias, rows, inputs, GradientOptions.overwrite(), column));
      assertReadOnly(
          "gradGate", () -> InputBias.gradGate(bias, rows, inputs, GradientOptions.add(1), column));
      assertReadOnly(
          "gradB", () -> SparseBlockDot.gradB(rows, outputs, GradientOptions.overwrite(), many));
      assertReadOnly("gradB", () -> SparseBlockDot.clearGradB(outputs, many));
      for (Optimizer rule : List.of(Optimizer.sgd(0.1f), Optimizer.adam(0.1f))) {
        assertReadOnly("bias", () -> InputBias.step(rows, null, inputs, rule, many, state));
        assertReadOnly("bias", () -> InputBias.step(rows, gate, inputs, rule, many, state));
        assertReadOnly("bias", () -> SparseBlockDot.stepB(rows, outputs, rule, many, state));
      }
    }
  }

  private static void gatesAndBags(FloatTensor many, FloatTensor column) {
    TopKGate gate = TopKGate.of(64, 1);
    try (FloatTensor logits = FloatTensor.zeros(512, 64);
        FloatTensor gradGates = FloatTensor.zeros(512, 1);
        Routing routing = gate.route(logits);
        SparseRows ones = SparseRows.of(Collections.nCopies(512, new int[] {0}));
        EmbeddingBag bag = EmbeddingBag.builder(1, 64).build();
        LabelTree tree = LabelTree.builder(64, 64).classes(8).build()) {
      assertReadOnly("gradLogits", () -> gate.gradient(routing, gradGates, many));
      assertReadOnly("out", () -> bag.apply(ones, many));
      assertReadOnly("out", () -> bag.gradValues(ones, logits, column.reshape(512)));
      assertReadOnly("out", () -> tree.probabilities(logits, many));
      assertReadOnly("out", () -> tree.logProbabilities(logits, many));
      assertReadOnly("gradX", () -> tree.step(logits, ones, Loss.mean(), Optimizer.sgd(1), many));
    }
  }

  private static void bagOfAFile(Path file) throws IOException {
    try (EmbeddingBag saved = EmbeddingBag.builder(2, 3).build()) {
      saved.save(file);
    }
    try (EmbeddingBag mapped = EmbeddingBag.load(file, LoadOptions.mapped());
        SparseRows rows = SparseRows.of(List.of(new int[] {1}));
        FloatTensor gradOut = FloatTensor.of(new float[] {1, 2, 3}, 1, 3)) {
      for (Optimizer rule : List.of(Optimizer.sgd(0.1f), Optimizer.adam(0.1f))) {
        assertReadOnly("table", () -> mapped.step(rows, gradOut, rule));
      }
    }
  }

  private static void assertReadOnly(String name, Runnable operation) {
    String message = assertThrows(IllegalStateException.class, operation::run).getMessage();
    assertTrue(
        message.startsWith(name + ": ") && message.contains("is mapped read-only from"), message);
  }
}
