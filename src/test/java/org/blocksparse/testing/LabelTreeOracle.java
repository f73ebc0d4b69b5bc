// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.testing;

import static org.blocksparse.testing.Bounded.U;

import java.util.Arrays;

/**
 * The label tree in float64, decision by decision, with the error bounds of a float computation.
 *
 * <p>If a logit is off by d, the logarithm of its sigmoid is off by at most d times one minus the
 * sigmoid, at the end of the interval where that is largest. In addition, {@code
 * blocksparse_block_probabilities_f32} is allowed 4 ulp for a sigmoid and 6 for its logarithm.
 */
public final class LabelTreeOracle {
  /** The minimized loss. */
  @SuppressWarnings("ArrayRecordComponent")
  public record Loss(boolean mean, float[] weights) {}

  private static double sigmoid(double z) {
    return z < 0 ? Math.exp(z) / (1 + Math.exp(z)) : 1 / (1 + Math.exp(-z));
  }

  /** Returns log(1 + exp(z)), the loss of a negative. */
  private static double softplus(double z) {
    return Math.max(z, 0) + Math.log1p(Math.exp(-Math.abs(z)));
  }

  /** A decision with logit z and its error bound d. */
  private record Decision(double z, double d) {
    Decision opposite() {
      return new Decision(-z, d);
    }

    double loss() {
      return softplus(z);
    }

    double lossBound() {
      return d * sigmoid(z + d) + 12 * U * softplus(z) + 8 * Float.MIN_VALUE;
    }

    double probability() {
      return sigmoid(z);
    }

    /** Returns the relative error bound of the probability. */
    double relativeBound() {
      return Math.expm1(d * sigmoid(d - z)) + 8 * U;
    }
  }

  private final SoftmaxProblem p;
  private final int[][] targets;
  private final int[] slotOf;
  private final int[] sizes;
  private final Decision[][] ofClasses;
  private final Decision[][][] ofSlots;

  /**
   * Makes an oracle.
   *
   * @param targets for each row its targets; the single ones of the problem do not matter
   */
  public LabelTreeOracle(SoftmaxProblem p, int[][] targets) {
    this.p = p;
    this.targets = targets;
    this.slotOf = p.slotOf();
    this.sizes = p.sizes();
    this.ofClasses = new Decision[p.batch()][];
    this.ofSlots = new Decision[p.batch()][p.classes()][];
    for (int row = 0; row < p.batch(); row++) {
      ofClasses[row] = decisions(p.classLogits(row));
      for (int c = 0; c < p.classes(); c++) {
        ofSlots[row][c] = decisions(p.slotLogits(row, c, sizes[c]));
      }
    }
  }

  private Decision[] decisions(SoftmaxProblem.Logits logits) {
    Decision[] decisions = new Decision[logits.values().length];
    for (int q = 0; q < decisions.length; q++) {
      decisions[q] = new Decision(logits.values()[q], logits.bound(q, p.features()));
    }
    return decisions;
  }

  private Decision ofClass(int row, int output) {
    return ofClasses[row][p.classOf()[output]];
  }

  private Decision ofSlot(int row, int output) {
    return ofSlots[row][p.classOf()[output]][slotOf[output]];
  }

  /** Returns the probabilities, (batch, outputs). */
  public Bounded probabilities() {
    Bounded result = Bounded.zeros(p.batch(), p.outputs());
    for (int at = 0; at < result.values().length; at++) {
      Decision first = ofClass(at / p.outputs(), at % p.outputs());
      Decision second = ofSlot(at / p.outputs(), at % p.outputs());
      double probability = first.probability() * second.probability();
      result.values()[at] = probability;
      result.bounds()[at] =
          1.01 * probability * (first.relativeBound() + second.relativeBound() + 2 * U)
              + 8 * Float.MIN_VALUE;
    }
    return result;
  }

  /** Returns the log probabilities, (batch, outputs). */
  public Bounded logProbabilities() {
    Bounded result = Bounded.zeros(p.batch(), p.outputs());
    for (int at = 0; at < result.values().length; at++) {
      Decision notFirst = ofClass(at / p.outputs(), at % p.outputs()).opposite();
      Decision notSecond = ofSlot(at / p.outputs(), at % p.outputs()).opposite();
      result.values()[at] = -notFirst.loss() - notSecond.loss();
      result.bounds()[at] =
          1.01
              * (notFirst.lossBound()
                  + notSecond.lossBound()
                  + 2 * U * Math.abs(result.values()[at]));
    }
    return result;
  }

  /**
   * Returns the log probabilities of given outputs: for each row those of {@code outputs}, one
   * after the other.
   */
  public Bounded logProbabilitiesOf(int[][] outputs) {
    Bounded all = logProbabilities();
    Bounded result = Bounded.zeros(Arrays.stream(outputs).mapToInt(row -> row.length).sum());
    int at = 0;
    for (int row = 0; row < outputs.length; row++) {
      for (int output : outputs[row]) {
        result.values()[at] = all.values()[row * p.outputs() + output];
        result.bounds()[at++] = all.bounds()[row * p.outputs() + output];
      }
    }
    return result;
  }

  private double[] weights(Loss loss) {
    double[] weights = new double[p.batch()];
    for (int row = 0; row < weights.length; row++) {
      weights[row] =
          (loss.mean ? 1.0 / p.batch() : 1) * (loss.weights == null ? 1 : loss.weights[row]);
    }
    return weights;
  }

  /** Returns the loss alone, by its definition. */
  public double loss(Loss loss) {
    double[] weights = weights(loss);
    double sum = 0;
    for (int row = 0; row < p.batch(); row++) {
      for (int c = 0; c < p.classes(); c++) {
        boolean open = false;
        double within = 0;
        for (int output = 0; output < p.outputs(); output++) {
          if (p.classOf()[output] == c) {
            boolean there = isThere(row, output);
            open |= there;
            Decision decision = ofSlot(row, output);
            within -= Math.log(there ? decision.probability() : sigmoid(-decision.z));
          }
        }
        double ofClass = -Math.log(sigmoid(open ? ofClasses[row][c].z : -ofClasses[row][c].z));
        sum += weights[row] * (ofClass + (open ? within : 0));
      }
    }
    return sum;
  }

  private boolean isThere(int row, int output) {
    return Arrays.stream(targets[row]).anyMatch(target -> target == output);
  }

  /** Returns whether a row opens a class. */
  public boolean opens(int row, int c) {
    return Arrays.stream(targets[row]).anyMatch(target -> p.classOf()[target] == c);
  }

  /** The accumulated loss and gradients. */
  private final class Sums {
    final int features = p.features();
    final BoundedSum x = new BoundedSum(2 * p.classes() + p.slots() + 4, p.batch(), p.features());
    final BoundedSum W1 = new BoundedSum(p.batch() + 1, p.features(), p.classes());
    final BoundedSum b1 = new BoundedSum(p.batch() + 1, p.classes());
    final BoundedSum W2 = new BoundedSum(p.batch() + 1, p.classes(), p.features(), p.slots());
    final BoundedSum b2 = new BoundedSum(p.batch() + 1, p.classes(), p.slots());
    double loss;
    double lossBound;

    /** Adds a decision to the loss, and gives the gradient of its logit with a bound. */
    double[] add(Decision decision, boolean there, double weight) {
      Decision wrong = there ? decision.opposite() : decision;
      loss += weight * wrong.loss();
      lossBound += 1.01 * Math.abs(weight) * (wrong.lossBound() + 8 * U * wrong.loss());
      double gradient = weight * (there ? -wrong.probability() : wrong.probability());
      double bound =
          1.01 * Math.abs(gradient) * (wrong.relativeBound() + 4 * U)
              + 8 * Math.max(1, Math.abs(weight)) * Float.MIN_VALUE;
      return new double[] {gradient, bound};
    }

    void ofClass(int row, int c, double[] g) {
      b1.add(c, 1, g[0], g[1]);
      for (int f = 0; f < features; f++) {
        W1.add(f * p.classes() + c, p.x()[row * features + f], g[0], g[1]);
        x.add(row * features + f, p.W1()[f * p.classes() + c], g[0], g[1]);
      }
    }

    void ofSlot(int row, int c, int slot, double[] g) {
      b2.add(c * p.slots() + slot, 1, g[0], g[1]);
      for (int f = 0; f < features; f++) {
        int at = (c * features + f) * p.slots() + slot;
        W2.add(at, p.x()[row * features + f], g[0], g[1]);
        x.add(row * features + f, p.W2()[at], g[0], g[1]);
      }
    }
  }

  /** Returns the loss and its gradients, row by row. */
  public SoftmaxOracle.Gradients gradients(Loss loss) {
    Sums sums = new Sums();
    double[] weights = weights(loss);
    for (int row = 0; row < p.batch(); row++) {
      if (weights[row] == 0) {
        continue;
      }
      for (int c = 0; c < p.classes(); c++) {
        sums.ofClass(row, c, sums.add(ofClasses[row][c], opens(row, c), weights[row]));
      }
      for (int output = 0; output < p.outputs(); output++) {
        int c = p.classOf()[output];
        if (opens(row, c)) {
          double[] g = sums.add(ofSlot(row, output), isThere(row, output), weights[row]);
          sums.ofSlot(row, c, slotOf[output], g);
        }
      }
    }
    return new SoftmaxOracle.Gradients(
        sums.loss,
        sums.lossBound,
        sums.x.result(),
        sums.W1.result(),
        sums.b1.result(),
        sums.W2.result(),
        sums.b2.result());
  }
}
