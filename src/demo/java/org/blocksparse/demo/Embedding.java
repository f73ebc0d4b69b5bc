// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.demo;

import java.util.random.RandomGenerator;
import org.blocksparse.FloatTensor;

/**
 * A few numbers for each word, looked up and learned: what the model knows of previous words.
 *
 * <p>They are learned by Adagrad with one sum of squares for each word, so that rare words, which
 * are seldom met, move far when they are. There is no product in here, and no work for the library.
 */
final class Embedding {
  private static final float INITIAL_BOUND = 0.1f;

  private final int size;
  private final float[] table; // [word * size + i]
  private final float[] squares; // [word]: mean over i of the sum over time of gradient^2

  Embedding(int words, int size, RandomGenerator random) {
    this.size = size;
    table = new float[Math.multiplyExact(words, size)];
    squares = new float[words];
    for (int i = 0; i < table.length; i++) {
      table[i] = random.nextFloat(-INITIAL_BOUND, INITIAL_BOUND);
    }
  }

  /** As {@link #table} gave it; the state of Adagrad is not part of that. */
  Embedding(FloatTensor table) {
    size = (int) table.shape().dim(1);
    this.table = table.toArray();
    squares = new float[(int) table.shape().dim(0)];
  }

  /** The numbers of all words, (words, size). */
  FloatTensor table() {
    return FloatTensor.of(table, squares.length, size);
  }

  /** Writes the numbers of {@code words}, one word after the other, to {@code output}. */
  void lookUp(int[] words, float[] output) {
    for (int i = 0; i < words.length; i++) {
      System.arraycopy(table, words[i] * size, output, i * size, size);
    }
  }

  /** A step against the gradient with respect to what {@link #lookUp} wrote. */
  void descend(int[] words, float[] gradOutput, float rate) {
    for (int i = 0; i < words.length; i++) {
      int from = i * size;
      float sum = 0;
      for (int e = 0; e < size; e++) {
        sum += gradOutput[from + e] * gradOutput[from + e];
      }
      if (sum == 0) {
        continue;
      }
      squares[words[i]] += sum / size;
      float step = rate / (float) Math.sqrt(squares[words[i]]);
      int to = words[i] * size;
      for (int e = 0; e < size; e++) {
        table[to + e] -= step * gradOutput[from + e];
      }
    }
  }
}
