// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static java.util.Objects.requireNonNull;
import static java.util.stream.Collectors.joining;

import java.util.BitSet;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.stream.Stream;
import org.blocksparse.internal.softmax.OutputFilter;
import org.blocksparse.internal.softmax.SharedOutputs;

/**
 * Restricts the outputs of a search or of {@link HierarchicalSoftmax#sample}: all but some, or only
 * some, for all rows of x or for each row. {@link #and} intersects filters.
 *
 * <p>The search stays exact: its ranking is that of all allowed outputs. Classes in which nothing
 * is allowed are not opened, and not counted by {@link Ranking#openedClasses}. A row without any
 * allowed output has an empty ranking, and {@link Ranking#isFilteredOut} says so.
 *
 * <p>Probabilities stay those of the model, unless it is {@link #withRenormalization}.
 *
 * <p>A list for all rows is looked up in the classes of a layer once, and cached until another
 * layer is asked or the layer has grown: reuse a filter that lists many outputs. {@link SparseRows}
 * are read by each call.
 *
 * <p>Immutable; any number of threads may use the same filter. {@link SparseRows} stay the
 * caller's, and must be open when the filter is used.
 */
public final class Filter {
  /** A search asks one after the other, each from within the one before. */
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
   * @param only whether these are the only ones, or those that are left out
   * @param outputs null: each row has its own
   * @param rows null: all rows have the same
   * @param unknown counts what is listed and not there; null: that is refused
   */
  private record OutputList(
      boolean only, SharedOutputs outputs, SparseRows rows, UnknownIds unknown) {
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

  private static Filter of(boolean only, int[] outputs) {
    return new Filter(List.of(new OutputList(only, new SharedOutputs(outputs), null, null)), false);
  }

  private static Filter of(boolean only, SparseRows outputs) {
    return new Filter(
        List.of(new OutputList(only, null, requireNonNull(outputs, "outputs"), null)), false);
  }

  /**
   * All outputs but these, for all rows.
   *
   * @param outputs in any order; one may occur several times; an operation refuses with {@link
   *     IndexOutOfBoundsException} what is outside [0, outputs), unless it is {@link
   *     #withUnknownIds}
   */
  public static Filter without(int... outputs) {
    return of(false, requireNonNull(outputs, "outputs").clone());
  }

  /**
   * All outputs but those whose bit is set, for all rows; as {@link #without(int...)}. {@link
   * BitSet#valueOf(long[])} makes one of words.
   *
   * @param outputs is copied; bits of outputs that there are not are refused by an operation
   */
  public static Filter without(BitSet outputs) {
    return of(false, listed(outputs));
  }

  /**
   * All outputs but those in the same row here, for each row of x: what a user has seen already,
   * for instance. Values of entries do not matter.
   *
   * @param outputs (batch) rows; an operation refuses another number of rows with {@link
   *     IllegalArgumentException}, and with {@link IndexOutOfBoundsException} an index outside [0,
   *     outputs)
   */
  public static Filter without(SparseRows outputs) {
    return of(false, outputs);
  }

  /** These outputs alone, for all rows; as {@link #without(int...)}. */
  public static Filter only(int... outputs) {
    return of(true, requireNonNull(outputs, "outputs").clone());
  }

  /** The outputs whose bit is set alone, for all rows; as {@link #without(BitSet)}. */
  public static Filter only(BitSet outputs) {
    return of(true, listed(outputs));
  }

  private static int[] listed(BitSet outputs) {
    return requireNonNull(outputs, "outputs").stream().toArray();
  }

  /** For each row of x the outputs in the same row here; as {@link #without(SparseRows)}. */
  public static Filter only(SparseRows outputs) {
    return of(true, outputs);
  }

  /**
   * The same outputs, with probabilities that are divided by what the allowed ones have together,
   * so that those sum to one: P(output | one of the allowed). {@link HierarchicalSoftmax#topP} and
   * {@link TwoLevelLayer#atLeast} then ask of these probabilities. The order is that of the model's
   * own.
   *
   * <p>From the logits on, all is computed in double, and each log probability is rounded once: if
   * n outputs are allowed that are equally likely, {@code atLeast(1.0 / n)} finds all of them. What
   * probabilities are divided by is right to 2<sup>-29</sup> of itself, and the probabilities of a
   * ranking of all allowed outputs sum to one, but for that and for 2<sup>-24</sup> times their
   * entropy. To find the divisor, classes are opened which are allowed in part, from the likeliest
   * on until those left cannot change it; {@link Ranking#openedClasses} does not count them. A row
   * whose allowed outputs have no probability at all is not {@linkplain Ranking#isDefined defined}.
   */
  public Filter withRenormalization() {
    return new Filter(lists, true);
  }

  /**
   * The same filter, which ignores ids that the layer does not have instead of refusing them: items
   * that are newer than the model, and -1. {@link #without(int...)} leaves out the others, {@link
   * #only(int...)} allows the others alone. Each call counts what it ignores.
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
   * The outputs that this filter and another one both allow: those in stock, for instance, without
   * those that a user has seen. Each of the two may be the same for all rows or have others for
   * each row; the order does not matter. If one of the two is {@linkplain #withRenormalization
   * renormalized}, the result is, over what both allow.
   *
   * <p>Two long lists that are the same for all rows cost less as one, of a {@link BitSet}.
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
    rows.forEach(each -> each.requireRows("other", rows.get(0).rows()));
    return new Filter(all, renormalized || other.renormalized);
  }

  /** The filter as the search sees it, if it fits. */
  OutputFilter check(int batch, int numberOfOutputs) {
    return new OutputFilter(
        lists.stream().map(list -> list.check(batch, numberOfOutputs)).toList(), renormalized);
  }

  /** Probabilities are not to be divided by a sum, which those of a label tree do not have. */
  void requireNotRenormalized() {
    if (renormalized) {
      throw new IllegalArgumentException(
          "filter: expected one that is not renormalized, as the probabilities of a LabelTree do"
              + " not sum to one, but was "
              + this);
    }
  }

  /** Adds what must be open to a lease. */
  Lease lease(Lease lease) {
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
