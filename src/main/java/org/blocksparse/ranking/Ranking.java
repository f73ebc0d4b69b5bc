// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.ranking;

import static java.util.Objects.requireNonNull;

import java.util.BitSet;
import java.util.Locale;
import org.blocksparse.internal.search.SearchResult;
import org.blocksparse.internal.tensors.Check;

/**
 * The most probable outputs of each row, best first, ties by ascending number.
 *
 * <p>Rankings are exact. A search opens classes in order of probability, and no output is more
 * probable than its class. It stops when no remaining class can contain an output of the ranking.
 * {@link #openedClasses} returns how many classes it opened.
 *
 * <p>Immutable.
 */
public final class Ranking {
  /** The number of rows, and of ranks of a row, that {@link #toString} shows. */
  private static final int SHOWN = 3;

  private final int[][] outputs;
  private final float[][] logProbabilities;
  private final int[] openedClasses;
  private final BitSet undefined;
  private final BitSet filteredOut;

  /** Null: there are none. */
  private final Labels labels;

  /** A ranking with names; null: without names. */
  Ranking(SearchResult found, Labels labels) {
    this.labels = labels;
    this.outputs = found.outputs();
    this.logProbabilities = found.logProbabilities();
    this.openedClasses = found.openedClasses();
    this.undefined = found.undefined();
    this.filteredOut = found.filteredOut();
  }

  /** The same without names; see {@link #of(int[][], float[][], Labels)}. */
  public static Ranking of(int[][] outputs, float[][] logProbabilities) {
    return of(outputs, logProbabilities, null);
  }

  /**
   * Rankings from another source, for example from several layers together, to pass to {@link
   * Metrics}. They have 0 opened classes.
   *
   * @param outputs the outputs of each row, best first; copied
   * @param logProbabilities the log probability of each output; copied
   * @param labels the names of outputs; null: there are none
   * @throws IllegalArgumentException if outputs and logProbabilities have different lengths
   */
  public static Ranking of(int[][] outputs, float[][] logProbabilities, Labels labels) {
    Check.length(
        "logProbabilities",
        requireNonNull(outputs, "outputs").length,
        requireNonNull(logProbabilities, "logProbabilities").length);
    int[][] ofRows = new int[outputs.length][];
    float[][] logProbabilitiesOfRows = new float[outputs.length][];
    for (int row = 0; row < outputs.length; row++) {
      ofRows[row] = requireNonNull(outputs[row], "outputs").clone();
      logProbabilitiesOfRows[row] =
          requireNonNull(logProbabilities[row], "logProbabilities").clone();
      Check.length(
          "logProbabilities[" + row + "]", ofRows[row].length, logProbabilitiesOfRows[row].length);
    }
    return new Ranking(
        new SearchResult(
            ofRows,
            logProbabilitiesOfRows,
            new int[ofRows.length],
            new BitSet(),
            new BitSet(),
            new int[ofRows.length]),
        labels);
  }

  /** The number of rows. */
  public int batch() {
    return outputs.length;
  }

  /**
   * Whether a row has a ranking. A row has none, and {@link #size} 0, if the probability of a
   * class, or of an output in an opened class, is NaN. Then x or the parameters are not finite, and
   * any order would be wrong.
   *
   * @throws IndexOutOfBoundsException if there is no such row
   */
  public boolean isDefined(int row) {
    return !undefined.get(checkRow(row));
  }

  /**
   * Whether a {@link Filter} allows no output in a row. The row then has {@link #size} 0.
   *
   * @throws IndexOutOfBoundsException if there is no such row
   */
  public boolean isFilteredOut(int row) {
    return filteredOut.get(checkRow(row));
  }

  /**
   * The number of outputs of a row; 0 if the row is not {@linkplain #isDefined defined}.
   *
   * @throws IndexOutOfBoundsException if there is no such row
   */
  public int size(int row) {
    return row(row).length;
  }

  /**
   * The output at a rank; rank 0 is the most probable output.
   *
   * @throws IndexOutOfBoundsException if there is no such row, or no such rank in it; if the row is
   *     not {@linkplain #isDefined defined}, the message has the reason
   */
  public int output(int row, int rank) {
    return row(row)[checkRank(row, rank)];
  }

  /**
   * The name of the output at a rank.
   *
   * @throws IndexOutOfBoundsException also if the output has no name, because it was added after
   *     the labels were set
   * @throws IllegalStateException if the layer had no labels
   */
  public String label(int row, int rank) {
    int output = output(row, rank);
    return Labels.orThrow(labels).name(output);
  }

  private int checkRank(int row, int rank) {
    if (size(row) == 0) {
      throw new IndexOutOfBoundsException(
          "rank "
              + rank
              + ": row "
              + row
              + (isFilteredOut(row)
                  ? " has no outputs, since the filter leaves none"
                  : isDefined(row)
                      ? " has no outputs"
                      : " has no ranking, since a probability is NaN: x or the parameters hold"
                          + " values that are not finite"));
    }
    return Check.index("rank", rank, "size", size(row));
  }

  /**
   * The natural logarithm of the probability of the output at a rank; errors as {@link #output}.
   */
  public float logProbability(int row, int rank) {
    return logProbabilities[checkRow(row)][checkRank(row, rank)];
  }

  /**
   * The score of the output at a rank, by which outputs are ranked: the log probability, or the sum
   * of weights in a ranking of {@link org.blocksparse.linear.SparseWeights}; errors as {@link
   * #output}.
   */
  public float score(int row, int rank) {
    return logProbability(row, rank);
  }

  /**
   * The probability of the output at a rank: the exponential of its log probability. Its relative
   * error is the absolute error of that float, which is at most 13 ulp in a two-level layer: 13 *
   * 2<sup>-23</sup> * |log P|. {@link org.blocksparse.softmax.HierarchicalSoftmax#probabilitiesOf}
   * and {@link org.blocksparse.softmax.LabelTree#probabilitiesOf} are nearer for unlikely outputs,
   * down to 2<sup>-126</sup>. Errors as {@link #output}.
   */
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
    return logProbabilities[checkRow(row)].clone();
  }

  /**
   * The number of classes that the search opened for a row.
   *
   * @throws IndexOutOfBoundsException if there is no such row
   */
  public int openedClasses(int row) {
    return openedClasses[checkRow(row)];
  }

  private int checkRow(int row) {
    return Check.index("row", row, "batch", outputs.length);
  }

  private int[] row(int row) {
    return outputs[checkRow(row)];
  }

  /** The first rows, and the best outputs of each with their probabilities. */
  @Override
  public String toString() {
    StringBuilder text = new StringBuilder("Ranking(").append(batch()).append(" rows");
    for (int row = 0; row < Math.min(batch(), SHOWN); row++) {
      text.append("; ").append(row).append(':');
      for (int rank = 0; rank < Math.min(size(row), SHOWN); rank++) {
        text.append(
            String.format(Locale.ROOT, " %d (%.4g)", output(row, rank), probability(row, rank)));
      }
      text.append(
          size(row) > SHOWN
              ? " ..."
              : isFilteredOut(row) ? " filtered out" : isDefined(row) ? "" : " undefined");
    }
    return text.append(batch() > SHOWN ? "; ...)" : ")").toString();
  }
}
