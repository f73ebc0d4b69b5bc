// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.mixture;

import static java.util.Objects.requireNonNull;
import static java.util.stream.Collectors.joining;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.blocksparse.SparseRows;
import org.blocksparse.internal.search.AllowedSlots;
import org.blocksparse.internal.search.Candidates;
import org.blocksparse.internal.search.ClassTable;
import org.blocksparse.internal.search.FilterLists;
import org.blocksparse.internal.search.OutputFilter;
import org.blocksparse.internal.search.RowResults;
import org.blocksparse.internal.search.SearchResult;
import org.blocksparse.internal.search.SparseSearch;
import org.blocksparse.internal.tensors.CsrRows;
import org.blocksparse.ranking.Filter;
import org.blocksparse.ranking.Ranking;

/** Searches the sums of scorers. */
final class MixtureSearch {
  /**
   * The maximum number of outputs of a scorer that are computed before the leader opens its
   * classes.
   */
  private static final int MOST_FIRST = 64;

  private final List<Scorer> scorers;
  private final float[] weights;
  private final boolean addsProbabilities;

  /** The chunks of sparse weights for the number of outputs at the last search. */
  private volatile ClassTable chunks;

  MixtureSearch(List<Scorer> scorers, float[] weights, boolean addsProbabilities) {
    this.scorers = scorers;
    this.weights = weights;
    this.addsProbabilities = addsProbabilities;
  }

  /** Returns the chunks of all outputs. A layer of weight 0 may have grown. */
  private ClassTable chunks() {
    ClassTable last = chunks;
    int outputs = outputs();
    if (last == null || last.outputs() != outputs) {
      last = SparseSearch.table(outputs);
      chunks = last;
    }
    return last;
  }

  private IntStream used(boolean areSparse) {
    return IntStream.range(0, weights.length)
        .filter(i -> weights[i] > 0 && isSparse(i) == areSparse);
  }

  /** Returns whether a search leaves out outputs with score 0. */
  boolean leavesOut() {
    return used(false).findAny().isEmpty() && used(true).findAny().isPresent();
  }

  boolean isSparse(int scorer) {
    return !scorers.get(scorer).hasAllOutputs();
  }

  int outputs() {
    return Scorer.outputs(scorers);
  }

  /** Returns the maximum of classes that a search opens, of the scorer with the most. */
  int classes() {
    return used(false).map(i -> scorers.get(i).classes()).max().orElse(chunks().classes());
  }

  // ------------------------------------------------------------------------------------- search

  /**
   * Searches for the highest sums.
   *
   * @param wanted the estimated number of outputs that are found
   */
  SearchResult search(List<SparseRows> x, Filter filter, int wanted, Candidates.Maker candidates) {
    int batch = requireRows(x);
    FilterLists.from(requireNonNull(filter, "filter")).requireNotRenormalized();
    try (Sum sum = new Sum(addsProbabilities)) {
      for (int i = 0; i < weights.length; i++) {
        if (weights[i] > 0) {
          scorers.get(i).addTo(sum, of(x, i), name(x, i), weights[i]);
        }
      }
      ClassTable table = sum.hasAllOutputs() ? null : chunks();
      int outputs = sum.hasAllOutputs() ? sum.outputs() : table.outputs();
      OutputFilter allowed = FilterLists.from(filter).check(batch, outputs);
      FilterLists.from(filter).lease(sum.lease);
      return sum.isEmpty()
          ? searchWithoutScorers(batch, table, allowed, candidates)
          : sum.search(batch, table, allowed, Math.min(wanted, MOST_FIRST), candidates);
    }
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

  /**
   * Returns the first k outputs of a scorer, whatever its weight; with log probabilities or sums.
   */
  Ranking topK(int scorer, List<SparseRows> x, int k, Filter filter) {
    return scorers.get(scorer).topK(of(x, scorer), name(x, scorer), k, filter);
  }

  boolean addsProbabilities() {
    return addsProbabilities;
  }

  int scorers() {
    return scorers.size();
  }

  /** Returns what weights are fitted for: scorers, their kinds, outputs. */
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

  /** Returns the score of a scorer in the sum. */
  double scaled(int scorer, float score) {
    return addsProbabilities && scorers.get(scorer).isLogarithmic() ? Math.exp(score) : score;
  }

  /** Returns a scorer's score of an output that it has no sparse weight for. */
  double otherwise(int scorer) {
    return scorers.get(scorer).hasAllOutputs() ? Double.NEGATIVE_INFINITY : 0;
  }

  // -------------------------------------------------------------------------------- explanation

  List<Share> explain(List<SparseRows> x, int output) {
    if (requireRows(x) != 1) {
      throw new IllegalArgumentException("x: expected 1 row but was " + x.get(0).rows());
    }
    List<Share> shares = new ArrayList<>();
    for (int i = 0; i < weights.length; i++) {
      shares.add(scorers.get(i).share(of(x, i), name(x, i), output, weights[i], addsProbabilities));
    }
    return List.copyOf(shares);
  }
}
