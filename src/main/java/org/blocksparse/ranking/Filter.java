// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.ranking;

import static java.util.Objects.requireNonNull;
import static java.util.stream.Collectors.joining;

import java.util.BitSet;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.stream.Stream;
import org.blocksparse.SparseRows;
import org.blocksparse.UnknownIds;
import org.blocksparse.internal.search.OutputFilter;
import org.blocksparse.internal.search.SharedOutputs;
import org.blocksparse.internal.tensors.Check;
import org.blocksparse.internal.tensors.CsrRows;
import org.blocksparse.internal.tensors.OperandLease;

/**
 * Restricts the outputs of a search or of {@link
 * org.blocksparse.softmax.HierarchicalSoftmax#sample}, by a list of excluded outputs or a list of
 * allowed ones, for all rows of x or for each row. {@link #and} intersects filters.
 *
 * <p>Filtered search is exact: it ranks all allowed outputs. The search does not open (read)
 * classes without an allowed output, and {@link Ranking#openedClasses} does not count them. A row
 * without any allowed output has an empty ranking, and {@link Ranking#isFilteredOut} returns true.
 *
 * <p>Probabilities are those of the model, unless the filter is {@linkplain #withRenormalization
 * renormalized}.
 *
 * <p>With one list for all rows, a search needs the classes of the listed outputs. The first two
 * calls look them up; later calls reuse the result, until another layer uses the filter or the
 * layer grows. So reuse a filter that lists many outputs. Each call reads {@link SparseRows} again.
 *
 * <p>Immutable; any number of threads may use the same filter. The caller still owns {@link
 * SparseRows}, which must be open when the filter is used.
 */
public final class Filter {
  /** A search checks lists by nested calls, so their number is limited. */
  private static final int MOST_LISTS = 64;

  /** Allows everything. */
  static final Filter NONE = without();

  /** The lists, all of which must allow an output. */
  private final List<OutputList> lists;

  private final boolean renormalized;

  private Filter(List<OutputList> lists, boolean renormalized) {
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
  private record OutputList(
      boolean only, SharedOutputs outputs, SparseRows rows, UnknownIds unknown) {
    OutputFilter.OutputList check(int batch, int numberOfOutputs) {
      if (rows != null) {
        CsrRows.from(rows).requireRows("filter", batch);
      }
      if (unknown != null) {
        unknown.add(
            rows == null
                ? outputs.outside(numberOfOutputs)
                : CsrRows.from(rows).countFrom("filter", numberOfOutputs));
      } else if (rows != null) {
        CsrRows.from(rows).requireIndices("filter", "outputs", numberOfOutputs);
      } else if (!outputs.areBelow(numberOfOutputs)) {
        Check.indices("filter", outputs.outputs(), 0, "outputs", numberOfOutputs);
      }
      return new OutputFilter.OutputList(
          only, outputs, rows == null ? null : CsrRows.from(rows).bags());
    }

    @Override
    public String toString() {
      return (only ? "only " : "without ") + (rows == null ? outputs.size() + " outputs" : rows);
    }
  }

  private static Filter of(boolean only, int[] outputs) {
    return new Filter(List.of(new OutputList(only, new SharedOutputs(outputs), null, null)), false);
  }

  private static Filter of(boolean only, SparseRows outputs) {
    return new Filter(
        List.of(new OutputList(only, null, requireNonNull(outputs, "outputs"), null)), false);
  }

  /**
   * Allows all outputs except these, for all rows.
   *
   * @param outputs in any order; repeats are allowed; operations throw {@link
   *     IndexOutOfBoundsException} for ids outside [0, outputs), unless the filter has {@link
   *     #withUnknownIds}
   */
  public static Filter without(int... outputs) {
    return of(false, requireNonNull(outputs, "outputs").clone());
  }

  /**
   * Allows all outputs except those whose bit is set, for all rows; as {@link #without(int...)}.
   * {@link BitSet#valueOf(long[])} builds a set from 64-bit words.
   *
   * @param outputs copied; operations reject bits beyond the number of outputs
   */
  public static Filter without(BitSet outputs) {
    return of(false, listed(outputs));
  }

  /**
   * Allows, for each row of x, all outputs except those in the same row of {@code outputs}: for
   * example, the items that a user has already seen. Values of entries are ignored.
   *
   * @param outputs one row per row of x; operations throw {@link IllegalArgumentException} for
   *     another number of rows, and {@link IndexOutOfBoundsException} for an index outside [0,
   *     outputs)
   */
  public static Filter without(SparseRows outputs) {
    return of(false, outputs);
  }

  /** Allows only these outputs, for all rows; as {@link #without(int...)}. */
  public static Filter only(int... outputs) {
    return of(true, requireNonNull(outputs, "outputs").clone());
  }

  /** Allows only outputs whose bit is set, for all rows; as {@link #without(BitSet)}. */
  public static Filter only(BitSet outputs) {
    return of(true, listed(outputs));
  }

  private static int[] listed(BitSet outputs) {
    return requireNonNull(outputs, "outputs").stream().toArray();
  }

  /**
   * Allows, for each row of x, only the outputs in the same row of {@code outputs}; as {@link
   * #without(SparseRows)}.
   */
  public static Filter only(SparseRows outputs) {
    return of(true, outputs);
  }

  /**
   * The same filter, with probabilities renormalized over the allowed outputs: P(output | one of
   * the allowed). They sum to one. {@link org.blocksparse.softmax.HierarchicalSoftmax#topP} and
   * {@link org.blocksparse.softmax.TwoLevelLayer#atLeast} then use the renormalized probabilities.
   * The ranking order does not change.
   *
   * <p>After the logits, everything is computed in double, and each log probability is rounded
   * once. With n equally probable allowed outputs, {@code atLeast(1.0 / n)} returns all n. The
   * normalizer has a relative error of at most 2<sup>-29</sup>. The probabilities of all allowed
   * outputs sum to one within that error plus 2<sup>-24</sup> times their entropy. To compute the
   * normalizer, the search opens partly allowed classes in order of probability, until the rest
   * cannot change it; {@link Ranking#openedClasses} does not count them. A row whose allowed
   * outputs all have probability 0 is not {@linkplain Ranking#isDefined defined}.
   */
  public Filter withRenormalization() {
    return new Filter(lists, true);
  }

  /**
   * The same filter, except that unknown ids (such as newer items, or -1) are ignored instead of
   * rejected. Known ids are still excluded ({@link #without(int...)}) or allowed ( {@link
   * #only(int...)}). Each call counts the ids that it ignores.
   *
   * @param unknown counts them
   */
  public Filter withUnknownIds(UnknownIds unknown) {
    requireNonNull(unknown, "unknown");
    return new Filter(
        lists.stream()
            .map(list -> new OutputList(list.only, list.outputs, list.rows, unknown))
            .toList(),
        renormalized);
  }

  /**
   * Allows the outputs that both this filter and another one allow: for example, items in stock
   * that a user has not seen. Either filter may have one list for all rows, or a list for each row;
   * the order of the two does not matter. If either filter is {@linkplain #withRenormalization
   * renormalized}, so is the result, over the outputs that both allow.
   *
   * <p>Merge two long lists for all rows into one {@link BitSet}: one list is faster.
   *
   * @throws IllegalArgumentException if both have lists for each row, of different numbers of rows,
   *     or if they have more than 64 lists together
   */
  public Filter and(Filter other) {
    List<OutputList> all =
        Stream.of(lists, requireNonNull(other, "other").lists).flatMap(List::stream).toList();
    if (all.size() > MOST_LISTS) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "other: expected at most %d lists together but was %d; put outputs into fewer",
              MOST_LISTS,
              all.size()));
    }
    List<SparseRows> rows = all.stream().map(OutputList::rows).filter(Objects::nonNull).toList();
    rows.forEach(each -> CsrRows.from(each).requireRows("other", rows.get(0).rows()));
    return new Filter(all, renormalized || other.renormalized);
  }

  /** Whether it excludes nothing. */
  boolean allowsAll() {
    return lists.stream()
        .allMatch(list -> !list.only && list.rows == null && list.outputs.size() == 0);
  }

  /** Checks the filter, and converts it for the search. */
  OutputFilter check(int batch, int numberOfOutputs) {
    return new OutputFilter(
        lists.stream().map(list -> list.check(batch, numberOfOutputs)).toList(), renormalized);
  }

  /** Rejects renormalized filters, for rankings whose probabilities do not sum to one. */
  void requireNotRenormalized() {
    if (renormalized) {
      throw new IllegalArgumentException(
          "filter: expected one that is not renormalized, as the scores of this ranking do not sum"
              + " to one, but was "
              + this);
    }
  }

  /** Adds the filter's {@link SparseRows} to a lease, which keeps them open. */
  OperandLease lease(OperandLease lease) {
    for (OutputList list : lists) {
      if (list.rows != null) {
        CsrRows.from(list.rows).lease(lease, "filter");
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
