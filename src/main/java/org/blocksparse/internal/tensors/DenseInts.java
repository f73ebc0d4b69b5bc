// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.tensors;

import static java.util.Objects.requireNonNull;

import org.blocksparse.IntTensor;
import org.blocksparse.Shape;
import org.blocksparse.internal.memory.Storage;

/** A tensor of integers without gaps. */
public final class DenseInts extends Dense implements IntTensor {
  /** Returns the only implementation of a tensor. */
  public static DenseInts from(IntTensor tensor) {
    return (DenseInts) tensor;
  }

  private DenseInts(Storage storage, Shape shape) {
    super(storage, shape, denseStrides(shape));
  }

  /** Returns a tensor over all of a storage, which becomes its own. */
  public static DenseInts dense(Storage storage, Shape shape) {
    return new DenseInts(storage, shape);
  }

  public static IntTensor zeros(long... dims) {
    Shape shape = Shape.of(dims);
    return new DenseInts(allocate(shape), shape);
  }

  public static IntTensor of(int[] values, long... dims) {
    requireNonNull(values, "values");
    Shape shape = Shape.of(dims);
    Check.length("values", shape.size(), values.length);
    Storage storage = allocate(shape);
    storage.putInts(0, values, 0, values.length);
    return new DenseInts(storage, shape);
  }

  @Override
  public int get(long... index) {
    long offset = offset(index);
    acquire("tensor");
    try {
      return storage().getInt(offset);
    } finally {
      storage().release();
    }
  }

  @Override
  public void set(int value, long... index) {
    long offset = offset(index);
    acquireToWrite("tensor");
    try {
      storage().putInt(offset, value);
    } finally {
      storage().release();
    }
  }

  @Override
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

  @Override
  public void put(long offset, int[] values, int start, int length) {
    requireRange(offset, requireNonNull(values, "values").length, start, length);
    acquireToWrite("tensor");
    try {
      storage().putInts(offset, values, start, length);
    } finally {
      storage().release();
    }
  }

  @Override
  public void get(long offset, int[] values, int start, int length) {
    requireRange(offset, requireNonNull(values, "values").length, start, length);
    acquire("tensor");
    try {
      storage().getInts(offset, values, start, length);
    } finally {
      storage().release();
    }
  }

  @Override
  public int[] toArray() {
    return toArray("tensor");
  }

  /** Returns a tensor (n) as a view (1, n). */
  public IntTensor asBatchOfOne() {
    return new DenseInts(storage().view(), Shape.of(1, shape().dim(0)));
  }

  /** Returns an array as {@link #toArray()} does; messages call the tensor {@code name}. */
  public int[] toArray(String name) {
    requireForArray(name);
    int[] values = new int[(int) shape().size()];
    get(name, values);
    return values;
  }

  /** Requires no more elements than an array can hold. */
  public void requireForArray(String name) {
    if (shape().size() > Integer.MAX_VALUE - 8) {
      throw new IllegalArgumentException(
          name + ": " + shape() + " has too many elements for an array");
    }
  }

  /** Copies all elements to the beginning of an array, which has room for them. */
  public void get(String name, int[] values) {
    acquire(name);
    try {
      storage().getInts(0, values, 0, (int) shape().size());
    } finally {
      storage().release();
    }
  }
}
