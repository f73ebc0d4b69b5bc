// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import org.blocksparse.FloatTensor;
import org.blocksparse.Shape;
import org.blocksparse.internal.files.Dimensions;
import org.blocksparse.internal.memory.Rows;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.tensors.Check;
import org.blocksparse.internal.tensors.Dense;
import org.blocksparse.internal.tensors.DenseFloats;
import org.blocksparse.internal.training.Parameter;
import org.blocksparse.internal.weights.Blocks;

/** The sizes of a two-level softmax. */
record SoftmaxSizes(int features, int classes, int slots) {
  /** Returns the dimensions of a parameter. */
  public long[] dims(Parameter parameter) {
    return switch (parameter) {
      case W1 -> new long[] {features, classes};
      case B1 -> new long[] {classes};
      case W2 -> new long[] {classes, features, slots};
      case B2 -> new long[] {classes, slots};
    };
  }

  /**
   * Returns the number of elements of a parameter.
   *
   * @throws IllegalArgumentException if there are too many to count
   */
  public long elements(Parameter parameter) {
    return Dimensions.size(dims(parameter), Float.BYTES);
  }

  /** Returns memory of the size of W1 as a block. */
  Blocks w1(Storage storage) {
    return Blocks.dense(storage, 1, 1, features, classes);
  }

  /** Returns memory of the size of b1 as a row. */
  Rows b1(Storage storage) {
    return new Rows(storage, 1, classes);
  }

  /** Returns memory of the size of W2 as a block for each class. */
  Blocks w2(Storage storage) {
    return Blocks.dense(storage, 1, classes, features, slots);
  }

  /** Returns memory of the size of b2 as a row for each class. */
  Rows b2(Storage storage) {
    return new Rows(storage, classes, slots);
  }

  /** Returns the weights of one class. */
  long classWeights() {
    return (long) features * slots;
  }

  /** Returns a parameter as a tensor over the layer's own memory. */
  FloatTensor tensor(Parameter parameter, Storage storage) {
    return DenseFloats.dense(storage, Shape.of(dims(parameter)));
  }

  /**
   * Returns the memory of parameters of these sizes.
   *
   * @throws IllegalArgumentException if one has another shape
   */
  SoftmaxStorage storage(FloatTensor W1, FloatTensor b1, FloatTensor W2, FloatTensor b2) {
    Check.shape("W1", W1, "(features, classes)", dims(Parameter.W1));
    Check.shape("b1", b1, "(classes)", dims(Parameter.B1));
    Check.shape("W2", W2, "(classes, features, slots)", dims(Parameter.W2));
    Check.shape("b2", b2, "(classes, slots)", dims(Parameter.B2));
    return new SoftmaxStorage(
        Dense.from(W1).storage(),
        Dense.from(b1).storage(),
        Dense.from(W2).storage(),
        Dense.from(b2).storage());
  }
}
