// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import org.blocksparse.internal.Blocks;
import org.blocksparse.internal.Rows;
import org.blocksparse.internal.TableRows;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.softmax.Parameter;
import org.blocksparse.internal.softmax.SoftmaxSizes;
import org.blocksparse.internal.softmax.SoftmaxStorage;

/** Tensors as the kernels see them. */
final class KernelOperands {
  private KernelOperands() {}

  /** A tensor (..., size), whose last dimension is a row; contiguous. */
  static Rows rows(FloatTensor tensor) {
    Shape shape = tensor.shape();
    long size = shape.dim(shape.rank() - 1);
    long count = 1;
    for (int axis = 0; axis < shape.rank() - 1; axis++) {
      count *= shape.dim(axis);
    }
    return new Rows(tensor.storage(), count, size);
  }

  /** A tensor (..., size) whose rows are added up; contiguous. */
  static TableRows table(FloatTensor tensor) {
    return new TableRows(rows(tensor));
  }

  /**
   * The parameters of a layer of two levels.
   *
   * @throws IllegalArgumentException if one has another shape
   */
  static SoftmaxStorage parameters(
      FloatTensor W1, FloatTensor b1, FloatTensor W2, FloatTensor b2, SoftmaxSizes sizes) {
    Check.shape("W1", W1, "(features, classes)", sizes.dims(Parameter.W1));
    Check.shape("b1", b1, "(classes)", sizes.dims(Parameter.B1));
    Check.shape("W2", W2, "(classes, features, slots)", sizes.dims(Parameter.W2));
    Check.shape("b2", b2, "(classes, slots)", sizes.dims(Parameter.B2));
    return new SoftmaxStorage(W1.storage(), b1.storage(), W2.storage(), b2.storage());
  }

  /** A parameter of a layer of two levels: the layer's own memory. */
  static FloatTensor tensor(SoftmaxSizes sizes, Parameter parameter, Storage storage) {
    return FloatTensor.dense(storage, Shape.of(sizes.dims(parameter)));
  }

  /** The memory of weights of any form, without their scales. */
  static Storage elements(BlockMatrix W) {
    return W instanceof FloatTensor floats ? floats.storage() : ((Weights) W).elements();
  }

  /** Weights of rank 4, of any form. */
  static Blocks blocks(BlockMatrix W) {
    return W instanceof FloatTensor floats ? blocks(floats) : ((Weights) W).blocks();
  }

  /** A tensor (iBlocks, oBlocks, iSize, oSize), which may be a transposed view. */
  static Blocks blocks(FloatTensor tensor) {
    Shape shape = tensor.shape();
    int iSize = (int) shape.dim(2);
    int oSize = (int) shape.dim(3);
    boolean transposed = tensor.stride(3) != 1;
    // A block of one row has no meaningful stride between rows; any that is large enough will do.
    long rowStride =
        transposed ? Math.max(iSize, tensor.stride(3)) : Math.max(oSize, tensor.stride(2));
    // Of a tensor without elements, the strides may be anything, larger than any memory as well.
    boolean empty = shape.size() == 0;
    return new Blocks(
        tensor.storage(),
        (int) shape.dim(0),
        (int) shape.dim(1),
        iSize,
        oSize,
        empty ? 0 : tensor.stride(0),
        empty ? 0 : tensor.stride(1),
        rowStride,
        transposed);
  }
}
