// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.examples;

import static java.util.Objects.requireNonNull;

import java.util.AbstractList;
import java.util.List;
import java.util.Objects;
import java.util.RandomAccess;

/** An immutable list whose prefixes share its memory: a user with n events may have n of them. */
public final class ItemList extends AbstractList<String> implements RandomAccess {
  private final String[] items;
  private final int size;

  private ItemList(String[] items, int size) {
    this.items = items;
    this.size = size;
  }

  /** Returns the list itself, or a copy. */
  public static ItemList of(List<String> items) {
    if (items instanceof ItemList list) {
      return list;
    }
    String[] copy = items.toArray(String[]::new);
    for (String item : copy) {
      requireNonNull(item, "items");
    }
    return new ItemList(copy, copy.length);
  }

  /** Returns the first items. */
  public ItemList first(int count) {
    return new ItemList(items, Objects.checkIndex(count, size + 1));
  }

  /** Returns the list whose beginning this is, or itself. */
  public ItemList whole() {
    return new ItemList(items, items.length);
  }

  /** Returns whether it shares the memory of another, which is not shorter. */
  public boolean isBeginningOf(ItemList other) {
    return items == other.items && size <= other.size;
  }

  @Override
  public String get(int index) {
    return items[Objects.checkIndex(index, size)];
  }

  @Override
  public int size() {
    return size;
  }
}
