// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench.jobs;

import java.nio.FloatBuffer;

/** An implementation of the operations on one {@link Problem}. */
public interface Products extends AutoCloseable {
  /** Computes it; {@code GRAD_W} adds to the previous content. */
  void run(Operation operation);

  /** Returns the result of the latest {@link #run}, in our layout. */
  FloatBuffer result(Operation operation);

  @Override
  void close();
}
