// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.softmax;

import java.util.Arrays;
import org.blocksparse.internal.Engine;
import org.blocksparse.internal.Rows;

/**
 * What the allowed outputs of each row have together.
 *
 * <p>A class that is allowed as a whole has P(class). Of the others that hold something allowed,
 * what that has is added up, so nothing is lost by a difference where nearly everything is left
 * out. They are opened from the likeliest on, until all that are left cannot change the total by
 * more than 2<sup>-30</sup> of it, which no float can tell.
 */
final class AllowedTotals {
  private static final double NEGLIGIBLE = 0x1p-30;

  /** What looking at one result, or at one class, costs in multiply-adds. */
  private static final long LOOK_WORK = 16;

  private final TwoLevelSoftmax softmax;
  private final long maxRound;

  /**
   * Totals to be found.
   *
   * @param maxRound elements of results that are made at a time
   */
  AllowedTotals(TwoLevelSoftmax softmax, long maxRound) {
    this.softmax = softmax;
    this.maxRound = maxRound;
  }

  /** The total of one row on its way. */
  private static final class Total {
    final int row;
    final AllowedSlots allowed;
    final LogSum sum = new LogSum();

    /** Classes that are allowed in part, the likeliest first. */
    final long[] parts;

    /** The logarithm of what the parts from each on have at most. */
    final double[] atMost;

    int opened;

    Total(int row, AllowedSlots allowed, float[] logProbabilities) {
      this.row = row;
      this.allowed = allowed;
      long[] found = new long[logProbabilities.length];
      int count = 0;
      for (int c = 0; c < found.length; c++) {
        if (!allowed.any(c)) {
          continue;
        }
        if (allowed.all(c)) {
          sum.add(logProbabilities[c]);
        } else {
          found[count++] = Candidates.encode(c, logProbabilities[c]);
        }
      }
      Arrays.sort(found, 0, count);
      this.parts = Arrays.copyOf(found, count);
      this.atMost = new double[count];
      LogSum rest = new LogSum();
      for (int i = count - 1; i >= 0; i--) {
        rest.add(Candidates.logProbability(parts[i]));
        atMost[i] = rest.log();
      }
    }

    boolean isDone() {
      // Not so if something is NaN.
      return opened == parts.length || atMost[opened] < sum.log() + Math.log(NEGLIGIBLE);
    }

    void add(int classNumber, float[] logProbabilities) {
      allowed.forEachRun(
          classNumber,
          (begin, end) -> {
            for (int slot = begin; slot < end; slot++) {
              sum.add(logProbabilities[slot]);
            }
          });
    }
  }

  /** The logarithm of the total of each row. */
  double[] of(Rows x, Rows classes, AllowedSlots[] allowed, Workspace workspace) {
    SoftmaxSizes sizes = softmax.sizes();
    Total[] totals = new Total[allowed.length];
    softmax
        .engine()
        .run(
            totals.length,
            LOOK_WORK * totals.length * sizes.classes(),
            (first, last) -> {
              float[] logProbabilities = new float[sizes.classes()];
              for (int row = first; row < last; row++) {
                classes.get(row, 0, logProbabilities);
                totals[row] = new Total(row, allowed[row], logProbabilities);
              }
            });
    Total[] active = unfinished(totals);
    while (active.length > 0) {
      openNext(active, x, classes, workspace);
      active = unfinished(active);
    }
    return Arrays.stream(totals).mapToDouble(total -> total.sum.log()).toArray();
  }

  private static Total[] unfinished(Total[] totals) {
    return Arrays.stream(totals).filter(total -> !total.isDone()).toArray(Total[]::new);
  }

  /** Opens the next parts of each row: as many as were opened before, so that rounds are few. */
  private void openNext(Total[] active, Rows x, Rows classes, Workspace workspace) {
    Engine engine = softmax.engine();
    int slots = softmax.sizes().slots();
    long room = Math.max(1, maxRound / ((long) active.length * slots));
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
    Rows results = softmax.open(x, classes, classOf.length, readRow, classOf, true, workspace);
    engine.run(
        active.length,
        LOOK_WORK * classOf.length * slots,
        (first, last) -> {
          float[] logProbabilities = new float[slots];
          for (int a = first; a < last; a++) {
            for (int request = begin[a]; request < begin[a + 1]; request++) {
              results.get(request, 0, logProbabilities);
              active[a].add(classOf[request], logProbabilities);
            }
          }
        });
  }
}
