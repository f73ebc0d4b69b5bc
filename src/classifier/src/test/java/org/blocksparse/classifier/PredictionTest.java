// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.blocksparse.FloatTensor;
import org.blocksparse.ranking.Ranking;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.junit.jupiter.api.Test;

/** Probabilities at a threshold and next to it. */
final class PredictionTest {
  @Test
  void equalProbabilitiesAreAtLeastThemselves() {
    for (int n = 1; n <= 100_000; n++) {
      double probability = 1.0 / n;
      Prediction prediction = new Prediction("label", (float) Math.log(probability));
      assertTrue(prediction.isAtLeast(probability), () -> "1/" + prediction);
      assertFalse(prediction.isAtLeast(probability * (1 + 1e-5)), prediction::toString);
    }
  }

  @Test
  void zeroIsAtLeastZero() {
    Prediction never = new Prediction("label", Float.NEGATIVE_INFINITY);
    assertTrue(never.isAtLeast(0));
    assertFalse(never.isAtLeast(Double.MIN_VALUE));
    assertEquals(0, never.probability());
  }

  /** All outputs are equally likely, or nearly so. */
  @Test
  void comparesAsTheLayerDoes() {
    for (int outputs = 1; outputs < 200; outputs++) {
      try (HierarchicalSoftmax layer = HierarchicalSoftmax.builder(1, outputs).build();
          FloatTensor x = FloatTensor.zeros(1, 1)) {
        Ranking all = layer.topK(x, outputs);
        for (int slots = 1; slots <= 2 * outputs; slots++) {
          double threshold = 1.0 / slots;
          int expected = layer.atLeast(x, threshold).size(0);
          int found = 0;
          for (int rank = 0; rank < outputs; rank++) {
            found += new Prediction("", all.logProbability(0, rank)).isAtLeast(threshold) ? 1 : 0;
          }
          assertEquals(expected, found, outputs + " outputs, 1/" + slots);
        }
      }
    }
  }
}
