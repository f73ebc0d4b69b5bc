// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static java.util.Objects.requireNonNull;

import org.blocksparse.internal.Check;
import org.blocksparse.internal.memory.Storage;

/**
 * A dense tensor of 32-bit integers in off-heap memory, row-major: indices of blocks, and targets.
 *
 * <p>See {@link Tensor} for lifetime and threads.
 */
public final class IntTensor extends Tensor {
  private IntTensor(Storage storage, Shape shape) {
    super(storage, shape, denseStrides(shape));
  }

  /** A tensor over all of a storage, which becomes its own. */
  static IntTensor dense(Storage storage, Shape shape) {
    return new IntTensor(storage, shape);
  }

  /**
   * A tensor of zeros with the given dimensions.
   *
   * @throws IllegalArgumentException if a dimension is negative, or if there are too many elements
   * @throws OutOfMemoryError if there is not enough native memory; the message names the bytes
   */
  public static IntTensor zeros(long... dims) {
    Shape shape = Shape.of(dims);
    return new IntTensor(allocate(shape), shape);
  }

  /**
   * A tensor with a copy of the given values, in row-major order.
   *
   * @throws IllegalArgumentException if the number of values is not that of the dimensions
   */
  public static IntTensor of(int[] values, long... dims) {
    requireNonNull(values, "values");
    Shape shape = Shape.of(dims);
    Check.length("values", shape.size(), values.length);
    Storage storage = allocate(shape);
    storage.putInts(0, values, 0, values.length);
    return new IntTensor(storage, shape);
  }

  /**
   * One element.
   *
   * @throws IllegalArgumentException if the number of indices is not the rank
   * @throws IndexOutOfBoundsException if an index is outside its dimension
   * @throws IllegalStateException if the tensor is closed
   */
  public int get(long... index) {
    long offset = offset(index);
    acquire("tensor");
    try {
      return storage().getInt(offset);
    } finally {
      storage().release();
    }
  }

  /** Sets one element; errors as {@link #get}. */
  public void set(int value, long... index) {
    long offset = offset(index);
    acquireToWrite("tensor");
    try {
      storage().putInt(offset, value);
    } finally {
      storage().release();
    }
  }

  /**
   * Sets all elements, in row-major order.
   *
   * @throws IllegalArgumentException if their number differs
   * @throws IllegalStateException if the tensor is closed
   */
  public void copyFrom(int[] values) {
    requireNonNull(values, "values");
    Check.length("values", shape().size(), values.length);
    acquireToWrite("tensor");
    try {
      storage().putInts(0, values, 0, values.length);
    } finally {
      storage().release();
    }
  }

  /**
   * Sets {@code length} elements, in row-major order, from element {@code offset} on.
   *
   * @param values where they come from, beginning at {@code values[start]}
   * @throws IndexOutOfBoundsException if a range is outside the tensor or the array
   * @throws IllegalStateException if the tensor is closed
   */
  public void put(long offset, int[] values, int start, int length) {
    requireRange(offset, requireNonNull(values, "values").length, start, length);
    acquireToWrite("tensor");
    try {
      storage().putInts(offset, values, start, length);
    } finally {
      storage().release();
    }
  }

  /** Copies elements out; arguments and errors as {@link #put}. */
  public void get(long offset, int[] values, int start, int length) {
    requireRange(offset, requireNonNull(values, "values").length, start, length);
    acquire("tensor");
    try {
      storage().getInts(offset, values, start, length);
    } finally {
      storage().release();
    }
  }

  /**
   * All elements in row-major order, in a new array.
   *
   * @throws IllegalArgumentException if there are more elements than an array can hold
   * @throws IllegalStateException if the tensor is closed
   */
  public int[] toArray() {
    return toArray("tensor");
  }

  /** A tensor (n) as a view (1, n). */
  IntTensor asBatchOfOne() {
    return new IntTensor(storage().view(), Shape.of(1, shape().dim(0)));
  }

  /** As {@link #toArray()}, for a tensor that is called {@code name} in messages. */
  int[] toArray(String name) {
    requireForArray(name);
    int[] values = new int[(int) shape().size()];
    get(name, values);
    return values;
  }

  /** There are no more elements than an array can hold. */
  void requireForArray(String name) {
    if (shape().size() > Integer.MAX_VALUE - 8) {
      throw new IllegalArgumentException(
          name + ": " + shape() + " has too many elements for an array");
    }
  }

  /** Copies all elements to the beginning of an array, which has room for them. */
  void get(String name, int[] values) {
    acquire(name);
    try {
      storage().getInts(0, values, 0, (int) shape().size());
    } finally {
      storage().release();
    }
  }
}
