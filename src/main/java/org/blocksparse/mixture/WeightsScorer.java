// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.mixture;

import java.util.BitSet;
import java.util.List;
import java.util.stream.Stream;
import org.blocksparse.MemoryUse;
import org.blocksparse.SparseRows;
import org.blocksparse.internal.layers.SavedLayer;
import org.blocksparse.internal.search.SparseSearch;
import org.blocksparse.linear.SparseWeights;
import org.blocksparse.linear.Term;
import org.blocksparse.ranking.Filter;
import org.blocksparse.ranking.Labels;
import org.blocksparse.ranking.Ranking;

/**
 * The scores by sparse weights.
 *
 * @param nearest the nearest examples that make the rows of the weights; null if these are the
 *     scorer's rows
 */
record WeightsScorer(String name, SparseWeights weights, NearestExamples nearest)
    implements Scorer {
  @Override
  public int outputs() {
    return weights.outputs();
  }

  @Override
  public int classes() {
    return SparseSearch.chunks(outputs());
  }

  @Override
  public boolean hasAllOutputs() {
    return false;
  }

  @Override
  public boolean isLogarithmic() {
    return false;
  }

  @Override
  public Labels labelsOrNull() {
    return weights.hasLabels() ? weights.labels() : null;
  }

  @Override
  public void setLabels(Labels labels) {
    if (!weights.hasLabels()) {
      weights.setLabels(labels);
    }
  }

  @Override
  public Stream<Object> parts() {
    return nearest == null ? Stream.of(weights) : Stream.of(nearest);
  }

  @Override
  public MemoryUse memoryUse() {
    MemoryUse own = weights.memoryUse();
    return nearest == null ? own : own.plus(nearest.examples().memoryUse());
  }

  @Override
  public void addTo(Sum sum, SparseRows x, String rowsName, double weight) {
    if (nearest == null) {
      add(sum, x, rowsName, weight);
      return;
    }
    try (SparseRows examples = nearest.rows(x, rowsName, sum.undefined)) {
      add(sum, examples, rowsName, weight);
    }
  }

  private void add(Sum sum, SparseRows rows, String rowsName, double weight) {
    sum.add(SavedLayer.of(weights).scores(rows, rowsName, sum.lease).withFactor(weight));
  }

  @Override
  public Ranking topK(SparseRows x, String rowsName, int k, Filter filter) {
    if (nearest == null) {
      return Sum.topK(weights, x, rowsName, k, filter);
    }
    try (SparseRows examples = examples(x, rowsName)) {
      return weights.topK(examples, k, filter);
    }
  }

  @Override
  public Share share(
      SparseRows row, String rowsName, int output, double weight, boolean addsProbabilities) {
    if (output >= outputs()) {
      return new Share(name, weight, 0, 0, List.of());
    }
    List<Term> terms = explain(row, rowsName, output);
    double score = terms.stream().mapToDouble(Term::contribution).sum();
    return new Share(name, weight, score, 0, terms);
  }

  /** Returns the terms of the score of an output, by the features of a row. */
  private List<Term> explain(SparseRows row, String rowsName, int output) {
    if (nearest == null) {
      return weights.explain(row, output);
    }
    try (SparseRows examples = examples(row, rowsName)) {
      return nearest.explain(row, weights.explain(examples, output));
    }
  }

  /** Returns the nearest examples of rows that all have these. */
  private SparseRows examples(SparseRows x, String rowsName) {
    BitSet undefined = new BitSet();
    SparseRows examples = nearest.rows(x, rowsName, undefined);
    if (!undefined.isEmpty()) {
      examples.close();
      throw new IllegalArgumentException(
          rowsName
              + ": row "
              + undefined.nextSetBit(0)
              + " has no nearest examples, since a score is NaN");
    }
    return examples;
  }

  @Override
  public void addTo(MixtureParts parts) {
    parts.add(this);
  }

  @Override
  public void close() {
    weights.close();
    if (nearest != null) {
      nearest.examples().close();
    }
  }
}
