// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import java.util.Arrays;
import org.blocksparse.internal.kernels.RowSoftmax;
import org.blocksparse.internal.memory.Rows;
import org.blocksparse.internal.search.AllowedSlots;
import org.blocksparse.internal.search.Candidates;
import org.blocksparse.internal.search.ClassTable;

/**
 * Log probabilities among the allowed outputs of each row, in double: the model's own, minus that
 * of all allowed ones together.
 *
 * <p>A class that is allowed as a whole has P(class). Of the others that hold something allowed,
 * what that has is added up, so nothing is lost by a difference where nearly everything is left
 * out. They are opened from the likeliest on, until all that are left cannot change the total by
 * more than 2<sup>-30</sup> of it, which is below the precision of a float.
 *
 * <p>All is computed from logits. Log probabilities that were rounded to floats would have totals
 * that are off by more, and outputs that are equally likely would differ from their equal share.
 */
final class AllowedTotals {
  private static final double NEGLIGIBLE = 0x1p-30;

  /** The cost of looking at one result, or at one class, in multiply-adds. */
  private static final long LOOK_WORK = 16;

  private final TwoLevelSoftmax softmax;
  private final ClassTable table;
  private final Rows x;
  private final Rows classLogits;
  private final Total[] totals;

  /**
   * Finds the totals.
   *
   * @param classLogits (batch, classes), read as long as this is used
   * @param maxRound the maximum number of logits at a time
   */
  AllowedTotals(
      TwoLevelSoftmax softmax,
      ClassTable table,
      Rows x,
      Rows classLogits,
      AllowedSlots[] allowed,
      long maxRound,
      Workspace workspace) {
    this.softmax = softmax;
    this.table = table;
    this.x = x;
    this.classLogits = classLogits;
    this.totals = new Total[allowed.length];
    softmax
        .engine()
        .run(
            totals.length,
            LOOK_WORK * totals.length * table.classes(),
            (first, last) -> {
              for (int row = first; row < last; row++) {
                totals[row] = new Total(row, allowed[row]);
              }
            });
    Total[] active = unfinished(totals);
    while (active.length > 0) {
      openNext(active, maxRound, workspace);
      active = unfinished(active);
    }
  }

  /** Returns the logarithm of the total probability of the allowed outputs of a row. */
  double log(int row) {
    return totals[row].sum.log();
  }

  /**
   * Computes the log probabilities, among the allowed outputs, of all outputs of a class.
   *
   * @param logits the logits; row {@code request} has those of the class
   */
  void divide(int row, int classNumber, Rows logits, int request, float[] into) {
    Total total = totals[row];
    RowSoftmax slots = RowSoftmax.of(logits, request, table.size(classNumber));
    double ofClass = total.ofClass(classNumber) - total.sum.log();
    for (int slot = 0; slot < table.size(classNumber); slot++) {
      into[slot] = (float) Math.min(0, ofClass + slots.logProbability(logits.get(request, slot)));
    }
  }

  /** The total of one row while it is computed. */
  private final class Total {
    final int row;
    final AllowedSlots allowed;
    final RowSoftmax classes;
    final LogSum sum = new LogSum();

    /** The classes that are allowed in part, the most probable first. */
    final long[] parts;

    /** The logarithm of an upper bound of the probability of the parts from each on. */
    final double[] atMost;

    int opened;

    Total(int row, AllowedSlots allowed) {
      this.row = row;
      this.allowed = allowed;
      this.classes = RowSoftmax.of(classLogits, row, table.classes());
      long[] found = new long[table.classes()];
      int count = 0;
      for (int c = 0; c < found.length; c++) {
        if (!allowed.any(c)) {
          continue;
        }
        if (allowed.all(c)) {
          sum.add(ofClass(c));
        } else {
          found[count++] = Candidates.encode(c, (float) ofClass(c));
        }
      }
      Arrays.sort(found, 0, count);
      this.parts = Arrays.copyOf(found, count);
      this.atMost = new double[count];
      LogSum rest = new LogSum();
      for (int i = count - 1; i >= 0; i--) {
        rest.add(ofClass((int) parts[i]));
        atMost[i] = rest.log();
      }
    }

    double ofClass(int classNumber) {
      return classes.logProbability(classLogits.get(row, classNumber));
    }

    boolean isDone() {
      // This does not hold if a number is NaN.
      return opened == parts.length || atMost[opened] < sum.log() + Math.log(NEGLIGIBLE);
    }

    void add(int classNumber, Rows logits, int request) {
      RowSoftmax slots = RowSoftmax.of(logits, request, table.size(classNumber));
      double ofClass = ofClass(classNumber);
      allowed.forEachRun(
          classNumber,
          (begin, end) -> {
            for (int slot = begin; slot < end; slot++) {
              sum.add(ofClass + slots.logProbability(logits.get(request, slot)));
            }
          });
    }
  }

  private static Total[] unfinished(Total[] totals) {
    return Arrays.stream(totals).filter(total -> !total.isDone()).toArray(Total[]::new);
  }

  /**
   * Opens the next parts of each row: as many as were opened before, so that there are few rounds.
   */
  private void openNext(Total[] active, long maxRound, Workspace workspace) {
    long room = Math.max(1, maxRound / ((long) active.length * table.slots()));
    int[] begin = new int[active.length + 1];
    for (int a = 0; a < active.length; a++) {
      Total total = active[a];
      long count = Math.min(room, Math.max(1, total.opened));
      begin[a + 1] = begin[a] + (int) Math.min(count, total.parts.length - total.opened);
    }
    int[] readRow = new int[begin[active.length]];
    int[] classOf = new int[begin[active.length]];
    for (int a = 0; a < active.length; a++) {
      for (int request = begin[a]; request < begin[a + 1]; request++) {
        readRow[request] = active[a].row;
        classOf[request] = (int) active[a].parts[active[a].opened++];
      }
    }
    Rows logits = softmax.openLogits(x, classOf.length, readRow, classOf, workspace);
    softmax
        .engine()
        .run(
            active.length,
            LOOK_WORK * classOf.length * table.slots(),
            (first, last) -> {
              for (int a = first; a < last; a++) {
                for (int request = begin[a]; request < begin[a + 1]; request++) {
                  active[a].add(classOf[request], logits, request);
                }
              }
            });
  }
}
