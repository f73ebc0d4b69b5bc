// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.products;

import static org.blocksparse.testing.Bounded.checkNew;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.Tuple;
import net.jqwik.api.constraints.FloatRange;
import net.jqwik.api.constraints.IntRange;
import org.blocksparse.FloatTensor;
import org.blocksparse.IntTensor;
import org.blocksparse.softmax.ClassAssignment;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.blocksparse.softmax.SoftmaxGradients;
import org.blocksparse.testing.BlockProblem;
import org.blocksparse.testing.BlockProblem.Sizes;
import org.blocksparse.testing.Data;
import org.blocksparse.testing.Data.Numbers;
import org.blocksparse.testing.Guarded;
import org.blocksparse.testing.KernelsUnderTest;
import org.blocksparse.testing.Oracle;
import org.blocksparse.testing.SoftmaxOracle;
import org.blocksparse.testing.SoftmaxProblem;

/**
 * Random problems agree with the oracle on every kind of kernels; random invalid arguments are
 * rejected and change nothing. jqwik prints the seed of a failure and repeats it; {@code
 * -Djqwik.tries.default=1000000} runs for a night.
 */
final class SparseBlockProperties {
  private static final List<KernelsUnderTest> KERNELS = KernelsUnderTest.all();

  @Provide
  Arbitrary<Sizes> sizes() {
    Arbitrary<Sizes> any = sizes(0, 140, 20, 0, 40, 0, 4);
    Arbitrary<Sizes> whereKernelsChoose = sizes(16, 140, 2, 32, 130, 1, 2);
    return Arbitraries.frequencyOf(Tuple.of(4, any), Tuple.of(1, whereKernelsChoose));
  }

  private static Arbitrary<Sizes> sizes(
      int minBatch,
      int maxBatch,
      int maxBlocks,
      int minSize,
      int maxSize,
      int minWindow,
      int maxWindow) {
    Arbitrary<Integer> batch = Arbitraries.integers().between(minBatch, maxBatch);
    Arbitrary<Integer> blocks = Arbitraries.integers().between(1, maxBlocks);
    Arbitrary<Integer> size = Arbitraries.integers().between(minSize, maxSize);
    Arbitrary<Integer> window = Arbitraries.integers().between(minWindow, maxWindow);
    return Combinators.combine(batch, blocks, blocks, size, size, window, window).as(Sizes::new);
  }

  @Provide
  Arbitrary<KernelsUnderTest> kernels() {
    return Arbitraries.of(KERNELS);
  }

  @Property
  void blockProductsAgree(
      @ForAll("kernels") KernelsUnderTest kernels,
      @ForAll("sizes") Sizes s,
      @ForAll Numbers numbers,
      @ForAll boolean transposed,
      @ForAll @FloatRange(min = -2, max = 2) float alpha,
      @ForAll long seed) {
    BlockProblem p = new Data(seed).blocks(s, numbers);
    float factor = numbers == Numbers.SMALL_INTEGERS ? Math.round(alpha) : alpha;
    try (Guarded memory = new Guarded();
        IntTensor inputIdx = IntTensor.of(p.inputIdx(), s.inputIdx());
        IntTensor outputIdx = IntTensor.of(p.outputIdx(), s.outputIdx());
        BlockPlan plan =
            BlockPlan.of(inputIdx, outputIdx, s.iBlocks(), s.oBlocks())
                .withWorkers(kernels.workers())) {
      FloatTensor W =
          transposed
              ? memory.of("W", p.transposedW(), p.transposedShape()).transposeBlocks()
              : memory.of("W", p.W(), s.W());
      FloatTensor h = memory.of("h", p.h(), s.h());
      FloatTensor b = memory.of("b", p.b(), s.b());
      FloatTensor o = memory.of("o", p.o(), s.o());
      FloatTensor gradOut = memory.of("gradOut", p.gradOut(), s.o());
      FloatTensor out = memory.nan("out", s.o());
      SparseBlockDot.apply(W, h, plan, Epilogue.none().withBias(b), out);
      checkNew("dot", Oracle.dot(p), out, numbers);
      SparseBlockGemv.applyInPlace(W, h, plan, o);
      checkNew("gemv", Oracle.gemv(p), o, numbers);
      checkNew("gradH", Oracle.gradH(p), SparseBlockDot.gradH(W, gradOut, plan), numbers);
      checkNew("gradW", Oracle.gradW(p), SparseBlockDot.gradW(h, gradOut, plan), numbers);
      checkNew("gradB", Oracle.gradB(p), SparseBlockDot.gradB(gradOut, plan), numbers);
      SparseBlockOuter.applyInPlace(h, gradOut, plan, factor, W);
      checkNew("outer", Oracle.outer(p, factor), W, numbers);
    }
  }

  @Property
  void softmaxAgrees(
      @ForAll("kernels") KernelsUnderTest kernels,
      @ForAll @IntRange(max = 60) int batch,
      @ForAll @IntRange(min = 1, max = 30) int features,
      @ForAll @IntRange(min = 1, max = 9) int classes,
      @ForAll @IntRange(max = 40) int more,
      @ForAll @FloatRange(min = 0.25f, max = 20) float scale,
      @ForAll long seed) {
    Data data = new Data(seed);
    int[] classOf = data.classOf(classes, more);
    int slots = ClassAssignment.of(classOf).slots();
    SoftmaxProblem p = data.softmax(batch, features, slots, scale, classOf);
    SoftmaxOracle oracle = new SoftmaxOracle(p, false);
    try (Guarded memory = new Guarded();
        FloatTensor x = memory.of("x", p.x(), batch, features);
        IntTensor targets = IntTensor.of(p.targets(), batch);
        HierarchicalSoftmax layer =
            HierarchicalSoftmax.builder(features, classOf.length)
                .classes(ClassAssignment.of(classOf))
                .workers(kernels.workers())
                .build(
                    memory.of("W1", p.W1(), features, classes),
                    memory.of("b1", p.b1(), classes),
                    memory.of("W2", p.W2(), classes, features, slots),
                    memory.of("b2", p.b2(), classes, slots));
        FloatTensor all = layer.probabilities(x);
        FloatTensor logs = layer.logProbabilities(x);
        FloatTensor ofTargets = layer.logProbabilitiesOf(x, targets);
        SoftmaxGradients actual = layer.gradients(x, targets)) {
      oracle.probabilities().assertHolds("probabilities", all);
      oracle.logProbabilities().assertHolds("log probabilities", logs);
      oracle.targetLogProbabilities().assertHolds("of targets", ofTargets);
      SoftmaxOracle.Gradients expected = oracle.gradients(SoftmaxOracle.Loss.ofMean());
      assertEquals(expected.loss(), actual.loss(), expected.lossBound() + 1e-12, "loss");
      expected.x().assertHolds("gradX", actual.x());
      expected.W1().assertHolds("gradW1", actual.W1());
      expected.b1().assertHolds("gradB1", actual.b1());
      expected.W2().assertHolds("gradW2", actual.W2());
      expected.b2().assertHolds("gradB2", actual.b2());
      memory.check();
    }
  }
}
