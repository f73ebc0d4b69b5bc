// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.kernels;

import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.blocksparse.Activation;
import org.blocksparse.Optimizer;
import org.blocksparse.internal.binding.NativeLibrary;
import org.blocksparse.internal.memory.Rows;
import org.blocksparse.internal.memory.Slice;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.schedule.GemmSchedule;
import org.blocksparse.internal.schedule.OuterSchedule;
import org.blocksparse.internal.sparse.Bags;
import org.blocksparse.internal.sparse.Bags.Reduction;
import org.blocksparse.internal.sparse.TableRows;
import org.blocksparse.internal.weights.Blocks;
import org.blocksparse.internal.weights.RowFormat;
import org.blocksparse.internal.weights.WeightType;
import org.blocksparse.testing.KernelsUnderTest;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * The last line of defense: if the classes above let invalid arguments through by mistake, native
 * code rejects them, and its status becomes an exception before anything is written.
 */
final class NativeKernelsTest {
  private static final int ROWS = 2;
  private static final int N = 3;
  private static final int ELEMENTS = 100;

  private static final List<Optimizer> RULES =
      Stream.of(Optimizer.sgd(1), Optimizer.adagrad(1), Optimizer.adam(1, 0.9f, 0.9f, 1))
          .map(rule -> rule.withMaxNorm(9))
          .toList();

  @BeforeAll
  static void needsTheNativeLibrary() {
    assumeTrue(NativeLibrary.isLoaded());
  }

  static Stream<KernelsUnderTest> kernels() {
    return KernelsUnderTest.all().stream()
        .filter(kernels -> !kernels.kernels().instructionSet().equals("java"));
  }

  private final Storage written = filled(ELEMENTS);
  private final Storage read = filled(ELEMENTS);

  private static Storage filled(int count) {
    Storage storage = Storage.allocate(count);
    storage.fill(0, count, 7);
    return storage;
  }

  static Slice ints(int... values) {
    Storage storage = Storage.allocate(values.length);
    storage.putInts(0, values, 0, values.length);
    return new Slice(storage, 0);
  }

  private Rows in() {
    return new Rows(read, ROWS, N);
  }

  private Rows out() {
    return new Rows(written, ROWS, N);
  }

  /**
   * Returns calls with some chunks, blocks, bags or rows more than there are; elements are then -1.
   */
  private Map<String, Executable> calls(
      Kernels k, GemmSchedule gemm, OuterSchedule outer, int more) {
    int chunks = gemm.chunks() + more;
    int elements = more == 0 ? N : -1;
    Blocks w = Blocks.dense(read, 1, 1, N, N);
    Blocks narrow = w.as(WeightType.BFLOAT16, null);
    Blocks o = Blocks.dense(written, 1, 1, N, N);
    Bags bags = new Bags(ROWS, ints(0, 1, 2), ints(0, 1), null, 2);
    int end = ROWS + more;
    TableRows table = new TableRows(in());
    Slice targets = ints(0, 1);
    Slice steps = ints(1, 1);
    ActivationInput relu = new ActivationInput(Activation.RELU, N, in(), null);
    RowSelection rows = new RowSelection(null, 0, end, 0, N);
    Map<String, Executable> calls = new LinkedHashMap<>();
    BlockProduct product = new BlockProduct(gemm, in(), w, Sums.of(out()));
    calls.put("block_gemm", () -> k.products().blockGemm(product, 0, chunks, 0, N));
    BlockProduct rounding =
        new BlockProduct(gemm, in(), RowFormat.BFLOAT16, narrow, Sums.of(out()), null);
    calls.put(
        "block_gemm of rounded rows", () -> k.products().blockGemm(rounding, 0, chunks, 0, N));
    OuterProduct ofRows = new OuterProduct(outer, 1, in(), in(), false, o);
    int blocks = outer.blocks() + more;
    calls.put("block_outer", () -> k.products().blockOuter(ofRows, 0, blocks, 0, N));
    RowSums sums = new RowSums(gemm, N, 1, in(), out());
    calls.put("block_sum", () -> k.products().blockSum(sums, 0, chunks));
    for (Optimizer rule : RULES) {
      calls.put(
          "step by " + rule.kind(),
          () ->
              k.rows()
                  .step(
                      rule, new Parameters(written, written, written), 0, elements, read, 0, 1, 1));
      calls.put(
          "bag_step by " + rule.kind(),
          () -> k.rows().bagStep(rule, bagSteps(bags, targets, steps), 0, end));
    }
    calls.put("step that adds", () -> k.rows().add(1, elements, read, written));
    calls.put(
        "bag_step that adds", () -> k.rows().bagAdd(1, bagSteps(bags, targets, steps), 0, end));
    calls.put(
        "bag_sum",
        () -> k.rows().bagSum(new BagSums(Reduction.SUM, bags, N, table, out()), 0, end));
    calls.put(
        "bag_dot",
        () -> k.rows().bagDot(new BagDots(Reduction.SUM, bags, N, table, in(), written), 0, end));
    calls.put(
        "block_probabilities by softmax",
        () ->
            k.rows()
                .probabilities(
                    new Probabilities(Link.SOFTMAX, false, gemm, N, null, null, out()), 0, chunks));
    calls.put(
        "block_probabilities by the logistic function",
        () ->
            k.rows()
                .probabilities(
                    new Probabilities(Link.LOGISTIC, false, gemm, N, null, null, out()),
                    0,
                    chunks));
    calls.put(
        "block_cross_entropy of one target",
        () ->
            k.rows()
                .crossEntropy(
                    new CrossEntropy(
                        gemm,
                        N,
                        null,
                        Targets.single(targets.storage(), 0, null, null),
                        written,
                        out()),
                    0,
                    chunks));
    calls.put(
        "block_cross_entropy of several",
        () ->
            k.rows()
                .crossEntropy(
                    new CrossEntropy(gemm, N, null, Targets.several(bags, null), written, out()),
                    0,
                    chunks));
    calls.put("activation", () -> k.rows().activation(rows, relu, out()));
    calls.put(
        "activation_gradient",
        () ->
            k.rows()
                .activationGradient(
                    rows, new ActivationGradient(relu, 1, in(), false, out(), null)));
    return calls;
  }

  private BagSteps bagSteps(Bags bags, Slice targets, Slice steps) {
    return new BagSteps(bags, N, in(), targets, steps, new Parameters(written, written, written));
  }

  private void assertRefused(String function, Executable call) {
    String message = assertThrows(IllegalStateException.class, call, function).getMessage();
    String name = function.replaceFirst(" .*", ""); // the name of the C function
    String expected = "blocksparse_" + name + "_f32 refused its operands: ";
    assertTrue(message.startsWith(expected), message);
    for (int i = 0; i < ELEMENTS; i++) {
      assertEquals(7, written.getFloat(i), function + ": element " + i);
    }
  }

  @ParameterizedTest
  @MethodSource("kernels")
  void whatNativeCodeRefusesIsSaid(KernelsUnderTest kernels) {
    try (GemmSchedule gemm = GemmSchedule.dense(ROWS);
        OuterSchedule outer = OuterSchedule.ofRows(gemm)) {
      calls(kernels.kernels(), gemm, outer, 1).forEach(this::assertRefused);
      calls(kernels.kernels(), gemm, outer, 0)
          .forEach((name, call) -> assertDoesNotThrow(call, name));
    }
  }

  @ParameterizedTest
  @MethodSource("kernels")
  void rowsOfATableAreThoseThatItHasRoomFor(KernelsUnderTest kernels) {
    Kernels k = kernels.kernels();
    Bags bags = new Bags(ROWS, ints(0, 1, 2), ints(0, 1), null, 2);
    Slice targets = ints(0, ELEMENTS / N);
    Slice steps = ints(1, 1);
    for (Optimizer rule : RULES) {
      assertRefused(
          "bag_step by " + rule.kind(),
          () -> k.rows().bagStep(rule, bagSteps(bags, targets, steps), 1, 2));
    }
  }

  @ParameterizedTest
  @MethodSource("kernels")
  void theyTellWhatProductsRunOn(KernelsUnderTest kernels) {
    String words = kernels.kernels().path();
    assertEquals(kernels.kernels().mayUseBlas(), words.contains("OpenBLAS"), words);
    assertEquals(!kernels.name().equals("OpenBLAS"), words.contains("tiles"), words);
  }
}
