// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import java.io.IOException;

/** An engine with the experts of a {@link MoeShape} in one type. */
interface MoeForward extends AutoCloseable {
  /**
   * Makes ready for a batch.
   *
   * @return the outputs of its first {@link MoeNumbers#CHECKED_TOKENS} tokens by routing 0
   */
  float[] prepare(int tokens) throws IOException;

  /**
   * The nanoseconds of calls, one by each routing in turn.
   *
   * @param workers threads
   * @param seconds no call begins later; there is one at least
   */
  long[] times(int workers, double seconds) throws IOException;

  @Override
  void close();
}
