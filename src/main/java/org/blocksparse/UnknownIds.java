// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import java.util.concurrent.atomic.LongAdder;

/**
 * Ignores ids that a model does not know, and counts them. Baskets, histories and filters from
 * production name items that are newer than the model, items that were removed, and -1, which
 * {@link Labels#output} returns for a name that it does not know. By default they are refused with
 * {@link IndexOutOfBoundsException}; this option leaves them out:
 *
 * <pre>{@code
 * UnknownIds unknown = UnknownIds.ignore();             // one for the service
 * SparseRows.of(baskets, bag.vocabulary(), unknown);    // rows for a bag
 * Filter.without(history).withUnknownIds(unknown);
 * unknown.count();                                      // for a metric
 * }</pre>
 *
 * <p>Any number of threads may use it.
 */
public final class UnknownIds {
  private final LongAdder ignored = new LongAdder();

  private UnknownIds() {}

  /** Ignores unknown ids, and counts them from 0. */
  public static UnknownIds ignore() {
    return new UnknownIds();
  }

  /** How many ids were ignored so far: those of rows once, those of a filter in each call. */
  public long count() {
    return ignored.sum();
  }

  void add(long ids) {
    ignored.add(ids);
  }

  @Override
  public String toString() {
    return "UnknownIds(" + count() + " ignored)";
  }
}
