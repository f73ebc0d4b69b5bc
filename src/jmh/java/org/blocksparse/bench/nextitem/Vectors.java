// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench.nextitem;

import org.blocksparse.FloatTensor;

/** Rows of a tensor as arrays. */
final class Vectors {
  private Vectors() {}

  static float[][] rows(FloatTensor tensor) {
    int features = (int) tensor.shape().dim(1);
    float[][] rows = new float[(int) tensor.shape().dim(0)][features];
    for (int r = 0; r < rows.length; r++) {
      tensor.get((long) r * features, rows[r], 0, features);
    }
    return rows;
  }
}
