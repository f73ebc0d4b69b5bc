// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.experts;

import org.blocksparse.internal.kernels.Engine;
import org.blocksparse.internal.kernels.Rows;
import org.blocksparse.internal.memory.Storage;

/**
 * Operations of a gate that chooses experts, with checked operands.
 *
 * @param experts how many there are
 * @param k how many each sample chooses
 * @param renormalized whether gates add up to 1; or they are the probabilities themselves
 */
record TopExperts(Engine engine, int experts, int k, boolean renormalized) {
  /** The cost of an exponential, in multiply-adds. */
  private static final int EXP_WORK = 16;

  /** Stands for the gate of a pair that was dropped, which is in no row. */
  public static final int DROPPED = -1;

  /**
   * Chooses the k likeliest experts of each sample, the likeliest first; of equals, that with the
   * lower number.
   *
   * @param logits (batch, experts)
   * @param probabilities (batch, experts), which becomes their softmax
   * @return (batch, k) experts
   */
  public int[] choose(Rows logits, Rows probabilities) {
    int batch = Math.toIntExact(logits.count());
    int[] chosen = new int[Math.multiplyExact(batch, k)];
    engine.run(
        batch,
        Engine.work(batch, experts, EXP_WORK),
        (begin, end) -> {
          float[] row = new float[experts];
          for (int sample = begin; sample < end; sample++) {
            logits.get(sample, 0, row);
            top(row, chosen, sample * k);
            softmax(row, row[chosen[sample * k]]);
            probabilities.put(sample, 0, row);
          }
        });
    return chosen;
  }

  private void top(float[] logits, int[] chosen, int at) {
    for (int e = 0; e < experts; e++) {
      int rank = Math.min(e, k);
      while (rank > 0 && isLarger(logits[e], logits[chosen[at + rank - 1]])) {
        if (rank < k) {
          chosen[at + rank] = chosen[at + rank - 1];
        }
        rank--;
      }
      if (rank < k) {
        chosen[at + rank] = e;
      }
    }
  }

  /** NaN counts as the largest, and so shows in its gate. Zeros are equal, whatever their signs. */
  private static boolean isLarger(float a, float b) {
    return a > b || (Float.isNaN(a) && !Float.isNaN(b));
  }

  private static void softmax(float[] row, float max) {
    double[] exponentials = new double[row.length];
    double sum = 0;
    for (int e = 0; e < row.length; e++) {
      exponentials[e] = Math.exp((double) row[e] - max);
      sum += exponentials[e];
    }
    for (int e = 0; e < row.length; e++) {
      row[e] = (float) (exponentials[e] / sum);
    }
  }

  /**
   * The gates of the pairs that are kept.
   *
   * @param chosen (batch, k)
   * @param places for each pair its place in the gates, or {@link #DROPPED}
   */
  public void gates(Rows probabilities, int[] chosen, int[] places, Storage gates) {
    int batch = Math.toIntExact(probabilities.count());
    engine.run(
        batch,
        Engine.work(batch, k, EXP_WORK),
        (begin, end) -> {
          for (int sample = begin; sample < end; sample++) {
            double sum = chosenSum(probabilities, chosen, sample);
            for (int pair = sample * k; pair < (sample + 1) * k; pair++) {
              if (places[pair] != DROPPED) {
                double gate = probabilities.get(sample, chosen[pair]) / sum;
                gates.putFloat(places[pair], (float) gate);
              }
            }
          }
        });
  }

  /** The divisor of the probabilities of a sample's chosen experts. */
  private double chosenSum(Rows probabilities, int[] chosen, int sample) {
    if (!renormalized) {
      return 1;
    }
    double sum = 0;
    for (int pair = sample * k; pair < (sample + 1) * k; pair++) {
      sum += probabilities.get(sample, chosen[pair]);
    }
    return sum;
  }

  /** For each expert the sum of its probabilities. */
  public double[] sums(Rows probabilities) {
    double[] sums = new double[experts];
    float[] row = new float[experts];
    for (long sample = 0; sample < probabilities.count(); sample++) {
      probabilities.get(sample, 0, row);
      for (int e = 0; e < experts; e++) {
        sums[e] += row[e];
      }
    }
    return sums;
  }

  /**
   * The gradient with respect to the logits.
   *
   * @param gradGates the gradients with respect to the gates, by their places
   * @param gradProbabilities for each expert the gradient with respect to its probability that is
   *     the same for every sample
   */
  public void gradient(
      Rows probabilities,
      int[] chosen,
      int[] places,
      Storage gradGates,
      double[] gradProbabilities,
      Rows gradLogits) {
    int batch = Math.toIntExact(probabilities.count());
    engine.run(
        batch,
        Engine.work(batch, experts, EXP_WORK),
        (begin, end) -> {
          float[] p = new float[experts];
          for (int sample = begin; sample < end; sample++) {
            probabilities.get(sample, 0, p);
            double[] gradient = gradProbabilities.clone();
            double sum = chosenSum(probabilities, chosen, sample);
            double mean = 0;
            for (int pair = sample * k; pair < (sample + 1) * k; pair++) {
              if (renormalized && places[pair] != DROPPED) {
                mean += p[chosen[pair]] / sum * gradGates.getFloat(places[pair]);
              }
            }
            // A renormalized gate is p / sum: its derivatives are (1 - gate) / sum and -gate / sum.
            for (int pair = sample * k; pair < (sample + 1) * k; pair++) {
              double grad = places[pair] == DROPPED ? 0 : gradGates.getFloat(places[pair]);
              gradient[chosen[pair]] += (grad - mean) / sum;
            }
            throughSoftmax(p, gradient);
            gradLogits.put(sample, 0, p);
          }
        });
  }

  /** The probabilities become the gradient with respect to their logits. */
  private static void throughSoftmax(float[] p, double[] gradient) {
    double mean = 0;
    for (int e = 0; e < p.length; e++) {
      mean += p[e] * gradient[e];
    }
    for (int e = 0; e < p.length; e++) {
      p[e] = (float) (p[e] * (gradient[e] - mean));
    }
  }
}
