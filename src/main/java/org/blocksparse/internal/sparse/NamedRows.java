// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.sparse;

import org.blocksparse.internal.memory.GrowingArrays;
import org.blocksparse.internal.schedule.RadixSort;

/**
 * A share of the rows of a table that bags name, and the entries that name them: collected in their
 * order, sorted by row, and packed. Different shares are sorted and packed by different threads.
 *
 * <p>Most rows are named once or twice, unpredictably: loops go over entries or over rows, never
 * over the entries of each row, whose end would be mispredicted.
 */
final class NamedRows {
  private final RadixSort sort = new RadixSort();

  /** The entries in their order. */
  private int[] order = {};

  private int entries;

  /** The bag of each entry, sorted by row, and its factor if it has one. */
  private int[] bags = {};

  private float[] factors = {};
  private boolean hasFactors;

  /** The named rows, and the end of the entries of each. */
  private int[] rows = {};

  private int[] ends = {};
  private int rowCount;

  /**
   * The number of rows that more than {@link TransposedBags#PART} entries name, and those of their
   * entries and parts.
   */
  private int cutCount;

  private int cutEntries;
  private int partCount;

  /** The places of the first of each kind, after those of other shares. */
  private int firstWhole;

  private int firstWholeEntry;
  private int firstCut;
  private int firstCutEntry;
  private int firstPart;

  /** The numbers in all shares. */
  static final class Counts {
    int whole;
    int wholeEntries;
    int cut;
    int cutEntries;
    int parts;
  }

  /**
   * All entries.
   *
   * @param rowOf the row that each names
   * @param bagOf the bag that each is in
   * @param factors the factor of each row; null if all are 1
   * @param bound the exclusive bound of all rows
   */
  @SuppressWarnings("ArrayRecordComponent") // arrays that are reused, and may be longer
  record Entries(int[] rowOf, int[] bagOf, float[] factors, int bound) {}

  /** Returns room for the numbers of entries, which the caller writes. */
  int[] orderOf(int count) {
    entries = count;
    order = GrowingArrays.ints(order, count);
    return order;
  }

  /** Sorts the entries by row, and counts the named rows. */
  void sort(Entries all) {
    bags = GrowingArrays.ints(bags, entries);
    rows = GrowingArrays.ints(rows, entries);
    ends = GrowingArrays.ints(ends, entries);
    hasFactors = all.factors != null;
    int[] sorted = sort.sort(all.rowOf, all.bound, order, entries);
    int last = -1;
    int named = -1;
    for (int i = 0; i < entries; i++) {
      int row = all.rowOf[sorted[i]];
      int change = row ^ last;
      named += (change | -change) >>> 31; // adds 1 if it is another row
      rows[named] = row;
      ends[named] = i + 1;
      bags[i] = all.bagOf[sorted[i]];
      last = row;
    }
    rowCount = named + 1;
    if (hasFactors) {
      factors = GrowingArrays.floats(factors, entries);
      for (int i = 0; i < entries; i++) {
        factors[i] = all.factors[sorted[i]];
      }
    }
    countCut();
  }

  private void countCut() {
    cutCount = 0;
    cutEntries = 0;
    partCount = 0;
    int begin = 0;
    for (int r = 0; r < rowCount; r++) {
      int size = ends[r] - begin;
      if (size > TransposedBags.PART) {
        cutCount++;
        cutEntries += size;
        partCount += (size - 1) / TransposedBags.PART + 1;
      }
      begin = ends[r];
    }
  }

  /** Places the memory of these rows after that of the previous rows. */
  void addTo(Counts counts) {
    firstWhole = counts.whole;
    firstWholeEntry = counts.wholeEntries;
    firstCut = counts.cut;
    firstCutEntry = counts.cutEntries;
    firstPart = counts.parts;
    counts.whole += rowCount - cutCount;
    counts.wholeEntries += entries - cutEntries;
    counts.cut += cutCount;
    counts.cutEntries += cutEntries;
    counts.parts += partCount;
  }

  /** Writes the rows and entries to their places, which no other share has. */
  void pack(TransposedBags.Layout to) {
    int[] ints = to.ints;
    int whole = firstWhole;
    int wholeEntry = firstWholeEntry;
    int cut = firstCut;
    int cutEntry = firstCutEntry;
    int part = firstPart;
    int copied = 0;
    int begin = 0;
    for (int r = 0; r < rowCount; r++) {
      int end = ends[r];
      int size = end - begin;
      if (size <= TransposedBags.PART) {
        ints[to.wholeTargets + whole++] = rows[r];
        wholeEntry += size;
        ints[to.wholeOffsets + whole] = wholeEntry;
      } else {
        copy(copied, begin, to, wholeEntry - (begin - copied));
        ints[to.cutTargets + cut++] = rows[r];
        for (int done = 0; done < size; done += TransposedBags.PART) {
          ints[to.cutParts + part] = part;
          ints[to.partOffsets + ++part] = cutEntry + Math.min(size, done + TransposedBags.PART);
        }
        ints[to.cutOffsets + cut] = part;
        copy(begin, end, to, to.wholeEntries + cutEntry);
        cutEntry += size;
        copied = end;
      }
      begin = end;
    }
    copy(copied, begin, to, wholeEntry - (begin - copied));
  }

  private void copy(int begin, int end, TransposedBags.Layout to, int at) {
    System.arraycopy(bags, begin, to.ints, to.rows + at, end - begin);
    if (hasFactors) {
      System.arraycopy(factors, begin, to.factorsOfRows, at, end - begin);
    }
  }
}
