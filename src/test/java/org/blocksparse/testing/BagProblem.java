// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.testing;

import org.blocksparse.SparseRows;
import org.blocksparse.testing.Data.Numbers;

/**
 * The operands of an embedding bag.
 *
 * @param offsets the begin of each bag, and the end of the last one
 * @param values null: 1 each
 */
@SuppressWarnings("ArrayRecordComponent")
public record BagProblem(
    int vocabulary,
    int features,
    int[] offsets,
    int[] indices,
    float[] values,
    float[] table,
    float[] gradOut) {

  /** Returns bags of the given sizes with random indices. */
  public static BagProblem random(
      Data data, Numbers numbers, boolean weighted, int vocabulary, int features, int... sizes) {
    int[] offsets = new int[sizes.length + 1];
    for (int bag = 0; bag < sizes.length; bag++) {
      offsets[bag + 1] = offsets[bag] + sizes[bag];
    }
    int entries = offsets[sizes.length];
    return new BagProblem(
        vocabulary,
        features,
        offsets,
        data.indices(entries, vocabulary),
        weighted ? data.floats(numbers, entries) : null,
        data.floats(numbers, (long) vocabulary * features),
        data.floats(numbers, (long) sizes.length * features));
  }

  public int bags() {
    return offsets.length - 1;
  }

  /** Returns the bags in the form for a layer. */
  public SparseRows rows() {
    return values == null
        ? SparseRows.of(offsets, indices)
        : SparseRows.of(offsets, indices, values);
  }

  /** Returns the problem with another table. */
  public BagProblem withTable(float[] other) {
    return new BagProblem(vocabulary, features, offsets, indices, values, other, gradOut);
  }
}
