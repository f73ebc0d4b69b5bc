// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.mixture;

import static java.util.Objects.requireNonNull;
import static java.util.stream.Collectors.joining;
import static org.blocksparse.internal.Access.LINEAR;
import static org.blocksparse.internal.Access.SOFTMAX;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Function;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.blocksparse.FloatTensor;
import org.blocksparse.IntTensor;
import org.blocksparse.SparseRows;
import org.blocksparse.bag.EmbeddingBag;
import org.blocksparse.internal.search.Addends;
import org.blocksparse.internal.search.Addends.Scale;
import org.blocksparse.internal.search.AllowedSlots;
import org.blocksparse.internal.search.Candidates;
import org.blocksparse.internal.search.ClassTable;
import org.blocksparse.internal.search.FilterLists;
import org.blocksparse.internal.search.OutputFilter;
import org.blocksparse.internal.search.RowResults;
import org.blocksparse.internal.search.SearchResult;
import org.blocksparse.internal.search.SparseSearch;
import org.blocksparse.internal.search.SparseTerm;
import org.blocksparse.internal.sparse.Bags;
import org.blocksparse.internal.tensors.CsrRows;
import org.blocksparse.internal.tensors.OperandLease;
import org.blocksparse.linear.LinearExplanation;
import org.blocksparse.linear.LinearExplanation.Term;
import org.blocksparse.linear.LinearLabelTree;
import org.blocksparse.mixture.MixtureExplanation.Share;
import org.blocksparse.ranking.Filter;
import org.blocksparse.ranking.Labels;
import org.blocksparse.ranking.Ranking;

/** Searches the sums of scorers, by the search of one of them. */
final class MixtureSearch {
  /** The maximum of labels of a tree that are computed before a layer opens its classes. */
  private static final int MOST_FIRST = 64;

  /** Features of a row that are explained together. */
  private static final int MOST_FEATURES_AT_ONCE = 256;

  private final List<Scorer> scorers;

  private final float[] weights;
  private final boolean addsProbabilities;

  /** The index of the scorer with a positive weight, or -1. */
  private final int layer;

  /** The indices of the trees with a positive weight. */
  private final int[] trees;

  private final int[] sparse;

  /** The chunks of sparse weights for as many outputs as there were at the last search. */
  private volatile ClassTable chunks;

  MixtureSearch(List<Scorer> scorers, float[] weights, boolean addsProbabilities) {
    this.scorers = scorers;
    this.weights = weights;
    this.addsProbabilities = addsProbabilities;
    this.layer = used(Scorer.OfLayer.class).findFirst().orElse(-1);
    this.trees = used(Scorer.OfTree.class).toArray();
    this.sparse = used(Scorer.OfWeights.class).toArray();
  }

  /** The chunks of all outputs. A layer of weight 0 may have grown. */
  private ClassTable chunks() {
    ClassTable last = chunks;
    int outputs = outputs();
    if (last == null || last.outputs() != outputs) {
      last = SparseSearch.table(outputs);
      chunks = last;
    }
    return last;
  }

  private IntStream used(Class<? extends Scorer> type) {
    return IntStream.range(0, weights.length)
        .filter(i -> weights[i] > 0 && type.isInstance(scorers.get(i)));
  }

  /** Whether a search leaves out outputs with score 0. */
  boolean leavesOut() {
    return layer < 0 && trees.length == 0 && sparse.length > 0;
  }

  boolean isSparse(int scorer) {
    return scorers.get(scorer) instanceof Scorer.OfWeights;
  }

  int outputs() {
    return Mixture.outputs(scorers);
  }

  /** The number of classes that a search opens, at most. */
  int classes() {
    return layer >= 0
        ? layer().layer().assignment().classCount()
        : trees.length > 0 ? tree(trees[0]).clusterCount() : chunks().classes();
  }

  private Scorer.OfLayer layer() {
    return (Scorer.OfLayer) scorers.get(layer);
  }

  private LinearLabelTree tree(int scorer) {
    return ((Scorer.OfTree) scorers.get(scorer)).tree();
  }

  private Scale scale(int scorer) {
    return new Scale(weights[scorer], addsProbabilities);
  }

  // ------------------------------------------------------------------------------------- search

  /**
   * Searches.
   *
   * @param wanted an estimate of the outputs that are found
   */
  SearchResult search(List<SparseRows> x, Filter filter, int wanted, Candidates.Maker candidates) {
    int batch = requireRows(x);
    FilterLists.from(requireNonNull(filter, "filter")).requireNotRenormalized();
    try (OperandLease lease = new OperandLease()) {
      BitSet undefined = new BitSet();
      List<SparseTerm> terms = new ArrayList<>();
      for (int i : sparse) {
        Scorer.OfWeights scorer = (Scorer.OfWeights) scorers.get(i);
        terms.add(scorer.term(of(x, i), name(x, i), weights[i], lease, undefined));
      }
      SearchResult found =
          layer >= 0
              ? searchLayer(x, terms, filter, Math.min(wanted, MOST_FIRST), candidates)
              : searchWithoutLayer(
                  x, batch, terms, filter, Math.min(wanted, MOST_FIRST), candidates, lease);
      return found.undefine(undefined);
    }
  }

  private SearchResult searchLayer(
      List<SparseRows> x,
      List<SparseTerm> terms,
      Filter filter,
      int first,
      Candidates.Maker candidates) {
    try (FloatTensor vectors = layer().bag().apply(of(x, layer))) {
      return withLates(
          x, trees, first, lateTerms -> searchLayer(vectors, terms, lateTerms, filter, candidates));
    }
  }

  /** Scores of a tree that wait for those of the search, for all rows of a call. */
  private record LateTree(int outputs, Addends.LateMaker rows, Scale scale) {
    Addends.ScaledLate of(int row, ClassTable classes) {
      if (classes.outputs() != outputs) {
        throw new IllegalStateException(
            "mixture: the layer has "
                + classes.outputs()
                + " outputs, but the tree has "
                + outputs);
      }
      return new Addends.ScaledLate(rows.of(row, classes), scale);
    }
  }

  /**
   * Calls a function with the late scores of some trees, which are leased meanwhile.
   *
   * @param some indices of scorers
   * @param first the number of labels of a tree that are computed first
   */
  private SearchResult withLates(
      List<SparseRows> x, int[] some, int first, Function<List<LateTree>, SearchResult> use) {
    if (some.length == 0) {
      return use.apply(List.of());
    }
    int[] others = Arrays.copyOfRange(some, 1, some.length);
    LinearLabelTree tree = tree(some[0]);
    return LINEAR.with(
        tree,
        of(x, some[0]),
        name(x, some[0]),
        rows -> {
          LateTree late =
              new LateTree(tree.outputs(), LINEAR.late(tree, rows, first), scale(some[0]));
          return withLates(
              x,
              others,
              first,
              more -> use.apply(Stream.concat(Stream.of(late), more.stream()).toList()));
        });
  }

  /** Makes the addends of the rows of a call. */
  private static Addends.Maker addends(
      Scale scale, List<SparseTerm> terms, List<LateTree> lateTerms) {
    return (row, table, slots) ->
        new Addends(
            row,
            table,
            slots,
            scale,
            terms,
            lateTerms.stream().map(late -> late.of(row, table)).toList());
  }

  private SearchResult searchWithoutLayer(
      List<SparseRows> x,
      int batch,
      List<SparseTerm> terms,
      Filter filter,
      int first,
      Candidates.Maker candidates,
      OperandLease lease) {
    ClassTable table = trees.length > 0 ? null : chunks();
    int searched = trees.length > 0 ? tree(trees[0]).outputs() : table.outputs();
    OutputFilter allowed = FilterLists.from(filter).check(batch, searched);
    FilterLists.from(filter).lease(lease);
    if (trees.length > 0) {
      int main = trees[0];
      int[] others = Arrays.copyOfRange(trees, 1, trees.length);
      return withLates(
          x,
          others,
          first,
          lateTerms ->
              LINEAR.with(
                  tree(main),
                  of(x, main),
                  name(x, main),
                  rows ->
                      LINEAR.search(
                          tree(main),
                          rows,
                          allowed,
                          candidates,
                          addends(scale(main), terms, lateTerms))));
    }
    if (sparse.length == 0) {
      return searchWithoutScorers(batch, table, allowed, candidates);
    }
    Scorer.OfWeights one = (Scorer.OfWeights) scorers.get(sparse[0]);
    return new SparseSearch(terms, table, LINEAR.engine(one.weights()))
        .search(batch, allowed, candidates);
  }

  /** Finds all outputs that are not retired, with score 0. */
  private SearchResult searchWithoutScorers(
      int batch, ClassTable table, OutputFilter filter, Candidates.Maker candidates) {
    RowResults results = new RowResults(batch);
    OutputFilter.OfRow rowFilter = filter.in(table);
    float[] zeros = new float[table.slots()];
    for (int row = 0; row < batch; row++) {
      AllowedSlots allowed = rowFilter.of(row);
      Candidates found = candidates.make(0);
      for (int c = 0; c < table.classes(); c++) {
        int[] members = table.members()[c];
        allowed.forEachRun(
            c,
            (begin, end) -> {
              int[] live = Arrays.stream(members, begin, end).filter(this::isLive).toArray();
              found.offer(live, zeros, zeros, 0, live.length);
            });
      }
      results.put(row, found, 0, allowed);
    }
    return results.result();
  }

  private boolean isLive(int output) {
    return scorers.stream().noneMatch(scorer -> scorer.isRetired(output));
  }

  /** Searches by the classes of the layer. */
  private SearchResult searchLayer(
      FloatTensor vectors,
      List<SparseTerm> terms,
      List<LateTree> lateTerms,
      Filter filter,
      Candidates.Maker candidates) {
    return SOFTMAX.search(
        layer().layer(), vectors, filter, candidates, addends(scale(layer), terms, lateTerms));
  }

  // --------------------------------------------------------------------------------------- rows

  /** Requires rows for each scorer, and returns how many. */
  int requireRows(List<SparseRows> x) {
    if (requireNonNull(x, "x").size() != 1 && x.size() != scorers.size()) {
      throw new IllegalArgumentException(
          "x: expected rows for each of "
              + scorers.size()
              + " scorers, or one for all, but was "
              + x.size());
    }
    int batch = requireNonNull(x.get(0), "x[0]").rows();
    for (int i = 1; i < x.size(); i++) {
      CsrRows.from(requireNonNull(x.get(i), "x[" + i + "]")).requireRows("x[" + i + "]", batch);
    }
    return batch;
  }

  private static SparseRows of(List<SparseRows> x, int scorer) {
    return x.get(x.size() == 1 ? 0 : scorer);
  }

  private static String name(List<SparseRows> x, int scorer) {
    return "x[" + (x.size() == 1 ? 0 : scorer) + "]";
  }

  // ----------------------------------------------------------------------------- single scorers

  /** The first k outputs of a scorer, whatever its weight; with log probabilities or sums. */
  Ranking topK(int scorer, List<SparseRows> x, int k, Filter filter) {
    SparseRows rows = of(x, scorer);
    Scorer one = scorers.get(scorer);
    if (one instanceof Scorer.OfLayer embedding) {
      try (FloatTensor vectors = embedding.bag().apply(rows)) {
        return embedding.layer().topK(vectors, k, filter);
      }
    }
    return one instanceof Scorer.OfTree linear
        ? linear.tree().topK(rows, k, filter)
        : ((Scorer.OfWeights) one).topK(rows, name(x, scorer), k, filter);
  }

  boolean addsProbabilities() {
    return addsProbabilities;
  }

  int scorers() {
    return scorers.size();
  }

  /** What its scores are of, for which weights can be fitted: scorers, their kinds, outputs. */
  String kinds() {
    String kinds =
        scorers.stream()
            .map(scorer -> scorer.name() + " of " + kinds(scorer))
            .collect(joining(", ", "", " for " + outputs() + " outputs"));
    return kinds + (addsProbabilities ? ", adding probabilities" : "");
  }

  private static String kinds(Scorer scorer) {
    return scorer.parts().map(part -> part.getClass().getSimpleName()).collect(joining(" and "));
  }

  /** The score of a scorer in the sum. */
  double scaled(int scorer, float score) {
    return addsProbabilities && scorers.get(scorer).isLogarithmic() ? Math.exp(score) : score;
  }

  /** A scorer's score of an output that it has no sparse weight for. */
  double otherwise(int scorer) {
    return scorers.get(scorer).isLogarithmic() ? Double.NEGATIVE_INFINITY : 0;
  }

  // -------------------------------------------------------------------------------- explanation

  MixtureExplanation explain(List<SparseRows> x, int output, Labels labels) {
    if (requireRows(x) != 1) {
      throw new IllegalArgumentException("x: expected 1 row but was " + x.get(0).rows());
    }
    List<Share> shares = new ArrayList<>();
    double sum = 0;
    for (int i = 0; i < weights.length; i++) {
      Share share = share(i, of(x, i), name(x, i), output);
      shares.add(share);
      sum += share.contribution();
    }
    boolean isNamed = labels != null && output < labels.size();
    return new MixtureExplanation(output, isNamed ? labels.name(output) : null, sum, shares);
  }

  private Share share(int scorer, SparseRows row, String name, int output) {
    Scorer one = scorers.get(scorer);
    if (one instanceof Scorer.OfLayer embedding) {
      return shareOfLayer(scorer, embedding, row, output);
    }
    if (one instanceof Scorer.OfTree linear) {
      return shareOfTree(scorer, linear, row, output);
    }
    if (output >= one.outputs()) {
      return new Share(one.name(), weights[scorer], 0, 0, List.of());
    }
    List<Term> terms = ((Scorer.OfWeights) one).explain(row, name, output);
    double score = terms.stream().mapToDouble(Term::contribution).sum();
    return new Share(one.name(), weights[scorer], score, 0, terms);
  }

  private Share shareOfTree(int scorer, Scorer.OfTree of, SparseRows row, int output) {
    LinearExplanation why = of.tree().explain(row, output);
    double constant = why.constant();
    double change = why.terms().stream().mapToDouble(Term::contribution).sum();
    double score = Math.min(0, constant + change); // its probability may be too small for a double
    if (!addsProbabilities) {
      return new Share(of.name(), weights[scorer], score, constant, why.terms());
    }
    double slope = meanExp(constant, change);
    List<Term> terms =
        why.terms().stream()
            .map(term -> new Term(term.feature(), term.value(), slope * term.weight()))
            .toList();
    return new Share(of.name(), weights[scorer], Math.exp(score), Math.exp(constant), terms);
  }

  /** The mean of the exponential function on the way from one number to another. */
  private static double meanExp(double from, double change) {
    if (change == 0) {
      return Math.exp(from);
    }
    return Math.abs(change) < 1
        ? Math.exp(from) * Math.expm1(change) / change // no difference of like numbers
        : (Math.exp(from + change) - Math.exp(from)) / change;
  }

  /** The share of a layer, with the change of its score by each feature of the row. */
  private Share shareOfLayer(int scorer, Scorer.OfLayer of, SparseRows row, int output) {
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
        FloatTensor all = of.bag().apply(row);
        FloatTensor each = of.bag().apply(single)) {
      vector = all.toArray();
      vectors = each.toArray();
    }
    leaveOut(List.copyOf(entries.values()), indices.length, of.bag().mode(), vectors);
    double score = scores(scorer, of, vector, output)[0];
    double constant = scores(scorer, of, new float[vector.length], output)[0];
    if (!Double.isFinite(score)) { // the output is retired: no feature changes that
      return new Share(of.name(), weights[scorer], score, constant, List.of());
    }
    List<Term> terms = new ArrayList<>();
    for (int begin = 0; begin < features.size(); begin += MOST_FEATURES_AT_ONCE) {
      int end = Math.min(features.size(), begin + MOST_FEATURES_AT_ONCE);
      float[] some = Arrays.copyOfRange(vectors, begin * vector.length, end * vector.length);
      double[] without = scores(scorer, of, some, output);
      for (int i = 0; i < without.length; i++) {
        terms.add(new Term(features.get(begin + i), 1, score - without[i]));
      }
    }
    terms.sort(Comparator.comparingDouble(term -> -Math.abs(term.weight())));
    return new Share(of.name(), weights[scorer], score, constant, List.copyOf(terms));
  }

  /**
   * Replaces the vector of each feature by that of a row without it: the sum of the features before
   * it and of those after it. In a difference to the sum of all, a large one leaves nothing of the
   * others.
   *
   * @param entries of each feature: how many, and the sum of their values
   * @param count of the entries of all features
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

  /** A layer's scores of an output for vectors, one after another. */
  private double[] scores(int scorer, Scorer.OfLayer of, float[] vectors, int output) {
    int[] targets = new int[vectors.length / of.bag().features()];
    Arrays.fill(targets, output);
    try (FloatTensor x = FloatTensor.of(vectors, targets.length, of.bag().features());
        IntTensor wanted = IntTensor.of(targets, targets.length);
        FloatTensor found = of.layer().logProbabilitiesOf(x, wanted)) {
      float[] scores = found.toArray();
      return IntStream.range(0, targets.length)
          .mapToDouble(i -> scaled(scorer, scores[i]))
          .toArray();
    }
  }
}
