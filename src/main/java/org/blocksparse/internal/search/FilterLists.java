// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.search;

import static java.util.Objects.requireNonNull;
import static java.util.stream.Collectors.joining;

import java.util.BitSet;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.stream.Stream;
import org.blocksparse.SparseRows;
import org.blocksparse.UnknownIds;
import org.blocksparse.internal.tensors.Check;
import org.blocksparse.internal.tensors.CsrRows;
import org.blocksparse.internal.tensors.OperandLease;
import org.blocksparse.ranking.Filter;

/** The lists of outputs of a filter, independent of a batch and a number of outputs. */
public final class FilterLists implements Filter {
  /** The maximum number of lists: a search checks them by nested calls. */
  private static final int MOST_LISTS = 64;

  /** Allows everything. */
  public static final Filter NONE = of(false, new int[0]);

  /** The lists, all of which must allow an output. */
  private final List<OutputList> lists;

  private final boolean renormalized;

  /** Returns the only implementation of filters. */
  public static FilterLists from(Filter filter) {
    return (FilterLists) filter;
  }

  private FilterLists(List<OutputList> lists, boolean renormalized) {
    this.lists = lists;
    this.renormalized = renormalized;
  }

  /**
   * A list of outputs.
   *
   * @param only true: allows only these; false: excludes these
   * @param outputs null: each row has its own
   * @param rows null: all rows have the same
   * @param unknown counts unknown ids; null: unknown ids throw
   */
  private record OutputList(boolean only, SharedOutputs outputs, CsrRows rows, UnknownIds unknown) {
    OutputFilter.OutputList check(int batch, int numberOfOutputs) {
      if (rows != null) {
        rows.requireRows("filter", batch);
      }
      if (unknown != null) {
        unknown.add(
            rows == null
                ? outputs.outside(numberOfOutputs)
                : rows.countFrom("filter", numberOfOutputs));
      } else if (rows != null) {
        rows.requireIndices("filter", "outputs", numberOfOutputs);
      } else if (!outputs.areBelow(numberOfOutputs)) {
        Check.indices("filter", outputs.outputs(), 0, "outputs", numberOfOutputs);
      }
      return new OutputFilter.OutputList(only, outputs, rows == null ? null : rows.bags());
    }

    @Override
    public String toString() {
      return (only ? "only " : "without ") + (rows == null ? outputs.size() + " outputs" : rows);
    }
  }

  /** Returns a filter with one list for all rows. */
  public static FilterLists of(boolean only, int[] outputs) {
    int[] own = requireNonNull(outputs, "outputs").clone();
    return new FilterLists(
        List.of(new OutputList(only, new SharedOutputs(own), null, null)), false);
  }

  /** Returns a filter with one list for all rows: the bits that are set. */
  public static FilterLists of(boolean only, BitSet outputs) {
    return of(only, requireNonNull(outputs, "outputs").stream().toArray());
  }

  /** Returns a filter with a list for each row. */
  public static FilterLists of(boolean only, SparseRows outputs) {
    CsrRows rows = CsrRows.from(requireNonNull(outputs, "outputs"));
    return new FilterLists(List.of(new OutputList(only, null, rows, null)), false);
  }

  @Override
  public Filter withRenormalization() {
    return new FilterLists(lists, true);
  }

  @Override
  public Filter withUnknownIds(UnknownIds unknown) {
    requireNonNull(unknown, "unknown");
    return new FilterLists(
        lists.stream()
            .map(list -> new OutputList(list.only, list.outputs, list.rows, unknown))
            .toList(),
        renormalized);
  }

  @Override
  public Filter and(Filter other) {
    List<OutputList> all =
        Stream.of(lists, from(requireNonNull(other, "other")).lists).flatMap(List::stream).toList();
    if (all.size() > MOST_LISTS) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "other: expected at most %d lists together but was %d; put outputs into fewer",
              MOST_LISTS,
              all.size()));
    }
    List<CsrRows> rows = all.stream().map(OutputList::rows).filter(Objects::nonNull).toList();
    rows.forEach(each -> each.requireRows("other", rows.get(0).rows()));
    return new FilterLists(all, renormalized || from(other).renormalized);
  }

  /** Returns whether it excludes nothing. */
  public boolean allowsAll() {
    return lists.stream()
        .allMatch(list -> !list.only && list.rows == null && list.outputs.size() == 0);
  }

  /** Checks the filter, and converts it for the search. */
  public OutputFilter check(int batch, int numberOfOutputs) {
    return new OutputFilter(
        lists.stream().map(list -> list.check(batch, numberOfOutputs)).toList(), renormalized);
  }

  /** Rejects renormalized filters, for rankings whose probabilities do not sum to one. */
  public void requireNotRenormalized() {
    if (renormalized) {
      throw new IllegalArgumentException(
          "filter: expected one that is not renormalized, as the scores of this ranking do not sum"
              + " to one, but was "
              + this);
    }
  }

  /** Adds the filter's {@link SparseRows} to a lease, which keeps them open. */
  public OperandLease lease(OperandLease lease) {
    for (OutputList list : lists) {
      if (list.rows != null) {
        list.rows.lease(lease, "filter");
      }
    }
    return lease;
  }

  @Override
  public String toString() {
    return lists.stream()
        .map(OutputList::toString)
        .collect(joining(" and ", "Filter(", renormalized ? ", renormalized)" : ")"));
  }
}
