// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.mixture;

import java.util.List;
import java.util.stream.Stream;
import org.blocksparse.MemoryUse;
import org.blocksparse.SparseRows;
import org.blocksparse.ranking.Filter;
import org.blocksparse.ranking.Labels;
import org.blocksparse.ranking.Ranking;

/** A scorer of a mixture: it scores outputs by rows of features. */
interface Scorer extends AutoCloseable {
  String name();

  /** Returns how many outputs it scores. */
  int outputs();

  /** Returns the maximum of classes that its search opens. */
  int classes();

  /**
   * Returns whether every output that is not retired has a score. If not, most have score 0, and
   * outputs from {@link #outputs} on as well.
   */
  boolean hasAllOutputs();

  /** Returns whether its scores are log probabilities. */
  boolean isLogarithmic();

  /** Returns whether an output is retired. */
  default boolean isRetired(int output) {
    return false;
  }

  /** Returns the names of its outputs; null if there are none. */
  Labels labelsOrNull();

  /** Names its outputs, if it keeps names for others. */
  void setLabels(Labels labels);

  /** Returns the layers that the caller added. */
  Stream<Object> parts();

  /** Returns the off-heap memory. */
  MemoryUse memoryUse();

  /**
   * Adds its scores to a sum, which leases rows and layers until it is closed.
   *
   * @param rowsName for messages
   */
  void addTo(Sum sum, SparseRows x, String rowsName, double weight);

  /**
   * Returns the first k outputs of each row by this scorer alone; with log probabilities or sums.
   */
  Ranking topK(SparseRows x, String rowsName, int k, Filter filter);

  /**
   * Explains its score of an output.
   *
   * @param row the row, with its name for messages
   * @param weight the weight of its score
   * @param addsProbabilities whether probabilities are added, rather than their logarithms
   */
  Share share(
      SparseRows row, String rowsName, int output, double weight, boolean addsProbabilities);

  /** Adds what it consists of to a file. */
  void addTo(MixtureParts parts);

  @Override
  void close();

  /** Returns the number of outputs of scorers together. */
  static int outputs(List<Scorer> scorers) {
    return scorers.stream().mapToInt(Scorer::outputs).max().getAsInt();
  }
}
