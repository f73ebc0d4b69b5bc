// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench.nextitem;

import org.blocksparse.SparseRows;

/** A model that is trained on clicks. */
interface Model extends AutoCloseable {
  /** A step of training; the loss before it. */
  double step(SparseRows seen, int[] next);

  /** Vectors of users, from what each has seen. */
  float[][] users(SparseRows seen);

  @Override
  void close();
}
