// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bag;

import static java.util.Objects.requireNonNull;

import org.blocksparse.FloatTensor;
import org.blocksparse.Workers;
import org.blocksparse.internal.tensors.Check;

/** Builds an {@link EmbeddingBag}; see {@link EmbeddingBag#builder}. */
public final class EmbeddingBagBuilder {
  private final int vocabulary;
  private final int features;
  private EmbeddingBag.Mode mode = EmbeddingBag.Mode.MEAN;
  private Workers workers = Workers.common();
  private long seed;

  EmbeddingBagBuilder(int vocabulary, int features) {
    this.vocabulary = vocabulary;
    this.features = features;
  }

  /** Returns the factor of sums; by default {@link EmbeddingBag.Mode#MEAN}. */
  public EmbeddingBagBuilder mode(EmbeddingBag.Mode value) {
    this.mode = requireNonNull(value, "mode");
    return this;
  }

  /** Returns the threads that run every call; by default {@link Workers#common}. */
  public EmbeddingBagBuilder workers(Workers all) {
    this.workers = requireNonNull(all, "workers");
    return this;
  }

  /** Sets the seed of the initial table; 0 by default. Equal seeds give equal tables. */
  public EmbeddingBagBuilder seed(long value) {
    this.seed = value;
    return this;
  }

  /**
   * Returns a layer with a random table, uniform in [-1, 1] / features as in fastText. These values
   * are small, so rows without training add little to a sum.
   *
   * @throws OutOfMemoryError if there is not enough native memory; the message names the bytes
   */
  public EmbeddingBag build() {
    EmbeddingBag bag = EmbeddingBag.of(FloatTensor.zeros(vocabulary, features), mode, workers);
    bag.memory().draw(seed);
    return bag;
  }

  /**
   * Returns a layer that takes ownership of the given table: training changes the table, and
   * closing the layer closes it.
   *
   * @param table (vocabulary, features)
   * @throws IllegalArgumentException if the shape does not fit
   */
  public EmbeddingBag build(FloatTensor table) {
    Check.shape("table", table, "(vocabulary, features)", vocabulary, features);
    return EmbeddingBag.of(table, mode, workers);
  }
}
