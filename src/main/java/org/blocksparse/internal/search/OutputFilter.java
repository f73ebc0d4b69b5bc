// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.search;

import java.util.List;
import org.blocksparse.internal.sparse.Bags;

/**
 * The outputs that are allowed for each row of a batch; the facade has checked them.
 *
 * @param lists the lists; an output must be allowed by all of them
 * @param renormalized whether probabilities are divided by what the allowed outputs have together
 */
public record OutputFilter(List<OutputList> lists, boolean renormalized) {
  /**
   * A list of outputs.
   *
   * @param only whether the outputs that are listed are the only ones, or those that are left out
   * @param outputs the list for all rows, or null: each row has its own
   * @param rows a list for each row, or null
   */
  public record OutputList(boolean only, SharedOutputs outputs, Bags rows) {
    private boolean isEverything() {
      return rows == null && outputs.size() == 0 && !only;
    }

    private OfRow in(ClassTable table) {
      if (rows != null) {
        return row -> AllowedSlots.of(table, only, SlotList.of(table, listOf(row)));
      }
      AllowedSlots ofAllRows = AllowedSlots.of(table, only, outputs.in(table));
      return row -> ofAllRows;
    }

    private int[] listOf(int row) {
      int begin = rows.offsets().getInt(row);
      int[] list = new int[rows.offsets().getInt(row + 1L) - begin];
      rows.indices().storage().getInts(rows.indices().begin() + begin, list, 0, list.length);
      return list;
    }
  }

  /** The outputs that a row allows. */
  public interface OfRow {
    /** Returns the allowed slots of the classes. */
    AllowedSlots of(int row);

    /** Returns the outputs that both allow. */
    private OfRow and(OfRow other) {
      return row -> of(row).and(other.of(row));
    }
  }

  /** Returns whether all rows allow all outputs. */
  boolean allowsAll() {
    return lists.stream().allMatch(OutputList::isEverything);
  }

  /** Returns what each row allows; lists that are the same for all rows are looked up once. */
  public OfRow in(ClassTable table) {
    OfRow some = null;
    for (OutputList list : lists) {
      if (!list.isEverything()) {
        OfRow next = list.in(table);
        some = some == null ? next : some.and(next);
      }
    }
    AllowedSlots all = AllowedSlots.all(table);
    return some == null ? row -> all : some;
  }

  /** Returns how many outputs are listed in rows of their own, all together. */
  public long listed() {
    return lists.stream().filter(list -> list.rows != null).mapToLong(p -> p.rows.entries()).sum();
  }
}
