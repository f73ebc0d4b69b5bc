// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static org.blocksparse.testing.Failures.assertFails;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.stream.Stream;
import org.blocksparse.products.BlockPlan;
import org.blocksparse.products.Epilogue;
import org.blocksparse.products.SparseBlockDot;
import org.blocksparse.products.SparseBlockGemv;
import org.blocksparse.products.WeightsContractTest;
import org.blocksparse.testing.BlockProblem;
import org.blocksparse.testing.BlockProblem.Sizes;
import org.blocksparse.testing.Bounded;
import org.blocksparse.testing.Data;
import org.blocksparse.testing.Data.Numbers;
import org.blocksparse.testing.Guarded;
import org.blocksparse.testing.KernelsUnderTest;
import org.blocksparse.testing.Oracle;
import org.blocksparse.testing.Seeded;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Weights of every type: their rounded values, and products with the bits of these values. */
@ExtendWith(Seeded.class)
final class WeightsTest {
  private static final List<Sizes> SIZES =
      List.of(
          new Sizes(1, 1, 1, 1, 1, 1, 1),
          new Sizes(3, 5, 7, 13, 11, 2, 3),
          new Sizes(7, 2, 3, 97, 101, 1, 2),
          new Sizes(65, 1, 1, 7, 9, 1, 1),
          new Sizes(193, 1, 1, 50, 70, 1, 1),
          new Sizes(40, 4, 3, 16, 16, 4, 3),
          // Few and many rows of a block that repeats, cut by rows or not, in pieces that differ
          // between types.
          new Sizes(40, 3, 2, 64, 17, 5, 2),
          new Sizes(1, 2, 1, 95, 3, 3, 1),
          new Sizes(1, 1, 2, 96, 16, 2, 2),
          new Sizes(2, 3, 2, 300, 13, 4, 2),
          new Sizes(16, 2, 3, 131, 31, 3, 1),
          new Sizes(16, 1, 1, 700, 70, 2, 1),
          new Sizes(40, 3, 2, 513, 17, 5, 2),
          new Sizes(150, 2, 2, 290, 33, 3, 1),
          new Sizes(0, 3, 2, 4, 5, 2, 2),
          new Sizes(3, 4, 4, 4, 5, 0, 2),
          new Sizes(3, 4, 4, 0, 5, 2, 2),
          new Sizes(3, 4, 4, 4, 0, 2, 2));

  static Stream<Arguments> cases() {
    return WeightsContractTest.cases(SIZES);
  }

  private static void check(Bounded expected, FloatTensor wide, FloatTensor actual) {
    try (wide) {
      expected.assertHolds("product", actual);
      assertArrayEquals(wide.toArray(), actual.toArray(), "bits of the widened weights");
    }
  }

  @ParameterizedTest(name = "{0} {1} {2}")
  @MethodSource("cases")
  void productsAreThoseOfTheWidenedWeights(
      KernelsUnderTest kernels, ElementType type, Sizes s, Data data) {
    BlockProblem given = data.blocks(s, Numbers.GAUSSIAN);
    try (Guarded memory = new Guarded();
        FloatTensor floats = FloatTensor.of(given.W(), s.W());
        Weights W = Weights.of(floats, type);
        FloatTensor widened = W.widened();
        BlockPlan plan = given.plan(kernels.workers()).withInputBits(32)) {
      BlockProblem p = given.with(widened.toArray(), given.b());
      FloatTensor h = memory.of("h", p.h(), s.h());
      FloatTensor b = memory.of("b", p.b(), s.b());
      FloatTensor gradOut = memory.of("gradOut", p.gradOut(), s.o());
      FloatTensor out = memory.nan("out", s.o());
      SparseBlockDot.apply(W, h, plan, Epilogue.none().withBias(b), out);
      check(
          Oracle.dot(p), SparseBlockDot.apply(widened, h, plan, Epilogue.none().withBias(b)), out);
      check(Oracle.dot(p), SparseBlockDot.apply(W, h, plan, Epilogue.none().withBias(b)), out);
      FloatTensor gradH = memory.nan("gradH", s.h());
      SparseBlockDot.gradH(W, gradOut, plan, GradientOptions.overwrite(), gradH);
      check(Oracle.gradH(p), SparseBlockDot.gradH(widened, gradOut, plan), gradH);
      check(Oracle.gradH(p), SparseBlockDot.gradH(W, gradOut, plan), gradH);
      FloatTensor o = memory.of("o", p.o(), s.o());
      FloatTensor before = memory.of("before", p.o(), s.o());
      SparseBlockGemv.applyInPlace(W, h, plan, o);
      check(Oracle.gemv(p), SparseBlockGemv.apply(before, widened, h, plan), o);
    }
  }

  // ----------------------------------------------------------------------------------- rounding

  private static float[] widened(ElementType type, float... values) {
    try (FloatTensor floats = FloatTensor.of(values, 1, 1, 1, values.length);
        Weights weights = Weights.of(floats, type);
        FloatTensor wide = weights.widened()) {
      return wide.toArray();
    }
  }

  /** Returns the nearest multiple of the last place of a number of that many bits, ties to even. */
  private static double nearest(double value, int bits, int leastExponent) {
    if (value == 0) {
      return value;
    }
    int exponent = Math.max(Math.getExponent(value), leastExponent);
    double place = Math.scalb(1.0, exponent - bits + 1);
    return Math.rint(value / place) * place;
  }

  @ParameterizedTest
  @EnumSource(names = {"FLOAT16", "BFLOAT16"})
  void roundsToTheNearest(ElementType type, Data data) {
    boolean half = type == ElementType.FLOAT16;
    float[] values = new float[20_000];
    for (int i = 0; i < values.length; i++) {
      int bits = (data.below(1 << 16) << 16) | data.below(1 << 16);
      // Some are halfway between two numbers of the type.
      bits = i % 3 == 0 ? bits & (half ? 0xfffff000 : 0xffff8000) : bits;
      float value = Float.intBitsToFloat(bits);
      float most = half ? 65504 : 3e38f;
      float scaled = half ? value % 65504 : value;
      values[i] = Float.isFinite(value) && Math.abs(scaled) <= most ? scaled : i * 1e-7f;
    }
    float[] actual = widened(type, values);
    for (int i = 0; i < values.length; i++) {
      double expected = half ? nearest(values[i], 11, -14) : nearest(values[i], 8, -126);
      assertEquals(expected, (double) actual[i], "of " + values[i]);
    }
  }

  @Test
  void keepsSignsAndEnds() {
    assertArrayEquals(
        new float[] {-0f, 0f, 65504, -65504, 0x1p-24f, 0, 0x1p-14f, 1 + 0x1p-10f, 1},
        widened(
            ElementType.FLOAT16,
            -0f,
            0f,
            65519.996f,
            -65504,
            0x1p-24f,
            0x1p-25f,
            0x1p-14f - 0x1p-38f,
            1 + 0x1.8p-11f,
            1 + 0x1p-11f));
    assertArrayEquals(
        new float[] {-0f, 0x1.fep127f, 0x1p-133f, 1, 1 + 0x1p-6f},
        widened(ElementType.BFLOAT16, -0f, 0x1.fep127f, 0x1p-133f, 1 + 0x1p-8f, 1 + 0x1.8p-7f));
  }

  @Test
  void wholeNumbersOf8BitsAreWithinHalfTheScaleOfTheirColumn(Data data) {
    int rows = 3_000; // a block is rounded in pieces that do not end with a row
    int columns = 23;
    float[] values = data.floats(Numbers.GAUSSIAN, 2L * rows * columns);
    for (int r = 0; r < 2 * rows; r++) {
      values[r * columns + 5] = 0;
      values[r * columns + 6] *= 1e-30f;
      values[r * columns + 7] *= 1e37f;
    }
    try (FloatTensor floats = FloatTensor.of(values, 2, 1, rows, columns);
        Weights weights = Weights.of(floats, ElementType.INT8);
        FloatTensor wide = weights.widened()) {
      assertEquals(2L * 2 * 94 * 512 + 4L * 2 * columns, weights.bytes());
      float[] actual = wide.toArray();
      for (int block = 0; block < 2; block++) {
        for (int q = 0; q < columns; q++) {
          double largest = 0;
          for (int r = 0; r < rows; r++) {
            largest = Math.max(largest, Math.abs(values[(block * rows + r) * columns + q]));
          }
          float scale = (float) largest / 127f;
          for (int r = 0; r < rows; r++) {
            int at = (block * rows + r) * columns + q;
            double whole = scale == 0 ? 0 : Math.rint(values[at] / (double) scale);
            assertEquals(0f + (float) whole * scale, actual[at], "element " + at);
            assertEquals(values[at], actual[at], scale * (0.5 + 1e-5));
          }
        }
      }
    }
  }

  /** Near the smallest floats there are few scales, and finally the scale is 0. */
  @Test
  void theSmallestWeightsOf8BitsLoseMore() {
    float unit = Float.MIN_VALUE;
    assertArrayEquals(new float[4], ofOneOutput(unit, 0, -63 * unit, 63 * unit));
    float[] kept = ofOneOutput(unit, 0, -64 * unit, 64 * unit);
    assertArrayEquals(new float[] {unit, 0, -64 * unit, 64 * unit}, kept);
    for (int exponent = -149; exponent <= -110; exponent++) {
      float largest = Math.scalb(1.4f, exponent);
      float[] values = {largest, largest * 0.3f, -largest * 0.7f, 0};
      float[] actual = ofOneOutput(values);
      for (int i = 0; i < values.length; i++) {
        boolean isPromised = largest >= 0x1p-119f;
        double bound = isPromised ? largest / 127f * (0.5 + 1e-5) : largest;
        assertEquals(values[i], actual[i], bound, "2^" + exponent + ", element " + i);
      }
    }
  }

  /** Returns the weights of one output in 8 bits. */
  private static float[] ofOneOutput(float... values) {
    try (FloatTensor floats = FloatTensor.of(values, 1, 1, values.length, 1);
        Weights weights = Weights.of(floats, ElementType.INT8);
        FloatTensor wide = weights.widened()) {
      return wide.toArray();
    }
  }

  @Test
  void whatIsWidenedStaysAsItIs(Data data) {
    float[] values = data.floats(Numbers.GAUSSIAN, 300);
    // Each number has a scale of its own, and scales of Q8_0 below 2^-14 are less precise.
    for (int i = 0; i < values.length; i++) {
      values[i] = Math.abs(values[i]) < 0x1p-7f ? 0x1p-7f : values[i];
    }
    for (ElementType type : ElementType.values()) {
      float[] once = widened(type, values);
      switch (type) {
        case Q4_K, Q5_K, Q2_K, Q5_1 -> {} // a weight minus its minimum may have a smaller minimum
        case IQ4_XS -> {} // the product of a unit, a scale and a value may be rounded up
        default -> assertArrayEquals(once, widened(type, once), type.toString());
      }
    }
    assertArrayEquals(values, widened(ElementType.FLOAT32, values));
  }

  @ParameterizedTest
  @EnumSource(names = {"FLOAT32", "FLOAT16", "BFLOAT16"})
  void viewsHaveTheTwoSidesExchanged(ElementType type, Data data) {
    try (FloatTensor W = FloatTensor.of(data.floats(Numbers.GAUSSIAN, 2 * 3 * 4 * 5), 2, 3, 4, 5);
        Weights weights = Weights.of(W, type);
        Weights view = weights.transposeBlocks();
        Weights again = view.transposeBlocks();
        FloatTensor widened = weights.widened();
        FloatTensor ofView = view.widened();
        FloatTensor ofAgain = again.widened()) {
      assertEquals(Shape.of(3, 2, 5, 4), view.shape());
      assertEquals(weights.bytes(), view.bytes());
      assertArrayEquals(widened.transposeBlocks().toArray(), ofView.toArray());
      assertArrayEquals(widened.toArray(), ofAgain.toArray());
      view.close();
      assertFalse(weights.isClosed());
      assertTrue(again.isClosed());
      try (Weights other = weights.transposeBlocks()) {
        weights.close();
        assertTrue(other.isClosed());
        assertThrows(IllegalStateException.class, other::widened);
        assertThrows(IllegalStateException.class, other::transposeBlocks);
      }
    }
  }

  // ------------------------------------------------------------------------------------ refusals

  @Test
  void isClosedOnce() {
    long before = FloatTensor.allocatedBytes();
    try (FloatTensor W = FloatTensor.of(new float[] {1, 2, 3, 4}, 1, 1, 2, 2);
        FloatTensor h = FloatTensor.zeros(1, 1, 2);
        FloatTensor out = FloatTensor.zeros(1, 1, 2);
        IntTensor idx = IntTensor.of(new int[] {0}, 1, 1);
        BlockPlan plan = BlockPlan.of(idx, idx, 1, 1)) {
      Weights weights = Weights.of(W, ElementType.INT8);
      assertEquals("Weights(1, 1, 2, 2) of INT8", weights.toString());
      assertEquals(ElementType.INT8, weights.type());
      assertFalse(weights.isClosed());
      weights.close();
      weights.close();
      assertTrue(weights.isClosed());
      assertFails(
          IllegalStateException.class,
          "W: the weights (1, 1, 2, 2) are closed",
          () -> SparseBlockGemv.applyInPlace(weights, h, plan, out));
      assertThrows(IllegalStateException.class, weights::widened);
      W.close();
      assertThrows(IllegalStateException.class, () -> Weights.of(W, ElementType.INT8));
    }
    assertTrue(FloatTensor.allocatedBytes() <= before);
  }
}
