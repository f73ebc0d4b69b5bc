// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.sparse;

import org.blocksparse.internal.memory.Slice;

/**
 * Rows of a table that are added up, each with a factor: bag r has the entries [offsets[r],
 * offsets[r + 1]).
 *
 * @param count the number of bags
 * @param offsets count + 1, ascending from 0 to {@code entries}
 * @param indices the row of the table that each entry names
 * @param values the factor of each entry, or null: 1
 * @param entries the number of entries
 */
public record Bags(int count, Slice offsets, Slice indices, Slice values, int entries) {
  /** The factor of a bag's sum, given its number of entries. */
  public enum Reduction {
    SUM,
    MEAN,
    ROOT_MEAN;

    /** Returns the factor; 1 for no entries, whose sum is 0. */
    public double factor(int entries) {
      return switch (this) {
        case SUM -> 1;
        case MEAN -> 1.0 / Math.max(1, entries);
        case ROOT_MEAN -> 1 / Math.sqrt(Math.max(1, entries));
      };
    }
  }

  /** Returns the factor of an entry. */
  public float value(int entry) {
    return values == null ? 1 : values.getFloat(entry);
  }
}
