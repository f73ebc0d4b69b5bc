// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import org.blocksparse.internal.tensors.DenseInts;

/**
 * A dense tensor of 32-bit integers in off-heap memory, row-major: indices of blocks, and targets.
 *
 * <p>See {@link Tensor} for lifetime and threads.
 */
public sealed interface IntTensor extends Tensor permits DenseInts {
  /**
   * Returns a tensor of zeros with the given dimensions.
   *
   * @throws IllegalArgumentException if a dimension is negative, or if there are too many elements
   * @throws OutOfMemoryError if there is not enough native memory; the message names the bytes
   */
  static IntTensor zeros(long... dims) {
    return DenseInts.zeros(dims);
  }

  /**
   * Returns a tensor with a copy of the given values, in row-major order.
   *
   * @throws IllegalArgumentException if the number of values is not that of the dimensions
   */
  static IntTensor of(int[] values, long... dims) {
    return DenseInts.of(values, dims);
  }

  /**
   * Returns one element.
   *
   * @throws IllegalArgumentException if the number of indices is not the rank
   * @throws IndexOutOfBoundsException if an index is outside its dimension
   * @throws IllegalStateException if the tensor is closed
   */
  int get(long... index);

  /** Sets one element; errors as {@link #get}. */
  void set(int value, long... index);

  /**
   * Sets all elements, in row-major order.
   *
   * @throws IllegalArgumentException if their number differs
   * @throws IllegalStateException if the tensor is closed
   */
  void copyFrom(int[] values);

  /**
   * Sets {@code length} elements, in row-major order, from element {@code offset} on.
   *
   * @param values the source, from {@code values[start]}
   * @throws IndexOutOfBoundsException if a range is outside the tensor or the array
   * @throws IllegalStateException if the tensor is closed
   */
  void put(long offset, int[] values, int start, int length);

  /** Copies elements out; arguments and errors as {@link #put}. */
  void get(long offset, int[] values, int start, int length);

  /**
   * Returns all elements in row-major order, in a new array.
   *
   * @throws IllegalArgumentException if there are more elements than an array can hold
   * @throws IllegalStateException if the tensor is closed
   */
  int[] toArray();
}
