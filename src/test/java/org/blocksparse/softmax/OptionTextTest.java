// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.blocksparse.FloatTensor;
import org.blocksparse.Optimizer;
import org.blocksparse.Workers;
import org.blocksparse.experts.TopKGate;
import org.junit.jupiter.api.Test;

/** The texts of options, in messages and logs. */
final class OptionTextTest {
  @Test
  void losses() {
    assertEquals("mean of -log P(target)", Loss.mean().toString());
    assertEquals("sum of -log P(target), ignored = -1", Loss.sum().withIgnored(-1).toString());
    assertEquals(
        "mean of -log P(target), dropout = 0.5", Loss.mean().withDropout(0.5f, 7).toString());
    try (FloatTensor weights = FloatTensor.zeros(5)) {
      assertEquals(
          "mean of -log P(target), smoothing = 0.25, rowWeights = (5)",
          Loss.mean().withSmoothing(0.25f).withRowWeights(weights).toString());
    }
  }

  @Test
  void optimizers() {
    assertEquals("SGD(rate = 0.5)", Optimizer.sgd(0.5f).toString());
    assertEquals(0.5f, Optimizer.adam(0.5f).rate());
    assertEquals(
        "ADAGRAD(rate = 0.5, decay = 0.25, maxNorm = 2.0)",
        Optimizer.adagrad(0.5f).withDecay(0.25f).withMaxNorm(2).toString());
  }

  @Test
  void gates() {
    assertEquals("TopKGate(2 of 8)", TopKGate.of(8, 2).toString());
    assertEquals(
        "TopKGate(2 of 8, not renormalized, capacity = 3, balancing = 0.5)",
        TopKGate.of(8, 2).withoutRenormalization().withCapacity(3).withBalancing(0.5f).toString());
  }

  @Test
  void workers() {
    assertEquals("Workers(1)", Workers.callingThread().toString());
    assertEquals("Workers(1)", Workers.of(Runnable::run, 1).toString());
    assertEquals("Workers(3)", Workers.of(Runnable::run, 3).toString());
  }
}
