// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.documents;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Comparator;
import java.util.SplittableRandom;
import java.util.random.RandomGenerator;
import java.util.stream.IntStream;
import org.blocksparse.FloatTensor;
import org.blocksparse.IntTensor;
import org.blocksparse.Optimizer;
import org.blocksparse.Workers;
import org.blocksparse.ranking.Ranking;
import org.blocksparse.softmax.ClassAssignment;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.junit.jupiter.api.Test;

/** The claims of src/doc/hnsw.md on an index over the weights of a layer. */
final class IndexOverWeightsTest {
  private static final int LABELS = 1000;
  private static final int FEATURES = 32;
  private static final int BATCH = 128;

  private final RandomGenerator random = new SplittableRandom(2);
  private final float[] centres = new float[LABELS * FEATURES];

  /** Returns vectors around the centers of their labels. */
  private float[] vectors(int[] labels) {
    float[] vectors = new float[labels.length * FEATURES];
    for (int k = 0; k < vectors.length; k++) {
      float centre = centres[labels[k / FEATURES] * FEATURES + k % FEATURES];
      vectors[k] = (float) random.nextGaussian(centre, 0.5);
    }
    return vectors;
  }

  /**
   * The claim "fewer than half of the ten likeliest", for an index over W2 and b2 that misses
   * nothing.
   */
  @Test
  void theLargestLogitsAreNotTheLikeliest() {
    IntStream.range(0, centres.length).forEach(k -> centres[k] = (float) random.nextGaussian(0, 2));
    try (FloatTensor ofLabels = FloatTensor.of(centres, LABELS, FEATURES);
        HierarchicalSoftmax layer =
            HierarchicalSoftmax.builder(FEATURES, LABELS)
                .classes(ClassAssignment.clustered(ofLabels, 31, 1, Workers.common()))
                .build();
        FloatTensor x = FloatTensor.zeros(BATCH, FEATURES);
        IntTensor targets = IntTensor.zeros(BATCH)) {
      for (int step = 0; step < 300; step++) {
        int[] labels = random.ints(BATCH, 0, LABELS).toArray();
        x.copyFrom(vectors(labels));
        targets.copyFrom(labels);
        layer.step(x, targets, Optimizer.adagrad(0.3f));
      }
      Ranking best = layer.topK(x, 10);
      long found = 0;
      for (int row = 0; row < BATCH; row++) {
        IntStream likeliest = IntStream.of(best.outputs(row));
        int[] largest = largestLogits(layer, x, row);
        found += likeliest.filter(o -> IntStream.of(largest).anyMatch(l -> l == o)).count();
      }
      assertTrue(found < BATCH * 10 / 2, found + " of " + BATCH * 10);
    }
  }

  /**
   * Returns the ten outputs whose rows of W2, with their biases, have the largest products with a
   * row.
   */
  private static int[] largestLogits(HierarchicalSoftmax layer, FloatTensor x, int row) {
    ClassAssignment classes = layer.assignment();
    double[] logits = new double[layer.outputs()];
    for (int output = 0; output < logits.length; output++) {
      int c = classes.classOf(output);
      int slot = classes.slotOf(output);
      logits[output] = layer.b2().get(c, slot);
      for (int f = 0; f < layer.features(); f++) {
        logits[output] += x.get(row, f) * layer.W2().get(c, f, slot);
      }
    }
    return IntStream.range(0, logits.length)
        .boxed()
        .sorted(Comparator.comparingDouble((Integer output) -> -logits[output]))
        .limit(10)
        .mapToInt(Integer::intValue)
        .toArray();
  }
}
