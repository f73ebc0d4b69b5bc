// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.products;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;

import java.util.Set;
import java.util.SplittableRandom;
import java.util.concurrent.ConcurrentSkipListSet;
import org.blocksparse.FloatTensor;
import org.blocksparse.IntTensor;
import org.blocksparse.Optimizer;
import org.blocksparse.Workers;
import org.blocksparse.internal.kernels.Engine;
import org.blocksparse.internal.kernels.KernelWorkers;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.blocksparse.softmax.TheanoSoftmax;
import org.blocksparse.testing.KernelsUnderTest;
import org.blocksparse.testing.WatchedKernels;
import org.junit.jupiter.api.Test;

/** Operations use the kernels of their workers, on which the contract tests rely. */
final class KernelWorkersTest {
  /** The functions that were called since the set was last cleared. */
  private final Set<String> called = new ConcurrentSkipListSet<>();

  private final Workers workers =
      KernelWorkers.of(
          WatchedKernels.of(
              KernelsUnderTest.all().get(0).kernels(), (name, arguments) -> called.add(name)));

  private void assertCalls(String expected, Runnable operation) {
    called.clear();
    operation.run();
    called.remove("mayUseBlas"); // computes nothing
    assertEquals(expected, String.join(" ", called));
  }

  @Test
  void kernelsUnderTest_areThoseOfTheirWorkers() {
    for (KernelsUnderTest kernels : KernelsUnderTest.all()) {
      assertSame(kernels.kernels(), Engine.from(kernels.workers()).kernels(), kernels.name());
    }
    assertEquals(
        KernelsUnderTest.all().stream().map(k -> k.kernels().instructionSet()).distinct().toList(),
        KernelsUnderTest.instructionSets().stream()
            .map(k -> k.kernels().instructionSet())
            .toList());
  }

  @Test
  void products() {
    try (IntTensor zeros = IntTensor.zeros(3, 1);
        FloatTensor W = FloatTensor.zeros(1, 1, 4, 4);
        FloatTensor rows = FloatTensor.zeros(3, 1, 4);
        FloatTensor b = FloatTensor.zeros(1, 4);
        BlockPlan plan = BlockPlan.of(zeros, zeros, 1, 1).withWorkers(workers)) {
      assertCalls(
          "blockGemm",
          () -> SparseBlockDot.apply(W, rows, plan, Epilogue.none().withBias(b)).close());
      assertCalls("blockGemm", () -> SparseBlockDot.gradH(W, rows, plan).close());
      assertCalls("blockOuter", () -> SparseBlockDot.gradW(rows, rows, plan).close());
      assertCalls("blockSum", () -> SparseBlockDot.gradB(rows, plan).close());
      assertCalls("blockGemm", () -> SparseBlockGemv.apply(rows, W, rows, plan).close());
      assertCalls("blockOuter", () -> SparseBlockOuter.apply(W, rows, rows, plan, 1).close());
    }
  }

  @Test
  void softmax() {
    try (HierarchicalSoftmax layer =
            HierarchicalSoftmax.builder(4, 12).classes(3).workers(workers).build();
        FloatTensor x = FloatTensor.zeros(2, 4);
        FloatTensor one = FloatTensor.zeros(1, 4);
        IntTensor targets = IntTensor.zeros(2)) {
      String predicting = "blockGemm probabilities";
      assertCalls(predicting, () -> layer.probabilities(x).close());
      assertCalls(predicting, () -> layer.logProbabilitiesOf(x, targets).close());
      assertCalls(predicting, () -> layer.topK(x, 2));
      assertCalls(predicting, () -> layer.sample(x, new SplittableRandom(1)));
      assertCalls(predicting, () -> layer.explain(one, 1));
      assertCalls("blockGemm crossEntropy", () -> layer.loss(x, targets));
      String training = "blockGemm blockOuter blockSum crossEntropy";
      assertCalls(training, () -> layer.gradients(x, targets).close());
      Optimizer sgd = Optimizer.sgd(1);
      assertCalls(training, () -> layer.step(x, targets, sgd));
      assertCalls(training + " step", () -> layer.step(x, targets, sgd.withDecay(0.5f)));
      Optimizer adagrad = Optimizer.adagrad(1);
      assertCalls(training + " step", () -> layer.step(x, targets, adagrad));
      Optimizer adam = Optimizer.adam(1).withMaxNorm(1);
      assertCalls(training + " norm step", () -> layer.step(x, targets, adam));
      assertCalls(
          predicting,
          () ->
              TheanoSoftmax.apply(
                      x,
                      2,
                      12,
                      3,
                      4,
                      layer.W1(),
                      layer.b1(),
                      layer.W2(),
                      layer.b2(),
                      targets,
                      workers)
                  .close());
    }
  }
}
