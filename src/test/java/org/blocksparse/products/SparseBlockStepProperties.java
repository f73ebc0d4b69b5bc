// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.products;

import java.util.Arrays;
import java.util.List;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.constraints.IntRange;
import org.blocksparse.FloatTensor;
import org.blocksparse.IntTensor;
import org.blocksparse.Optimizer;
import org.blocksparse.Shape;
import org.blocksparse.Workers;
import org.blocksparse.testing.BlockProblem;
import org.blocksparse.testing.BlockProblem.Sizes;
import org.blocksparse.testing.Bounded;
import org.blocksparse.testing.Data;
import org.blocksparse.testing.Data.Numbers;
import org.blocksparse.testing.KernelsUnderTest;
import org.blocksparse.testing.OptimizerOracle;
import org.blocksparse.testing.OptimizerOracle.Kind;
import org.blocksparse.testing.OptimizerOracle.Rule;
import org.blocksparse.testing.Oracle;

/**
 * Twenty steps of blocks with every option against float64: gradients by Theano's loops, clipped
 * block by block, then the rule, whose moments are kept as intervals from the first step to the
 * last. Each step is compared with one from the same parameters.
 */
final class SparseBlockStepProperties {
  private static final List<KernelsUnderTest> KERNELS = KernelsUnderTest.all();
  private static final int STEPS = 20;

  @Provide
  Arbitrary<KernelsUnderTest> kernels() {
    return Arbitraries.of(KERNELS);
  }

  /** Returns sizes, also those from which on blocks are taken in parts. */
  @Provide
  Arbitrary<Integer> rows() {
    return Arbitraries.of(1, 2, 3, 5, 8, 17, 64, 65, 127, 128, 129, 193);
  }

  @Property
  void twentySteps(
      @ForAll("kernels") KernelsUnderTest kernels,
      @ForAll Kind kind,
      @ForAll @IntRange(min = 1, max = 8) int batch,
      @ForAll("rows") int iSize,
      @ForAll @IntRange(min = 1, max = 9) int oSize,
      @ForAll long seed) {
    Data data = new Data(seed);
    Sizes sizes =
        new Sizes(
            batch,
            1 + data.below(3),
            1 + data.below(3),
            iSize,
            oSize,
            1 + data.below(2),
            1 + data.below(2));
    Rule rule = Rule.random(kind, data);
    float maxNorm =
        data.below(2) == 0 ? Float.POSITIVE_INFINITY : (float) Math.exp(data.between(-4, 2));
    new Run(kernels.workers(), sizes, rule, maxNorm).steps(data);
  }

  /** Weights and biases in training, and the state of their oracles. */
  private static final class Run {
    private final Workers workers;
    private final Sizes sizes;
    private final Optimizer optimizer;
    private final float maxNorm;
    private final OptimizerOracle ofW;
    private final OptimizerOracle ofB;
    private final OptimizerOracle ofInputBias;

    Run(Workers workers, Sizes sizes, Rule rule, float maxNorm) {
      this.workers = workers;
      this.sizes = sizes;
      this.maxNorm = maxNorm;
      this.optimizer = rule.optimizer().withMaxNorm(maxNorm);
      this.ofW = new OptimizerOracle(rule, (int) Shape.of(sizes.W()).size());
      this.ofB = new OptimizerOracle(rule.ofBiases(), (int) Shape.of(sizes.b()).size());
      this.ofInputBias = new OptimizerOracle(rule.ofBiases(), sizes.iBlocks() * sizes.oSize());
    }

    void steps(Data data) {
      BlockProblem first = data.blocks(sizes, Numbers.GAUSSIAN);
      try (FloatTensor W = FloatTensor.of(first.W(), sizes.W());
          FloatTensor b = FloatTensor.of(first.b(), sizes.b());
          FloatTensor inputBias = FloatTensor.zeros(sizes.iBlocks(), sizes.oSize());
          OptimizerState state = OptimizerState.of(b, W, inputBias)) {
        for (int step = 0; step < STEPS; step++) {
          BlockProblem next = data.blocks(sizes, Numbers.GAUSSIAN);
          float[] gate = data.floats(Numbers.GAUSSIAN, (long) sizes.batch() * sizes.iWin());
          step(next.with(W.toArray(), b.toArray()), W, b, state, "step " + step + ", ");
          inputBias(next, gate, inputBias, state, "step " + step + ", input bias");
        }
      }
    }

    private void inputBias(
        BlockProblem p, float[] gate, FloatTensor bias, OptimizerState state, String name) {
      float[] before = bias.toArray();
      try (FloatTensor gates = FloatTensor.of(gate, sizes.batch(), sizes.iWin());
          FloatTensor gradOut = FloatTensor.of(p.gradOut(), sizes.o());
          IntTensor inputIdx = IntTensor.of(p.inputIdx(), sizes.inputIdx());
          IntTensor outputIdx = IntTensor.of(p.outputIdx(), sizes.outputIdx());
          BlockPlan plan =
              BlockPlan.of(inputIdx, outputIdx, sizes.iBlocks(), sizes.oBlocks())
                  .withWorkers(workers)) {
        InputBias.step(gradOut, gates, plan, optimizer, bias, state);
      }
      boolean[] touched = new boolean[before.length];
      for (int i : p.inputIdx()) {
        Arrays.fill(touched, i * sizes.oSize(), (i + 1) * sizes.oSize(), true);
      }
      Bounded gradient = Oracle.addGradInputBias(p, gate, new float[before.length], 1);
      int roundings = sizes.batch() * sizes.iWin() * sizes.oWin() + 6;
      ofInputBias
          .step(
              before, OptimizerOracle.clipped(gradient, sizes.oSize(), maxNorm), touched, roundings)
          .assertHolds(name, bias);
    }

    private void step(
        BlockProblem p, FloatTensor W, FloatTensor b, OptimizerState state, String name) {
      try (FloatTensor h = FloatTensor.of(p.h(), sizes.h());
          FloatTensor gradOut = FloatTensor.of(p.gradOut(), sizes.o());
          IntTensor inputIdx = IntTensor.of(p.inputIdx(), sizes.inputIdx());
          IntTensor outputIdx = IntTensor.of(p.outputIdx(), sizes.outputIdx());
          BlockPlan plan =
              BlockPlan.of(inputIdx, outputIdx, sizes.iBlocks(), sizes.oBlocks())
                  .withWorkers(workers)) {
        SparseBlockDot.stepW(h, gradOut, plan, optimizer, W, state);
        SparseBlockDot.stepB(gradOut, plan, optimizer, b, state);
      }
      int block = sizes.iSize() * sizes.oSize();
      boolean[] touched = new boolean[p.W().length];
      boolean[] touchedB = new boolean[p.b().length];
      for (int y = 0; y < p.outputIdx().length; y++) {
        int j = p.outputIdx()[y];
        for (int q = 0; q < sizes.oSize(); q++) {
          touchedB[j * sizes.oSize() + q] = true;
        }
        for (int i = 0; i < sizes.iWin(); i++) {
          int x = y / sizes.oWin() * sizes.iWin() + i;
          for (int e = 0; e < block; e++) {
            touched[p.at(p.inputIdx()[x], j, 0, 0) + e] = true;
          }
        }
      }
      // Plain descent adds the gradient to its parameter in place.
      int roundings = sizes.batch() * sizes.iWin() * sizes.oWin() + 6;
      Bounded gradW = OptimizerOracle.clipped(Oracle.gradW(p), block, maxNorm);
      ofW.step(p.W(), gradW, touched, roundings).assertHolds(name + "W", W);
      Bounded gradB = OptimizerOracle.clipped(Oracle.gradB(p), sizes.oSize(), maxNorm);
      ofB.step(p.b(), gradB, touchedB, roundings).assertHolds(name + "b", b);
    }
  }
}
