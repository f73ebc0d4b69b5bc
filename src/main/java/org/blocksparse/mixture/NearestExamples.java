// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.mixture;

import static java.util.Objects.requireNonNull;

import java.util.Arrays;
import java.util.BitSet;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.blocksparse.SparseRows;
import org.blocksparse.internal.search.FilterLists;
import org.blocksparse.internal.tensors.Check;
import org.blocksparse.linear.SparseWeights;
import org.blocksparse.linear.Term;
import org.blocksparse.ranking.Ranking;

/**
 * Scores outputs by the examples that are nearest to a row: two products of sparse weights. It
 * helps where most outputs have few examples.
 *
 * <pre>{@code
 * score(output | x) = sum over the k best examples of s * |s| * weight[example, output]
 *     where s is score(example | x)
 * }</pre>
 *
 * <p>The square makes one near example count more than several that are far. It is a float: use
 * scores between 1e-18 and 1e18, as smaller squares become 0 and larger ones infinite.
 *
 * <p>Ties between examples are broken by ascending number; examples with score 0 do not count. A
 * row costs a search for the k best examples, and the entries of these in {@code outputs}.
 *
 * @param examples the score of each example, such as the {@linkplain SparseWeights#ofRows
 *     similarity} of the row to it
 * @param outputs the weights whose features are the examples, with the weights of their outputs
 * @param k how many examples count
 */
public record NearestExamples(SparseWeights examples, SparseWeights outputs, int k) {
  static final int MOST_K = 1_000_000;

  /**
   * Creates nearest examples; a mixture that has them closes both weights.
   *
   * @throws IllegalArgumentException if the outputs have another number of features than there are
   *     examples, or {@linkplain SparseWeights#countsFeatures count} them; or unless k is in [1,
   *     1e6]
   */
  public NearestExamples {
    requireNonNull(examples, "examples");
    requireNonNull(outputs, "outputs");
    if (outputs.features() != examples.outputs()) {
      throw new IllegalArgumentException(
          "outputs: expected "
              + examples.outputs()
              + " features, as there are examples, but was "
              + outputs.features());
    }
    if (outputs.countsFeatures()) {
      throw new IllegalArgumentException(
          "outputs: expected weights of examples but was similarities, which count features");
    }
    if (Check.atLeast(1, "k", k) > MOST_K) {
      throw new IllegalArgumentException("k: expected at most " + MOST_K + " but was " + k);
    }
  }

  /**
   * Returns the nearest examples of each row, with the squares of their scores.
   *
   * @param name the name of x, for messages
   * @param undefined receives the rows without nearest examples, because a score is NaN
   */
  SparseRows rows(SparseRows x, String name, BitSet undefined) {
    Ranking best = Sum.topK(examples, x, name, k, FilterLists.NONE);
    int[][] indices = new int[best.batch()][];
    float[][] scores = new float[best.batch()][];
    for (int row = 0; row < indices.length; row++) {
      indices[row] = best.outputs(row);
      scores[row] = best.logProbabilities(row);
      for (int i = 0; i < scores[row].length; i++) {
        scores[row][i] *= Math.abs(scores[row][i]);
      }
      if (!best.isDefined(row)) {
        undefined.set(row);
      }
    }
    return SparseRows.of(Arrays.asList(indices), Arrays.asList(scores));
  }

  /** Converts the terms of a row's nearest examples into terms of its features. */
  List<Term> explain(SparseRows row, List<Term> byExample) {
    Map<Integer, Double> weights = new TreeMap<>();
    Map<Integer, Double> values = new TreeMap<>();
    for (Term ofExample : byExample) {
      for (Term term : examples.explain(row, ofExample.feature())) {
        values.put(term.feature(), term.value());
        double weight = term.weight() * Math.sqrt(Math.abs(ofExample.value())) * ofExample.weight();
        weights.merge(term.feature(), weight, Double::sum);
      }
    }
    return weights.entrySet().stream()
        .map(e -> new Term(e.getKey(), values.get(e.getKey()), e.getValue()))
        .sorted(Comparator.comparingDouble((Term term) -> -Math.abs(term.contribution())))
        .toList();
  }
}
