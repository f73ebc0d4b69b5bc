// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.demo;

import org.blocksparse.FloatTensor;
import org.blocksparse.IntTensor;
import org.blocksparse.products.BlockPlan;

/**
 * Words that go through a {@link LanguageModel} together, with the memory for all that is computed
 * of them. Made once for a number of rows, and filled again and again.
 */
final class Batch implements AutoCloseable {
  /** [row * context + i]: the word i + 1 places before the one to predict. */
  final int[] before;

  /** [row]: the word to predict. */
  final int[] next;

  final IntTensor targets;
  final FloatTensor input; // (rows, 1, context * embedding)
  final FloatTensor gradInput;
  final FloatTensor hidden; // (rows, 1, features)
  final FloatTensor gradHidden;
  final FloatTensor features; // the same memory as hidden, as (rows, features)
  final FloatTensor gradFeatures;

  /** Room for what is done to the values of the tensors in Java. */
  final float[] inputValues;

  final float[] hiddenValues;
  final float[] gradHiddenValues;

  /** All rows through the one block of a dense layer. */
  final BlockPlan dense;

  private final int context;

  Batch(int rows, Settings settings) {
    context = settings.context;
    int size = settings.features;
    before = new int[rows * context];
    next = new int[rows];
    targets = IntTensor.zeros(rows);
    input = FloatTensor.zeros(rows, 1, (long) context * settings.embedding);
    gradInput = FloatTensor.zeros(input.shape());
    hidden = FloatTensor.zeros(rows, 1, size);
    gradHidden = FloatTensor.zeros(hidden.shape());
    features = hidden.reshape(rows, size);
    gradFeatures = gradHidden.reshape(rows, size);
    inputValues = new float[rows * context * settings.embedding];
    hiddenValues = new float[rows * size];
    gradHiddenValues = new float[rows * size];
    try (IntTensor theOnlyBlock = IntTensor.zeros(rows, 1)) {
      dense = BlockPlan.of(theOnlyBlock, theOnlyBlock, 1, 1).withWorkers(settings.workers());
    }
  }

  int rows() {
    return next.length;
  }

  /**
   * One row: {@code text[position]} is to be predicted from the words of its sentence that come
   * before it. Where the sentence has too few, the end of the one before stands for them.
   */
  void set(int row, int[] text, int position) {
    next[row] = text[position];
    boolean inside = true;
    for (int i = 0; i < context; i++) {
      int place = position - 1 - i;
      inside = inside && place >= 0 && text[place] != Vocabulary.END;
      before[row * context + i] = inside ? text[place] : Vocabulary.END;
    }
  }

  @Override
  public void close() {
    targets.close();
    input.close();
    gradInput.close();
    hidden.close();
    gradHidden.close();
    dense.close();
  }
}
