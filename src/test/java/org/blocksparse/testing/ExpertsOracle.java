// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.testing;

import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import org.blocksparse.Activation;

/**
 * A mixture of experts in float64, token by token from its definition. Parameters have the names of
 * {@code MixtureOfExperts}; a missing bias is 0, and there may be a shared expert.
 *
 * @param k experts of each row
 */
public record ExpertsOracle(
    int inputs,
    int hidden,
    int outputs,
    int experts,
    int k,
    Activation activation,
    Map<String, double[]> parameters) {

  private static final String SHARED = "shared.";

  /** The experts of each row, and the factors of their outputs: (batch, k). */
  @SuppressWarnings("ArrayRecordComponent")
  public record Chosen(int[] experts, double[] gates) {}

  public static double[] widened(float[] values) {
    double[] wide = new double[values.length];
    Arrays.setAll(wide, i -> values[i]);
    return wide;
  }

  /** Returns the same with one parameter moved, for differences. */
  public ExpertsOracle moved(String name, int element, double by) {
    Map<String, double[]> others = new HashMap<>(parameters);
    double[] values = others.get(name).clone();
    values[element] += by;
    others.put(name, values);
    return new ExpertsOracle(inputs, hidden, outputs, experts, k, activation, others);
  }

  private int sums() {
    return activation.isGated() ? 2 * hidden : hidden;
  }

  private double bias(String name, int element) {
    double[] bias = parameters.get(name);
    return bias == null ? 0 : bias[element];
  }

  /** Returns the softmax of a row's logits of the gate. */
  private double[] probabilities(double[] x, int row) {
    double[] p = new double[experts];
    double sum = 0;
    for (int e = 0; e < experts; e++) {
      double logit = bias("bg", e);
      for (int i = 0; i < inputs; i++) {
        logit += x[row * inputs + i] * parameters.get("Wg")[i * experts + e];
      }
      p[e] = StrictMath.exp(logit);
      sum += p[e];
    }
    for (int e = 0; e < experts; e++) {
      p[e] /= sum;
    }
    return p;
  }

  /** Returns the gate's k likeliest of each row, with renormalized gates. */
  public Chosen route(double[] x) {
    int batch = x.length / inputs;
    int[] chosen = new int[batch * k];
    for (int row = 0; row < batch; row++) {
      double[] p = probabilities(x, row);
      boolean[] taken = new boolean[experts];
      for (int choice = 0; choice < k; choice++) {
        int best = -1;
        for (int e = 0; e < experts; e++) {
          if (!taken[e] && (best < 0 || p[e] > p[best])) {
            best = e;
          }
        }
        taken[best] = true;
        chosen[row * k + choice] = best;
      }
    }
    return regated(x, chosen);
  }

  /** Returns the gates of given experts for other x. */
  public Chosen regated(double[] x, int... chosen) {
    double[] gates = new double[chosen.length];
    for (int pair = 0; pair < chosen.length; pair++) {
      int row = pair / k;
      double[] p = probabilities(x, row);
      double sum = 0;
      for (int choice = 0; choice < k; choice++) {
        sum += p[chosen[row * k + choice]];
      }
      gates[pair] = p[chosen[pair]] / sum;
    }
    return new Chosen(chosen, gates);
  }

  /** Returns the output, (batch, outputs). */
  public double[] apply(double[] x, Chosen to) {
    int batch = x.length / inputs;
    double[] out = new double[batch * outputs];
    for (int pair = 0; pair < batch * k; pair++) {
      int row = pair / k;
      int e = to.experts()[pair];
      double[] z = new double[sums()];
      for (int q = 0; q < z.length; q++) {
        z[q] = bias("b1", e * z.length + q);
        for (int i = 0; i < inputs; i++) {
          z[q] += x[row * inputs + i] * parameters.get("W1")[(e * inputs + i) * z.length + q];
        }
      }
      for (int o = 0; o < outputs; o++) {
        double sum = bias("b2", e * outputs + o);
        for (int h = 0; h < hidden; h++) {
          double a = ActivationOracle.value(activation, z[h]);
          a *= activation.isGated() ? ActivationOracle.second(activation, z[hidden + h]) : 1;
          sum += a * parameters.get("W2")[(e * hidden + h) * outputs + o];
        }
        out[row * outputs + o] += to.gates()[pair] * sum;
      }
    }
    double[] ofShared = parameters.containsKey(SHARED + "W1") ? applyShared(x) : new double[0];
    for (int i = 0; i < ofShared.length; i++) {
      out[i] += ofShared[i];
    }
    return out;
  }

  private double[] applyShared(double[] x) {
    Map<String, double[]> own = new HashMap<>();
    parameters.forEach(
        (name, values) -> {
          if (name.startsWith(SHARED)) {
            own.put(name.substring(SHARED.length()), values);
          }
        });
    int size = own.get("W2").length / outputs;
    ExpertsOracle shared = new ExpertsOracle(inputs, size, outputs, 1, 1, activation, own);
    double[] gates = new double[x.length / inputs];
    for (int row = 0; row < gates.length; row++) {
      double logit = shared.bias("bg", 0);
      for (int i = 0; i < inputs && own.containsKey("Wg"); i++) {
        logit += x[row * inputs + i] * own.get("Wg")[i];
      }
      gates[row] = own.containsKey("Wg") ? 1 / (1 + StrictMath.exp(-logit)) : 1;
    }
    return shared.apply(x, new Chosen(new int[gates.length], gates));
  }

  /** Returns the scalar product of the output with a gradient of it: a loss with that gradient. */
  public double loss(double[] x, Chosen to, float[] gradOut) {
    double[] out = apply(x, to);
    double loss = 0;
    for (int i = 0; i < out.length; i++) {
      loss += out[i] * gradOut[i];
    }
    return loss;
  }
}
