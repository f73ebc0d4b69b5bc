// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import java.util.Objects;

/**
 * The likeliest outputs of each row, best first; those with the same probability by ascending
 * number.
 *
 * <p>{@link #openedClasses} is the certificate that nothing was missed: classes are opened in the
 * order of their probability, and no output is likelier than its class, so every class that was
 * left closed holds only outputs that are less likely than those here.
 *
 * <p>Immutable.
 */
public final class Ranking {
  /** Rows, and ranks of a row, that {@link #toString} shows. */
  private static final int SHOWN = 3;

  private final int[][] outputs;
  private final float[][] logProbabilities;
  private final int[] openedClasses;

  Ranking(int[][] outputs, float[][] logProbabilities, int[] openedClasses) {
    this.outputs = outputs;
    this.logProbabilities = logProbabilities;
    this.openedClasses = openedClasses;
  }

  /** The number of rows. */
  public int batch() {
    return outputs.length;
  }

  /**
   * How many outputs were found for a row. None if its probabilities are not numbers.
   *
   * @throws IndexOutOfBoundsException if there is no such row
   */
  public int size(int row) {
    return row(row).length;
  }

  /**
   * The output at a rank, 0 being the likeliest.
   *
   * @throws IndexOutOfBoundsException if there is no such row, or no such rank in it
   */
  public int output(int row, int rank) {
    return row(row)[Objects.checkIndex(rank, row(row).length)];
  }

  /**
   * The natural logarithm of the probability of the output at a rank; errors as {@link #output}.
   */
  public float logProbability(int row, int rank) {
    int size = size(row);
    return logProbabilities[row][Objects.checkIndex(rank, size)];
  }

  /** The probability of the output at a rank; errors as {@link #output}. */
  public double probability(int row, int rank) {
    return Math.exp(logProbability(row, rank));
  }

  /**
   * All outputs of a row, best first, in a new array.
   *
   * @throws IndexOutOfBoundsException if there is no such row
   */
  public int[] outputs(int row) {
    return row(row).clone();
  }

  /**
   * The log probabilities of all outputs of a row, best first, in a new array.
   *
   * @throws IndexOutOfBoundsException if there is no such row
   */
  public float[] logProbabilities(int row) {
    return logProbabilities[Objects.checkIndex(row, logProbabilities.length)].clone();
  }

  /**
   * How many classes were opened for a row.
   *
   * @throws IndexOutOfBoundsException if there is no such row
   */
  public int openedClasses(int row) {
    return openedClasses[Objects.checkIndex(row, openedClasses.length)];
  }

  private int[] row(int row) {
    return outputs[Objects.checkIndex(row, outputs.length)];
  }

  /** The first rows, and the best outputs of each with their probabilities. */
  @Override
  public String toString() {
    StringBuilder text = new StringBuilder("Ranking(").append(batch()).append(" rows");
    for (int row = 0; row < Math.min(batch(), SHOWN); row++) {
      text.append("; ").append(row).append(':');
      for (int rank = 0; rank < Math.min(size(row), SHOWN); rank++) {
        text.append(" %d (%.4g)".formatted(output(row, rank), probability(row, rank)));
      }
      text.append(size(row) > SHOWN ? " ..." : "");
    }
    return text.append(batch() > SHOWN ? "; ...)" : ")").toString();
  }
}
