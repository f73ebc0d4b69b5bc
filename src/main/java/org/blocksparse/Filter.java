// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static java.util.Objects.requireNonNull;

import java.util.BitSet;
import org.blocksparse.internal.softmax.OutputFilter;

/**
 * Which outputs a search of a {@link HierarchicalSoftmax} may find, or {@link
 * HierarchicalSoftmax#sample} may draw: all but some, or only some; the same for all rows of x, or
 * others for each row.
 *
 * <p>The search stays exact: its ranking is that of all allowed outputs, as if all were scored and
 * the others were struck out. Classes in which nothing is allowed are not opened, and not counted
 * by {@link Ranking#openedClasses}. A row in which nothing at all is allowed has an empty ranking,
 * and {@link Ranking#isFilteredOut} says so.
 *
 * <p>Probabilities stay those of the model, unless it is {@link #withRenormalization}.
 *
 * <p>Immutable. {@link SparseRows} stay the caller's, and must be open when the filter is used.
 */
public final class Filter {
  /** Allows everything. */
  static final Filter NONE = without();

  private final boolean only;

  /** Null: each row has its own. */
  private final int[] outputs;

  /** Null: all rows have the same. */
  private final SparseRows rows;

  private final boolean renormalized;

  private Filter(boolean only, int[] outputs, SparseRows rows, boolean renormalized) {
    this.only = only;
    this.outputs = outputs;
    this.rows = rows;
    this.renormalized = renormalized;
  }

  /**
   * All outputs but these, for all rows.
   *
   * @param outputs in any order; one may occur several times; an operation refuses with {@link
   *     IndexOutOfBoundsException} what is outside [0, outputs)
   */
  public static Filter without(int... outputs) {
    return new Filter(false, requireNonNull(outputs, "outputs").clone(), null, false);
  }

  /**
   * All outputs but those whose bit is set, for all rows; as {@link #without(int...)}. {@link
   * BitSet#valueOf(long[])} makes one of words.
   *
   * @param outputs is copied; bits of outputs that there are not are refused by an operation
   */
  public static Filter without(BitSet outputs) {
    return new Filter(false, listed(outputs), null, false);
  }

  /**
   * For each row of x all outputs but those in the same row here: what a user has seen already, for
   * instance. Values of entries do not matter.
   *
   * @param outputs (batch) rows; an operation refuses another number of rows with {@link
   *     IllegalArgumentException}, and with {@link IndexOutOfBoundsException} an index outside [0,
   *     outputs)
   */
  public static Filter without(SparseRows outputs) {
    return new Filter(false, null, requireNonNull(outputs, "outputs"), false);
  }

  /** These outputs alone, for all rows; as {@link #without(int...)}. */
  public static Filter only(int... outputs) {
    return new Filter(true, requireNonNull(outputs, "outputs").clone(), null, false);
  }

  /** The outputs whose bit is set alone, for all rows; as {@link #without(BitSet)}. */
  public static Filter only(BitSet outputs) {
    return new Filter(true, listed(outputs), null, false);
  }

  private static int[] listed(BitSet outputs) {
    return requireNonNull(outputs, "outputs").stream().toArray();
  }

  /** For each row of x the outputs in the same row here; as {@link #without(SparseRows)}. */
  public static Filter only(SparseRows outputs) {
    return new Filter(true, null, requireNonNull(outputs, "outputs"), false);
  }

  /**
   * The same outputs, with probabilities that are divided by what the allowed ones have together,
   * so that those sum to one: P(output | one of the allowed). {@link HierarchicalSoftmax#topP} and
   * {@link TwoLevelLayer#atLeast} then ask of these probabilities. The order is that of the model's
   * own.
   *
   * <p>The sum is right to 2<sup>-29</sup> of itself. To find it, classes are opened which are
   * allowed in part, from the likeliest on until those left cannot change it; {@link
   * Ranking#openedClasses} does not count them. A row whose allowed outputs have no probability at
   * all is not {@linkplain Ranking#isDefined defined}.
   */
  public Filter withRenormalization() {
    return new Filter(only, outputs, rows, true);
  }

  /** The filter as the search sees it, if it fits. */
  OutputFilter check(int batch, int numberOfOutputs) {
    if (rows == null) {
      Check.indices("filter", outputs, 0, "outputs", numberOfOutputs);
      return new OutputFilter(only, outputs, null, renormalized);
    }
    rows.requireRows("filter", batch);
    rows.requireIndices("filter", "outputs", numberOfOutputs);
    return new OutputFilter(only, null, rows.bags(), renormalized);
  }

  /** Probabilities are not to be divided by a sum, which those of a label tree do not have. */
  void requireNotRenormalized() {
    if (renormalized) {
      throw new IllegalArgumentException(
          "filter: expected one that is not renormalized, as the probabilities of a LabelTree do not"
              + " sum to one, but was "
              + this);
    }
  }

  /** Adds what must be open to a lease. */
  Lease lease(Lease lease) {
    return rows == null ? lease : rows.lease(lease, "filter");
  }

  @Override
  public String toString() {
    return "Filter("
        + (only ? "only " : "without ")
        + (rows == null ? outputs.length + " outputs" : rows)
        + (renormalized ? ", renormalized)" : ")");
  }
}
