// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.training;

import java.util.SplittableRandom;
import java.util.random.RandomGenerator;
import org.blocksparse.internal.memory.Storage;

/**
 * Random weights, uniform in [-1, 1] / sqrt(features): one sequence for W1 and then W2, which any
 * part of them can begin at its own place.
 */
public record InitialWeights(int features, long seed) {
  /** The increment of a {@link SplittableRandom} for each number. */
  private static final long STEP = 0x9e3779b97f4a7c15L;

  /** Fills rows of weights with the numbers after the given number of weights. */
  public void fill(Storage weights, long before, int columns) {
    // This generator is in java.base; those that RandomGeneratorFactory finds are in a module that
    // a jlink image lacks.
    RandomGenerator random = new SplittableRandom(seed + before * STEP);
    float bound = (float) (1 / Math.sqrt(features));
    float[] row = new float[columns];
    for (long offset = 0; offset < weights.elements(); offset += columns) {
      for (int i = 0; i < row.length; i++) {
        row[i] = (2 * random.nextFloat() - 1) * bound;
      }
      weights.putFloats(offset, row, 0, columns);
    }
  }
}
