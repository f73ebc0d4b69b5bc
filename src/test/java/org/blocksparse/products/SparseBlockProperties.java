// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.products;

import static org.blocksparse.testing.Bounded.checkNew;

import java.util.List;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.Tuple;
import net.jqwik.api.constraints.FloatRange;
import org.blocksparse.FloatTensor;
import org.blocksparse.testing.BlockProblem;
import org.blocksparse.testing.BlockProblem.Sizes;
import org.blocksparse.testing.Data;
import org.blocksparse.testing.Data.Numbers;
import org.blocksparse.testing.Guarded;
import org.blocksparse.testing.KernelsUnderTest;
import org.blocksparse.testing.Oracle;

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
        BlockPlan plan = p.plan(kernels.workers())) {
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
}
