// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.fasttext;

import java.util.Arrays;
import org.blocksparse.ranking.Labels;
import org.blocksparse.ranking.Ranking;

/**
 * fastText's sigmoid, which it reads from a table: that of the next lower multiple of 1/32, and 0
 * or 1 outside of [-8, 8]. Probabilities are those; labels are ranked by their exact sigmoid.
 */
final class FastTextSigmoid {
  private static final double MOST_LOGIT = 8;
  private static final int STEPS = 32;

  /** The largest exact sigmoid whose value here may be less than 1. */
  static final double LARGEST = 1 / (1 + Math.exp(-MOST_LOGIT));

  private FastTextSigmoid() {}

  /** Returns these labels with this sigmoid, without those below a probability. */
  static Ranking of(Ranking exact, Labels labels, double least) {
    int[][] outputs = new int[exact.batch()][];
    float[][] logProbabilities = new float[outputs.length][];
    float leastLog = (float) Math.log(least);
    for (int row = 0; row < outputs.length; row++) {
      if (!exact.isDefined(row)) {
        throw FastTextModel.notFinite();
      }
      outputs[row] = exact.outputs(row);
      logProbabilities[row] = exact.logProbabilities(row);
      int size = 0;
      for (; size < outputs[row].length; size++) {
        float log = logSigmoid(logProbabilities[row][size]);
        if (log < leastLog) {
          break; // all others are no better
        }
        logProbabilities[row][size] = log;
      }
      outputs[row] = Arrays.copyOf(outputs[row], size);
      logProbabilities[row] = Arrays.copyOf(logProbabilities[row], size);
    }
    return Ranking.of(outputs, logProbabilities, labels);
  }

  private static float logSigmoid(float exactLog) {
    double logit = exactLog - Math.log(-Math.expm1(exactLog));
    if (logit > MOST_LOGIT) {
      return 0;
    }
    return logit < -MOST_LOGIT
        ? Float.NEGATIVE_INFINITY
        : (float) -Math.log1p(Math.exp(-Math.floor(logit * STEPS) / STEPS));
  }
}
