// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.demo;

/** A model that a {@link LanguageModelTrainer} trains to predict the next word. */
interface Learner {
  /** The batch of that many rows, to be filled; there is one for each number of rows. */
  Batch batch(int rows);

  /**
   * A step of training on a batch.
   *
   * @param progress the part of the training that is done, in [0, 1); the rate falls to 0 with it
   * @return the mean negative log probability of the right words before the step
   */
  double train(Batch batch, double progress);

  /** {@code exp} of the mean negative log probability of the words of {@code text}. */
  double perplexity(int[] text);
}
