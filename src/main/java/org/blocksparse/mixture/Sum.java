// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.mixture;

import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import org.blocksparse.SparseRows;
import org.blocksparse.internal.layers.SavedLayer;
import org.blocksparse.internal.search.Candidates;
import org.blocksparse.internal.search.ClassTable;
import org.blocksparse.internal.search.FilterLists;
import org.blocksparse.internal.search.OutputFilter;
import org.blocksparse.internal.search.RankedRows;
import org.blocksparse.internal.search.ScoreSource;
import org.blocksparse.internal.search.ScoreSource.Scale;
import org.blocksparse.internal.search.ScoreSource.Scaled;
import org.blocksparse.internal.search.SearchResult;
import org.blocksparse.internal.search.SparseSearch;
import org.blocksparse.internal.search.SparseTerm;
import org.blocksparse.internal.search.SumSearch;
import org.blocksparse.internal.tensors.OperandLease;
import org.blocksparse.linear.SparseWeights;
import org.blocksparse.ranking.Filter;
import org.blocksparse.ranking.Ranking;

/** The scores of one call that are added. Each scorer adds its own, in their order. */
final class Sum implements AutoCloseable {
  /** The lease of the memory that is read until this is closed. */
  final OperandLease lease = new OperandLease();

  /** The rows that have no scores. */
  final BitSet undefined = new BitSet();

  private final boolean addsProbabilities;
  private final List<Scaled> sources = new ArrayList<>();
  private final List<SparseTerm> terms = new ArrayList<>();

  Sum(boolean addsProbabilities) {
    this.addsProbabilities = addsProbabilities;
  }

  /** Adds scores of all outputs, which are log probabilities; this closes them. */
  void add(ScoreSource source, double weight) {
    sources.add(new Scaled(source, new Scale(weight, addsProbabilities)));
  }

  /** Adds scores of all outputs, as they are; closed with this. */
  void addScores(ScoreSource source, double weight) {
    sources.add(new Scaled(source, new Scale(weight, false)));
  }

  /** Adds scores of which most are 0. */
  void add(SparseTerm term) {
    terms.add(term);
  }

  boolean isEmpty() {
    return sources.isEmpty() && terms.isEmpty();
  }

  /** Returns whether all outputs that are not retired have a score. */
  boolean hasAllOutputs() {
    return !sources.isEmpty();
  }

  /** Returns the number of outputs of sources that have all. */
  int outputs() {
    return sources.get(0).source().classes().outputs();
  }

  /**
   * Searches for the highest sums; the filter is leased.
   *
   * @param chunks the chunks of all outputs, for sums of sparse scores only
   * @param wanted the estimated number of outputs that are found
   */
  SearchResult search(
      int batch, ClassTable chunks, OutputFilter filter, int wanted, Candidates.Maker candidates) {
    SearchResult found =
        hasAllOutputs()
            ? new SumSearch(sources, terms, wanted).search(batch, filter, candidates)
            : new SparseSearch(terms, chunks).search(batch, filter, candidates);
    return found.undefine(undefined);
  }

  /**
   * Returns the k best outputs of each row by sparse weights alone.
   *
   * @param name the name of the rows, for messages
   */
  static Ranking topK(SparseWeights weights, SparseRows x, String name, int k, Filter filter) {
    try (OperandLease lease = new OperandLease()) {
      SparseTerm term = SavedLayer.of(weights).scores(x, name, lease);
      int most = Math.min(k, term.outputs());
      return new RankedRows(
          SparseSearch.search(
              term,
              FilterLists.from(filter),
              lease,
              logAllowed -> Candidates.best(most, logAllowed)),
          null);
    }
  }

  @Override
  public void close() {
    sources.forEach(each -> each.source().close());
    lease.close();
  }
}
