// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.experts;

import static java.util.Objects.requireNonNull;

import java.util.Arrays;
import org.blocksparse.FloatTensor;
import org.blocksparse.Workers;
import org.blocksparse.internal.kernels.Engine;
import org.blocksparse.internal.tensors.Check;
import org.blocksparse.internal.tensors.Dense;
import org.blocksparse.internal.tensors.KernelOperands;
import org.blocksparse.internal.tensors.OperandLease;

/**
 * The gate of a mixture of experts (Shazeer et al., 2017). It computes the softmax of each sample's
 * logits, one per expert, and chooses the k most probable experts. The outputs of these are
 * weighted by their renormalized probabilities, the gates. The result is a {@link Routing}, which
 * holds the plans of the experts' two products.
 *
 * <pre>{@code
 * p = softmax(logits[b]);   gate of a chosen expert e = p[e] / sum over the chosen ones of p
 * }</pre>
 *
 * <table>
 *   <caption>Variants</caption>
 *   <tr><th>method</th><th>changes</th><th>used by</th></tr>
 *   <tr><td>{@link #withSigmoid}</td><td>p[e] = sigmoid(logits[b, e])</td>
 *       <td>DeepSeek V3, GLM 4.5, Kimi K2</td></tr>
 *   <tr><td>{@link #withChoiceBias}</td><td>the k experts with the largest p[e] + bias[e]</td>
 *       <td>the same</td></tr>
 *   <tr><td>{@link #withGroups}</td><td>only experts of the best groups can be chosen</td>
 *       <td>DeepSeek V2 and V3</td></tr>
 *   <tr><td>{@link #withoutRenormalization}</td><td>gate = p[e]</td>
 *       <td>OLMoE, Qwen 2, DeepSeek V2</td></tr>
 *   <tr><td>{@link #withScales}</td><td>gate times scale[e]</td><td>DeepSeek, Gemma 4</td></tr>
 * </table>
 *
 * <p>A gate is immutable and has no parameters: the caller computes the logits, by a dense layer.
 * Any number of threads may use it.
 *
 * <p><b>Numbers.</b> Exponentials and sums are float64: the error of a probability is one rounding
 * to float32, and that of a gate a few roundings. NaN counts as the largest logit of a sample. All
 * gates of a sample are NaN if one of its logits is NaN or infinity, or if all are negative
 * infinity; other samples are not affected. Sigmoids of infinities are 0 and 1, and a NaN affects
 * the gates of its own expert only, unless these are renormalized. Results are bitwise identical
 * for any workers.
 */
public final class TopKGate {
  private static final String LOGITS = "(batch, experts)";

  /** The gate of one expert, a shared one. */
  static final TopKGate SIGMOID =
      new TopKGate(1, Gating.of(1).withSigmoid(true).withRenormalized(false), Workers.common());

  private final int experts;
  private final Gating gating;
  private final Workers workers;

  private TopKGate(int experts, Gating gating, Workers workers) {
    this.experts = experts;
    this.gating = gating;
    this.workers = workers;
  }

  /**
   * Returns a gate that chooses k of the experts for each sample.
   *
   * @throws IllegalArgumentException unless 1 &lt;= k &lt;= experts &lt;= 2<sup>31</sup> - 9
   */
  public static TopKGate of(int experts, int k) {
    Check.dimension("experts", experts);
    Check.atLeast(1, "k", k);
    if (k > experts) {
      throw new IllegalArgumentException(
          "k: expected at most experts = " + experts + " but was " + k);
    }
    return of(experts, Gating.of(k));
  }

  /**
   * Uses the probabilities of the chosen experts as gates, without renormalization (Fedus et al.,
   * 2021). This is necessary for k = 1: a renormalized gate would always be 1, and its gradient 0.
   */
  public TopKGate withoutRenormalization() {
    return with(gating.withRenormalized(false));
  }

  private TopKGate with(Gating other) {
    return new TopKGate(experts, other, workers);
  }

  /**
   * Uses the sigmoid of each logit as its probability, instead of their softmax (DeepSeek-AI,
   * 2024). Renormalization divides by the sum of the chosen ones, or by 2<sup>-14</sup> if that is
   * larger, as llama.cpp does.
   */
  public TopKGate withSigmoid() {
    return with(gating.withSigmoid(true));
  }

  /**
   * Adds a bias to each expert's probability for the choice only; gates do not contain it (Wang et
   * al., 2024). The gradient treats it as constant.
   *
   * @param bias for each expert, finite; it is copied
   * @throws IllegalArgumentException if it is not
   */
  public TopKGate withChoiceBias(float... bias) {
    return with(gating.withChoiceBias(ofExperts("bias", bias)));
  }

  /**
   * Restricts the choice of a sample to some groups of experts. A group is as good as the sum of
   * its two best experts, with their choice bias; of equals, the first is better. So does
   * llama.cpp, for DeepSeek V2 as well.
   *
   * @param groups divides the experts; those of a group follow each other
   * @param used groups that a sample chooses from
   * @throws IllegalArgumentException if it does not, if used is not from 1 to groups, or if the
   *     used groups have fewer than k experts
   */
  public TopKGate withGroups(int groups, int used) {
    Check.atLeast(1, "groups", groups);
    Check.atLeast(1, "used", used);
    if (experts % groups != 0 || used > groups || experts / groups * (long) used < k()) {
      throw new IllegalArgumentException(
          "groups, used: expected a divisor of experts = "
              + experts
              + ", and at most so many groups, that have k = "
              + k()
              + " experts, but was "
              + groups
              + " and "
              + used);
    }
    return with(gating.withGroups(groups, used));
  }

  /**
   * Multiplies gates by a constant, after renormalization; the gradient does not train it.
   *
   * @param scales one for all experts, or one for each; finite; they are copied
   * @throws IllegalArgumentException if they are not
   */
  public TopKGate withScales(float... scales) {
    float[] all = requireNonNull(scales, "scales");
    if (scales.length == 1) {
      all = new float[experts];
      Arrays.fill(all, scales[0]);
    }
    return with(gating.withScales(ofExperts("scales", all)));
  }

  private float[] ofExperts(String name, float[] values) {
    if (requireNonNull(values, name).length != experts) {
      throw new IllegalArgumentException(
          name + ": expected one for each of " + experts + " experts but was " + values.length);
    }
    for (int e = 0; e < experts; e++) {
      if (!Float.isFinite(values[e])) {
        throw new IllegalArgumentException(
            name + ": expected finite numbers but [" + e + "] was " + values[e]);
      }
    }
    return values.clone();
  }

  /**
   * Sets the maximum number of samples of a batch that an expert takes. Further (sample, expert)
   * pairs are dropped: they have no gate and cost nothing, because the plans leave them out. First
   * choices have priority over second choices, and earlier samples over later ones. The gates of
   * the other pairs do not change. With a capacity, the plans are ragged. {@link
   * Integer#MAX_VALUE}, the default, means no capacity: nothing is dropped, and plans are not
   * ragged.
   *
   * @throws IllegalArgumentException if it is less than 1
   */
  public TopKGate withCapacity(int samplesOfAnExpert) {
    return with(gating.withCapacity(Check.atLeast(1, "capacity", samplesOfAnExpert)));
  }

  /**
   * Adds a load-balancing loss (Fedus et al., 2021, equation 4):
   *
   * <pre>{@code
   * weight * experts * sum over e of  f[e] * P[e]
   * }</pre>
   *
   * <p>where f[e] is the fraction of all choices that are e, before any is dropped, and P[e] is the
   * mean probability of e. The loss equals the weight if both are uniform. {@link
   * Routing#balancingLoss} returns the loss; {@link #gradient} includes its gradient, in which f is
   * constant.
   *
   * @param weight finite and not negative; 0 is none
   * @throws IllegalArgumentException if it is not
   */
  public TopKGate withBalancing(float weight) {
    if (!(weight >= 0 && weight < Float.POSITIVE_INFINITY)) {
      throw new IllegalArgumentException(
          "balancing: expected a finite number >= 0 but was " + weight);
    }
    return with(gating.withBalancing(weight));
  }

  /** Returns the same gate on other workers. Its plans run on them, too. */
  public TopKGate withWorkers(Workers other) {
    return new TopKGate(experts, gating, requireNonNull(other, "workers"));
  }

  /** Returns how many experts there are. */
  public int experts() {
    return experts;
  }

  /** Returns how many experts each sample chooses. */
  public int k() {
    return gating.k();
  }

  /**
   * Chooses experts, the most probable first, ties by ascending number.
   *
   * @param logits (batch, experts); a NaN is not rejected: it makes the gates of its sample NaN,
   *     and so the output, the loss and all gradients
   * @return the chosen experts; the caller closes the routing
   * @throws IllegalArgumentException if the shape does not fit, or if batch times k is more than
   *     2<sup>29</sup>
   * @throws IllegalStateException if the tensor is closed
   * @throws OutOfMemoryError if there is not enough native memory; the message names the bytes
   */
  public Routing route(FloatTensor logits) {
    Check.rank("logits", logits, LOGITS, 2);
    int batch = Check.rows("logits", logits.shape().dim(0));
    int k = k();
    Check.shape("logits", logits, LOGITS, batch, experts);
    if ((long) batch * k > Routing.MAX_PAIRS) {
      throw new IllegalArgumentException(
          "logits: " + batch + " * k choices are more than 2^29; split the batch");
    }
    TopExperts top = top();
    FloatTensor probabilities = FloatTensor.zeros(batch, experts);
    FloatTensor gates = null;
    try (OperandLease lease = new OperandLease().of("logits", logits)) {
      int[] chosen = top.choose(KernelOperands.rows(logits), KernelOperands.rows(probabilities));
      int[] load = load(chosen);
      int[] places = new int[chosen.length];
      int kept = places(chosen, places);
      gates = isRagged() ? FloatTensor.zeros(kept) : FloatTensor.zeros(batch, k);
      top.gates(KernelOperands.rows(probabilities), chosen, places, Dense.from(gates).storage());
      return new Routing(
          this, k, workers, chosen, places, load, probabilities, gates, loss(load, probabilities));
    } catch (Throwable e) {
      probabilities.close();
      if (gates != null) {
        gates.close();
      }
      throw e;
    }
  }

  private TopExperts top() {
    return new TopExperts(Engine.from(workers), experts, gating);
  }

  Gating gating() {
    return gating;
  }

  static TopKGate of(int experts, Gating gating) {
    return new TopKGate(experts, gating, Workers.common());
  }

  boolean isRagged() {
    return gating.isRagged();
  }

  private int[] load(int[] chosen) {
    int[] load = new int[experts];
    for (int expert : chosen) {
      load[expert]++;
    }
    return load;
  }

  /** Assigns places to the pairs that are kept, and returns the number of these pairs. */
  private int places(int[] chosen, int[] places) {
    int k = k();
    int batch = chosen.length / k;
    int[] taken = new int[experts];
    Arrays.fill(places, TopExperts.DROPPED);
    for (int choice = 0; choice < k; choice++) {
      for (int sample = 0; sample < batch; sample++) {
        int pair = sample * k + choice;
        if (taken[chosen[pair]] < gating.capacity()) {
          taken[chosen[pair]]++;
          places[pair] = 0;
        }
      }
    }
    int kept = 0;
    for (int pair = 0; pair < places.length; pair++) {
      if (places[pair] != TopExperts.DROPPED) {
        places[pair] = kept++;
      }
    }
    return kept;
  }

  private double loss(int[] load, FloatTensor probabilities) {
    double loss = 0;
    if (gating.balancing() > 0) {
      double[] sums = top().sums(KernelOperands.rows(probabilities));
      double[] gradient = ofProbabilities(load, (int) probabilities.shape().dim(0));
      for (int e = 0; e < experts; e++) {
        loss += gradient[e] * sums[e];
      }
    }
    return loss;
  }

  /** Returns the gradient of the balancing loss with respect to each probability of an expert. */
  private double[] ofProbabilities(int[] load, int batch) {
    double[] gradient = new double[experts];
    for (int e = 0; e < experts && batch > 0; e++) {
      double part = load[e] / ((double) batch * k());
      gradient[e] = (double) gating.balancing() * experts * part / batch;
    }
    return gradient;
  }

  /**
   * Computes the gradient with respect to the logits: through the gates, plus that of the balancing
   * loss if there is one. The choice of experts counts as constant.
   *
   * @param routing a routing that {@link #route} of this gate returned
   * @param gradGates the gradient with respect to {@link Routing#gates}, of their shape
   * @param gradLogits (batch, experts); its previous content is overwritten
   * @throws IllegalArgumentException if a shape does not fit, the tensors overlap, or the routing
   *     is of another gate
   * @throws IllegalStateException if the routing or a tensor is closed
   */
  public void gradient(Routing routing, FloatTensor gradGates, FloatTensor gradLogits) {
    if (requireNonNull(routing, "routing").gate() != this) {
      throw new IllegalArgumentException("routing: expected that of this gate");
    }
    FloatTensor probabilities = routing.probabilities();
    Check.shape("gradGates", gradGates, routing.words(), routing.gates().shape().toArray());
    Check.shape("gradLogits", gradLogits, LOGITS, probabilities.shape().toArray());
    Check.noOverlap("gradLogits", gradLogits, "gradGates", gradGates);
    Check.noOverlap("gradLogits", gradLogits, "probabilities", probabilities);
    try (OperandLease lease =
        new OperandLease()
            .of("routing", probabilities)
            .of("gradGates", gradGates)
            .writing("gradLogits", gradLogits)) {
      top()
          .gradient(
              KernelOperands.rows(probabilities),
              routing.chosen(),
              routing.places(),
              Dense.from(gradGates).storage(),
              ofProbabilities(routing.load(), (int) probabilities.shape().dim(0)),
              KernelOperands.rows(gradLogits));
    }
  }

  @Override
  public String toString() {
    return "TopKGate("
        + k()
        + " of "
        + experts
        + (gating.groups() == 1
            ? ""
            : " in " + gating.groupsUsed() + " of " + gating.groups() + " groups")
        + (gating.sigmoid() ? ", sigmoid" : "")
        + (gating.choiceBias() == null ? "" : ", choice bias")
        + (gating.renormalized() ? "" : ", not renormalized")
        + (gating.scales() == null ? "" : ", scaled")
        + (isRagged() ? ", capacity = " + gating.capacity() : "")
        + (gating.balancing() == 0 ? "" : ", balancing = " + gating.balancing())
        + ")";
  }
}
