// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static java.util.Objects.requireNonNull;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.Arrays;
import org.blocksparse.internal.Check;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.schedule.Scheduler;
import org.bytedeco.javacpp.FloatPointer;

/**
 * A dense tensor of 32-bit floats in off-heap memory, row-major, aligned to 64 bytes; from 4 MB on
 * aligned to 2 MB, with huge pages advised. It may have more than 2<sup>31</sup> elements.
 *
 * <p>See {@link Tensor} for lifetime and threads.
 */
public final class FloatTensor extends Tensor implements BlockMatrix {
  /** Elements that a worker fills at a time: those of two huge pages. */
  private static final long FILL_PIECE = 1 << 20;

  private FloatTensor(Storage storage, Shape shape, long[] strides) {
    super(storage, shape, strides);
  }

  /** A tensor that takes ownership of a storage, over all of it. */
  static FloatTensor dense(Storage storage, Shape shape) {
    return new FloatTensor(storage, shape, denseStrides(shape));
  }

  /**
   * A tensor of zeros.
   *
   * @throws OutOfMemoryError if there is not enough native memory; the message names the bytes
   */
  public static FloatTensor zeros(Shape shape) {
    return dense(allocate(shape), shape);
  }

  /**
   * A tensor of zeros with the given dimensions.
   *
   * @throws IllegalArgumentException if a dimension is negative, or if there are too many elements
   * @throws OutOfMemoryError if there is not enough native memory; the message names the bytes
   */
  public static FloatTensor zeros(long... dims) {
    return zeros(Shape.of(dims));
  }

  /** Tensors of zeros; if one cannot be allocated, none is. */
  static FloatTensor[] zeros(Shape... shapes) {
    Storage[] storages =
        Storage.allocateAll(Arrays.stream(shapes).mapToLong(Shape::size).toArray());
    FloatTensor[] tensors = new FloatTensor[shapes.length];
    Arrays.setAll(tensors, i -> dense(storages[i], shapes[i]));
    return tensors;
  }

  /**
   * A tensor with a copy of the given values, in row-major order.
   *
   * @throws IllegalArgumentException if the number of values is not that of the dimensions
   */
  public static FloatTensor of(float[] values, long... dims) {
    requireNonNull(values, "values");
    Shape shape = Shape.of(dims);
    Check.length("values", shape.size(), values.length);
    Storage storage = allocate(shape);
    storage.putFloats(0, values, 0, values.length);
    return dense(storage, shape);
  }

  /**
   * A tensor over the memory of a direct buffer, from its position to its limit, without a copy.
   * The tensor keeps the buffer reachable; closing the tensor does not free it.
   *
   * <p>The memory must stay valid until the tensor is closed and its last operation has ended. If
   * the buffer maps a file and the file is truncated, the JVM crashes, or the operation throws
   * {@link InternalError}; {@link org.blocksparse.io.TensorFile} and {@link
   * org.blocksparse.io.LoadOptions#mapped} detect a truncated file. If the buffer is of an arena
   * (JDK 22), the tensor counts as closed when the arena is closed. This check does not work for an
   * {@code Arena.ofConfined()} of another thread. Do not close an arena while an operation runs:
   * its memory becomes invalid at once.
   *
   * @throws IllegalArgumentException if the buffer is not direct, is read-only or not in native
   *     byte order, if it is of an arena that is closed, or if the number of elements is not that
   *     of the dimensions
   * @throws UnsupportedOperationException if the native library is not in use
   */
  public static FloatTensor wrap(FloatBuffer buffer, long... dims) {
    requireNonNull(buffer, "buffer");
    Shape shape = Shape.of(dims);
    requireWrappable(buffer.isDirect(), buffer.isReadOnly(), buffer.order());
    Check.length("buffer", shape.size(), buffer.remaining());
    return dense(Storage.wrap("buffer", buffer), shape);
  }

  /**
   * As {@link #wrap(FloatBuffer, long...)}; the buffer's number of bytes is four times that of the
   * elements, and it begins at a multiple of four.
   */
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

  /**
   * A tensor over the memory of a JavaCPP pointer, from its position to its limit, without a copy.
   * The tensor keeps the pointer reachable; closing the tensor does not free it, and the pointer
   * must not be closed while the tensor is used.
   *
   * @throws IllegalArgumentException if the pointer is null, has no limit or an address that is not
   *     a multiple of four, or if the number of elements is not that of the dimensions
   * @throws UnsupportedOperationException if the native library is not in use
   */
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

  /**
   * A tensor over memory at an address, without a copy: the bridge to memory that Java 17 has no
   * type for. From JDK 22 on, this takes a {@code MemorySegment} of any size:
   *
   * <pre>{@code
   * if (!segment.isNative() || segment.isReadOnly() || !segment.scope().isAlive()) {
   *   throw new IllegalArgumentException("segment: expected native memory, writable and open");
   * }
   * return FloatTensor.wrapAddress(segment.address(), segment.byteSize(), segment, dims);
   * }</pre>
   *
   * <p>The tensor keeps the owner reachable, here the segment and with it the arena: memory of
   * {@code Arena.ofAuto()} lives as long as the tensor. Closing the tensor does not free memory.
   *
   * <p>The caller must ensure that the memory exists, has {@code bytes} bytes and is writable. It
   * must not be freed, for example by closing an arena, before the tensor is closed and its last
   * operation has ended. The library cannot check this; a violation corrupts memory or ends the
   * JVM.
   *
   * @param address the address of the first element; a multiple of four
   * @param bytes the size of the memory, four times the number of elements
   * @param owner is kept reachable as long as the tensor, or a buffer of it ( {@link
   *     #asFloatBuffer}). It may refer to the tensor, but not to such a buffer: the two would keep
   *     each other reachable, and never be freed
   * @throws IllegalArgumentException if the address is 0 or not a multiple of four, or if the bytes
   *     do not match the dimensions
   * @throws UnsupportedOperationException if the native library is not in use
   */
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

  /** The off-heap bytes of all tensors, plans and layers of this process. */
  public static long allocatedBytes() {
    return Storage.allocatedBytes();
  }

  /**
   * One element.
   *
   * @throws IllegalArgumentException if the number of indices is not the rank
   * @throws IndexOutOfBoundsException if an index is outside its dimension
   * @throws IllegalStateException if the tensor is closed
   */
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

  /** Sets one element; errors as {@link #get}. */
  public void set(float value, long... index) {
    long offset = offset(index);
    acquireToWrite("tensor");
    try {
      storage().putFloat(offset, value);
    } finally {
      storage().release();
    }
  }

  /**
   * Sets all elements, in row-major order.
   *
   * @throws IllegalArgumentException if their number differs, or if this is a transposed view
   * @throws IllegalStateException if the tensor is closed
   */
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

  /**
   * Sets {@code length} elements, in row-major order, from element {@code offset} on.
   *
   * @param values the source, from {@code values[start]} on
   * @throws IndexOutOfBoundsException if a range is outside the tensor or the array
   * @throws IllegalArgumentException if this is a transposed view
   * @throws IllegalStateException if the tensor is closed
   */
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

  /** Copies elements out; arguments and errors as {@link #put}. */
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

  /**
   * Sets all elements to one value, on the common workers if there are many. On the first write to
   * new memory, the operating system allocates its pages, which takes longer than the write.
   *
   * @throws IllegalArgumentException if this is a transposed view
   * @throws IllegalStateException if the tensor is closed or read-only
   */
  public void fill(float value) {
    requireContiguous("fill");
    acquireToWrite("tensor");
    try {
      long size = shape().size();
      int pieces = Math.toIntExact(Scheduler.ceilDiv(size, FILL_PIECE));
      Workers.common()
          .engine()
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

  /**
   * All elements in row-major order, in a new array; a transposed view is copied in its own order.
   *
   * @throws IllegalArgumentException if there are more elements than an array can hold
   * @throws IllegalStateException if the tensor is closed
   */
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

  /** A new tensor with the same elements in the same layout. */
  FloatTensor copy(String name) {
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
    return new FloatTensor(copy, shape(), strides());
  }

  /**
   * All elements as a buffer over the same memory. The memory outlives the buffer, even if the
   * tensor is closed first; so does what owns wrapped memory, which must not refer to the buffer.
   *
   * @throws IllegalArgumentException if this is a transposed view, or larger than a buffer can be
   * @throws IllegalStateException if the tensor is closed
   */
  public FloatBuffer asFloatBuffer() {
    return asByteBuffer().asFloatBuffer();
  }

  /** As {@link #asFloatBuffer}, in bytes in native order. */
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

  /**
   * A view of a tensor of blocks (iBlocks, oBlocks, iSize, oSize) as (oBlocks, iBlocks, oSize,
   * iSize): the weights with input and output exchanged. Nothing is copied.
   *
   * @throws IllegalArgumentException if the rank is not 4
   * @throws IllegalStateException if the tensor is closed
   */
  public FloatTensor transposeBlocks() {
    if (shape().rank() != 4) {
      throw new IllegalArgumentException(
          "transposeBlocks: expected (iBlocks, oBlocks, iSize, oSize) but was " + shape());
    }
    requireOpen();
    return new FloatTensor(
        storage().view(),
        Shape.of(shape().dim(1), shape().dim(0), shape().dim(3), shape().dim(2)),
        new long[] {stride(1), stride(0), stride(3), stride(2)});
  }

  /**
   * A view with other dimensions and the same elements in the same order. Nothing is copied.
   *
   * @throws IllegalArgumentException if the number of elements differs, or if this is a transposed
   *     view
   * @throws IllegalStateException if the tensor is closed
   */
  public FloatTensor reshape(long... dims) {
    Shape reshaped = Shape.of(dims);
    Check.length("reshape", shape().size(), reshaped.size());
    requireContiguous("reshape");
    requireOpen();
    return new FloatTensor(storage().view(), reshaped, denseStrides(reshaped));
  }

  private void requireOpen() {
    acquire("tensor");
    storage().release();
  }
}
