// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.examples;

import static java.util.Objects.requireNonNull;

import java.util.List;

/**
 * The items of a user, the oldest first; or those of a basket, in any order.
 *
 * @param user the name of the user, for messages; models do not use it
 * @param items the names of the items
 */
public record Sequence(String user, List<String> items) {
  /** Copies the list. */
  public Sequence {
    requireNonNull(user, "user");
    items = ItemList.of(items);
  }

  /** The last item; there is one. */
  public String last() {
    return items.get(items.size() - 1);
  }

  /** The items but the last, which a test predicts; none if there is at most one. */
  public Sequence withoutLast() {
    return new Sequence(user, ItemList.of(items).first(Math.max(0, items.size() - 1)));
  }
}
