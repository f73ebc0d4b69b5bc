// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.ranking;

import java.util.BitSet;
import org.blocksparse.SparseRows;
import org.blocksparse.UnknownIds;
import org.blocksparse.internal.search.FilterLists;

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
public sealed interface Filter permits FilterLists {
  /**
   * Allows all outputs except these, for all rows.
   *
   * @param outputs in any order; repeats are allowed; operations throw {@link
   *     IndexOutOfBoundsException} for ids outside [0, outputs), unless the filter has {@link
   *     #withUnknownIds}
   */
  static Filter without(int... outputs) {
    return FilterLists.of(false, outputs);
  }

  /**
   * Allows all outputs except those whose bit is set, for all rows; as {@link #without(int...)}.
   * {@link BitSet#valueOf(long[])} builds a set from 64-bit words.
   *
   * @param outputs copied; operations reject bits beyond the number of outputs
   */
  static Filter without(BitSet outputs) {
    return FilterLists.of(false, outputs);
  }

  /**
   * Allows, for each row of x, all outputs except those in the same row of {@code outputs}: for
   * example, the items that a user has already seen. Values of entries are ignored.
   *
   * @param outputs one row per row of x; operations throw {@link IllegalArgumentException} for
   *     another number of rows, and {@link IndexOutOfBoundsException} for an index outside [0,
   *     outputs)
   */
  static Filter without(SparseRows outputs) {
    return FilterLists.of(false, outputs);
  }

  /** Allows only these outputs, for all rows; as {@link #without(int...)}. */
  static Filter only(int... outputs) {
    return FilterLists.of(true, outputs);
  }

  /** Allows only outputs whose bit is set, for all rows; as {@link #without(BitSet)}. */
  static Filter only(BitSet outputs) {
    return FilterLists.of(true, outputs);
  }

  /**
   * Allows, for each row of x, only the outputs in the same row of {@code outputs}; as {@link
   * #without(SparseRows)}.
   */
  static Filter only(SparseRows outputs) {
    return FilterLists.of(true, outputs);
  }

  /**
   * Returns the same filter, with probabilities renormalized over the allowed outputs: P(output |
   * one of the allowed). They sum to one. {@link org.blocksparse.softmax.HierarchicalSoftmax#topP}
   * and {@link org.blocksparse.softmax.TwoLevelLayer#atLeast} then use the renormalized
   * probabilities. The ranking order does not change.
   *
   * <p>After the logits, everything is computed in double, and each log probability is rounded
   * once. With n equally probable allowed outputs, {@code atLeast(1.0 / n)} returns all n. The
   * normalizer has a relative error of at most 2<sup>-29</sup>. The probabilities of all allowed
   * outputs sum to one within that error plus 2<sup>-24</sup> times their entropy. To compute the
   * normalizer, the search opens partly allowed classes in order of probability, until the rest
   * cannot change it; {@link Ranking#openedClasses} does not count them. A row whose allowed
   * outputs all have probability 0 is not {@linkplain Ranking#isDefined defined}.
   */
  Filter withRenormalization();

  /**
   * Returns the same filter, except that unknown ids (such as newer items, or -1) are ignored
   * instead of rejected. Known ids are still excluded ({@link #without(int...)}) or allowed (
   * {@link #only(int...)}). Each call counts the ids that it ignores.
   *
   * @param unknown counts them
   */
  Filter withUnknownIds(UnknownIds unknown);

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
  Filter and(Filter other);
}
