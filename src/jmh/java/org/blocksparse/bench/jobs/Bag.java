// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench.jobs;

/** A bag that returns means; all bags begin with the same table, and get the same gradients. */
public interface Bag extends AutoCloseable {
  float RATE = 0.01f;

  /** The value of each element of the gradient of the means. */
  float GRADIENT = 0.5f;

  void forward(int batch);

  /** Makes a step of Adagrad. */
  void step(int batch);

  /** Returns the means of the batch computed last. */
  float[] means();

  @Override
  default void close() {}
}
