// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.examples;

import static java.util.Objects.requireNonNull;

import java.util.List;

/**
 * The items of a user, the oldest first; or those of a basket, in any order.
 *
 * @param user the name of the user, for messages; models do not use it
 * @param items the names of the items
 * @param targets the number of last items that a test predicts from the others: 1, or all those of
 *     the last basket of a user
 */
public record Sequence(String user, List<String> items, int targets) {
  /**
   * Copies the list.
   *
   * @throws IllegalArgumentException unless there are targets, and as many items
   */
  public Sequence {
    requireNonNull(user, "user");
    items = ItemList.of(items);
    if (targets < 1 || targets > Math.max(1, items.size())) {
      throw new IllegalArgumentException(
          "targets: expected a number in [1, %d] but was %d"
              .formatted(Math.max(1, items.size()), targets));
    }
  }

  /** Creates a sequence whose last item a test predicts. */
  public Sequence(String user, List<String> items) {
    this(user, items, 1);
  }

  /** Returns the last item; there is one. */
  public String last() {
    return items.get(items.size() - 1);
  }

  /** Returns the number of items before those that a test predicts. */
  public int known() {
    return Math.max(0, items.size() - targets);
  }

  /** Returns the items but those that a test predicts. */
  public Sequence withoutLast() {
    return new Sequence(user, ItemList.of(items).first(known()));
  }
}
