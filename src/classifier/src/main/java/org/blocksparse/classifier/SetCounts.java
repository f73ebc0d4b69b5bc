// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier;

import java.util.Arrays;
import org.blocksparse.SparseRows;
import org.blocksparse.ranking.Ranking;

/**
 * Counts of prediction sets: the sets with a right label, and the labels in them.
 *
 * <p>Not for several threads at the same time.
 */
public final class SetCounts {
  /** The number of training examples below which a label is rare. */
  public static final int FEW = 10;

  /** The number of training examples with each label; null if unknown. */
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
   * @param rightLabels the right labels of each row; those that the model does not know are numbers
   *     of no output
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

  /** Returns the share of sets that hold a right label; NaN if there are no examples. */
  public double coverage() {
    return (double) right / examples;
  }

  /** Returns the mean number of labels of a set. */
  public double size() {
    return (double) labels / examples;
  }

  /** Returns the number of examples all of whose labels are rare. */
  public long rareExamples() {
    return rareExamples;
  }

  /** Returns the share of these examples whose sets hold a right label; NaN if there are none. */
  public double rareCoverage() {
    return (double) rareRight / rareExamples;
  }

  /** Returns the mean number of labels of their sets. */
  public double rareSize() {
    return (double) rareLabels / rareExamples;
  }
}
