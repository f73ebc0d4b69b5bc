// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.softmax;

import org.blocksparse.internal.Blocks;
import org.blocksparse.internal.Rows;
import org.blocksparse.internal.format.Dimensions;
import org.blocksparse.internal.memory.Storage;

/** The sizes of a two-level softmax. */
public record SoftmaxSizes(int features, int classes, int slots) {
  /** The dimensions of a parameter. */
  public long[] dims(Parameter parameter) {
    return switch (parameter) {
      case W1 -> new long[] {features, classes};
      case B1 -> new long[] {classes};
      case W2 -> new long[] {classes, features, slots};
      case B2 -> new long[] {classes, slots};
    };
  }

  /**
   * The number of elements of a parameter.
   *
   * @throws IllegalArgumentException if there are too many to count
   */
  public long elements(Parameter parameter) {
    return Dimensions.size(dims(parameter), Float.BYTES);
  }

  /** Memory of the size of W1 as a block. */
  Blocks w1(Storage storage) {
    return Blocks.dense(storage, 1, 1, features, classes);
  }

  /** Memory of the size of b1 as a row. */
  Rows b1(Storage storage) {
    return new Rows(storage, 1, classes);
  }

  /** Memory of the size of W2 as a block for each class. */
  Blocks w2(Storage storage) {
    return Blocks.dense(storage, 1, classes, features, slots);
  }

  /** Memory of the size of b2 as a row for each class. */
  Rows b2(Storage storage) {
    return new Rows(storage, classes, slots);
  }

  /** The weights of one class. */
  long classWeights() {
    return (long) features * slots;
  }
}
