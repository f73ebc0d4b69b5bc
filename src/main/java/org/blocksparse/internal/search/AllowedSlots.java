// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.search;

import java.util.Arrays;
import java.util.stream.IntStream;

/**
 * The outputs that are allowed for one row, by class and slot.
 *
 * <p>A search opens few classes, and reads only their slots.
 */
public abstract sealed class AllowedSlots {
  final ClassTable table;

  private AllowedSlots(ClassTable table) {
    this.table = table;
  }

  /** Returns all outputs. */
  public static AllowedSlots all(ClassTable table) {
    return new Listed(table, false, SlotList.EMPTY);
  }

  /** Allows the listed outputs alone, or all others. */
  static AllowedSlots of(ClassTable table, boolean only, SlotList list) {
    return new Listed(table, only, list);
  }

  /** Returns the slots that both allow. */
  AllowedSlots and(AllowedSlots other) {
    return new Both(this, other);
  }

  /** Receives slots [begin, end) of a class, all of which are allowed. */
  public interface Run {
    void accept(int begin, int end);
  }

  /** Passes on the allowed slots of a class, ascending, in as few runs as possible. */
  public final void forEachRun(int classNumber, Run run) {
    int[] runs = runs(classNumber);
    for (int i = 0; i < runs.length; i += 2) {
      run.accept(runs[i], runs[i + 1]);
    }
  }

  /** Returns whether a class holds an output that is allowed. */
  public abstract boolean any(int classNumber);

  /** Returns whether all outputs of a class are allowed. */
  public abstract boolean all(int classNumber);

  /** Returns whether no output at all is allowed. */
  public abstract boolean none();

  /** Returns a lower bound of the allowed outputs of a class, in constant time. */
  abstract int atLeast(int classNumber);

  /** Returns the begin and the end of each run of allowed slots. */
  abstract int[] runs(int classNumber);

  private static final class Listed extends AllowedSlots {
    /** Whether only the listed slots are allowed; otherwise all others are. */
    private final boolean only;

    private final SlotList list;

    Listed(ClassTable table, boolean only, SlotList list) {
      super(table);
      this.only = only;
      this.list = list;
    }

    /** Returns whether all outputs of a class are listed. */
    private boolean isFull(int classNumber) {
      // Nearly all classes are decided without the table.
      return list.count(classNumber) > 0 && list.isFull(classNumber, table.size(classNumber));
    }

    @Override
    public boolean any(int classNumber) {
      return only ? list.count(classNumber) > 0 : !isFull(classNumber);
    }

    @Override
    public boolean all(int classNumber) {
      return only ? isFull(classNumber) : list.count(classNumber) == 0;
    }

    @Override
    public boolean none() {
      return only
          ? list.size() == 0
          : list.size() > 0
              && list.size() >= table.live()
              && IntStream.range(0, table.classes()).allMatch(this::isFull);
    }

    @Override
    int atLeast(int classNumber) {
      return only
          ? list.atLeast(classNumber)
          : Math.max(0, table.size(classNumber) - list.count(classNumber));
    }

    @Override
    int[] runs(int classNumber) {
      int[] sorted = list.sorted(classNumber);
      int[] runs = new int[2 * sorted.length + 2];
      int count = 0;
      int next = 0;
      for (int i = 0; i < sorted.length; ) {
        int first = sorted[i];
        int last = first;
        for (i++; i < sorted.length && sorted[i] <= last + 1; i++) {
          last = sorted[i];
        }
        int begin = only ? first : next;
        int end = only ? last + 1 : first;
        if (begin < end) {
          runs[count++] = begin;
          runs[count++] = end;
        }
        next = last + 1;
      }
      int size = table.size(classNumber);
      if (!only && next < size) {
        runs[count++] = next;
        runs[count++] = size;
      }
      return Arrays.copyOf(runs, count);
    }
  }

  private static final class Both extends AllowedSlots {
    private final AllowedSlots one;
    private final AllowedSlots other;

    Both(AllowedSlots one, AllowedSlots other) {
      super(one.table);
      this.one = one;
      this.other = other;
    }

    @Override
    public boolean any(int classNumber) {
      return one.any(classNumber)
          && other.any(classNumber)
          && (atLeast(classNumber) > 0 || runs(classNumber).length > 0);
    }

    @Override
    public boolean all(int classNumber) {
      return one.all(classNumber) && other.all(classNumber);
    }

    @Override
    public boolean none() {
      return IntStream.range(0, table.classes()).noneMatch(this::any);
    }

    @Override
    int atLeast(int classNumber) {
      int together = one.atLeast(classNumber) + other.atLeast(classNumber);
      return Math.max(0, together - table.size(classNumber));
    }

    @Override
    int[] runs(int classNumber) {
      int[] a = one.runs(classNumber);
      int[] b = other.runs(classNumber);
      int[] runs = new int[a.length + b.length];
      int count = 0;
      for (int i = 0, j = 0; i < a.length && j < b.length; ) {
        int begin = Math.max(a[i], b[j]);
        int end = Math.min(a[i + 1], b[j + 1]);
        if (begin < end) {
          runs[count++] = begin;
          runs[count++] = end;
        }
        if (a[i + 1] == end) {
          i += 2;
        } else {
          j += 2;
        }
      }
      return Arrays.copyOf(runs, count);
    }
  }
}
