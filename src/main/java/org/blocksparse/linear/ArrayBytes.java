// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.linear;

import static java.util.Objects.requireNonNull;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;

/** Numbers and arrays as bytes, for another process with the same version of this library. */
final class ArrayBytes {
  private ArrayBytes() {}

  /** Writes bytes that begin with a magic number. */
  static final class Writer {
    private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();

    Writer(int magic) {
      put(magic);
    }

    Writer put(int value) {
      return put(ByteBuffer.allocate(Integer.BYTES).putInt(value));
    }

    Writer put(long value) {
      return put(ByteBuffer.allocate(Long.BYTES).putLong(value));
    }

    Writer put(int[] values) {
      ByteBuffer all = allocate(values.length, Integer.BYTES);
      all.asIntBuffer().put(values);
      return put(all);
    }

    Writer put(long[] values) {
      ByteBuffer all = allocate(values.length, Long.BYTES);
      all.asLongBuffer().put(values);
      return put(all);
    }

    Writer put(float[] values) {
      ByteBuffer all = allocate(values.length, Float.BYTES);
      all.asFloatBuffer().put(values);
      return put(all);
    }

    Writer put(double[] values) {
      ByteBuffer all = allocate(values.length, Double.BYTES);
      all.asDoubleBuffer().put(values);
      return put(all);
    }

    private ByteBuffer allocate(int length, int size) {
      put(length);
      if (length > (Integer.MAX_VALUE - 8) / size) {
        throw new IllegalStateException(
            "x: the rows of a cluster are more bytes than an array can hold, 2^31 - 9");
      }
      return ByteBuffer.allocate(length * size);
    }

    @SuppressWarnings("ByteBufferBackingArray") // all of it was allocated above
    private Writer put(ByteBuffer all) {
      bytes.writeBytes(all.array());
      return this;
    }

    byte[] array() {
      return bytes.toByteArray();
    }
  }

  /**
   * Reads what a {@link Writer} wrote; each method throws IllegalArgumentException if it cannot.
   */
  static final class Reader {
    private final ByteBuffer bytes;
    private final String name;

    Reader(int magic, byte[] array, String name) {
      this.bytes = ByteBuffer.wrap(requireNonNull(array, name));
      this.name = name;
      require(getInt() == magic);
    }

    void require(boolean condition) {
      if (!condition) {
        throw new IllegalArgumentException(
            name + ": expected bytes of LinearLabelTreeParts of this version, or they are damaged");
      }
    }

    void requireEnd() {
      require(!bytes.hasRemaining());
    }

    int getInt() {
      require(bytes.remaining() >= Integer.BYTES);
      return bytes.getInt();
    }

    long getLong() {
      require(bytes.remaining() >= Long.BYTES);
      return bytes.getLong();
    }

    int[] getInts() {
      int[] values = new int[getCount(Integer.BYTES)];
      next(values.length * Integer.BYTES).asIntBuffer().get(values);
      return values;
    }

    long[] getLongs() {
      long[] values = new long[getCount(Long.BYTES)];
      next(values.length * Long.BYTES).asLongBuffer().get(values);
      return values;
    }

    float[] getFloats() {
      float[] values = new float[getCount(Float.BYTES)];
      next(values.length * Float.BYTES).asFloatBuffer().get(values);
      return values;
    }

    double[] getDoubles() {
      double[] values = new double[getCount(Double.BYTES)];
      next(values.length * Double.BYTES).asDoubleBuffer().get(values);
      return values;
    }

    /** A number of things that follow, each of at least so many bytes. */
    int getCount(int size) {
      int count = getInt();
      require(count >= 0 && count <= bytes.remaining() / size);
      return count;
    }

    private ByteBuffer next(int length) {
      ByteBuffer next = bytes.slice(bytes.position(), length);
      bytes.position(bytes.position() + length);
      return next;
    }
  }
}
