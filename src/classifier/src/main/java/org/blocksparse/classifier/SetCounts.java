// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier;

import java.util.Arrays;
import org.blocksparse.SparseRows;
import org.blocksparse.ranking.Ranking;

/**
 * Counts of prediction sets: how often they hold a right label, and how many labels they hold.
 *
 * <p>Not for several threads at the same time.
 */
public final class SetCounts {
  /** Labels that fewer examples of the training have are rare. */
  public static final int FEW = 10;

  /** The number of examples of the training with each label; null: it is not known. */
  private final long[] countOfLabel;

  private long examples;
  private long right;
  private long labels;
  private long rareExamples;
  private long rareRight;
  private long rareLabels;

  SetCounts(LabelCounts counts) {
    this.countOfLabel = counts == null ? null : counts.ofLabels();
  }

  /**
   * Adds a batch.
   *
   * @param sets the labels of each row's set
   * @param rightLabels of each row; those that the model does not know are numbers of no output
   */
  void add(Ranking sets, SparseRows rightLabels) {
    for (int row = 0; row < sets.batch(); row++) {
      int[] ofRow = Arrays.stream(rightLabels.indices(row)).sorted().toArray();
      if (ofRow.length == 0) {
        continue;
      }
      boolean holds =
          Arrays.stream(sets.outputs(row)).anyMatch(o -> Arrays.binarySearch(ofRow, o) >= 0);
      examples++;
      right += holds ? 1 : 0;
      labels += sets.size(row);
      if (Arrays.stream(ofRow).allMatch(this::isRare)) {
        rareExamples++;
        rareRight += holds ? 1 : 0;
        rareLabels += sets.size(row);
      }
    }
  }

  private boolean isRare(int label) {
    return countOfLabel != null && (label >= countOfLabel.length || countOfLabel[label] < FEW);
  }

  /** The share of sets that hold a right label; NaN if there are no examples. */
  public double coverage() {
    return (double) right / examples;
  }

  /** The mean number of labels of a set. */
  public double size() {
    return (double) labels / examples;
  }

  /** The number of examples all of whose labels are rare. */
  public long rareExamples() {
    return rareExamples;
  }

  /** The share of their sets that hold a right label; NaN if there are none. */
  public double rareCoverage() {
    return (double) rareRight / rareExamples;
  }

  /** The mean number of labels of their sets. */
  public double rareSize() {
    return (double) rareLabels / rareExamples;
  }
}
