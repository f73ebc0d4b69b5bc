// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.ranking;

import org.blocksparse.internal.search.RankedRows;

/**
 * The most probable outputs of each row, best first, ties by ascending number.
 *
 * <p>Rankings are exact. A search opens classes in order of probability, and no output is more
 * probable than its class. It stops when no remaining class can contain an output of the ranking.
 * {@link #openedClasses} returns how many classes it opened.
 *
 * <p>Immutable.
 */
public sealed interface Ranking permits RankedRows {
  /** Returns a ranking without names; see {@link #of(int[][], float[][], Labels)}. */
  static Ranking of(int[][] outputs, float[][] logProbabilities) {
    return of(outputs, logProbabilities, null);
  }

  /**
   * Returns rankings from another source, for example from several layers together, to pass to
   * {@link Metrics}. They have 0 opened classes.
   *
   * @param outputs the outputs of each row, best first; copied
   * @param logProbabilities the log probability of each output; copied
   * @param labels the names of outputs; null if there are none
   * @throws IllegalArgumentException if outputs and logProbabilities have different lengths
   */
  static Ranking of(int[][] outputs, float[][] logProbabilities, Labels labels) {
    return RankedRows.of(outputs, logProbabilities, labels);
  }

  /** Returns the number of rows. */
  int batch();

  /**
   * Returns whether a row has a ranking. A row has none, and {@link #size} 0, if the probability of
   * a class, or of an output in an opened class, is NaN. Then x or the parameters are not finite,
   * and any order would be wrong.
   *
   * @throws IndexOutOfBoundsException if there is no such row
   */
  boolean isDefined(int row);

  /**
   * Returns whether a {@link Filter} allows no output in a row. The row then has {@link #size} 0.
   *
   * @throws IndexOutOfBoundsException if there is no such row
   */
  boolean isFilteredOut(int row);

  /**
   * Returns the number of outputs of a row; 0 if the row is not {@linkplain #isDefined defined}.
   *
   * @throws IndexOutOfBoundsException if there is no such row
   */
  int size(int row);

  /**
   * Returns the output at a rank; rank 0 is the most probable output.
   *
   * @throws IndexOutOfBoundsException if there is no such row, or no such rank in it; if the row is
   *     not {@linkplain #isDefined defined}, the message has the reason
   */
  int output(int row, int rank);

  /**
   * Returns the name of the output at a rank.
   *
   * @throws IndexOutOfBoundsException also if the output has no name, because it was added after
   *     the labels were set
   * @throws IllegalStateException if the layer had no labels
   */
  String label(int row, int rank);

  /**
   * Returns the natural logarithm of the probability of the output at a rank; errors as {@link
   * #output}.
   */
  float logProbability(int row, int rank);

  /**
   * Returns the score of the output at a rank, by which outputs are ranked: the log probability, or
   * the sum of weights in a ranking of {@link org.blocksparse.linear.SparseWeights}; errors as
   * {@link #output}.
   */
  float score(int row, int rank);

  /**
   * Returns the probability of the output at a rank: the exponential of its log probability. Its
   * relative error is the absolute error of that float, which is at most 13 ulp in a two-level
   * layer: 13 * 2<sup>-23</sup> * |log P|. {@link
   * org.blocksparse.softmax.HierarchicalSoftmax#probabilitiesOf} and {@link
   * org.blocksparse.softmax.LabelTree#probabilitiesOf} are nearer for unlikely outputs, down to
   * 2<sup>-126</sup>. Errors as {@link #output}.
   */
  double probability(int row, int rank);

  /**
   * Returns all outputs of a row, best first, in a new array.
   *
   * @throws IndexOutOfBoundsException if there is no such row
   */
  int[] outputs(int row);

  /**
   * Returns the log probabilities of all outputs of a row, best first, in a new array.
   *
   * @throws IndexOutOfBoundsException if there is no such row
   */
  float[] logProbabilities(int row);

  /**
   * Returns the number of classes that the search opened for a row.
   *
   * @throws IndexOutOfBoundsException if there is no such row
   */
  int openedClasses(int row);
}
