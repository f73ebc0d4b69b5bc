// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.experts;

import java.util.Arrays;
import org.blocksparse.internal.kernels.Engine;
import org.blocksparse.internal.memory.Rows;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.schedule.Scheduler;

/** Operations of a gate over {@code experts} experts, with checked operands. */
record TopExperts(Engine engine, int experts, Gating gating) {
  /** The cost of an exponential, in multiply-adds. */
  private static final int EXP_WORK = 16;

  /** The minimum divisor of gates, for sums of sigmoids: the smallest normal float16. */
  private static final double MIN_SUM = 0x1p-14;

  /** Stands for the gate of a dropped pair, which is in no row. */
  public static final int DROPPED = -1;

  /**
   * Chooses the k best experts of each sample, the best first; of equals, that with the lower
   * number.
   *
   * @param logits (batch, experts)
   * @param probabilities (batch, experts), which becomes their softmax or sigmoids
   * @return (batch, k) experts
   */
  public int[] choose(Rows logits, Rows probabilities) {
    int batch = Math.toIntExact(logits.count());
    int k = gating.k();
    int[] chosen = new int[Math.multiplyExact(batch, k)];
    engine.run(
        batch,
        Scheduler.work(batch, experts, EXP_WORK),
        (begin, end) -> {
          float[] row = new float[experts];
          double[] scores = new double[experts];
          for (int sample = begin; sample < end; sample++) {
            logits.get(sample, 0, row);
            if (gating.groups() == 1 && gating.choiceBias() == null) {
              Arrays.setAll(scores, e -> row[e]); // exact, and in the order of the probabilities
              toProbabilities(row);
            } else {
              toProbabilities(row);
              score(row, scores);
            }
            top(scores, k, chosen, sample * k);
            probabilities.put(sample, 0, row);
          }
        });
    return chosen;
  }

  /**
   * Computes the scores by which experts are chosen; those of other groups are negative infinity.
   */
  private void score(float[] probabilities, double[] scores) {
    float[] bias = gating.choiceBias();
    for (int e = 0; e < experts; e++) {
      scores[e] = (double) probabilities[e] + (bias == null ? 0 : bias[e]);
    }
    int groups = gating.groups();
    int size = experts / groups;
    double[] ofGroups = new double[groups];
    int[] best = new int[2];
    for (int group = 0; group < groups; group++) {
      double[] ofOne = Arrays.copyOfRange(scores, group * size, (group + 1) * size);
      top(ofOne, Math.min(2, size), best, 0);
      ofGroups[group] = ofOne[best[0]] + (size == 1 ? 0 : ofOne[best[1]]);
    }
    int[] used = new int[gating.groupsUsed()];
    top(ofGroups, used.length, used, 0);
    double[] all = scores.clone();
    Arrays.fill(scores, Double.NEGATIVE_INFINITY);
    for (int group : used) {
      System.arraycopy(all, group * size, scores, group * size, size);
    }
  }

  /** Writes the positions of the k largest scores, the largest first. */
  private static void top(double[] scores, int k, int[] chosen, int at) {
    for (int e = 0; e < scores.length; e++) {
      int rank = Math.min(e, k);
      while (rank > 0 && isLarger(scores[e], scores[chosen[at + rank - 1]])) {
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

  /**
   * Returns whether a is larger. NaN counts as the largest, and so shows in its gate; zeros of both
   * signs are equal.
   */
  private static boolean isLarger(double a, double b) {
    return a > b || (Double.isNaN(a) && !Double.isNaN(b));
  }

  /** Replaces logits by their softmax or sigmoids. */
  private void toProbabilities(float[] row) {
    if (gating.sigmoid()) {
      for (int e = 0; e < row.length; e++) {
        row[e] = (float) (1 / (1 + Math.exp(-row[e])));
      }
      return;
    }
    float max = Float.NEGATIVE_INFINITY;
    for (float logit : row) {
      max = Math.max(max, logit);
    }
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
   * Computes the gates of the kept pairs.
   *
   * @param chosen (batch, k)
   * @param places for each pair its place in the gates, or {@link #DROPPED}
   */
  public void gates(Rows probabilities, int[] chosen, int[] places, Storage gates) {
    int batch = Math.toIntExact(probabilities.count());
    int k = gating.k();
    engine.run(
        batch,
        Scheduler.work(batch, k, EXP_WORK),
        (begin, end) -> {
          for (int sample = begin; sample < end; sample++) {
            double divisor = Math.max(chosenSum(probabilities, chosen, sample), minSum());
            for (int pair = sample * k; pair < (sample + 1) * k; pair++) {
              if (places[pair] != DROPPED) {
                int e = chosen[pair];
                double gate = scale(e) * probabilities.get(sample, e) / divisor;
                gates.putFloat(places[pair], (float) gate);
              }
            }
          }
        });
  }

  private double scale(int expert) {
    return gating.scales() == null ? 1 : gating.scales()[expert];
  }

  /**
   * Returns the sum of the probabilities of a sample's chosen experts; 1 if gates are not divided
   * by it.
   */
  private double chosenSum(Rows probabilities, int[] chosen, int sample) {
    if (!gating.renormalized()) {
      return 1;
    }
    double sum = 0;
    for (int pair = sample * gating.k(); pair < (sample + 1) * gating.k(); pair++) {
      sum += probabilities.get(sample, chosen[pair]);
    }
    return sum;
  }

  private double minSum() {
    return gating.sigmoid() || gating.choiceBias() != null ? MIN_SUM : 0;
  }

  /** Returns the sum of the probabilities of each expert. */
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
   * Computes the gradient with respect to the logits.
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
    int k = gating.k();
    engine.run(
        batch,
        Scheduler.work(batch, experts, EXP_WORK),
        (begin, end) -> {
          float[] p = new float[experts];
          for (int sample = begin; sample < end; sample++) {
            probabilities.get(sample, 0, p);
            double[] gradient = gradProbabilities.clone();
            double sum = chosenSum(probabilities, chosen, sample);
            double divisor = Math.max(sum, minSum());
            double mean = 0;
            for (int pair = sample * k; pair < (sample + 1) * k; pair++) {
              if (gating.renormalized() && sum == divisor && places[pair] != DROPPED) {
                double grad = scale(chosen[pair]) * gradGates.getFloat(places[pair]);
                mean += p[chosen[pair]] / divisor * grad;
              }
            }
            // A renormalized gate is p / sum: its derivatives are (1 - gate) / sum and -gate / sum.
            for (int pair = sample * k; pair < (sample + 1) * k; pair++) {
              double grad = places[pair] == DROPPED ? 0 : gradGates.getFloat(places[pair]);
              gradient[chosen[pair]] += (scale(chosen[pair]) * grad - mean) / divisor;
            }
            throughProbabilities(p, gradient);
            gradLogits.put(sample, 0, p);
          }
        });
  }

  /** Replaces the probabilities by the gradient with respect to their logits. */
  private void throughProbabilities(float[] p, double[] gradient) {
    double mean = 0;
    for (int e = 0; e < p.length && !gating.sigmoid(); e++) {
      mean += p[e] * gradient[e];
    }
    for (int e = 0; e < p.length; e++) {
      double own = gating.sigmoid() ? (1.0 - p[e]) * gradient[e] : gradient[e] - mean;
      p[e] = (float) (p[e] * own);
    }
  }
}
