// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.schedule;

import java.util.Arrays;
import org.blocksparse.internal.memory.Scratch;
import org.blocksparse.internal.memory.Slice;
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
   */
  public static TransposedBags of(Bags bags, int bound, Reduction reduction) {
    int entries = bags.entries();
    int[] keys = new int[entries];
    bags.indices().storage().getInts(bags.indices().begin(), keys, 0, entries);
    int[] sorted = new int[entries];
    Arrays.setAll(sorted, e -> e);
    sorted = RadixSort.sort(keys, bound, sorted);
    return new Builder(bags, reduction, keys, sorted).build();
  }

  private static final class Builder {
    private final int[] keys;
    private final int[] sorted;
    private final int[] bagOf;

    /** Null: all are 1. */
    private final float[] factors;

    private int wholeCount;
    private int wholeEntries;
    private int cutCount;
    private int partCount;

    Builder(Bags bags, Reduction reduction, int[] keys, int[] sorted) {
      this.keys = keys;
      this.sorted = sorted;
      this.bagOf = new int[keys.length];
      boolean weighted = bags.values() != null;
      this.factors = weighted || reduction != Reduction.SUM ? new float[keys.length] : null;
      if (weighted) {
        bags.values().storage().getFloats(bags.values().begin(), factors, 0, factors.length);
      }
      int begin = 0;
      for (int bag = 0; bag < bags.count(); bag++) {
        int end = bags.offsets().getInt(bag + 1L);
        Arrays.fill(bagOf, begin, end, bag);
        if (factors != null) {
          double factor = reduction.factor(end - begin);
          for (int e = begin; e < end; e++) {
            factors[e] = (float) (weighted ? factor * factors[e] : factor);
          }
        }
        begin = end;
      }
    }

    private int endOfRow(int begin) {
      int end = begin + 1;
      while (end < sorted.length && keys[sorted[end]] == keys[sorted[begin]]) {
        end++;
      }
      return end;
    }

    private static int parts(int size) {
      return (size - 1) / PART + 1;
    }

    TransposedBags build() {
      for (int begin = 0; begin < sorted.length; ) {
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
      return new Layout(this).pack();
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
    private final int[] ints;
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
      rows = take(from.sorted.length);
      ints = new int[length];
      factors = take(from.factors == null ? 0 : from.sorted.length);
      steps = take(from.wholeCount + from.cutCount);
    }

    private int take(int elements) {
      int begin = length;
      if (elements > Integer.MAX_VALUE - begin) {
        throw new IllegalArgumentException(
            "rows: " + from.sorted.length + " entries are too many for one step; split the batch");
      }
      length += elements;
      return begin;
    }

    TransposedBags pack() {
      float[] sortedFactors = from.factors == null ? null : new float[from.sorted.length];
      int whole = 0;
      int wholeEntry = 0;
      int cut = 0;
      int part = 0;
      int cutEntry = from.wholeEntries;
      for (int begin = 0; begin < from.sorted.length; ) {
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
          move(begin, end, cutEntry, sortedFactors);
          cutEntry += size;
        } else {
          ints[wholeTargets + whole++] = target;
          move(begin, end, wholeEntry, sortedFactors);
          wholeEntry += size;
          ints[wholeOffsets + whole] = wholeEntry;
        }
        begin = end;
      }
      return write(sortedFactors);
    }

    private void move(int begin, int end, int to, float[] sortedFactors) {
      for (int i = begin; i < end; i++) {
        ints[rows + to + i - begin] = from.bagOf[from.sorted[i]];
        if (sortedFactors != null) {
          sortedFactors[to + i - begin] = from.factors[from.sorted[i]];
        }
      }
    }

    private TransposedBags write(float[] sortedFactors) {
      Scratch scratch = Scratch.borrow(length);
      Storage packed = scratch.storage();
      packed.putInts(0, ints, 0, ints.length);
      if (sortedFactors != null) {
        packed.putFloats(factors, sortedFactors, 0, sortedFactors.length);
      }
      int cutEntries = from.sorted.length - from.wholeEntries;
      return new TransposedBags(
          scratch,
          new Group(
              new Bags(
                  from.wholeCount,
                  new Slice(packed, wholeOffsets),
                  new Slice(packed, rows),
                  sortedFactors == null ? null : new Slice(packed, factors),
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
              sortedFactors == null ? null : new Slice(packed, factors + from.wholeEntries),
              cutEntries));
    }
  }

  @Override
  public void close() {
    scratch.close();
  }
}
