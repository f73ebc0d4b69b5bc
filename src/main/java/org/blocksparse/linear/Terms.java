// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.linear;

import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.IntToDoubleFunction;
import org.blocksparse.internal.sparse.Bags;

/** The terms of a sum over the features of a row. */
final class Terms {
  private Terms() {}

  /**
   * Returns the terms of a single row, in which a feature may occur several times, with their
   * weights.
   */
  static List<Term> of(Bags row, IntToDoubleFunction weight) {
    Map<Integer, Double> values = new TreeMap<>();
    for (int entry = row.offsets().getInt(0); entry < row.offsets().getInt(1); entry++) {
      values.merge(row.indices().getInt(entry), (double) row.value(entry), Double::sum);
    }
    return values.entrySet().stream()
        .map(e -> new Term(e.getKey(), e.getValue(), weight.applyAsDouble(e.getKey())))
        .filter(term -> term.weight() != 0)
        .sorted(Comparator.comparingDouble((Term term) -> -Math.abs(term.contribution())))
        .toList();
  }
}
