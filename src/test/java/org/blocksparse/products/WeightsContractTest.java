// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.products;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import java.util.function.BiConsumer;
import java.util.function.Function;
import java.util.stream.Stream;
import org.blocksparse.Activation;
import org.blocksparse.BlockMatrix;
import org.blocksparse.ElementType;
import org.blocksparse.FloatTensor;
import org.blocksparse.GradientOptions;
import org.blocksparse.IntTensor;
import org.blocksparse.Shape;
import org.blocksparse.SparseRows;
import org.blocksparse.Weights;
import org.blocksparse.testing.BlockProblem;
import org.blocksparse.testing.BlockProblem.Sizes;
import org.blocksparse.testing.Data;
import org.blocksparse.testing.Data.Numbers;
import org.blocksparse.testing.Guarded;
import org.blocksparse.testing.KernelsUnderTest;
import org.blocksparse.testing.RaggedProblem;
import org.blocksparse.testing.Seeded;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Everything that reads W, with {@link Weights} of every unpacked type and on every kind of
 * kernels, gives the bits of the floats that they stand for: small integers that each type holds
 * exactly, and whose sums are exact in any order.
 */
@ExtendWith(Seeded.class)
public final class WeightsContractTest {
  private static final List<Sizes> SIZES =
      List.of(
          new Sizes(1, 1, 1, 1, 2, 1, 1),
          new Sizes(7, 5, 6, 13, 22, 2, 3),
          new Sizes(70, 2, 2, 5, 10, 2, 2),
          new Sizes(1, 1, 1, 300, 260, 1, 1), // cut by columns
          new Sizes(0, 3, 2, 4, 6, 2, 2), // every size 0, one after the other
          new Sizes(3, 4, 4, 4, 6, 0, 2),
          new Sizes(3, 4, 4, 4, 6, 2, 0),
          new Sizes(3, 4, 4, 0, 6, 2, 2),
          new Sizes(3, 4, 4, 4, 0, 2, 2));

  static Stream<Arguments> cases() {
    return cases(SIZES);
  }

  /** Returns all types, each on the kernels that differ for it. */
  public static Stream<Arguments> cases(List<Sizes> sizes) {
    return sizes.stream()
        .flatMap(
            s ->
                Stream.of(ElementType.values())
                    .filter(type -> !type.isPacked())
                    .flatMap(
                        type ->
                            kernels(type, s).stream()
                                .map(kernels -> Arguments.of(kernels, type, s))));
  }

  private static Collection<KernelsUnderTest> kernels(ElementType type, Sizes s) {
    return type == ElementType.FLOAT32
        ? KernelsUnderTest.forBlocks(s.iSize(), s.oSize())
        : KernelsUnderTest.instructionSets();
  }

  /** The same W twice, a plan, and the other operands of all operations. */
  private static final class World implements AutoCloseable {
    final Guarded memory = new Guarded();
    private final Data data;
    final FloatTensor wide;
    final Weights narrow;
    final BlockPlan plan;
    final FloatTensor h;
    final FloatTensor gradOut;
    final FloatTensor b;
    final FloatTensor inputBias;
    final FloatTensor inputGate;
    final FloatTensor gate;

    World(Data data, Sizes s, ElementType type, BlockPlan plan) {
      this(data, s, plan, W -> Weights.of(W, type));
    }

    World(Data data, Sizes s, BlockPlan plan, Function<FloatTensor, Weights> narrowing) {
      this.data = data;
      this.plan = plan;
      float[] W = data.floats(Numbers.SMALL_INTEGERS, Shape.of(s.W()).size());
      wide = memory.of("W", W, s.W());
      narrow = narrowing.apply(wide);
      try (FloatTensor widened = narrow.widened()) {
        assertArrayEquals(W, widened.toArray(), "the type holds these numbers");
      }
      h = of("h", plan.inputs().shape(s.iSize()));
      gradOut = of("gradOut", plan.outputs().shape(s.oSize()));
      b = of("b", Shape.of(s.oBlocks(), s.oSize()));
      inputBias = of("inputBias", Shape.of(s.iBlocks(), s.oSize()));
      inputGate = of("inputGate", plan.inputs().shape());
      gate = of("gate", plan.outputs().shape());
    }

    FloatTensor of(String name, Shape shape) {
      float[] values = data.floats(Numbers.SMALL_INTEGERS, shape.size());
      return memory.of(name, values, shape.toArray());
    }

    FloatTensor nan(String name, Shape shape) {
      return memory.nan(name, shape.toArray());
    }

    /** Asserts that an operation writes equal tensors of these shapes for either W. */
    void assertSame(String name, BiConsumer<BlockMatrix, FloatTensor[]> operation, Shape... s) {
      FloatTensor[] expected = new FloatTensor[s.length];
      FloatTensor[] actual = new FloatTensor[s.length];
      Arrays.setAll(expected, i -> of("expected", s[i]));
      Arrays.setAll(actual, i -> memory.of(name, expected[i].toArray(), s[i].toArray()));
      operation.accept(wide, expected);
      operation.accept(narrow, actual);
      for (int i = 0; i < s.length; i++) {
        assertArrayEquals(expected[i].toArray(), actual[i].toArray(), name + ", output " + i);
      }
    }

    /** Asserts that an operation returns equal results for either W. */
    void assertSame(String name, Function<BlockMatrix, FloatTensor> operation) {
      try (FloatTensor expected = operation.apply(wide);
          FloatTensor actual = operation.apply(narrow)) {
        assertEquals(expected.shape(), actual.shape(), name);
        assertArrayEquals(expected.toArray(), actual.toArray(), name);
      }
    }

    @Override
    public void close() {
      narrow.close();
      plan.close();
      memory.close();
    }
  }

  @ParameterizedTest(name = "{0} {1} {2}")
  @MethodSource("cases")
  void equalWindows(KernelsUnderTest kernels, ElementType type, Sizes s, Data data) {
    BlockProblem p = data.blocks(s, Numbers.SMALL_INTEGERS);
    try (IntTensor inputIdx = IntTensor.of(p.inputIdx(), s.inputIdx());
        IntTensor outputIdx = IntTensor.of(p.outputIdx(), s.outputIdx());
        World w =
            new World(
                data,
                s,
                type,
                BlockPlan.of(inputIdx, outputIdx, s.iBlocks(), s.oBlocks())
                    .withWorkers(kernels.workers()))) {
      products(w, s);
      gradients(w, s);
      for (Activation f : List.of(Activation.IDENTITY, Activation.SILU, Activation.SWIGLU)) {
        fused(w, s, f);
      }
      withoutAPlan(w, s, inputIdx, outputIdx);
    }
  }

  @ParameterizedTest(name = "{0} {1} {2}")
  @MethodSource("cases")
  void transposedViews(KernelsUnderTest kernels, ElementType type, Sizes s, Data data) {
    BlockProblem p = data.blocks(s, Numbers.SMALL_INTEGERS);
    try (IntTensor inputIdx = IntTensor.of(p.inputIdx(), s.inputIdx());
        IntTensor outputIdx = IntTensor.of(p.outputIdx(), s.outputIdx());
        World w =
            new World(
                data,
                s,
                BlockPlan.of(inputIdx, outputIdx, s.iBlocks(), s.oBlocks())
                    .withWorkers(kernels.workers()),
                W -> view(W, type))) {
      products(w, s);
      gradients(w, s);
      fused(w, s, Activation.SWIGLU);
    }
  }

  /** Returns weights whose memory has the two sides of W exchanged. */
  private static Weights view(FloatTensor W, ElementType type) {
    FloatTensor other = W.transposeBlocks();
    try (FloatTensor exchanged = FloatTensor.of(other.toArray(), other.shape().toArray())) {
      return Weights.of(exchanged, type).transposeBlocks();
    }
  }

  @Tag("xcheck")
  @ParameterizedTest(name = "{0} {1} {2}")
  @MethodSource("cases")
  void windowsOfAnyLength(KernelsUnderTest kernels, ElementType type, Sizes s, Data data) {
    RaggedProblem p =
        RaggedProblem.random(
            data,
            Numbers.SMALL_INTEGERS,
            s.batch(),
            s.iBlocks(),
            s.oBlocks(),
            s.iSize(),
            s.oSize(),
            s.iWin(),
            s.oWin());
    try (SparseRows inputs = SparseRows.of(p.inputBegins(), p.inputIdx());
        SparseRows outputs = SparseRows.of(p.outputBegins(), p.outputIdx());
        World w =
            new World(
                data,
                s,
                type,
                BlockPlan.of(inputs, outputs, s.iBlocks(), s.oBlocks())
                    .withWorkers(kernels.workers()))) {
      products(w, s);
      gradients(w, s);
      for (Activation f : List.of(Activation.RELU, Activation.GEGLU)) {
        fused(w, s, f);
      }
    }
  }

  private static void products(World w, Sizes s) {
    Shape outShape = w.plan.outputs().shape(s.oSize());
    w.assertSame("apply", W -> SparseBlockDot.apply(W, w.h, w.plan, Epilogue.none().withBias(w.b)));
    w.assertSame(
        "apply into",
        (W, out) -> SparseBlockDot.apply(W, w.h, w.plan, Epilogue.none().withBias(w.b), out[0]),
        outShape);
    for (Epilogue epilogue :
        List.of(
            Epilogue.none(),
            Epilogue.none().withBias(w.b),
            Epilogue.none().withInputBias(w.inputBias),
            Epilogue.none().withBias(w.b).withInputBias(w.inputBias, w.inputGate),
            Epilogue.none().withBias(w.b).withGate(w.gate))) {
      w.assertSame(
          "epilogue", (W, out) -> SparseBlockDot.apply(W, w.h, w.plan, epilogue, out[0]), outShape);
    }
    FloatTensor o = w.of("o", outShape);
    w.assertSame("Gemv", W -> SparseBlockGemv.apply(o, W, w.h, w.plan));
    w.assertSame(
        "Gemv in place",
        (W, out) -> SparseBlockGemv.applyInPlace(W, w.h, w.plan, out[0]),
        outShape);
  }

  private static void gradients(World w, Sizes s) {
    Shape hShape = w.plan.inputs().shape(s.iSize());
    w.assertSame("gradH", W -> SparseBlockDot.gradH(W, w.gradOut, w.plan));
    w.assertSame(
        "gradH into",
        (W, out) -> SparseBlockDot.gradH(W, w.gradOut, w.plan, GradientOptions.overwrite(), out[0]),
        hShape);
    for (float alpha : new float[] {1, -2, 0, 0.5f}) {
      w.assertSame(
          "gradH added " + alpha,
          (W, out) ->
              SparseBlockDot.gradH(W, w.gradOut, w.plan, GradientOptions.add(alpha), out[0]),
          hShape);
    }
  }

  /** Checks an activation after the product, and its gradient after that of h. */
  private static void fused(World w, Sizes s, Activation f) {
    Shape zShape = w.plan.inputs().shape(f.isGated() ? 2L * s.iSize() : s.iSize());
    FloatTensor z = w.of("z", zShape);
    w.assertSame(
        f + "'s gradient",
        (W, out) ->
            SparseBlockDot.gradH(
                W, w.gradOut, w.plan, GradientOptions.overwrite().withActivation(f, z), out[0]),
        zShape);
    w.assertSame(
        f + "'s gradient, added",
        (W, out) ->
            SparseBlockDot.gradH(
                W, w.gradOut, w.plan, GradientOptions.add(-0.5f).withActivation(f, z), out[0]),
        zShape);
    FloatTensor gate = w.inputGate;
    w.assertSame(
        f + "'s gradient, with a gate",
        (W, out) ->
            SparseBlockDot.gradH(
                W,
                w.gradOut,
                w.plan,
                GradientOptions.overwrite().withActivation(f, z).withGate(gate, out[1]),
                out[0]),
        zShape,
        gate.shape());
    w.assertSame(
        f + "'s gradient, with a gate, added",
        (W, out) ->
            SparseBlockDot.gradH(
                W,
                w.gradOut,
                w.plan,
                GradientOptions.add(2).withActivation(f, z).withGate(gate, out[1]),
                out[0]),
        zShape,
        gate.shape());
    if (f.isGated() && s.oSize() % 2 == 1) {
      return;
    }
    Epilogue biased = Epilogue.none().withBias(w.b).withInputBias(w.inputBias, w.inputGate);
    w.assertSame(f + "", W -> SparseBlockDot.apply(W, w.h, w.plan, biased.withActivation(f)));
    FloatTensor expectedZ = w.nan("z", w.gradOut.shape());
    FloatTensor actualZ = w.nan("z", w.gradOut.shape());
    w.assertSame(
        f + " with z and gate",
        W ->
            SparseBlockDot.apply(
                W,
                w.h,
                w.plan,
                biased.withActivation(f, W == w.wide ? expectedZ : actualZ).withGate(w.gate)));
    assertArrayEquals(expectedZ.toArray(), actualZ.toArray(), f + ": z");
  }

  /** Checks operations with temporary plans, on the common workers. */
  private static void withoutAPlan(World w, Sizes s, IntTensor inputIdx, IntTensor outputIdx) {
    w.assertSame(
        "apply without a plan", W -> SparseBlockDot.apply(W, w.h, inputIdx, w.b, outputIdx));
    FloatTensor o = w.of("o", w.gradOut.shape());
    w.assertSame("Gemv without a plan", W -> SparseBlockGemv.apply(o, W, w.h, inputIdx, outputIdx));
    if (s.batch() == 1) { // one sample, whose tensors have one dimension less
      FloatTensor h = w.h.reshape(s.iWin(), s.iSize());
      try (IntTensor inputs = IntTensor.of(inputIdx.toArray(), s.iWin());
          IntTensor outputs = IntTensor.of(outputIdx.toArray(), s.oWin())) {
        w.assertSame("apply to one sample", W -> SparseBlockDot.apply(W, h, inputs, w.b, outputs));
      }
    }
  }
}
