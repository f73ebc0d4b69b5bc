// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.experts;

import java.util.Arrays;
import java.util.stream.IntStream;
import org.blocksparse.FloatTensor;
import org.blocksparse.IntTensor;
import org.blocksparse.SparseRows;
import org.blocksparse.Workers;
import org.blocksparse.internal.kernels.PackedExperts;
import org.blocksparse.internal.tensors.Check;
import org.blocksparse.internal.tensors.Dense;
import org.blocksparse.internal.tensors.DenseFloats;
import org.blocksparse.internal.tensors.DenseInts;
import org.blocksparse.internal.tensors.OperandLease;
import org.blocksparse.products.BlockPlan;

/**
 * The experts that a {@link TopKGate} or the caller chose for each sample of a batch, with their
 * gates, and the plans of the layers around the experts.
 *
 * <table>
 *   <caption>Contents; "kept" is the number of pairs that were not dropped</caption>
 *   <tr><th>name</th><th>shape</th><th>with a capacity</th></tr>
 *   <tr><td>experts</td><td>(batch, k), the most probable first</td><td>the same, including dropped pairs</td></tr>
 *   <tr><td>gates</td><td>(batch, k)</td><td>(kept), sample by sample</td></tr>
 *   <tr><td>probabilities</td><td>(batch, experts); none if the caller chose</td><td>the same</td></tr>
 *   <tr><td>rows between {@link #toExperts} and {@link #fromExperts}</td><td>(batch, k, size)</td>
 *       <td>(kept, size)</td></tr>
 * </table>
 *
 * <p>A routing owns its tensors and plans, and closes them. Safe for use by any number of threads.
 */
public final class Routing implements AutoCloseable {
  /** The maximum number of pairs of a plan. */
  static final int MAX_PAIRS = 1 << 29;

  private static final String GATES = "(batch, k)";

  /** The gate; null if the caller chose. */
  private final TopKGate gate;

  private final int k;
  private final int[] chosen;
  private final int[] places;
  private final int[] load;
  private final double balancingLoss;

  /** The probabilities; null without a gate. */
  private final FloatTensor probabilities;

  private final FloatTensor gates;
  private final IntTensor experts;
  private final Workers workers;

  /** Both plans are null until they are needed. */
  private BlockPlan toExperts;

  private BlockPlan fromExperts;

  /**
   * Takes ownership of the tensors, unless this throws.
   *
   * @param gate null if the caller has chosen
   * @param chosen (batch, k) experts
   * @param places for each pair its place among the gates, or {@link TopExperts#DROPPED}
   * @param load how many samples have chosen each expert
   * @param probabilities null without a gate
   */
  Routing(
      TopKGate gate,
      int k,
      Workers workers,
      int[] chosen,
      int[] places,
      int[] load,
      FloatTensor probabilities,
      FloatTensor gates,
      double balancingLoss) {
    this.gate = gate;
    this.k = k;
    this.chosen = chosen;
    this.places = places;
    this.load = load;
    this.balancingLoss = balancingLoss;
    this.probabilities = probabilities;
    this.gates = gates;
    this.experts = IntTensor.of(chosen, chosen.length / k, k);
    this.workers = workers;
  }

  /**
   * Returns a routing of the caller, by another gate than {@link TopKGate}. Both tensors are
   * copied.
   *
   * @param experts (batch, k), each in [0, count); an expert that a sample has twice counts twice
   * @param gates (batch, k): the factors of the experts' outputs. A NaN makes the output of its
   *     sample NaN
   * @param count the number of experts
   * @throws IllegalArgumentException if a shape does not fit, if k is 0, or if batch times k is
   *     more than 2<sup>29</sup>
   * @throws IndexOutOfBoundsException if an expert is negative or too large
   * @throws IllegalStateException if a tensor is closed
   */
  public static Routing of(IntTensor experts, FloatTensor gates, int count) {
    Check.dimension("count", count);
    Check.rank("experts", experts, GATES, 2);
    long k = experts.shape().dim(1);
    if (k == 0 || experts.shape().size() > MAX_PAIRS) {
      throw new IllegalArgumentException(
          "experts: expected from 1 to 2^29 pairs of samples and experts but was "
              + experts.shape());
    }
    Check.shape("gates", gates, GATES, experts.shape().toArray());
    int[] chosen = DenseInts.from(experts).toArray("experts");
    Check.indices("experts", chosen, (int) k, "count", count);
    int[] load = new int[count];
    for (int expert : chosen) {
      load[expert]++;
    }
    int[] places = new int[chosen.length];
    Arrays.setAll(places, pair -> pair);
    FloatTensor own = DenseFloats.from(gates).copy("gates");
    try {
      return new Routing(null, (int) k, Workers.common(), chosen, places, load, null, own, 0);
    } catch (Throwable e) {
      own.close();
      throw e;
    }
  }

  /** Returns a routing of every row to one expert, with a gate of 1. */
  static Routing toOne(int batch, Workers workers) {
    int[] places = new int[batch];
    Arrays.setAll(places, pair -> pair);
    FloatTensor gates = FloatTensor.zeros(batch, 1);
    gates.fill(1);
    int[] load = {batch};
    return new Routing(null, 1, workers, new int[batch], places, load, null, gates, 0);
  }

  /** The two sides of the plans: one block for each sample, and the experts. */
  private interface Sides extends AutoCloseable {
    BlockPlan plan(boolean toExperts);

    @Override
    void close();
  }

  private Sides sides() {
    return isRagged() ? new RaggedSides(bands(Integer.MAX_VALUE), 0) : new EqualSides();
  }

  private final class EqualSides implements Sides {
    private final IntTensor one = IntTensor.zeros(batch(), 1);

    @Override
    public BlockPlan plan(boolean toExperts) {
      return toExperts
          ? BlockPlan.of(one, experts, 1, load.length)
          : BlockPlan.of(experts, one, load.length, 1);
    }

    @Override
    public void close() {
      one.close();
    }
  }

  private final class RaggedSides implements Sides {
    private final SparseRows one;
    private final SparseRows keptExperts;

    /** Creates the sides of the pairs of a band. */
    RaggedSides(ExpertBands bands, int band) {
      boolean none = bands.count() == 0;
      one = SparseRows.of(IntStream.rangeClosed(0, batch()).toArray(), new int[batch()]);
      keptExperts =
          SparseRows.of(
              none ? new int[batch() + 1] : bands.offsets(band),
              none ? new int[0] : bands.experts(band));
    }

    @Override
    public BlockPlan plan(boolean toExperts) {
      return toExperts
          ? BlockPlan.of(one, keptExperts, 1, load.length)
          : BlockPlan.of(keptExperts, one, load.length, 1);
    }

    @Override
    public void close() {
      one.close();
      keptExperts.close();
    }
  }

  /** Returns whether samples have different numbers of experts. */
  private boolean isRagged() {
    return gate != null && gate.isRagged();
  }

  /** Returns the number of samples. */
  public int batch() {
    return chosen.length / k;
  }

  /** Returns the chosen experts, (batch, k), the most probable first. */
  public IntTensor experts() {
    return experts;
  }

  /** Returns the gates, (batch, k); with a capacity, of the pairs that were kept. */
  public FloatTensor gates() {
    return gates;
  }

  /**
   * Returns the softmax of the logits, (batch, experts).
   *
   * @throws IllegalStateException if the caller chose the experts: then there are no probabilities
   */
  public FloatTensor probabilities() {
    if (probabilities == null) {
      throw new IllegalStateException(
          "probabilities: this routing was made by Routing.of, and no gate has given them");
    }
    return probabilities;
  }

  /** Returns the number of samples that chose each expert, before any pair was dropped; a copy. */
  public int[] loads() {
    return load.clone();
  }

  /** Returns the number of (sample, expert) pairs that the capacity dropped. */
  public int dropped() {
    return chosen.length - pairs();
  }

  /**
   * Returns whether the capacity dropped a choice.
   *
   * @param choice in [0, k); 0 is the most probable expert
   * @throws IndexOutOfBoundsException if there is no such sample or choice
   */
  public boolean isDropped(int sample, int choice) {
    Check.index("sample", sample, "batch", batch());
    Check.index("choice", choice, "k", k);
    return places[sample * k + choice] == TopExperts.DROPPED;
  }

  /**
   * Returns the balancing loss, with its weight; 0 if the gate has none, or if there is no gate.
   */
  public double balancingLoss() {
    return balancingLoss;
  }

  /**
   * Returns the plan of the product into the experts: the only input block is the sample, and the
   * output blocks are the experts. W is (1, experts, iSize, oSize), and h is (batch, 1, iSize) or,
   * with a capacity, (batch, iSize).
   */
  public BlockPlan toExperts() {
    makePlans();
    return toExperts;
  }

  /**
   * Returns the plan of the product out of the experts: the input blocks are the experts, and the
   * only output block is the sum over the experts of a sample. W is (experts, 1, iSize, oSize), and
   * the output is (batch, 1, oSize) or, with a capacity, (batch, oSize).
   */
  public BlockPlan fromExperts() {
    makePlans();
    return fromExperts;
  }

  private synchronized void makePlans() {
    if (fromExperts == null) {
      try (Sides sides = sides()) {
        toExperts = sides.plan(true).withWorkers(workers);
        fromExperts = sides.plan(false).withWorkers(workers);
      }
    }
  }

  /**
   * The pairs of samples and experts of one band, with their plans and gates.
   *
   * @param gates the gates of the pairs
   */
  record Band(BlockPlan toExperts, BlockPlan fromExperts, FloatTensor gates)
      implements AutoCloseable {
    @Override
    public void close() {
      toExperts.close();
      fromExperts.close();
      gates.close();
    }
  }

  /** Returns how many pairs there are. */
  int pairs() {
    return (int) gates.shape().size();
  }

  /** Returns the pairs in the form that experts with packed weights take. */
  PackedExperts.Pairs pairsByExpert() {
    int[] sorted = ExpertBands.byExpert(chosen, places, load.length);
    return new PackedExperts.Pairs(k, chosen, sorted, places, Dense.from(gates).storage());
  }

  /** Returns the pairs, sorted by expert, in bands of a maximum size. */
  ExpertBands bands(int most) {
    return ExpertBands.of(chosen, places, k, load.length, most);
  }

  /** Returns the pairs of one band, on workers. */
  Band band(ExpertBands bands, int number, Workers workers) {
    int[] ofPairs = bands.places(number);
    float[] ofBand = new float[ofPairs.length];
    try (OperandLease lease = new OperandLease().of("routing", gates)) {
      for (int i = 0; i < ofBand.length; i++) {
        ofBand[i] = Dense.from(gates).storage().getFloat(ofPairs[i]);
      }
    }
    try (Sides sides = new RaggedSides(bands, number)) {
      return new Band(
          sides.plan(true).withWorkers(workers),
          sides.plan(false).withWorkers(workers),
          FloatTensor.of(ofBand, ofBand.length));
    }
  }

  /** Returns the gate; null if the caller chose. */
  TopKGate gate() {
    return gate;
  }

  /** Returns how many experts there are to choose from. */
  int expertCount() {
    return load.length;
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

  /** Returns the names of the dimensions of the gates. */
  String words() {
    return isRagged() ? "(kept)" : GATES;
  }

  /** Frees the tensors and plans as soon as no operation uses them. Idempotent. */
  @Override
  public synchronized void close() {
    if (probabilities != null) {
      probabilities.close();
    }
    gates.close();
    experts.close();
    if (fromExperts != null) {
      toExperts.close();
      fromExperts.close();
    }
  }

  @Override
  public String toString() {
    return "Routing("
        + batch()
        + " samples, "
        + (gate == null ? k + " of " + load.length + " by the caller" : gate)
        + ", "
        + dropped()
        + " dropped)";
  }
}
