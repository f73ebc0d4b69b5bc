// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.tensors;

import static java.util.Objects.requireNonNull;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.Arrays;
import org.blocksparse.FloatTensor;
import org.blocksparse.Shape;
import org.blocksparse.Workers;
import org.blocksparse.internal.kernels.Engine;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.schedule.Scheduler;
import org.bytedeco.javacpp.FloatPointer;

/** A tensor of floats with any strides. */
public final class DenseFloats extends Dense implements FloatTensor {
  /** The elements that a worker fills at a time: those of two huge pages. */
  private static final long FILL_PIECE = 1 << 20;

  /** Returns the only implementation of a tensor. */
  public static DenseFloats from(FloatTensor tensor) {
    return (DenseFloats) tensor;
  }

  private DenseFloats(Storage storage, Shape shape, long[] strides) {
    super(storage, shape, strides);
  }

  /** Returns a tensor that takes ownership of a storage, over all of it. */
  public static DenseFloats dense(Storage storage, Shape shape) {
    return new DenseFloats(storage, shape, denseStrides(shape));
  }

  public static FloatTensor zeros(Shape shape) {
    return dense(allocate(shape), shape);
  }

  public static FloatTensor zeros(long... dims) {
    return zeros(Shape.of(dims));
  }

  /** Returns tensors of zeros; if one cannot be allocated, none is. */
  public static FloatTensor[] zeros(Shape... shapes) {
    Storage[] storages =
        Storage.allocateAll(Arrays.stream(shapes).mapToLong(Shape::size).toArray());
    FloatTensor[] tensors = new FloatTensor[shapes.length];
    Arrays.setAll(tensors, i -> dense(storages[i], shapes[i]));
    return tensors;
  }

  public static FloatTensor of(float[] values, long... dims) {
    requireNonNull(values, "values");
    Shape shape = Shape.of(dims);
    Check.length("values", shape.size(), values.length);
    Storage storage = allocate(shape);
    storage.putFloats(0, values, 0, values.length);
    return dense(storage, shape);
  }

  public static FloatTensor wrap(FloatBuffer buffer, long... dims) {
    requireNonNull(buffer, "buffer");
    Shape shape = Shape.of(dims);
    requireWrappable(buffer.isDirect(), buffer.isReadOnly(), buffer.order());
    Check.length("buffer", shape.size(), buffer.remaining());
    return dense(Storage.wrap("buffer", buffer), shape);
  }

  public static FloatTensor wrap(ByteBuffer buffer, long... dims) {
    requireNonNull(buffer, "buffer");
    Shape shape = Shape.of(dims);
    requireWrappable(buffer.isDirect(), buffer.isReadOnly(), buffer.order());
    Check.length("buffer (bytes)", 4 * shape.size(), buffer.remaining());
    if (buffer.alignmentOffset(buffer.position(), 4) != 0) {
      throw new IllegalArgumentException("buffer: expected an address that is a multiple of 4");
    }
    return dense(Storage.wrap("buffer", buffer.asFloatBuffer()), shape);
  }

  public static FloatTensor wrap(FloatPointer pointer, long... dims) {
    requireNonNull(pointer, "pointer");
    Shape shape = Shape.of(dims);
    if (pointer.isNull()) {
      throw new IllegalArgumentException("pointer: expected memory but was a null pointer");
    }
    Check.length("pointer", shape.size(), pointer.limit() - pointer.position());
    long address = pointer.address() + 4 * pointer.position();
    return dense(Storage.wrap("pointer", address, shape.size(), pointer), shape);
  }

  public static FloatTensor wrapAddress(long address, long bytes, Object owner, long... dims) {
    requireNonNull(owner, "owner");
    Shape shape = Shape.of(dims);
    if (address == 0 || address % 4 != 0) {
      throw new IllegalArgumentException(
          "address: expected a multiple of 4 that is not 0 but was " + address);
    }
    if (bytes != 4 * shape.size()) {
      throw new IllegalArgumentException(
          "bytes: expected " + 4 * shape.size() + " for " + shape + " but was " + bytes);
    }
    return dense(Storage.wrap("address", address, shape.size(), owner), shape);
  }

  private static void requireWrappable(boolean direct, boolean readOnly, ByteOrder order) {
    if (!direct || readOnly || order != ByteOrder.nativeOrder()) {
      throw new IllegalArgumentException(
          "buffer: expected a direct, writable buffer in native byte order but was"
              + (direct ? "" : " on the heap")
              + (readOnly ? " read-only" : "")
              + (order == ByteOrder.nativeOrder() ? "" : " in " + order));
    }
  }

  public static long allocatedBytes() {
    return Storage.allocatedBytes();
  }

  @Override
  public float get(long... index) {
    long offset = offset(index);
    acquire("tensor");
    try {
      float value = storage().getFloat(offset);
      storage().requireIntact();
      return value;
    } finally {
      storage().release();
    }
  }

  @Override
  public void set(float value, long... index) {
    long offset = offset(index);
    acquireToWrite("tensor");
    try {
      storage().putFloat(offset, value);
    } finally {
      storage().release();
    }
  }

  @Override
  public void copyFrom(float[] values) {
    requireNonNull(values, "values");
    requireContiguous("copyFrom");
    Check.length("values", shape().size(), values.length);
    acquireToWrite("tensor");
    try {
      storage().putFloats(0, values, 0, values.length);
    } finally {
      storage().release();
    }
  }

  @Override
  public void put(long offset, float[] values, int start, int length) {
    requireRange(offset, requireNonNull(values, "values").length, start, length);
    requireContiguous("put");
    acquireToWrite("tensor");
    try {
      storage().putFloats(offset, values, start, length);
    } finally {
      storage().release();
    }
  }

  @Override
  public void get(long offset, float[] values, int start, int length) {
    requireRange(offset, requireNonNull(values, "values").length, start, length);
    requireContiguous("get");
    acquire("tensor");
    try {
      storage().getFloats(offset, values, start, length);
      storage().requireIntact();
    } finally {
      storage().release();
    }
  }

  @Override
  public void fill(float value) {
    requireContiguous("fill");
    acquireToWrite("tensor");
    try {
      long size = shape().size();
      int pieces = Math.toIntExact(Scheduler.ceilDiv(size, FILL_PIECE));
      Engine.from(Workers.common())
          .run(
              pieces,
              size,
              (begin, end) -> {
                long from = begin * FILL_PIECE;
                storage().fill(from, Math.min(size, end * FILL_PIECE) - from, value);
              });
    } finally {
      storage().release();
    }
  }

  @Override
  public float[] toArray() {
    if (shape().size() > Integer.MAX_VALUE - 8) {
      throw new IllegalArgumentException("toArray: " + shape() + " is too large for an array");
    }
    float[] values = new float[(int) shape().size()];
    acquire("tensor");
    try {
      if (isContiguous()) {
        storage().getFloats(0, values, 0, values.length);
      } else {
        long[] index = new long[shape().rank()];
        for (int i = 0; i < values.length; i++) {
          values[i] = storage().getFloat(offset(index));
          for (int axis = index.length - 1;
              axis >= 0 && ++index[axis] == shape().dim(axis);
              axis--) {
            index[axis] = 0;
          }
        }
      }
      storage().requireIntact();
    } finally {
      storage().release();
    }
    return values;
  }

  /** Returns a new tensor with the same elements in the same layout. */
  public DenseFloats copy(String name) {
    Storage copy = Storage.allocate(storage().elements());
    try {
      acquire(name);
      try {
        copy.copyFrom(storage());
        storage().requireIntact();
      } finally {
        storage().release();
      }
    } catch (Throwable e) {
      copy.close();
      throw e;
    }
    return new DenseFloats(copy, shape(), strides());
  }

  @Override
  public FloatBuffer asFloatBuffer() {
    return asByteBuffer().asFloatBuffer();
  }

  @Override
  public ByteBuffer asByteBuffer() {
    requireContiguous("asByteBuffer");
    if (shape().size() > 1L << 28) {
      throw new IllegalArgumentException("asByteBuffer: " + shape() + " is too large for a buffer");
    }
    acquire("tensor");
    try {
      return storage().export((int) shape().size());
    } finally {
      storage().release();
    }
  }

  @Override
  public FloatTensor transposeBlocks() {
    if (shape().rank() != 4) {
      throw new IllegalArgumentException(
          "transposeBlocks: expected (iBlocks, oBlocks, iSize, oSize) but was " + shape());
    }
    requireOpen();
    return new DenseFloats(
        storage().view(),
        Shape.of(shape().dim(1), shape().dim(0), shape().dim(3), shape().dim(2)),
        new long[] {stride(1), stride(0), stride(3), stride(2)});
  }

  @Override
  public FloatTensor reshape(long... dims) {
    Shape reshaped = Shape.of(dims);
    Check.length("reshape", shape().size(), reshaped.size());
    requireContiguous("reshape");
    requireOpen();
    return new DenseFloats(storage().view(), reshaped, denseStrides(reshaped));
  }

  private void requireOpen() {
    acquire("tensor");
    storage().release();
  }
}
