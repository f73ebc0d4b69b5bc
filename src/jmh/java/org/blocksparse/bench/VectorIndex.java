// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import java.io.IOException;

/** An index of vectors that finds those with the largest dot products, on the calling thread. */
interface VectorIndex extends AutoCloseable {
  /**
   * Returns the numbers of the k best vectors that it finds.
   *
   * @param effort how many candidates it keeps, at least k: more find more
   */
  int[] topK(float[] query, int k, int effort) throws IOException;

  /** Returns the bytes of the index beside the vectors. */
  long bytes();

  @Override
  void close() throws IOException;
}
