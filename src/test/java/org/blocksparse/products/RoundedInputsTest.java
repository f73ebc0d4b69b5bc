// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.products;

import static org.blocksparse.testing.Failures.assertRejects;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.ForkJoinPool;
import java.util.stream.Stream;
import org.blocksparse.Activation;
import org.blocksparse.BlockMatrix;
import org.blocksparse.ElementType;
import org.blocksparse.FloatTensor;
import org.blocksparse.SparseRows;
import org.blocksparse.Weights;
import org.blocksparse.Workers;
import org.blocksparse.internal.backend.KernelChoice;
import org.blocksparse.testing.BlockProblem;
import org.blocksparse.testing.BlockProblem.Sizes;
import org.blocksparse.testing.Bounded;
import org.blocksparse.testing.Data;
import org.blocksparse.testing.Data.Numbers;
import org.blocksparse.testing.Guarded;
import org.blocksparse.testing.KernelsUnderTest;
import org.blocksparse.testing.Oracle;
import org.blocksparse.testing.Seeded;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Products of BFLOAT16, packed or not, which round their inputs as well: the rounding, the error of
 * results, and {@link BlockPlan#withInputBits}, which they reject.
 */
@ExtendWith(Seeded.class)
final class RoundedInputsTest {
  private static final List<ElementType> TYPES =
      List.of(ElementType.BFLOAT16, ElementType.PACKED_BFLOAT16);

  private static final List<Sizes> SIZES =
      List.of(
          new Sizes(1, 1, 1, 1, 1, 1, 1),
          new Sizes(3, 5, 7, 13, 11, 2, 3),
          new Sizes(70, 2, 2, 5, 10, 2, 2),
          new Sizes(61, 1, 1, 301, 97, 1, 1), // many rows, and pieces of iSize
          new Sizes(193, 2, 1, 50, 70, 2, 1),
          new Sizes(40, 1, 1, 300, 260, 1, 1), // cut by columns
          new Sizes(0, 3, 2, 4, 6, 2, 2), // every size 0, one after the other
          new Sizes(3, 4, 4, 4, 6, 0, 2),
          new Sizes(3, 4, 4, 0, 6, 2, 2),
          new Sizes(3, 4, 4, 4, 0, 2, 2));

  static Stream<Arguments> cases() {
    return kernels().flatMap(k -> SIZES.stream().map(s -> Arguments.of(k, s)));
  }

  static Stream<Arguments> casesOfTypes() {
    return cases()
        .flatMap(c -> TYPES.stream().map(type -> Arguments.of(c.get()[0], c.get()[1], type)));
  }

  static Stream<Arguments> kernelsAndTypes() {
    return kernels().flatMap(k -> TYPES.stream().map(type -> Arguments.of(k, type)));
  }

  static Stream<KernelsUnderTest> kernels() {
    return KernelsUnderTest.instructionSets().stream();
  }

  /** Returns the nearest number of 8 binary digits, ties to even, for a normal float. */
  private static float rounded(float x) {
    if (x == 0) {
      return x;
    }
    double place = Math.scalb(1.0, Math.getExponent(x) - 7);
    return (float) (Math.rint(x / place) * place);
  }

  /** Returns integers of up to 10 binary digits, many of them halfway between two of 8 digits. */
  private static float[] wide(Data data, int count) {
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      values[i] = data.below(1201) - 600;
    }
    return values;
  }

  /** Returns the results of all forward products, each by a plan. */
  private static List<FloatTensor> all(
      BlockMatrix W, Guarded memory, FloatTensor h, BlockProblem p, BlockPlan plan) {
    Sizes s = p.sizes();
    FloatTensor b = memory.of("b", p.b(), s.b());
    FloatTensor gate = memory.of("gate", ones(s.batch() * s.iWin()), s.batch(), s.iWin());
    FloatTensor inputBias =
        memory.of("inputBias", ones(s.iBlocks() * s.oSize()), s.iBlocks(), s.oSize());
    Epilogue biased = Epilogue.none().withBias(b).withInputBias(inputBias, gate);
    List<FloatTensor> results = new ArrayList<>();
    FloatTensor o = memory.of("o", p.o(), s.o());
    FloatTensor out = memory.nan("out", s.o());
    FloatTensor relu = memory.nan("relu", s.o());
    results.add(SparseBlockDot.apply(W, h, plan, Epilogue.none().withBias(b)));
    SparseBlockDot.apply(W, h, plan, Epilogue.none().withBias(b), out);
    results.add(SparseBlockDot.apply(W, h, plan, biased));
    SparseBlockDot.apply(W, h, plan, biased.withActivation(Activation.RELU), relu);
    results.add(SparseBlockGemv.apply(o, W, h, plan));
    SparseBlockGemv.applyInPlace(W, h, plan, o);
    results.add(out);
    results.add(relu);
    results.add(o);
    return results;
  }

  private static float[] ones(int count) {
    float[] ones = new float[count];
    Arrays.fill(ones, 1);
    return ones;
  }

  @Tag("xcheck")
  @ParameterizedTest(name = "{0} {1} {2}")
  @MethodSource("casesOfTypes")
  void everyForwardProductIsThatOfRoundedInputs(
      KernelsUnderTest kernels, Sizes s, ElementType type, Data data) {
    BlockProblem p = data.blocks(s, Numbers.SMALL_INTEGERS);
    float[] values = wide(data, s.batch() * s.iWin() * s.iSize());
    float[] roundedValues = new float[values.length];
    for (int i = 0; i < values.length; i++) {
      roundedValues[i] = rounded(values[i]);
    }
    try (Guarded memory = new Guarded();
        FloatTensor floats = FloatTensor.of(p.W(), s.W());
        Weights W = Weights.of(floats, type);
        BlockPlan plan = p.plan(kernels.workers())) {
      FloatTensor h = memory.of("h", values, s.h());
      FloatTensor roundedH = memory.of("roundedH", roundedValues, s.h());
      List<FloatTensor> expected = all(floats, memory, roundedH, p, plan);
      List<FloatTensor> actual = all(W, memory, h, p, plan);
      assertSame(expected, actual);
      expected.subList(0, 3).forEach(FloatTensor::close);
    }
  }

  @Tag("xcheck")
  @ParameterizedTest(name = "{0} {1}")
  @MethodSource("kernelsAndTypes")
  void raggedPlansRoundAsWell(KernelsUnderTest kernels, ElementType type) {
    try (FloatTensor floats = FloatTensor.of(new float[] {1, 2, 3, 4}, 2, 1, 2, 1);
        Weights W = Weights.of(floats, type);
        SparseRows inputs = SparseRows.of(List.of(new int[] {0, 1}, new int[0], new int[] {1}));
        SparseRows outputs = SparseRows.of(List.of(new int[] {0}, new int[] {0}, new int[0]));
        BlockPlan plan = BlockPlan.of(inputs, outputs, 2, 1);
        FloatTensor h = FloatTensor.of(new float[] {257, 1, 259, 2, 5, 6}, 3, 2);
        FloatTensor b = FloatTensor.of(new float[] {0.5f}, 1, 1);
        FloatTensor out =
            SparseBlockDot.apply(
                W, h, plan.withWorkers(kernels.workers()), Epilogue.none().withBias(b))) {
      assertArrayEquals(new float[] {256 + 2 + 3 * 260 + 8 + 0.5f, 0.5f}, out.toArray());
    }
  }

  /** Returns the bound of the Javadoc, without a bias and for numbers that are not small. */
  private static Bounded bound(BlockProblem p) {
    Sizes s = p.sizes();
    int k = s.iWin() * s.iSize();
    Bounded exact = Oracle.dot(p);
    double[] bounds = exact.bounds().clone();
    for (int i = 0; i < bounds.length; i++) {
      double magnitude = Math.max(0, bounds[i] / (k + 1) - Float.MIN_VALUE) / Bounded.U;
      bounds[i] = (0x1p-8 + 1.01 * k * Bounded.U) * magnitude;
    }
    return new Bounded(exact.shape(), exact.values(), bounds);
  }

  @ParameterizedTest(name = "{0} {1} {2}")
  @MethodSource("casesOfTypes")
  void resultsAreWithinTheBound(KernelsUnderTest kernels, Sizes s, ElementType type, Data data) {
    BlockProblem given = data.blocks(s, Numbers.GAUSSIAN);
    try (Guarded memory = new Guarded();
        FloatTensor floats = FloatTensor.of(given.W(), s.W());
        Weights W = Weights.of(floats, type);
        FloatTensor widened = W.widened();
        FloatTensor h = FloatTensor.of(given.h(), s.h());
        FloatTensor b = FloatTensor.zeros(s.b());
        BlockPlan plan = given.plan(kernels.workers())) {
      BlockProblem p = given.with(widened.toArray(), b.toArray());
      FloatTensor out = memory.nan("out", s.o());
      SparseBlockDot.apply(W, h, plan, Epilogue.none().withBias(b), out);
      bound(p).assertHolds("product", out);
    }
  }

  /** Checks a dense product of one column with a block of ones, for a few rows and for many. */
  private static void assertProduct(
      KernelsUnderTest kernels, ElementType type, float expected, float... row) {
    int k = row.length;
    float[] ones = ones(k);
    for (int rows : new int[] {1, 50}) {
      float[] values = new float[rows * k];
      System.arraycopy(row, 0, values, (rows - 1) * k, k);
      try (FloatTensor floats = FloatTensor.of(ones, 1, 1, k, 1);
          Weights W = Weights.of(floats, type);
          FloatTensor h = FloatTensor.of(values, rows, 1, k);
          FloatTensor b = FloatTensor.zeros(1, 1);
          BlockPlan plan = BlockPlan.dense(rows).withWorkers(kernels.workers());
          FloatTensor out = SparseBlockDot.apply(W, h, plan, Epilogue.none().withBias(b))) {
        assertEquals(expected, out.get(rows - 1, 0, 0), "of " + rows + " rows");
        if (rows > 1) {
          assertEquals(0, out.get(0, 0, 0), "of other rows");
        }
      }
    }
  }

  @ParameterizedTest(name = "{0} {1}")
  @MethodSource("kernelsAndTypes")
  void numbersAreRoundedToTheNearest(KernelsUnderTest kernels, ElementType type) {
    float infinity = Float.POSITIVE_INFINITY;
    assertProduct(kernels, type, 1, 1 + 0x1p-8f);
    assertProduct(kernels, type, 1 + 0x1p-7f, 1 + 0x1p-8f + 0x1p-23f);
    assertProduct(kernels, type, -1 - 0x1p-6f, -1 - 0x1.8p-7f);
    assertProduct(kernels, type, 3, 1 + 0x1p-8f, 2);
    assertProduct(kernels, type, 6, 1, 2, 3 + 0x1p-7f);
    assertProduct(kernels, type, 0x1p-126f, 0x1p-126f);
    assertProduct(kernels, type, 0x1.fep127f, 0x1.fefffep127f);
    assertProduct(kernels, type, infinity, 0x1.ffp127f);
    assertProduct(kernels, type, -infinity, 0, -Float.MAX_VALUE, 0);
    assertProduct(kernels, type, infinity, 1, 2, infinity);
    assertProduct(kernels, type, Float.NaN, infinity, -infinity);
    for (int nan : new int[] {0x7f800001, 0x7fc00000, 0x7fffffff, 0xffffffff}) {
      assertProduct(kernels, type, Float.NaN, 1, Float.intBitsToFloat(nan), 2);
    }
  }

  @ParameterizedTest
  @EnumSource(names = {"BFLOAT16", "PACKED_BFLOAT16"})
  void bitsDoNotDependOnTheWorkers(ElementType type, Data data) {
    Sizes s = new Sizes(300, 3, 2, 333, 130, 2, 1);
    BlockProblem p = data.blocks(s, Numbers.GAUSSIAN);
    ForkJoinPool pool = new ForkJoinPool(3);
    try (FloatTensor floats = FloatTensor.of(p.W(), s.W());
        Weights W = Weights.of(floats, type);
        FloatTensor h = FloatTensor.of(p.h(), s.h());
        FloatTensor b = FloatTensor.of(p.b(), s.b());
        BlockPlan plan = p.plan(Workers.common());
        FloatTensor alone =
            SparseBlockDot.apply(
                W, h, plan.withWorkers(Workers.callingThread()), Epilogue.none().withBias(b))) {
      for (int workers = 2; workers <= 4; workers++) {
        try (FloatTensor together =
            SparseBlockDot.apply(
                W, h, plan.withWorkers(Workers.of(pool, workers)), Epilogue.none().withBias(b))) {
          assertArrayEquals(alone.toArray(), together.toArray(), workers + " workers");
        }
      }
    } finally {
      pool.shutdown();
    }
  }

  /** A row's bits do not depend on the number of rows, except in AMX tiles. */
  @Test
  void bitsOfPackedWeightsDoNotDependOnOtherRows(Data data) {
    int most = KernelChoice.kernels().products().readsRowsInOrder() ? 2 : 15;
    try (FloatTensor floats =
            FloatTensor.of(data.floats(Numbers.GAUSSIAN, 333 * 70), 1, 1, 333, 70);
        Weights W = Weights.of(floats, ElementType.PACKED_BFLOAT16);
        FloatTensor h = FloatTensor.of(data.floats(Numbers.GAUSSIAN, most * 333L), most, 1, 333);
        BlockPlan all = BlockPlan.dense(most);
        FloatTensor expected = SparseBlockDot.apply(W, h, all, Epilogue.none())) {
      for (int rows = 1; rows < most; rows++) {
        float[] some = Arrays.copyOf(h.toArray(), rows * 333);
        try (FloatTensor few = FloatTensor.of(some, rows, 1, 333);
            BlockPlan plan = BlockPlan.dense(rows);
            FloatTensor out = SparseBlockDot.apply(W, few, plan, Epilogue.none())) {
          assertArrayEquals(
              Arrays.copyOf(expected.toArray(), rows * 70), out.toArray(), rows + " rows");
        }
      }
    }
  }

  @Test
  void packedNumbersAreTheSame(Data data) {
    float[] values = data.floats(Numbers.GAUSSIAN, 2 * 67 * 35);
    try (FloatTensor floats = FloatTensor.of(values, 2, 1, 67, 35);
        Weights packed = Weights.of(floats, ElementType.PACKED_BFLOAT16);
        Weights rows = Weights.of(floats, ElementType.BFLOAT16);
        FloatTensor expected = rows.widened();
        FloatTensor actual = packed.widened()) {
      assertArrayEquals(expected.toArray(), actual.toArray());
      assertEquals("Weights(2, 1, 67, 35) of PACKED_BFLOAT16", packed.toString());
      assertEquals(2 * 3 * 3 * 1024, packed.bytes());
      for (float bad : new float[] {Float.NaN, Float.POSITIVE_INFINITY, Float.MAX_VALUE}) {
        floats.set(bad, 1, 0, 33, 17);
        assertRejects(
            bad == Float.MAX_VALUE
                ? "W: element 3517 = 3.4028235E38 is too large for PACKED_BFLOAT16"
                : "W: element 3517 is " + bad + ", which PACKED_BFLOAT16 weights cannot be",
            () -> Weights.of(floats, ElementType.PACKED_BFLOAT16));
      }
    }
  }

  @Test
  void gradientsAreThoseOfAnyPlan(Data data) {
    Sizes s = new Sizes(40, 2, 3, 33, 17, 2, 2);
    BlockProblem p = data.blocks(s, Numbers.GAUSSIAN);
    try (FloatTensor floats = FloatTensor.of(p.W(), s.W());
        Weights W = Weights.of(floats, ElementType.BFLOAT16);
        FloatTensor h = FloatTensor.of(p.h(), s.h());
        FloatTensor gradOut = FloatTensor.of(p.gradOut(), s.o());
        BlockPlan plan = p.plan(Workers.common())) {
      BlockPlan exact = plan.withInputBits(32);
      try (FloatTensor narrow = SparseBlockDot.gradH(W, gradOut, plan);
          FloatTensor wide = SparseBlockDot.gradH(floats, gradOut, plan);
          FloatTensor gradW = SparseBlockDot.gradW(h, gradOut, plan);
          FloatTensor narrowToo = SparseBlockDot.gradH(W, gradOut, exact);
          FloatTensor wideToo = SparseBlockDot.gradH(floats, gradOut, exact);
          FloatTensor gradWToo = SparseBlockDot.gradW(h, gradOut, exact)) {
        assertArrayEquals(narrow.toArray(), narrowToo.toArray());
        assertArrayEquals(wide.toArray(), wideToo.toArray());
        assertArrayEquals(gradW.toArray(), gradWToo.toArray());
      }
    }
  }

  /** Products that do not round have the bits of the widened weights. */
  @ParameterizedTest(name = "{0} {1}")
  @MethodSource("cases")
  void exactInputsAndOtherWeightsAreNotRounded(KernelsUnderTest kernels, Sizes s, Data data) {
    BlockProblem p = data.blocks(s, Numbers.SMALL_INTEGERS);
    float[] values = wide(data, s.batch() * s.iWin() * s.iSize());
    try (Guarded memory = new Guarded();
        FloatTensor floats = FloatTensor.of(p.W(), s.W());
        FloatTensor side = floats.transposeBlocks();
        FloatTensor exchanged = FloatTensor.of(side.toArray(), side.shape().toArray());
        Weights W = Weights.of(floats, ElementType.BFLOAT16);
        Weights half = Weights.of(floats, ElementType.FLOAT16);
        Weights inMemory = Weights.of(exchanged, ElementType.BFLOAT16);
        Weights view = inMemory.transposeBlocks();
        BlockPlan plan = p.plan(kernels.workers())) {
      FloatTensor h = memory.of("h", values, s.h());
      List<FloatTensor> expected = all(floats, memory, h, p, plan);
      assertSame(expected, all(W, memory, h, p, plan.withInputBits(32)));
      assertSame(expected, all(half, memory, h, p, plan));
      assertSame(expected, all(view, memory, h, p, plan));
      expected.subList(0, 3).forEach(FloatTensor::close);
    }
  }

  private static void assertSame(List<FloatTensor> expected, List<FloatTensor> actual) {
    for (int i = 0; i < expected.size(); i++) {
      assertArrayEquals(expected.get(i).toArray(), actual.get(i).toArray(), "product " + i);
    }
    actual.subList(0, 3).forEach(FloatTensor::close);
  }
}
