// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.linear;

import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;

/**
 * Trains the models of a chunk, one output after the other. Not safe for use by several threads.
 */
final class ChunkSolver {
  /**
   * The largest difference of projected gradients of the dual at the end. LIBLINEAR's 0.1 ranks no
   * better, and takes longer.
   */
  static final double TOLERANCE = 0.3;

  /** The bias of outputs that no row has: the margin of a negative row without loss. */
  private static final float NEVER = -1;

  private final ChunkProblem problem;
  private final DualCoordinateDescent descent;

  ChunkSolver(ChunkProblem problem) {
    this.problem = problem;
    this.descent =
        new DualCoordinateDescent(
            problem.x(), problem.features().length, problem.costs(), TOLERANCE);
  }

  /**
   * Returns the model of an output.
   *
   * @param q the output, by its number in the chunk
   * @throws ArithmeticException if a weight is beyond floats; the message names a row
   */
  OutputModel solve(int q) {
    int output = problem.firstOutput() + q;
    BitSet positives = problem.positivesOf(q);
    List<Calibration.Samples> folds = new ArrayList<>();
    if (problem.sampledEvery() > 0 && output % problem.sampledEvery() == 0) {
      for (BitSet heldOut : problem.heldOut()) {
        // Rows of a label that no other rows have say nothing about the margins of trained models.
        if (problem.isKnownWithout(heldOut, q)) {
          train(positives, heldOut, output);
          folds.add(samples(positives, heldOut));
        }
      }
    }
    Calibration.Samples samples = folds.isEmpty() ? null : Calibration.Samples.together(folds);
    if (positives.isEmpty()) {
      return new OutputModel(new int[0], new float[0], NEVER, samples, 0);
    }
    double excess = train(positives, new BitSet(), output);
    return model(samples, excess);
  }

  /** Trains a model and drops its small weights. Returns the excess of its objective. */
  private double train(BitSet positives, BitSet without, int output) {
    double excess = descent.train(positives, without, problem.seed() + output);
    int row = descent.rowBeyondFloats();
    if (row >= 0) {
      throw new ArithmeticException(
          "x: row "
              + problem.rows()[row]
              + " makes weights infinite; scale rows to length 1, or choose a smaller cost");
    }
    descent.prune(problem.threshold());
    return excess;
  }

  private OutputModel model(Calibration.Samples samples, double excess) {
    double[] all = descent.weights();
    int count = 0;
    for (double weight : all) {
      count += weight != 0 ? 1 : 0;
    }
    int[] features = new int[count];
    float[] weights = new float[count];
    int i = 0;
    for (int column = 0; column < all.length; column++) {
      if (all[column] != 0) {
        features[i] = problem.features()[column];
        weights[i++] = (float) all[column];
      }
    }
    return new OutputModel(features, weights, (float) descent.bias(), samples, excess);
  }

  private Calibration.Samples samples(BitSet positives, BitSet heldOut) {
    int count = heldOut.cardinality();
    Calibration.Samples samples =
        new Calibration.Samples(new double[count], new float[count], new boolean[count]);
    int i = 0;
    for (int row = heldOut.nextSetBit(0); row >= 0; row = heldOut.nextSetBit(row + 1)) {
      samples.margins()[i] = descent.margin(row);
      samples.weights()[i] = (float) (problem.costs()[row] / problem.meanCost());
      samples.positive()[i++] = positives.get(row);
    }
    return samples;
  }
}
