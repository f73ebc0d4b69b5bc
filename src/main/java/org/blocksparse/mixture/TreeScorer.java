// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.mixture;

import java.util.List;
import java.util.stream.Stream;
import org.blocksparse.MemoryUse;
import org.blocksparse.SparseRows;
import org.blocksparse.internal.layers.SavedLayer;
import org.blocksparse.linear.LinearLabelTree;
import org.blocksparse.linear.Term;
import org.blocksparse.ranking.Filter;
import org.blocksparse.ranking.Labels;
import org.blocksparse.ranking.Ranking;

/** The log probabilities of a linear label tree. */
record TreeScorer(String name, LinearLabelTree tree) implements Scorer {
  @Override
  public int outputs() {
    return tree.outputs();
  }

  @Override
  public int classes() {
    return tree.clusterCount();
  }

  @Override
  public boolean hasAllOutputs() {
    return true;
  }

  @Override
  public boolean isLogarithmic() {
    return true;
  }

  @Override
  public Labels labelsOrNull() {
    return tree.hasLabels() ? tree.labels() : null;
  }

  @Override
  public void setLabels(Labels labels) {} // it has its own

  @Override
  public Stream<Object> parts() {
    return Stream.of(tree);
  }

  @Override
  public MemoryUse memoryUse() {
    return tree.memoryUse();
  }

  @Override
  public void addTo(Sum sum, SparseRows x, String rowsName, double weight) {
    sum.add(SavedLayer.of(tree).scores(x, rowsName, sum.lease), weight);
  }

  @Override
  public Ranking topK(SparseRows x, String rowsName, int k, Filter filter) {
    return tree.topK(x, k, filter);
  }

  @Override
  public void addTo(MixtureParts parts) {
    parts.add(this);
  }

  @Override
  public Share share(
      SparseRows row, String rowsName, int output, double weight, boolean addsProbabilities) {
    List<Term> terms = tree.explain(row, output);
    double constant = constant(output);
    double change = terms.stream().mapToDouble(Term::contribution).sum();
    double score = Math.min(0, constant + change); // its probability may be too small for a double
    if (!addsProbabilities) {
      return new Share(name, weight, score, constant, terms);
    }
    double slope = meanExp(constant, change);
    List<Term> scaled =
        terms.stream()
            .map(term -> new Term(term.feature(), term.value(), slope * term.weight()))
            .toList();
    return new Share(name, weight, Math.exp(score), Math.exp(constant), scaled);
  }

  /** Returns the log probability of an output for a row without features. */
  private double constant(int output) {
    try (SparseRows none = SparseRows.of(List.of(new int[0]))) {
      Ranking ranking = tree.topK(none, 1, Filter.only(output));
      return ranking.isDefined(0) ? ranking.logProbability(0, 0) : Double.NaN;
    }
  }

  /** Returns the mean of the exponential function on the way from one number to another. */
  private static double meanExp(double from, double change) {
    if (change == 0) {
      return Math.exp(from);
    }
    return Math.abs(change) < 1
        ? Math.exp(from) * Math.expm1(change) / change // no difference of like numbers
        : (Math.exp(from + change) - Math.exp(from)) / change;
  }

  @Override
  public void close() {
    tree.close();
  }
}
