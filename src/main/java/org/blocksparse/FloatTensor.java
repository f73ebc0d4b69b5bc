// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import java.nio.ByteBuffer;
import java.nio.FloatBuffer;
import org.blocksparse.internal.tensors.DenseFloats;
import org.bytedeco.javacpp.FloatPointer;

/**
 * A dense tensor of 32-bit floats in off-heap memory, row-major, aligned to 64 bytes; from 4 MB on
 * aligned to 2 MB, with huge pages advised. It may have more than 2<sup>31</sup> elements.
 *
 * <p>See {@link Tensor} for lifetime and threads.
 */
public sealed interface FloatTensor extends Tensor, BlockMatrix permits DenseFloats {
  /**
   * Returns a tensor of zeros.
   *
   * @throws OutOfMemoryError if there is not enough native memory; the message names the bytes
   */
  static FloatTensor zeros(Shape shape) {
    return DenseFloats.zeros(shape);
  }

  /**
   * Returns a tensor of zeros with the given dimensions.
   *
   * @throws IllegalArgumentException if a dimension is negative, or if there are too many elements
   * @throws OutOfMemoryError if there is not enough native memory; the message names the bytes
   */
  static FloatTensor zeros(long... dims) {
    return DenseFloats.zeros(dims);
  }

  /**
   * Returns a tensor with a copy of the given values, in row-major order.
   *
   * @throws IllegalArgumentException if the number of values is not that of the dimensions
   */
  static FloatTensor of(float[] values, long... dims) {
    return DenseFloats.of(values, dims);
  }

  /**
   * Returns a tensor over the memory of a direct buffer, from its position to its limit, without a
   * copy. The tensor keeps the buffer reachable; closing the tensor does not free it.
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
  static FloatTensor wrap(FloatBuffer buffer, long... dims) {
    return DenseFloats.wrap(buffer, dims);
  }

  /**
   * Wraps a buffer as {@link #wrap(FloatBuffer, long...)} does; its number of bytes is four times
   * that of the elements, and it begins at a multiple of four.
   */
  static FloatTensor wrap(ByteBuffer buffer, long... dims) {
    return DenseFloats.wrap(buffer, dims);
  }

  /**
   * Returns a tensor over the memory of a JavaCPP pointer, from its position to its limit, without
   * a copy. The tensor keeps the pointer reachable; closing the tensor does not free it, and the
   * pointer must not be closed while the tensor is used.
   *
   * @throws IllegalArgumentException if the pointer is null, has no limit or an address that is not
   *     a multiple of four, or if the number of elements is not that of the dimensions
   * @throws UnsupportedOperationException if the native library is not in use
   */
  static FloatTensor wrap(FloatPointer pointer, long... dims) {
    return DenseFloats.wrap(pointer, dims);
  }

  /**
   * Returns a tensor over memory at an address, without a copy: the bridge to memory that Java 17
   * has no type for. From JDK 22 on, this takes a {@code MemorySegment} of any size:
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
  static FloatTensor wrapAddress(long address, long bytes, Object owner, long... dims) {
    return DenseFloats.wrapAddress(address, bytes, owner, dims);
  }

  /** Returns the off-heap bytes of all tensors, plans and layers of this process. */
  static long allocatedBytes() {
    return DenseFloats.allocatedBytes();
  }

  /**
   * Returns one element.
   *
   * @throws IllegalArgumentException if the number of indices is not the rank
   * @throws IndexOutOfBoundsException if an index is outside its dimension
   * @throws IllegalStateException if the tensor is closed
   */
  float get(long... index);

  /** Sets one element; errors as {@link #get}. */
  void set(float value, long... index);

  /**
   * Sets all elements, in row-major order.
   *
   * @throws IllegalArgumentException if their number differs, or if this is a transposed view
   * @throws IllegalStateException if the tensor is closed
   */
  void copyFrom(float[] values);

  /**
   * Sets {@code length} elements, in row-major order, from element {@code offset} on.
   *
   * @param values the source, from {@code values[start]} on
   * @throws IndexOutOfBoundsException if a range is outside the tensor or the array
   * @throws IllegalArgumentException if this is a transposed view
   * @throws IllegalStateException if the tensor is closed
   */
  void put(long offset, float[] values, int start, int length);

  /** Copies elements out; arguments and errors as {@link #put}. */
  void get(long offset, float[] values, int start, int length);

  /**
   * Sets all elements to one value, on the common workers if there are many. On the first write to
   * new memory, the operating system allocates its pages, which takes longer than the write.
   *
   * @throws IllegalArgumentException if this is a transposed view
   * @throws IllegalStateException if the tensor is closed or read-only
   */
  void fill(float value);

  /**
   * Returns all elements in row-major order, in a new array; a transposed view is copied in its own
   * order.
   *
   * @throws IllegalArgumentException if there are more elements than an array can hold
   * @throws IllegalStateException if the tensor is closed
   */
  float[] toArray();

  /**
   * Returns all elements as a buffer over the same memory. The memory outlives the buffer, even if
   * the tensor is closed first; so does what owns wrapped memory, which must not refer to the
   * buffer.
   *
   * @throws IllegalArgumentException if this is a transposed view, or larger than a buffer can be
   * @throws IllegalStateException if the tensor is closed
   */
  FloatBuffer asFloatBuffer();

  /** Returns a buffer as {@link #asFloatBuffer} does, but of bytes in native order. */
  ByteBuffer asByteBuffer();

  /**
   * Returns a view of a tensor of blocks (iBlocks, oBlocks, iSize, oSize) as (oBlocks, iBlocks,
   * oSize, iSize): the weights with input and output exchanged. Nothing is copied.
   *
   * @throws IllegalArgumentException if the rank is not 4
   * @throws IllegalStateException if the tensor is closed
   */
  FloatTensor transposeBlocks();

  /**
   * Returns a view with other dimensions and the same elements in the same order. Nothing is
   * copied.
   *
   * @throws IllegalArgumentException if the number of elements differs, or if this is a transposed
   *     view
   * @throws IllegalStateException if the tensor is closed
   */
  FloatTensor reshape(long... dims);
}
