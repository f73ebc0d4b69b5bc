// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.schedule;

import java.lang.ref.SoftReference;
import java.util.Arrays;
import org.blocksparse.internal.memory.GrowingArrays;
import org.blocksparse.internal.memory.Scratch;
import org.blocksparse.internal.memory.Slice;
import org.blocksparse.internal.memory.SoftPool;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.schedule.Bags.Reduction;

/**
 * Bags the other way round: for each row of the table that they name, the bags that name it. So the
 * whole gradient of a row is the sum of one bag of this kind, however often the row is named, and
 * nobody else writes it.
 *
 * <p>Entries are sorted by the row that they name, stably and in linear time. A row that is named
 * very often, as some words always are, must not be left to one worker: its entries are cut into
 * {@link #parts} of a fixed length, whose sums are added up in a second round. What is cut depends
 * on the bags alone, so that the bits of a sum do not depend on the workers.
 */
public final class TransposedBags implements AutoCloseable {
  /** Entries of a row from which on it is cut, into parts of that length. */
  static final int PART = 512;

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

  /** Rows that are not cut: sums of rows of the batch. */
  public Group whole() {
    return whole;
  }

  /** Rows that are cut: sums of the sums of {@link #parts}. */
  public Group cut() {
    return cut;
  }

  /** Parts of the rows that are cut: sums of rows of the batch. */
  public Bags parts() {
    return parts;
  }

  /**
   * Transposes bags.
   *
   * @param bound what all indices are less than
   * @param reduction what the sum of each bag is multiplied by; it goes into the factors
   * @throws IllegalArgumentException if there are too many entries
   */
  public static TransposedBags of(Bags bags, int bound, Reduction reduction) {
    Builder builder = Builder.borrow();
    TransposedBags transposed = builder.build(bags, bound, reduction);
    builder.giveBack();
    return transposed;
  }

  /** What a call needs on the heap: arrays, of which the next call uses what is there. */
  private static final class Builder {
    private static final SoftPool<Builder> IDLE = new SoftPool<>();

    private final SoftReference<Builder> idle = new SoftReference<>(this);
    private final RadixSort sort = new RadixSort();

    /** Of each entry the row that it names, and the bag that it is in. */
    private int[] keys = {};

    private int[] bagOf = {};

    /** What each entry is multiplied by, if {@link #hasFactors}; else all are 1. */
    private float[] factors = {};

    /** The entries in their order, and by the row that they name. */
    private int[] order = {};

    private int[] sorted;

    /** What is packed. */
    private int[] ints = {};

    private float[] sortedFactors = {};

    private int entries;
    private boolean hasFactors;
    private int wholeCount;
    private int wholeEntries;
    private int cutCount;
    private int partCount;

    static Builder borrow() {
      Builder pooled = IDLE.poll();
      return pooled != null ? pooled : new Builder();
    }

    void giveBack() {
      IDLE.offer(idle);
    }

    TransposedBags build(Bags bags, int bound, Reduction reduction) {
      entries = bags.entries();
      keys = GrowingArrays.ints(keys, entries);
      bags.indices().storage().getInts(bags.indices().begin(), keys, 0, entries);
      order = GrowingArrays.ints(order, entries);
      for (int e = 0; e < entries; e++) {
        order[e] = e;
      }
      sorted = sort.sort(keys, bound, order, entries);
      describeEntries(bags, reduction);
      count();
      Layout layout = new Layout(this);
      ints = GrowingArrays.ints(ints, layout.factors);
      sortedFactors = GrowingArrays.floats(sortedFactors, hasFactors ? entries : 0);
      return layout.pack();
    }

    private void describeEntries(Bags bags, Reduction reduction) {
      boolean weighted = bags.values() != null;
      hasFactors = weighted || reduction != Reduction.SUM;
      bagOf = GrowingArrays.ints(bagOf, entries);
      factors = GrowingArrays.floats(factors, hasFactors ? entries : 0);
      if (weighted) {
        bags.values().storage().getFloats(bags.values().begin(), factors, 0, entries);
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
    }

    private void count() {
      wholeCount = 0;
      wholeEntries = 0;
      cutCount = 0;
      partCount = 0;
      for (int begin = 0; begin < entries; ) {
        int end = endOfRow(begin);
        if (end - begin > PART) {
          cutCount++;
          partCount += parts(end - begin);
        } else {
          wholeCount++;
          wholeEntries += end - begin;
        }
        begin = end;
      }
    }

    private int endOfRow(int begin) {
      int end = begin + 1;
      while (end < entries && keys[sorted[end]] == keys[sorted[begin]]) {
        end++;
      }
      return end;
    }

    private static int parts(int size) {
      return (size - 1) / PART + 1;
    }
  }

  /** Where everything lies in one piece of memory, and the content as it is written. */
  private static final class Layout {
    private final Builder from;
    private int length;
    private final int wholeOffsets;
    private final int wholeTargets;
    private final int cutOffsets;
    private final int cutTargets;
    private final int cutParts;
    private final int partOffsets;
    private final int rows;

    /** Before it, all are integers that are written here. */
    private final int factors;

    private final int steps;

    Layout(Builder from) {
      this.from = from;
      wholeOffsets = take(from.wholeCount + 1);
      wholeTargets = take(from.wholeCount);
      cutOffsets = take(from.cutCount + 1);
      cutTargets = take(from.cutCount);
      cutParts = take(from.partCount);
      partOffsets = take(from.partCount + 1);
      rows = take(from.entries);
      factors = take(from.hasFactors ? from.entries : 0);
      steps = take(from.wholeCount + from.cutCount);
    }

    private int take(int elements) {
      int begin = length;
      if (elements > Integer.MAX_VALUE - begin) {
        throw new IllegalArgumentException(
            "rows: " + from.entries + " entries are too many for one step; split the batch");
      }
      length += elements;
      return begin;
    }

    TransposedBags pack() {
      int[] ints = from.ints;
      ints[wholeOffsets] = 0;
      ints[cutOffsets] = 0;
      ints[partOffsets] = 0;
      int whole = 0;
      int wholeEntry = 0;
      int cut = 0;
      int part = 0;
      int cutEntry = from.wholeEntries;
      for (int begin = 0; begin < from.entries; ) {
        int end = from.endOfRow(begin);
        int size = end - begin;
        int target = from.keys[from.sorted[begin]];
        if (size > PART) {
          ints[cutTargets + cut++] = target;
          for (int done = 0; done < size; done += PART) {
            ints[cutParts + part] = part;
            ints[partOffsets + ++part] = cutEntry - from.wholeEntries + Math.min(size, done + PART);
          }
          ints[cutOffsets + cut] = part;
          move(begin, end, cutEntry);
          cutEntry += size;
        } else {
          ints[wholeTargets + whole++] = target;
          move(begin, end, wholeEntry);
          wholeEntry += size;
          ints[wholeOffsets + whole] = wholeEntry;
        }
        begin = end;
      }
      return write();
    }

    private void move(int begin, int end, int to) {
      for (int i = begin; i < end; i++) {
        from.ints[rows + to + i - begin] = from.bagOf[from.sorted[i]];
        if (from.hasFactors) {
          from.sortedFactors[to + i - begin] = from.factors[from.sorted[i]];
        }
      }
    }

    private TransposedBags write() {
      Scratch scratch = Scratch.borrow(length);
      Storage packed = scratch.storage();
      packed.putInts(0, from.ints, 0, factors);
      if (from.hasFactors) {
        packed.putFloats(factors, from.sortedFactors, 0, from.entries);
      }
      int cutEntries = from.entries - from.wholeEntries;
      return new TransposedBags(
          scratch,
          new Group(
              new Bags(
                  from.wholeCount,
                  new Slice(packed, wholeOffsets),
                  new Slice(packed, rows),
                  from.hasFactors ? new Slice(packed, factors) : null,
                  from.wholeEntries),
              new Slice(packed, wholeTargets),
              new Slice(packed, steps)),
          new Group(
              new Bags(
                  from.cutCount,
                  new Slice(packed, cutOffsets),
                  new Slice(packed, cutParts),
                  null,
                  from.partCount),
              new Slice(packed, cutTargets),
              new Slice(packed, steps + from.wholeCount)),
          new Bags(
              from.partCount,
              new Slice(packed, partOffsets),
              new Slice(packed, rows + from.wholeEntries),
              from.hasFactors ? new Slice(packed, factors + from.wholeEntries) : null,
              cutEntries));
    }
  }

  @Override
  public void close() {
    scratch.close();
  }
}
