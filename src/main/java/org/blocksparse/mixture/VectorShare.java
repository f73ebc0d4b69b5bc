// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.mixture;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Function;
import org.blocksparse.FloatTensor;
import org.blocksparse.SparseRows;
import org.blocksparse.bag.EmbeddingBag;
import org.blocksparse.internal.sparse.Bags;
import org.blocksparse.linear.Term;

/** The share of a scorer of the vectors of a bag: the terms are differences of scores. */
final class VectorShare {
  /** The maximum number of features of a row that are explained together. */
  private static final int MOST_FEATURES_AT_ONCE = 256;

  private VectorShare() {}

  /** Explains the score by its change with each feature of the row. */
  static Share of(
      String name,
      double weight,
      EmbeddingBag bag,
      SparseRows row,
      Function<float[], double[]> scoresOf) {
    int[] indices = row.indices(0);
    float[] values = row.isWeighted() ? row.values(0) : null;
    Map<Integer, double[]> entries = new TreeMap<>(); // how many, and the sum of their values
    for (int i = 0; i < indices.length; i++) {
      double[] ofFeature = entries.computeIfAbsent(indices[i], feature -> new double[2]);
      ofFeature[0]++;
      ofFeature[1] += values == null ? 1 : values[i];
    }
    List<Integer> features = List.copyOf(entries.keySet());
    float[] vector;
    float[] vectors;
    try (SparseRows single = SparseRows.of(features.stream().map(f -> new int[] {f}).toList());
        FloatTensor all = bag.apply(row);
        FloatTensor each = bag.apply(single)) {
      vector = all.toArray();
      vectors = each.toArray();
    }
    leaveOut(List.copyOf(entries.values()), indices.length, bag.mode(), vectors);
    double score = scoresOf.apply(vector)[0];
    double constant = scoresOf.apply(new float[vector.length])[0];
    if (!Double.isFinite(score)) { // the output is retired: no feature changes that
      return new Share(name, weight, score, constant, List.of());
    }
    List<Term> terms = new ArrayList<>();
    for (int begin = 0; begin < features.size(); begin += MOST_FEATURES_AT_ONCE) {
      int end = Math.min(features.size(), begin + MOST_FEATURES_AT_ONCE);
      float[] some = Arrays.copyOfRange(vectors, begin * vector.length, end * vector.length);
      double[] without = scoresOf.apply(some);
      for (int i = 0; i < without.length; i++) {
        terms.add(new Term(features.get(begin + i), 1, score - without[i]));
      }
    }
    terms.sort(Comparator.comparingDouble(term -> -Math.abs(term.weight())));
    return new Share(name, weight, score, constant, List.copyOf(terms));
  }

  /**
   * Replaces the vector of each feature by that of a row without it: the sum of the features before
   * it and of those after it. Subtracting it from the sum of all would lose small vectors beside a
   * large one.
   *
   * @param entries for each feature, their number and the sum of their values
   * @param count the number of entries of all features
   */
  private static void leaveOut(
      List<double[]> entries, int count, EmbeddingBag.Mode mode, float[] vectors) {
    Bags.Reduction reduction = Bags.Reduction.valueOf(mode.name());
    int dimension = vectors.length / Math.max(1, entries.size());
    double[] after = new double[vectors.length];
    for (int i = vectors.length - dimension - 1; i >= 0; i--) {
      int next = i + dimension;
      after[i] = after[next] + entries.get(next / dimension)[1] * vectors[next];
    }
    double[] before = new double[dimension];
    for (int i = 0; i < vectors.length; i++) {
      double[] ofFeature = entries.get(i / dimension);
      double others = before[i % dimension] + after[i];
      before[i % dimension] += ofFeature[1] * vectors[i];
      vectors[i] = (float) (others * reduction.factor(count - (int) ofFeature[0]));
    }
  }
}
