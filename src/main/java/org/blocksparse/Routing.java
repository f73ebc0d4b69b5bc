// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import org.blocksparse.internal.gate.TopExperts;

/**
 * Which experts a {@link TopKGate} has chosen for each sample of a batch, with their gates, and the
 * plans of the layers around the experts.
 *
 * <table>
 *   <caption>What it holds; "kept" is the number of pairs that were not dropped</caption>
 *   <tr><th>name</th><th>shape</th><th>with a capacity</th></tr>
 *   <tr><td>experts</td><td>(batch, k), the likeliest first</td><td>the same, dropped ones as well</td></tr>
 *   <tr><td>gates</td><td>(batch, k)</td><td>(kept), sample by sample</td></tr>
 *   <tr><td>probabilities</td><td>(batch, experts)</td><td>the same</td></tr>
 *   <tr><td>rows between {@link #toExperts} and {@link #fromExperts}</td><td>(batch, k, size)</td>
 *       <td>(kept, size)</td></tr>
 * </table>
 *
 * <p>What it holds is its own and is closed with it. Safe for use by any number of threads.
 */
public final class Routing implements AutoCloseable {
  /** What a plan can hold. */
  static final int MAX_PAIRS = 1 << 29;

  private final TopKGate gate;
  private final int[] chosen;
  private final int[] places;
  private final int[] load;
  private final int kept;
  private final double balancingLoss;
  private final FloatTensor probabilities;
  private final FloatTensor gates;
  private final IntTensor experts;
  private final BlockPlan toExperts;
  private final BlockPlan fromExperts;

  Routing(
      TopKGate gate,
      Workers workers,
      int[] chosen,
      int[] places,
      int[] load,
      FloatTensor probabilities,
      FloatTensor gates,
      double balancingLoss) {
    this.gate = gate;
    this.chosen = chosen;
    this.places = places;
    this.load = load;
    this.kept = (int) gates.shape().size();
    this.balancingLoss = balancingLoss;
    this.probabilities = probabilities;
    this.gates = gates;
    this.experts = IntTensor.of(chosen, batch(), gate.k());
    try (Sides sides = sides()) {
      this.toExperts = sides.plan(true).withWorkers(workers);
      this.fromExperts = sides.plan(false).withWorkers(workers);
    } catch (Throwable e) {
      experts.close();
      throw e;
    }
  }

  /** The two sides of the plans: one block for each sample, and the experts. */
  private interface Sides extends AutoCloseable {
    BlockPlan plan(boolean toExperts);

    @Override
    void close();
  }

  private Sides sides() {
    return gate.isRagged() ? new RaggedSides() : new EqualSides();
  }

  private final class EqualSides implements Sides {
    private final IntTensor one = IntTensor.zeros(batch(), 1);

    @Override
    public BlockPlan plan(boolean toExperts) {
      return toExperts
          ? BlockPlan.of(one, experts, 1, gate.experts())
          : BlockPlan.of(experts, one, gate.experts(), 1);
    }

    @Override
    public void close() {
      one.close();
    }
  }

  private final class RaggedSides implements Sides {
    private final SparseRows one;
    private final SparseRows keptExperts;

    RaggedSides() {
      int[] ones = new int[batch() + 1];
      int[] offsets = new int[batch() + 1];
      int[] of = new int[kept];
      int next = 0;
      for (int sample = 0; sample < batch(); sample++) {
        for (int pair = sample * gate.k(); pair < (sample + 1) * gate.k(); pair++) {
          if (places[pair] != TopExperts.DROPPED) {
            of[next++] = chosen[pair];
          }
        }
        offsets[sample + 1] = next;
        ones[sample + 1] = sample + 1;
      }
      one = SparseRows.of(ones, new int[batch()]);
      keptExperts = SparseRows.of(offsets, of);
    }

    @Override
    public BlockPlan plan(boolean toExperts) {
      return toExperts
          ? BlockPlan.of(one, keptExperts, 1, gate.experts())
          : BlockPlan.of(keptExperts, one, gate.experts(), 1);
    }

    @Override
    public void close() {
      one.close();
      keptExperts.close();
    }
  }

  /** The number of samples. */
  public int batch() {
    return (int) probabilities.shape().dim(0);
  }

  /** The chosen experts, (batch, k), the likeliest first. */
  public IntTensor experts() {
    return experts;
  }

  /** The gates, (batch, k); with a capacity, of the pairs that were kept. */
  public FloatTensor gates() {
    return gates;
  }

  /** The softmax of the logits, (batch, experts). */
  public FloatTensor probabilities() {
    return probabilities;
  }

  /** How many samples have chosen each expert, before any was dropped; a copy. */
  public int[] loads() {
    return load.clone();
  }

  /** How many pairs of sample and expert the capacity has dropped. */
  public int dropped() {
    return chosen.length - kept;
  }

  /**
   * Whether the capacity has dropped a choice.
   *
   * @param choice from 0, the likeliest
   * @throws IndexOutOfBoundsException if there is no such sample or choice
   */
  public boolean isDropped(int sample, int choice) {
    Check.index("sample", sample, "batch", batch());
    Check.index("choice", choice, "k", gate.k());
    return places[sample * gate.k() + choice] == TopExperts.DROPPED;
  }

  /** The balancing loss, with its weight; 0 if the gate has none. */
  public double balancingLoss() {
    return balancingLoss;
  }

  /**
   * The plan of a layer whose only input block is the sample, and whose output blocks are the
   * experts: W is (1, experts, iSize, oSize), h (batch, 1, iSize) or, with a capacity, (batch,
   * iSize).
   */
  public BlockPlan toExperts() {
    return toExperts;
  }

  /**
   * The plan of a layer whose input blocks are the experts, and whose only output block is the sum
   * over the experts of a sample: W is (experts, 1, iSize, oSize), the output (batch, 1, oSize) or,
   * with a capacity, (batch, oSize).
   */
  public BlockPlan fromExperts() {
    return fromExperts;
  }

  TopKGate gate() {
    return gate;
  }

  int[] chosen() {
    return chosen;
  }

  int[] places() {
    return places;
  }

  int[] load() {
    return load;
  }

  /** What the dimensions of the gates are called. */
  String words() {
    return gate.isRagged() ? "(kept)" : "(batch, k)";
  }

  /** Frees all that it holds as soon as no operation uses it. Idempotent. */
  @Override
  public void close() {
    probabilities.close();
    gates.close();
    experts.close();
    toExperts.close();
    fromExperts.close();
  }

  @Override
  public String toString() {
    return "Routing(" + batch() + " samples, " + gate + ", " + dropped() + " dropped)";
  }
}
