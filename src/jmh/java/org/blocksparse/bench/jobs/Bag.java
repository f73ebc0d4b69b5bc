// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench.jobs;

/** A bag that returns means; all begin with the same table, and get the same gradients. */
public interface Bag extends AutoCloseable {
  float RATE = 0.01f;

  /** Each element of the gradient of the means. */
  float GRADIENT = 0.5f;

  void forward(int batch);

  /** A step of Adagrad. */
  void step(int batch);

  /** The means of a batch, computed last. */
  float[] means();

  @Override
  default void close() {}
}
