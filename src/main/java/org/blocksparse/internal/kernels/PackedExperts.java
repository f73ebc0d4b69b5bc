// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.kernels;

import org.blocksparse.Activation;
import org.blocksparse.internal.memory.Rows;
import org.blocksparse.internal.memory.Scratch;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.schedule.ExpertSchedules;
import org.blocksparse.internal.schedule.Scheduler;
import org.blocksparse.internal.weights.Blocks;
import org.blocksparse.internal.weights.RowFormat;
import org.blocksparse.internal.weights.StoredWeights;

/**
 * Experts with packed weights. Rows are rounded between their two products: a tile of sums goes
 * through the activation while it is in registers and the first-level cache. Rows that are rounded
 * as a whole stay floats until all their columns are complete. The second product is cut by columns
 * alone, so that one worker adds up all experts of an element, in their order.
 *
 * @param format1 the format of the rows that the first product reads
 * @param format2 the format of the rows that the second one reads
 * @param b1 a row for each expert, or null
 * @param b2 a block of one row for each expert, or null
 */
public record PackedExperts(
    Blocks w1,
    RowFormat format1,
    Rows b1,
    Activation function,
    Blocks w2,
    RowFormat format2,
    Blocks b2) {
  /** The maximum number of bytes of rows between the products, unless one pair needs more. */
  private static final long KEPT_BYTES = 8L << 20;

  /** Tasks per worker of the first product if rows are few. */
  private static final int FIRST_TASKS = 8;

  /** The number of tasks of the second product, each of which reads a part of every block. */
  private static final int SECOND_TASKS = 2;

  /**
   * Pairs of samples and experts.
   *
   * @param chosen (batch, k): the expert of each pair
   * @param sorted the pairs that count, by expert and then by sample
   * @param places for each pair its place among the gates
   */
  public record Pairs(int k, int[] chosen, int[] sorted, int[] places, Storage gates) {}

  /** Slots of memory that hold experts while they are needed. */
  public interface Slots {
    /**
     * Waits for experts of the next pairs, and releases those of earlier pairs.
     *
     * @return the end of the pairs from begin on whose experts are in slots: end at most, and more
     *     than begin if there are any
     */
    int await(int begin, int end);

    /** Returns the slots in place of experts, without b2. */
    PackedExperts experts();

    /** Returns these pairs, with slots in place of the experts that have arrived. */
    Pairs pairs();
  }

  /**
   * Writes the mixtures of the rows of x.
   *
   * @param accumulate whether to add them
   * @param slots the cache from which the weights are read, with the same bits; null if all are in
   *     memory
   */
  public void run(Engine engine, Rows x, Pairs pairs, boolean accumulate, Slots slots, Rows out) {
    int hidden = w2.inSize();
    int inputs = w1.inSize();
    long elements =
        RoundedRows.elements(format2, 1, hidden)
            + (format2.isWhole() ? hidden : 0)
            + (mayGather(engine) ? RoundedRows.elements(format1, 1, inputs) : 0);
    int most = (int) Math.max(1, KEPT_BYTES / Float.BYTES / elements);
    try (Scratch memory = Scratch.borrow(RoundedRows.elements(format1, x.count(), inputs))) {
      RoundedRows rounded = new RoundedRows(memory.storage(), format1, x.count(), inputs);
      engine.round(x, rounded);
      int begin = 0;
      do {
        int end = Math.min(pairs.sorted.length, begin + most);
        boolean add = accumulate || begin > 0;
        // The pairs of the call decide, not the experts in slots: tiles give other bits.
        boolean gathered =
            mayGather(engine)
                && ExpertSchedules.haveRows(
                    format1.rowsForTiles(), pairs.chosen, pairs.sorted, begin, end);
        if (slots == null) {
          run(engine, rounded, gathered, pairs, begin, end, add, out);
        } else {
          run(engine, rounded, gathered, pairs, slots, begin, end, add, out);
        }
        begin = end;
      } while (begin < pairs.sorted.length);
    }
  }

  private boolean mayGather(Engine engine) {
    return format1.rowsForTiles() > 0 && engine.kernels().products().readsRowsInOrder();
  }

  /** Copies the row of each pair's sample, so that those of an expert follow each other. */
  private static RoundedRows copiesOfRows(
      Engine engine, RoundedRows x, Pairs pairs, int begin, int count, Storage memory) {
    RoundedRows copies = new RoundedRows(memory, x.format(), count, x.size());
    engine.run(
        count,
        Scheduler.work(count, 1, x.size()),
        (first, end) -> {
          byte[] piece = new byte[StoredWeights.PIECE];
          for (int i = first; i < end; i++) {
            copies.copyRow(i, x, pairs.sorted[begin + i] / pairs.k, piece);
          }
        });
    return copies;
  }

  /**
   * Runs as many experts at a time as there are in slots; biases first, as the second product adds
   * to them.
   */
  private void run(
      Engine engine,
      RoundedRows x,
      boolean gathered,
      Pairs pairs,
      Slots slots,
      int begin,
      int end,
      boolean accumulate,
      Rows out) {
    if (b2 != null) {
      addBiases(engine, pairs, begin, end, accumulate, out);
    }
    int from = begin;
    do {
      int to = slots.await(from, end);
      boolean add = accumulate || b2 != null || from > begin;
      slots.experts().run(engine, x, gathered, slots.pairs(), from, to, add, out);
      from = to;
    } while (from < end);
  }

  private void addBiases(
      Engine engine, Pairs pairs, int begin, int end, boolean accumulate, Rows out) {
    try (ExpertSchedules schedules =
            new ExpertSchedules(
                (int) out.count(), pairs.k, pairs.chosen, pairs.sorted, begin, end, false);
        Scratch ofGates = gates(pairs, begin, end)) {
      Rows gates = new Rows(ofGates.storage(), end - begin, 1);
      BlockProduct product =
          new BlockProduct(schedules.down(), gates, b2, Sums.of(out, accumulate));
      engine.kernels().products().blockGemm(product, 0, 1, 0, b2.outSize());
    }
  }

  /** Returns the gates of pairs, in their order. */
  private static Scratch gates(Pairs pairs, int begin, int end) {
    Scratch gates = Scratch.borrow(end - begin);
    for (int i = begin; i < end; i++) {
      float gate = pairs.gates.getFloat(pairs.places[pairs.sorted[i]]);
      gates.storage().putFloat(i - begin, gate);
    }
    return gates;
  }

  /** Writes or adds the sums of some pairs. */
  private void run(
      Engine engine,
      RoundedRows x,
      boolean gathered,
      Pairs pairs,
      int begin,
      int end,
      boolean accumulate,
      Rows out) {
    int count = end - begin;
    try (ExpertSchedules schedules =
            new ExpertSchedules(
                (int) out.count(), pairs.k, pairs.chosen, pairs.sorted, begin, end, gathered);
        Scratch ofCopies =
            Scratch.borrow(gathered ? RoundedRows.elements(format1, count, x.size()) : 0);
        Scratch ofGates = gates(pairs, begin, end);
        Scratch ofFloats = Scratch.borrow(format2.isWhole() ? (long) count * w2.inSize() : 0);
        Scratch memory = Scratch.borrow(RoundedRows.elements(format2, count, w2.inSize()))) {
      Storage gates = ofGates.storage();
      RoundedRows read =
          gathered ? copiesOfRows(engine, x, pairs, begin, count, ofCopies.storage()) : x;
      int size = w2.inSize();
      RoundedRows between = new RoundedRows(memory.storage(), format2, count, size);
      Scheduler.Stage second = second(engine, between, schedules, gates, accumulate, out);
      if (!format2.isWhole()) {
        engine.run(first(engine, read, schedules, gates, between), second);
        return;
      }
      RoundedRows floats = new RoundedRows(ofFloats.storage(), RowFormat.FLOATS, count, size);
      Rows rows = new Rows(ofFloats.storage(), count, size);
      engine.run(first(engine, read, schedules, gates, floats), engine.rounding(rows, between));
      engine.run(second.tasks(), second.work(), second.body());
    }
  }

  /**
   * Returns the number of tasks that a product is cut into. Memory limits products of few rows, and
   * each task reads a contiguous part of a block: few tasks read fastest. The number changes no
   * bits of the result.
   */
  private static int tasks(Engine engine, ExpertSchedules schedules, int ofWorker) {
    boolean few = schedules.pairs() < 2 * schedules.up().chunks();
    return few ? ofWorker * Math.min(engine.max(), Engine.ENOUGH_TASKS) : Engine.ENOUGH_TASKS;
  }

  private Scheduler.Stage first(
      Engine engine, RoundedRows x, ExpertSchedules schedules, Storage gates, RoundedRows to) {
    ProductKernels kernels = engine.kernels().products();
    int chunks = schedules.up().chunks();
    int tasks = tasks(engine, schedules, FIRST_TASKS);
    int width = Engine.bandWidth(to.size(), Scheduler.ceilDiv(tasks, Math.max(1, chunks)));
    int bands = Scheduler.ceilDiv(to.size(), width);
    PackedActivation activation =
        new PackedActivation(schedules.up(), x, w1, b1, function, gates, to);
    return new Scheduler.Stage(
        Math.multiplyExact(chunks, bands),
        Scheduler.work(schedules.pairs(), w1.inSize(), w1.outSize()),
        (begin, end) -> {
          // The bands of an expert follow each other, so that a worker reads its panels in order.
          for (int task = begin; task < end; ) {
            int band = task % bands;
            int count = Math.min(end - task, bands - band);
            int chunk = task / bands;
            int last = Engine.bandEnd((band + count - 1) * width, width, to.size());
            kernels.packedActivation(activation, chunk, chunk + 1, band * width, last);
            task += count;
          }
        });
  }

  private Scheduler.Stage second(
      Engine engine,
      RoundedRows a,
      ExpertSchedules schedules,
      Storage gates,
      boolean accumulate,
      Rows out) {
    ProductKernels kernels = engine.kernels().products();
    int n = w2.outSize();
    int width = Engine.bandWidth(n, tasks(engine, schedules, SECOND_TASKS));
    Rows ofRows = new Rows(gates, schedules.pairs(), 1);
    BlockProduct biases = new BlockProduct(schedules.down(), ofRows, b2, Sums.of(out, accumulate));
    PackedProduct product =
        new PackedProduct(schedules.down(), a, w2, Sums.of(out, accumulate || b2 != null));
    return new Scheduler.Stage(
        Scheduler.ceilDiv(n, width),
        Scheduler.work(Math.max(schedules.pairs(), out.count()), w2.inSize(), n),
        (begin, end) -> {
          int last = Engine.bandEnd((end - 1) * width, width, n);
          if (b2 != null) {
            kernels.blockGemm(biases, 0, 1, begin * width, last);
          }
          kernels.packedGemm(product, 0, 1, begin * width, last);
        });
  }
}
