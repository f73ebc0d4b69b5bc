// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.softmax;

import org.blocksparse.internal.schedule.Bags;

/**
 * Which outputs may be found, for each row of a batch. Checked by the facade.
 *
 * @param only whether the outputs that are listed are the only ones, or those that are left out
 * @param outputs the list for all rows, or null: each row has its own
 * @param rows a list for each row, or null
 * @param renormalized whether probabilities are divided by what the allowed outputs have together
 */
public record OutputFilter(boolean only, int[] outputs, Bags rows, boolean renormalized) {
  /** What is allowed in a row. */
  interface OfRow {
    AllowedSlots of(int row);
  }

  /** For each row what is allowed; what is the same for all rows is found once. */
  OfRow in(ClassTable table) {
    if (rows != null) {
      return row -> AllowedSlots.of(table, only, listOf(row));
    }
    AllowedSlots ofAllRows =
        outputs.length == 0 && !only
            ? AllowedSlots.all(table)
            : AllowedSlots.of(table, only, outputs);
    return row -> ofAllRows;
  }

  /** How many outputs are listed for all rows together. */
  long listed() {
    return rows == null ? outputs.length : rows.entries();
  }

  private int[] listOf(int row) {
    int begin = rows.offsets().getInt(row);
    int[] list = new int[rows.offsets().getInt(row + 1L) - begin];
    rows.indices().storage().getInts(rows.indices().begin() + begin, list, 0, list.length);
    return list;
  }
}
