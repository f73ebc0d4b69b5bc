// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench.jobs;

import java.nio.FloatBuffer;
import java.util.OptionalDouble;

/** An implementation of the operations on one {@link SoftmaxProblem}. */
public interface Softmax extends AutoCloseable {
  /** How many outputs are looked for. */
  int K = 10;

  void run(SoftmaxOperation operation);

  /**
   * The result of the latest {@link #run}: log probabilities of the targets, probabilities, log
   * probabilities of the likeliest outputs, or the loss.
   */
  FloatBuffer result();

  /** How many classes the latest search for the likeliest outputs opened, if it was a search. */
  default OptionalDouble openedClasses() {
    return OptionalDouble.empty();
  }

  @Override
  void close();
}
