// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static java.util.Objects.requireNonNull;

import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.Arrays;
import org.blocksparse.internal.Check;
import org.blocksparse.internal.memory.Storage;

/**
 * The common part of {@link FloatTensor} and {@link IntTensor}: a {@link Shape}, strides, and
 * off-heap memory with a lifetime.
 *
 * <h2>Lifetime</h2>
 *
 * <p>{@link #close} may be called any number of times, from any thread. It never takes memory from
 * an operation that is running: the memory goes when the last one that uses it has ended, and every
 * later use throws {@link IllegalStateException}. A tensor that is never closed is freed when it is
 * garbage.
 *
 * <p>A view ({@link FloatTensor#transposeBlocks}, {@link FloatTensor#reshape}) shares the memory of
 * the tensor it was made from, which it keeps reachable. Closing that tensor closes its views;
 * closing a view closes the view alone.
 *
 * <p>A tensor may be part of a mapped file ({@link
 * org.blocksparse.softmax.HierarchicalSoftmax#load(Path, org.blocksparse.io.LoadOptions)}). It may
 * be read-only then: every attempt to write it throws {@link IllegalStateException}. If the file
 * shrinks, operations that read it throw {@link UncheckedIOException}.
 *
 * <h2>Threads</h2>
 *
 * <p>Any number of threads may read a tensor. Writing one while others read or write it is a race
 * whose outcome is undefined, but it cannot corrupt any other memory.
 */
public abstract sealed class Tensor implements AutoCloseable permits FloatTensor, IntTensor {
  private final Storage storage;
  private final Shape shape;
  private final long[] strides;
  private final boolean contiguous;

  /**
   * A tensor over all of a storage, which becomes its own.
   *
   * @param storage for a view, a {@linkplain Storage#view view} of the storage
   */
  Tensor(Storage storage, Shape shape, long[] strides) {
    this.storage = storage;
    this.shape = shape;
    this.strides = strides;
    this.contiguous = Arrays.equals(strides, denseStrides(shape));
  }

  /** The strides of a tensor of this shape whose elements follow each other without a gap. */
  static long[] denseStrides(Shape shape) {
    long[] strides = new long[shape.rank()];
    long stride = 1;
    for (int axis = shape.rank() - 1; axis >= 0; axis--) {
      strides[axis] = stride;
      stride *= Math.max(1, shape.dim(axis));
    }
    return strides;
  }

  /** The dimensions. */
  public final Shape shape() {
    return shape;
  }

  /**
   * Whether the elements lie in row-major order without gaps. A transposed view is not contiguous.
   */
  final boolean isContiguous() {
    return contiguous;
  }

  /** Whether this tensor, or the one that it is a view of, was closed. */
  public final boolean isClosed() {
    return storage.isClosed();
  }

  /** Closes this tensor; see the class comment. Idempotent. */
  @Override
  public final void close() {
    storage.close();
  }

  final Storage storage() {
    return storage;
  }

  final long[] strides() {
    return strides;
  }

  final long stride(int axis) {
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

  /** As {@link #acquire}, to write. */
  final void acquireToWrite(String name) {
    storage.requireWritable(name, shape);
    acquire(name);
  }

  /**
   * Where an element lies.
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

  final void requireContiguous(String operation) {
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
    return getClass().getSimpleName() + shape + (isClosed() ? " (closed)" : "");
  }
}
