// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier;

import java.util.Arrays;
import org.blocksparse.ranking.Filter;
import org.blocksparse.ranking.Labels;
import org.blocksparse.ranking.Ranking;

/** Scores whose probabilities are changed by a {@link TopTwoCalibration}. */
final class CalibratedScores implements LabelScores {
  private final LabelScores scores;
  private final TopTwoCalibration calibration;
  private final Labels labels;

  /**
   * Calibrated scores.
   *
   * @param scores closed along with this
   * @param labels the names of rankings
   */
  CalibratedScores(LabelScores scores, TopTwoCalibration calibration, Labels labels) {
    this.scores = scores;
    this.calibration = calibration;
    this.labels = labels;
  }

  @Override
  public Ranking topK(int k, Filter allowed) {
    if (allowed != ALL) {
      return calibrated(defined(scores.topK(k, allowed)), offsets(), k, 0);
    }
    Ranking ranking = defined(scores.topK(Math.max(2, k), ALL));
    return calibrated(ranking, offsets(ranking), k, 0);
  }

  @Override
  public Ranking atLeast(double probability) {
    double[] offsets = offsets();
    double least = 1;
    for (double offset : offsets) {
      least = Math.min(least, calibration.least(probability, offset));
    }
    Ranking ranking = defined(scores.atLeast(Math.max(Double.MIN_NORMAL, least)));
    return calibrated(ranking, offsets, Integer.MAX_VALUE, probability);
  }

  private static Ranking defined(Ranking ranking) {
    return Classifier.requireDefined(ranking);
  }

  private double[] offsets() {
    return offsets(defined(scores.topK(2, ALL)));
  }

  /** The offset of each row, from the two most probable labels of its ranking. */
  private double[] offsets(Ranking ranking) {
    double[] offsets = new double[ranking.batch()];
    for (int row = 0; row < offsets.length; row++) {
      int second = Math.min(1, ranking.size(row) - 1);
      offsets[row] =
          calibration.offset(ranking.logProbability(row, 0), ranking.logProbability(row, second));
    }
    return offsets;
  }

  /** The first labels of each row, up to k, that have a probability. */
  private Ranking calibrated(Ranking ranking, double[] offsets, int k, double probability) {
    int[][] outputs = new int[offsets.length][];
    float[][] logProbabilities = new float[offsets.length][];
    float least = probability > 0 ? Prediction.logThreshold(probability) : Float.NEGATIVE_INFINITY;
    for (int row = 0; row < offsets.length; row++) {
      int size = Math.min(k, ranking.size(row));
      float[] all = new float[size];
      int kept = 0;
      for (int rank = 0; rank < size; rank++) {
        all[rank] = calibration.logProbability(ranking.logProbability(row, rank), offsets[row]);
        kept += all[rank] >= least ? 1 : 0;
      }
      outputs[row] = Arrays.copyOf(ranking.outputs(row), kept);
      logProbabilities[row] = Arrays.copyOf(all, kept);
    }
    return Ranking.of(outputs, logProbabilities, labels);
  }

  @Override
  public void close() {
    scores.close();
  }
}
