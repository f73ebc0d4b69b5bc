// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.sparse;

import java.util.Arrays;
import java.util.function.IntConsumer;
import org.blocksparse.internal.memory.GrowingArrays;
import org.blocksparse.internal.memory.Scratch;
import org.blocksparse.internal.memory.Slice;
import org.blocksparse.internal.memory.SoftPool;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.sparse.Bags.Reduction;

/**
 * The transpose of bags: for each row of the table that they name, the bags that name it. So the
 * whole gradient of a row is the sum of one transposed bag, however often the row is named, and
 * only one worker writes it.
 *
 * <p>Entries are sorted by the row that they name, stably and in linear time, in shares of the rows
 * that different threads take. A row that is named very often, as some words are, must not be left
 * to one worker: its entries are cut into {@link #parts} of a fixed length, whose sums are added up
 * in a second round. Cuts depend on the bags alone, so that the bits of a sum do not depend on the
 * workers.
 */
public final class TransposedBags implements AutoCloseable {
  /** The number of entries from which on a row is cut, and the length of its parts. */
  static final int PART = 512;

  /**
   * The maximum number of shares of the rows, which threads sort and pack separately; a power of 2.
   */
  private static final int MOST_SHARES = 16;

  /** The number of entries below which one thread is as fast. */
  private static final int SHARED_ENTRIES = 1 << 13;

  /** A multiplier that spreads numbers: 2<sup>32</sup> over the golden ratio. */
  private static final int GOLDEN_RATIO = 0x9E3779B9;

  /**
   * Bags whose sums are gradients.
   *
   * @param targets for each bag the row of the table, no row twice
   * @param steps room for a number for each bag
   */
  public record Group(Bags bags, Slice targets, Slice steps) {}

  private final Scratch scratch;
  private final Group whole;
  private final Group cut;
  private final Bags parts;

  private TransposedBags(Scratch scratch, Group whole, Group cut, Bags parts) {
    this.scratch = scratch;
    this.whole = whole;
    this.cut = cut;
    this.parts = parts;
  }

  /** Returns the rows that are not cut: sums of rows of the batch. */
  public Group whole() {
    return whole;
  }

  /** Returns the rows that are cut: sums of the sums of {@link #parts}. */
  public Group cut() {
    return cut;
  }

  /** Returns the parts of the rows that are cut: sums of rows of the batch. */
  public Bags parts() {
    return parts;
  }

  /** Runs tasks, several at a time where that is faster. */
  public interface Tasks {
    void run(int count, IntConsumer task);
  }

  /**
   * Transposes bags.
   *
   * @param bound the exclusive bound of all indices
   * @param reduction the reduction, which becomes part of the factors
   * @param tasks runs what threads can share
   * @throws IllegalArgumentException if there are too many entries
   */
  public static TransposedBags of(Bags bags, int bound, Reduction reduction, Tasks tasks) {
    Builder builder = Builder.borrow();
    TransposedBags transposed = builder.build(bags, bound, reduction, tasks);
    builder.giveBack();
    return transposed;
  }

  /** The heap arrays of a call, which the next call reuses. */
  private static final class Builder {
    private static final SoftPool<Builder> IDLE = new SoftPool<>();

    private final NamedRows[] shares = new NamedRows[MOST_SHARES];

    /** The number of entries of each share. */
    private final int[] next = new int[MOST_SHARES];

    /** The row that each entry names, and the bag that it is in. */
    private int[] rowOf = {};

    private int[] bagOf = {};

    /** The factor of each entry, unless all are 1. */
    private float[] factors = {};

    /** The packed array. */
    private int[] ints = {};

    private float[] factorsOfRows = {};

    Builder() {
      Arrays.setAll(shares, s -> new NamedRows());
    }

    static Builder borrow() {
      Builder pooled = IDLE.poll();
      return pooled != null ? pooled : new Builder();
    }

    void giveBack() {
      IDLE.offer(this);
    }

    TransposedBags build(Bags bags, int bound, Reduction reduction, Tasks tasks) {
      NamedRows.Entries entries = entries(bags, bound, reduction);
      int count = bags.entries() < SHARED_ENTRIES ? 1 : MOST_SHARES;
      distribute(bags.entries(), count);
      tasks.run(count, s -> shares[s].sort(entries));
      NamedRows.Counts counts = new NamedRows.Counts();
      for (int s = 0; s < count; s++) {
        shares[s].addTo(counts);
      }
      boolean hasFactors = entries.factors() != null;
      Layout layout = new Layout(counts, hasFactors);
      ints = GrowingArrays.ints(ints, layout.factors);
      factorsOfRows = GrowingArrays.floats(factorsOfRows, hasFactors ? bags.entries() : 0);
      layout.ints = ints;
      layout.factorsOfRows = factorsOfRows;
      tasks.run(count, s -> shares[s].pack(layout));
      return layout.write();
    }

    private NamedRows.Entries entries(Bags bags, int bound, Reduction reduction) {
      int count = bags.entries();
      rowOf = GrowingArrays.ints(rowOf, count);
      bags.indices().storage().getInts(bags.indices().begin(), rowOf, 0, count);
      boolean weighted = bags.values() != null;
      boolean hasFactors = weighted || reduction != Reduction.SUM;
      bagOf = GrowingArrays.ints(bagOf, count);
      factors = GrowingArrays.floats(factors, hasFactors ? count : 0);
      if (weighted) {
        bags.values().storage().getFloats(bags.values().begin(), factors, 0, count);
      }
      int begin = 0;
      for (int bag = 0; bag < bags.count(); bag++) {
        int end = bags.offsets().getInt(bag + 1L);
        Arrays.fill(bagOf, begin, end, bag);
        if (hasFactors) {
          double factor = reduction.factor(end - begin);
          for (int e = begin; e < end; e++) {
            factors[e] = (float) (weighted ? factor * factors[e] : factor);
          }
        }
        begin = end;
      }
      return new NamedRows.Entries(rowOf, bagOf, hasFactors ? factors : null, bound);
    }

    /** Distributes the entries to the shares of their rows. */
    private void distribute(int entries, int count) {
      Arrays.fill(next, 0);
      for (int e = 0; e < entries; e++) {
        next[share(rowOf[e], count)]++;
      }
      int[][] orders = new int[count][];
      for (int s = 0; s < count; s++) {
        orders[s] = shares[s].orderOf(next[s]);
      }
      Arrays.fill(next, 0);
      for (int e = 0; e < entries; e++) {
        int s = share(rowOf[e], count);
        orders[s][next[s]++] = e;
      }
    }

    /** Returns the share of a row; rows of any pattern are spread. */
    private static int share(int row, int count) {
      return ((row * GOLDEN_RATIO) >>> (Integer.SIZE / 2)) & (count - 1);
    }
  }

  /** The places of all parts in one piece of memory, and the content during writing. */
  static final class Layout {
    private final NamedRows.Counts counts;
    private final boolean hasFactors;
    private int length;
    final int wholeEntries;
    final int wholeOffsets;
    final int wholeTargets;
    final int cutOffsets;
    final int cutTargets;
    final int cutParts;
    final int partOffsets;
    final int rows;

    /** The first factor; everything before it is an integer. */
    private final int factors;

    private final int steps;

    /** The integers. */
    int[] ints;

    /** The content at {@link #factors}. */
    float[] factorsOfRows;

    Layout(NamedRows.Counts counts, boolean hasFactors) {
      this.counts = counts;
      this.hasFactors = hasFactors;
      wholeEntries = counts.wholeEntries;
      wholeOffsets = take(counts.whole + 1);
      wholeTargets = take(counts.whole);
      cutOffsets = take(counts.cut + 1);
      cutTargets = take(counts.cut);
      cutParts = take(counts.parts);
      partOffsets = take(counts.parts + 1);
      rows = take(entries());
      factors = take(hasFactors ? entries() : 0);
      steps = take(counts.whole + counts.cut);
    }

    private int entries() {
      return wholeEntries + counts.cutEntries;
    }

    private int take(int elements) {
      int begin = length;
      if (elements > Integer.MAX_VALUE - begin) {
        throw new IllegalArgumentException(
            "rows: " + entries() + " entries are too many for one step; split the batch");
      }
      length += elements;
      return begin;
    }

    /** Returns the content in its own memory, once all shares are packed. */
    TransposedBags write() {
      ints[wholeOffsets] = 0;
      ints[cutOffsets] = 0;
      ints[partOffsets] = 0;
      Scratch scratch = Scratch.borrow(length);
      try {
        Storage packed = scratch.storage();
        packed.putInts(0, ints, 0, factors);
        if (hasFactors) {
          packed.putFloats(factors, factorsOfRows, 0, entries());
        }
        return transposed(scratch, packed);
      } catch (Throwable e) {
        scratch.close();
        throw e;
      }
    }

    private TransposedBags transposed(Scratch scratch, Storage packed) {
      return new TransposedBags(
          scratch,
          new Group(
              new Bags(
                  counts.whole,
                  new Slice(packed, wholeOffsets),
                  new Slice(packed, rows),
                  hasFactors ? new Slice(packed, factors) : null,
                  wholeEntries),
              new Slice(packed, wholeTargets),
              new Slice(packed, steps)),
          new Group(
              new Bags(
                  counts.cut,
                  new Slice(packed, cutOffsets),
                  new Slice(packed, cutParts),
                  null,
                  counts.parts),
              new Slice(packed, cutTargets),
              new Slice(packed, steps + counts.whole)),
          new Bags(
              counts.parts,
              new Slice(packed, partOffsets),
              new Slice(packed, rows + wholeEntries),
              hasFactors ? new Slice(packed, factors + wholeEntries) : null,
              counts.cutEntries));
    }
  }

  @Override
  public void close() {
    scratch.close();
  }
}
