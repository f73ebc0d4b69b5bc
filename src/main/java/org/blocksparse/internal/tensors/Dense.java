// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.tensors;

import static java.util.Objects.requireNonNull;

import java.util.Arrays;
import org.blocksparse.FloatTensor;
import org.blocksparse.Shape;
import org.blocksparse.Tensor;
import org.blocksparse.internal.memory.Storage;

/** The inner form of a {@link Tensor}: a storage, a shape and strides. */
public abstract sealed class Dense permits DenseFloats, DenseInts {
  private final Storage storage;

  private final Shape shape;

  private final long[] strides;

  private final boolean contiguous;

  /**
   * Creates a tensor over all of a storage, and takes ownership of it.
   *
   * @param storage for a view, a {@linkplain Storage#view view} of the storage
   */
  Dense(Storage storage, Shape shape, long[] strides) {
    this.storage = storage;
    this.shape = shape;
    this.strides = strides;
    this.contiguous = Arrays.equals(strides, denseStrides(shape));
  }

  /** Returns the only implementation of a tensor. */
  public static Dense from(Tensor tensor) {
    return (Dense) tensor;
  }

  /**
   * Returns the strides of a tensor of this shape whose elements follow each other without a gap.
   */
  static long[] denseStrides(Shape shape) {
    long[] strides = new long[shape.rank()];
    long stride = 1;
    for (int axis = shape.rank() - 1; axis >= 0; axis--) {
      strides[axis] = stride;
      stride *= Math.max(1, shape.dim(axis));
    }
    return strides;
  }

  public final Shape shape() {
    return shape;
  }

  /**
   * Returns whether the elements lie in row-major order without gaps. A transposed view is not
   * contiguous.
   */
  final boolean isContiguous() {
    return contiguous;
  }

  public final boolean isClosed() {
    return storage.isClosed();
  }

  public final void close() {
    storage.close();
  }

  public final Storage storage() {
    return storage;
  }

  final long[] strides() {
    return strides;
  }

  public final long stride(int axis) {
    return strides[axis];
  }

  /**
   * Takes a lease on the memory, to be ended with {@code storage().release()}.
   *
   * @throws IllegalStateException if this tensor is closed
   */
  final void acquire(String name) {
    if (!storage.acquire()) {
      throw new IllegalStateException(name + ": the tensor " + shape + " is closed");
    }
  }

  /** Acquires the memory as {@link #acquire} does, to write. */
  final void acquireToWrite(String name) {
    storage.requireWritable(name, shape);
    acquire(name);
  }

  /**
   * Returns where an element lies.
   *
   * @throws IllegalArgumentException if the number of indices is not the rank
   * @throws IndexOutOfBoundsException if an index is outside its dimension
   */
  final long offset(long... index) {
    requireNonNull(index, "index");
    if (index.length != shape.rank()) {
      throw new IllegalArgumentException(
          "index: expected "
              + shape.rank()
              + " indices for shape "
              + shape
              + " but got "
              + index.length);
    }
    long offset = 0;
    for (int axis = 0; axis < index.length; axis++) {
      if (index[axis] < 0 || index[axis] >= shape.dim(axis)) {
        throw new IndexOutOfBoundsException(
            "index[" + axis + "] = " + index[axis] + " is outside [0, " + shape.dim(axis) + ")");
      }
      offset += index[axis] * strides[axis];
    }
    return offset;
  }

  public final void requireContiguous(String operation) {
    if (!isContiguous()) {
      throw new IllegalArgumentException(
          operation + ": expected a contiguous tensor but " + shape + " is a transposed view");
    }
  }

  final void requireRange(long offset, int arrayLength, int start, int length) {
    Check.range("start", start, "length", length, "array length", arrayLength);
    Check.range("offset", offset, "length", length, "elements", shape.size());
  }

  static Storage allocate(Shape shape) {
    long elements = requireNonNull(shape, "shape").size();
    return Storage.allocate(elements);
  }

  @Override
  public String toString() {
    return (this instanceof FloatTensor ? "FloatTensor" : "IntTensor")
        + shape
        + (isClosed() ? " (closed)" : "");
  }
}
