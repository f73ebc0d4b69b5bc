// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench.jobs;

import java.nio.FloatBuffer;
import java.util.OptionalDouble;

/** An implementation of the operations on one {@link SoftmaxProblem}. */
public interface Softmax extends AutoCloseable {
  /** The number of likeliest outputs. */
  int K = 10;

  void run(SoftmaxOperation operation);

  /**
   * Returns the result of the latest {@link #run}: log probabilities of the targets, probabilities,
   * log probabilities of the likeliest outputs, or the loss.
   */
  FloatBuffer result();

  /** Returns the number of classes that the latest run opened, if it was a search. */
  default OptionalDouble openedClasses() {
    return OptionalDouble.empty();
  }

  @Override
  void close();
}
