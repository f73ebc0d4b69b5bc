// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static org.blocksparse.testing.Failures.assertFails;
import static org.blocksparse.testing.Failures.assertRejects;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ForkJoinPool;
import java.util.stream.Stream;
import org.blocksparse.products.BlockPlan;
import org.blocksparse.products.Epilogue;
import org.blocksparse.products.SparseBlockDot;
import org.blocksparse.products.SparseBlockGemv;
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
import org.junit.jupiter.params.provider.FieldSource;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Packed weights of integers of every type: their rounded values, products that equal those of
 * integers, on all kernels and within the bound of {@link BlockPlan}, and calls that are rejected.
 */
@ExtendWith(Seeded.class)
final class PackedWeightsTest {
  private static final List<Sizes> SIZES =
      List.of(
          new Sizes(1, 1, 1, 1, 1, 1, 1),
          new Sizes(1, 3, 2, 67, 70, 3, 2), // one row of a block
          new Sizes(3, 5, 7, 13, 11, 2, 3),
          new Sizes(7, 2, 3, 97, 101, 1, 2),
          new Sizes(9, 2, 2, 64, 130, 4, 2), // cut by columns; repeats
          new Sizes(40, 4, 3, 32, 16, 4, 3),
          new Sizes(193, 1, 1, 50, 70, 1, 1),
          new Sizes(3, 2, 1, 517, 19, 2, 1), // more inputs than share a scale of any kind
          new Sizes(0, 3, 2, 4, 6, 2, 2), // every size 0, one after the other
          new Sizes(3, 4, 4, 4, 6, 0, 2),
          new Sizes(3, 4, 4, 0, 6, 2, 2),
          new Sizes(3, 4, 4, 4, 0, 2, 2));

  private static final List<ElementType> PACKED =
      Stream.of(ElementType.values()).filter(ElementType::isPacked).toList();

  /** The types of integers; RoundedInputsTest tests the other one. */
  private static final List<ElementType> TYPES =
      PACKED.stream().filter(type -> type != ElementType.PACKED_BFLOAT16).toList();

  /** The types that subtract a minimum from their weights. */
  private static final Set<ElementType> MINIMUM =
      EnumSet.of(ElementType.Q4_K, ElementType.Q5_K, ElementType.Q2_K, ElementType.Q5_1);

  /** Returns the input bits that a type supports, the default of plans first. */
  private static int[] bits(ElementType type) {
    return type == ElementType.INT8 ? new int[] {8, 16} : new int[] {8};
  }

  static Stream<Arguments> cases() {
    return KernelsUnderTest.instructionSets().stream()
        .flatMap(
            kernels ->
                TYPES.stream()
                    .flatMap(type -> SIZES.stream().map(s -> Arguments.of(kernels, type, s))));
  }

  /** Returns the results of all forward products. */
  private static List<FloatTensor> products(
      Weights W, Guarded memory, BlockProblem p, BlockPlan plan) {
    Sizes s = p.sizes();
    FloatTensor h = memory.of("h", p.h(), s.h());
    FloatTensor b = memory.of("b", p.b(), s.b());
    float[] gates = new float[s.batch() * s.iWin()];
    Arrays.fill(gates, 0.75f);
    FloatTensor inputGate = memory.of("inputGate", gates, s.batch(), s.iWin());
    float[] biases = new float[s.iBlocks() * s.oSize()];
    Arrays.fill(biases, 0.5f);
    FloatTensor inputBias = memory.of("inputBias", biases, s.iBlocks(), s.oSize());
    Epilogue biased = Epilogue.none().withBias(b);
    FloatTensor out = memory.nan("out", s.o());
    FloatTensor relu = memory.nan("relu", s.o());
    FloatTensor o = memory.of("o", p.o(), s.o());
    SparseBlockDot.apply(W, h, plan, biased, out);
    SparseBlockDot.apply(
        W,
        h,
        plan,
        biased.withInputBias(inputBias, inputGate).withActivation(Activation.RELU),
        relu);
    SparseBlockGemv.applyInPlace(W, h, plan, o);
    List<FloatTensor> all = new ArrayList<>(List.of(out, o, relu));
    if (s.oSize() % 2 == 0) {
      float[] factors = new float[s.batch() * s.oWin()];
      Arrays.fill(factors, 0.25f);
      FloatTensor gate = memory.of("gate", factors, s.batch(), s.oWin());
      FloatTensor gated = memory.nan("gated", s.batch(), s.oWin(), s.oSize() / 2);
      SparseBlockDot.apply(
          W, h, plan, biased.withActivation(Activation.SWIGLU).withGate(gate), gated);
      all.add(gated);
    }
    return all;
  }

  /** Returns the bounds in the Javadoc of BlockPlan. */
  private static Bounded bound(BlockProblem p, ElementType type, int bits) {
    Sizes s = p.sizes();
    int shared = type == ElementType.INT8 ? Math.max(1, s.iSize()) : 32;
    double least = bits == 16 ? 0x1p-111 : 0x1p-119;
    double half = bits == 16 ? 1 / 64000.0 : 1 / 253.9;
    Bounded exact = Oracle.dot(p);
    boolean hasMinimum = MINIMUM.contains(type);
    boolean hasParts = type == ElementType.Q6_K || type == ElementType.Q2_K;
    int groups = (s.iSize() + 31) / 32 * (hasMinimum ? 2 : 1) * (hasParts ? 2 : 1);
    // A minimum is at most the one of its unit's groups plus a 63rd of it, the unit.
    double minimum = 0;
    for (int i = 0; i < p.W().length && hasMinimum; i++) {
      minimum = Math.max(minimum, 1.02 * Math.abs(p.W()[i]));
    }
    double[] bounds = new double[exact.bounds().length];
    for (int sample = 0; sample < s.batch(); sample++) {
      for (int j = 0; j < s.oWin(); j++) {
        for (int q = 0; q < s.oSize(); q++) {
          int output = p.outputIdx()[sample * s.oWin() + j];
          double sum = 0;
          double sumOfParts = 0;
          for (int i = 0; i < s.iWin(); i++) {
            int input = p.inputIdx()[sample * s.iWin() + i];
            for (int k = 0; k < s.iSize(); k++) {
              double largest = least;
              int begin = k / shared * shared;
              for (int near = begin; near < Math.min(s.iSize(), begin + shared); near++) {
                largest =
                    Math.max(largest, Math.abs(p.h()[(sample * s.iWin() + i) * s.iSize() + near]));
              }
              double weight = Math.abs(p.W()[p.at(input, output, k, q)]);
              sum += largest * weight;
              sumOfParts += largest * (weight + 2 * minimum);
            }
          }
          double start = Math.abs(p.b()[output * s.oSize() + q]);
          bounds[(sample * s.oWin() + j) * s.oSize() + q] =
              sum * half
                  + 1.01 * (groups + s.iWin() + 4) * Bounded.U * (start + sumOfParts)
                  + s.iWin() * groups * 0x1p-131;
        }
      }
    }
    return new Bounded(exact.shape(), exact.values(), bounds);
  }

  @Tag("xcheck")
  @ParameterizedTest(name = "{0} {1} {2}")
  @MethodSource("cases")
  void productsAreTheReferencesAndWithinTheBound(
      KernelsUnderTest kernels, ElementType type, Sizes s, Data data) {
    BlockProblem given = data.blocks(s, Numbers.GAUSSIAN);
    try (Guarded memory = new Guarded();
        FloatTensor floats = FloatTensor.of(given.W(), s.W());
        Weights W = Weights.of(floats, type);
        FloatTensor widened = W.widened();
        BlockPlan plan = given.plan(kernels.workers())) {
      BlockProblem p = given.with(widened.toArray(), given.b());
      for (int bits : bits(type)) {
        BlockPlan rounding = plan.withInputBits(bits);
        List<FloatTensor> actual = products(W, memory, p, rounding);
        List<FloatTensor> expected =
            products(W, memory, p, rounding.withWorkers(KernelsUnderTest.all().get(0).workers()));
        bound(p, type, bits).assertHolds("product", actual.get(0));
        for (int i = 0; i < expected.size(); i++) {
          float[] those = expected.get(i).toArray();
          float[] these = actual.get(i).toArray();
          if (i < 2) {
            assertArrayEquals(those, these, "product " + i);
          } else { // kernels differ in activations and input biases, which are products of floats
            assertArrayEquals(those, these, 1e-3f, "product " + i);
          }
        }
      }
      // The first bits are those of a plan that leaves the choice to the weights.
      assertArrayEquals(
          products(W, memory, p, plan.withInputBits(bits(type)[0])).get(0).toArray(),
          products(W, memory, p, plan).get(0).toArray());
    }
  }

  @ParameterizedTest
  @FieldSource("TYPES")
  void bitsDoNotDependOnTheWorkers(ElementType type, Data data) {
    Sizes s = new Sizes(60, 3, 2, 233, 200, 2, 1);
    BlockProblem p = data.blocks(s, Numbers.GAUSSIAN);
    ForkJoinPool pool = new ForkJoinPool(3);
    try (FloatTensor floats = FloatTensor.of(p.W(), s.W());
        Weights W = Weights.of(floats, type);
        FloatTensor h = FloatTensor.of(p.h(), s.h());
        BlockPlan plan = p.plan(Workers.callingThread());
        FloatTensor alone = SparseBlockDot.apply(W, h, plan, Epilogue.none())) {
      for (int workers = 2; workers <= 4; workers++) {
        try (FloatTensor together =
            SparseBlockDot.apply(
                W, h, plan.withWorkers(Workers.of(pool, workers)), Epilogue.none())) {
          assertArrayEquals(alone.toArray(), together.toArray(), workers + " workers");
        }
      }
    } finally {
      pool.shutdown();
    }
  }

  static Stream<Arguments> kernelsAndTypes() {
    return KernelsUnderTest.instructionSets().stream()
        .flatMap(kernels -> TYPES.stream().map(type -> Arguments.of(kernels, type)));
  }

  /** A row with a NaN or an infinity becomes NaN, and no other row. */
  @ParameterizedTest(name = "{0} {1}")
  @MethodSource("kernelsAndTypes")
  void whatIsNotFiniteSpoilsItsRow(KernelsUnderTest kernels, ElementType type, Data data) {
    float[] values = data.floats(Numbers.GAUSSIAN, 5 * 70);
    values[70 + 3] = Float.NaN;
    values[3 * 70 + 69] = Float.NEGATIVE_INFINITY;
    try (FloatTensor floats = FloatTensor.of(data.floats(Numbers.GAUSSIAN, 70 * 20), 1, 1, 70, 20);
        Weights W = Weights.of(floats, type);
        FloatTensor h = FloatTensor.of(values, 5, 1, 70);
        BlockPlan plan = BlockPlan.dense(5).withWorkers(kernels.workers());
        FloatTensor out = SparseBlockDot.apply(W, h, plan, Epilogue.none())) {
      float[] all = out.toArray();
      for (int i = 0; i < all.length; i++) {
        assertEquals(i / 20 == 1 || i / 20 == 3, Float.isNaN(all[i]), "element " + i);
      }
    }
  }

  @ParameterizedTest(name = "{0} {1}")
  @MethodSource("kernelsAndTypes")
  void takeRaggedPlans(KernelsUnderTest kernels, ElementType type) {
    try (FloatTensor floats = FloatTensor.of(new float[] {1, 2, 4, 4}, 2, 1, 2, 1);
        Weights W = Weights.of(floats, type);
        FloatTensor widened = W.widened();
        SparseRows inputs = SparseRows.of(List.of(new int[] {0, 1}, new int[0], new int[] {1}));
        SparseRows outputs = SparseRows.of(List.of(new int[] {0}, new int[] {0}, new int[0]));
        BlockPlan plan = BlockPlan.of(inputs, outputs, 2, 1).withInputBits(8);
        FloatTensor h = FloatTensor.of(new float[] {127, -1, 3, 127, 5, 6}, 3, 2);
        FloatTensor b = FloatTensor.of(new float[] {0.5f}, 1, 1);
        FloatTensor out =
            SparseBlockDot.apply(
                W, h, plan.withWorkers(kernels.workers()), Epilogue.none().withBias(b))) {
      float[] w = widened.toArray();
      float expected = 127 * w[0] - w[1] + 3 * w[2] + 127 * w[3] + 0.5f;
      assertEquals(expected, out.toArray()[0], 1e-4f);
      assertEquals(0.5f, out.toArray()[1]);
    }
  }

  // -------------------------------------------------------------------------------- what they are

  /** Returns the 32 weights of one output after packing. */
  private static float[] ofOneOutput(ElementType type, float... values) {
    try (FloatTensor floats = FloatTensor.of(values, 1, 1, values.length, 1);
        Weights weights = Weights.of(floats, type);
        FloatTensor wide = weights.widened()) {
      return wide.toArray();
    }
  }

  @Test
  void numbersAreRoundedToTheNearest() {
    assertArrayEquals(
        new float[] {127, 3, -2, 4, -127, 0},
        ofOneOutput(ElementType.Q8_0, 127, 2.6f, -1.6f, 3.5f, -127, 0.4f));
    // The code of the largest magnitude is -8 times the scale.
    assertArrayEquals(
        new float[] {-16, 14, 4, -6, 0, 14},
        ofOneOutput(ElementType.Q4_0, -16, 16, 4.9f, -5.1f, 0.9f, 13.2f));
    assertArrayEquals(
        new float[] {16, -14, 4, -6, -0f},
        ofOneOutput(ElementType.Q4_0, 16, -15, 4.9f, -5.1f, -0.9f));
    // Times 2: 0, 1, 2, 3, 4, 6, 8, 12; ties go to the even code.
    assertArrayEquals(
        new float[] {12, -12, 8, 8, 6, 4, 4, 2, 2, -1, 0, 0},
        ofOneOutput(
            ElementType.MXFP4,
            15.9f,
            -10.1f,
            10,
            7,
            6.9f,
            5,
            3.5f,
            2.5f,
            1.5f,
            -0.6f,
            0.5f,
            -0.4f));
    for (ElementType type : TYPES) {
      assertArrayEquals(new float[] {0, 0}, ofOneOutput(type, 0, -0f), type.toString());
    }
  }

  /** Each group of 32 has a scale of its own; errors are within the bound in the type's Javadoc. */
  @Test
  void errorsAreThoseOfTheType(Data data) {
    for (int exponent : new int[] {-140, -24, -17, -8, 0, 5}) {
      float[] values = data.floats(Numbers.GAUSSIAN, 96);
      for (int i = 0; i < values.length; i++) {
        values[i] = Math.scalb(values[i], exponent + i / 32);
      }
      for (ElementType type :
          List.of(
              ElementType.Q8_0,
              ElementType.Q4_0,
              ElementType.MXFP4,
              ElementType.IQ4_NL,
              ElementType.Q5_1)) {
        float[] actual = ofOneOutput(type, values);
        for (int i = 0; i < values.length; i++) {
          double[] near = range(values, i / 32 * 32, 32);
          float largest = (float) Math.max(near[1], -near[0]);
          double bound =
              switch (type) {
                case Q8_0 -> Math.max(0x1p-25, 0.5005 * largest / 127 + 0x1p-25);
                // A weight is clipped to 7 scales, each off by half a step of a subnormal float16.
                case Q4_0 -> largest / 8 * 1.005 + 7 * 0x1p-25;
                // The values end 14 scales from m, and a scale may be subnormal as well.
                case IQ4_NL -> largest / 127 * 14 * 1.001 + 127 * 0x1p-25;
                // Both float16 are rounded up.
                case Q5_1 -> (near[1] - near[0]) / 62 * 1.02 + 0x1p-24;
                default -> Math.max(0x1p-128, 2 * Math.scalb(1.0, Math.getExponent(largest) - 2));
              };
          assertEquals(values[i], actual[i], bound, type + " at " + i + ", 2^" + exponent);
        }
      }
    }
  }

  /**
   * An error is at most half a scale, and the scale is the least that the weights and units allow.
   */
  @Test
  void errorsOfScalesOfScales(Data data) {
    for (int exponent : new int[] {-140, -24, -17, -8, 0, 5}) {
      float[] values = data.floats(Numbers.GAUSSIAN, 2 * 256 + 40);
      for (int i = 0; i < values.length; i++) {
        values[i] = Math.scalb(values[i], exponent + i / 64);
      }
      float[] four = ofOneOutput(ElementType.Q4_K, values);
      float[] five = ofOneOutput(ElementType.Q5_K, values);
      float[] two = ofOneOutput(ElementType.Q2_K, values);
      float[] six = ofOneOutput(ElementType.Q6_K, values);
      float[] table = ofOneOutput(ElementType.IQ4_XS, values);
      for (int begin = 0; begin < values.length; begin += 256) {
        float[] part = Arrays.copyOfRange(values, begin, Math.min(values.length, begin + 256));
        double largest = range(part, 0, part.length)[1];
        double lowest = -range(part, 0, part.length)[0];
        double magnitude = Math.max(largest, lowest);
        // Units are float16, rounded up.
        double ofMinima = lowest / 63 * (1 + 0x1p-10) + 0x1p-24;
        double all = largest + lowest + ofMinima;
        double ofScales = all / (63 * 15) * (1 + 0x1p-10) + 0x1p-24;
        double ofFive = all / (63 * 31) * (1 + 0x1p-10) + 0x1p-24;
        double ofTwo = all / (63 * 3) * (1 + 0x1p-10) + 0x1p-24;
        double ofTable = magnitude / (127 * 127) * (1 + 0x1p-10) + 0x1p-24;
        double ofSix = magnitude / 3937 * (1 + 0x1p-10) + 0x1p-24;
        for (int i = 0; i < part.length; i++) {
          double[] near = range(part, i / 32 * 32, 32);
          double step = (near[1] - near[0] + ofMinima) / 15 + ofScales;
          assertEquals(part[i], four[begin + i], step / 2 * (1 + 0x1p-18), "Q4_K at " + i);
          step = (near[1] - near[0] + ofMinima) / 31 + ofFive;
          assertEquals(part[i], five[begin + i], step / 2 * (1 + 0x1p-18), "Q5_K at " + i);
          step = Math.max(near[1], -near[0]) / 127 + ofTable;
          assertEquals(part[i], table[begin + i], step * 14 * (1 + 0x1p-18), "IQ4_XS at " + i);
          near = range(part, i / 16 * 16, 16);
          step = (near[1] - near[0] + ofMinima) / 3 + ofTwo;
          assertEquals(part[i], two[begin + i], step / 2 * (1 + 0x1p-18), "Q2_K at " + i);
          step = Math.max(near[1], -near[0]) / 31 + ofSix;
          assertEquals(part[i], six[begin + i], step / 2 * (1 + 0x1p-18), "Q6_K at " + i);
        }
      }
    }
  }

  /** Scales span from the minimum to the largest weight, not to 0 if all weights are below it. */
  @Test
  void errorsOfWeightsBelowZero(Data data) {
    float[] values = data.floats(Numbers.GAUSSIAN, 256);
    double least = 0;
    double largest = Double.NEGATIVE_INFINITY;
    for (int i = 0; i < values.length; i++) {
      values[i] = -1 - 0.01f * values[i] * values[i];
      least = Math.min(least, values[i]);
      largest = Math.max(largest, values[i]);
    }
    // A minimum is rounded to the next multiple of a unit, which a float16 rounds up.
    double range = largest - least * (1 + 1 / 63.0) * (1 + 0x1p-9);
    Map<ElementType, Integer> tops =
        Map.of(ElementType.Q4_K, 15, ElementType.Q5_K, 31, ElementType.Q2_K, 3);
    tops.forEach(
        (type, top) -> {
          float[] actual = ofOneOutput(type, values);
          double step = range / top * (1 + 1 / 63.0) * (1 + 0x1p-9);
          for (int i = 0; i < values.length; i++) {
            assertEquals(values[i], actual[i], step / 2, type + " at " + i);
          }
        });
  }

  /** Returns the least and the largest of some numbers and 0. */
  private static double[] range(float[] values, int begin, int count) {
    double[] range = {0, 0};
    for (int i = begin; i < Math.min(values.length, begin + count); i++) {
      range[0] = Math.min(range[0], values[i]);
      range[1] = Math.max(range[1], values[i]);
    }
    return range;
  }

  @Test
  void whatIsWidenedStaysAsItIs(Data data) {
    float[] values = data.floats(Numbers.GAUSSIAN, 300);
    for (ElementType type :
        List.of(ElementType.Q8_0, ElementType.Q4_0, ElementType.MXFP4, ElementType.IQ4_NL)) {
      float[] once = ofOneOutput(type, values);
      assertArrayEquals(once, ofOneOutput(type, once), type.toString());
    }
  }

  // ------------------------------------------------------------------------------------ refusals

  @Test
  void refuseOtherBitsAndGradients() {
    try (FloatTensor W = FloatTensor.zeros(1, 1, 4, 5);
        FloatTensor h = FloatTensor.zeros(2, 1, 4);
        FloatTensor out = FloatTensor.of(new float[] {1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, 2, 1, 5);
        BlockPlan plan = BlockPlan.dense(2)) {
      BlockPlan exact = plan.withInputBits(32);
      assertTrue(exact.toString().endsWith(", inputs of 32 bits)"), exact.toString());
      assertRejects("bits: expected 8, 16 or 32 but was 0", () -> plan.withInputBits(0));
      float[] before = out.toArray();
      for (ElementType type : PACKED) {
        try (Weights weights = Weights.of(W, type)) {
          String refused =
              "plan: expected other bits of inputs for "
                  + weights
                  + " but was "
                  + exact
                  + "; BlockPlan lists those of each type of weights, and W.widened() takes any";
          assertRejects(
              refused, () -> SparseBlockDot.apply(weights, h, exact, Epilogue.none(), out));
          assertRejects(refused, () -> SparseBlockGemv.applyInPlace(weights, h, exact, out));
          assertRejects(
              "W: expected weights that are not packed, for a gradient, but was "
                  + weights
                  + "; take W.widened()",
              () -> SparseBlockDot.gradH(weights, out, plan));
          assertFails(
              IllegalStateException.class,
              "weights: " + weights + " is packed and has no transposed view",
              weights::transposeBlocks);
          assertTrue(type.isPacked());
        }
      }
      assertArrayEquals(before, out.toArray());
      SparseBlockDot.apply(W, h, exact, Epilogue.none(), out);
      assertArrayEquals(new float[10], out.toArray());
    }
  }
}
