// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import java.util.concurrent.atomic.LongAdder;

/**
 * Ignores ids that a model does not know, and counts them. In production, baskets, histories and
 * filters contain items that are newer than the model, removed items, and -1, which {@link
 * org.blocksparse.ranking.Labels#output} returns for an unknown name. By default, such ids throw
 * {@link IndexOutOfBoundsException}; this option ignores them:
 *
 * <pre>{@code
 * UnknownIds unknown = UnknownIds.ignore();             // one for the service
 * SparseRows.of(baskets, bag.vocabulary(), unknown);    // rows for a bag
 * Filter.without(history).withUnknownIds(unknown);
 * unknown.count();                                      // for a metric
 * }</pre>
 *
 * <p>Safe for use by any number of threads.
 */
public final class UnknownIds {
  private final LongAdder ignored = new LongAdder();

  private UnknownIds() {}

  /** Ignores unknown ids, and counts them from 0. */
  public static UnknownIds ignore() {
    return new UnknownIds();
  }

  /**
   * Returns the number of ids ignored so far. Ids of rows count once, and ids of a filter count in
   * each call.
   */
  public long count() {
    return ignored.sum();
  }

  /** Counts ignored ids. */
  public void add(long ids) {
    ignored.add(ids);
  }

  @Override
  public String toString() {
    return "UnknownIds(" + count() + " ignored)";
  }
}
