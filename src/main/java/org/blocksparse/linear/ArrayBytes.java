// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.linear;

import static java.util.Objects.requireNonNull;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.function.Consumer;
import org.blocksparse.internal.memory.GrowingArrays;

/** Numbers and arrays as bytes, for another process with the same version of this library. */
final class ArrayBytes {
  private ArrayBytes() {}

  /**
   * Writes bytes that begin with a magic number. It keeps the arrays until all bytes are made at
   * once: they are not to be changed before.
   */
  static final class Writer {
    private final List<Consumer<ByteBuffer>> parts = new ArrayList<>();
    private long size;

    Writer(int magic) {
      put(magic);
    }

    Writer put(int value) {
      return put(Integer.BYTES, to -> to.putInt(value));
    }

    Writer put(long value) {
      return put(Long.BYTES, to -> to.putLong(value));
    }

    Writer put(int[] values) {
      return put(values.length, Integer.BYTES, to -> to.asIntBuffer().put(values));
    }

    Writer put(long[] values) {
      return put(values.length, Long.BYTES, to -> to.asLongBuffer().put(values));
    }

    Writer put(float[] values) {
      return put(values.length, Float.BYTES, to -> to.asFloatBuffer().put(values));
    }

    Writer put(double[] values) {
      return put(values.length, Double.BYTES, to -> to.asDoubleBuffer().put(values));
    }

    private Writer put(int length, int each, Consumer<ByteBuffer> part) {
      return put(length).put((long) length * each, part);
    }

    private Writer put(long bytes, Consumer<ByteBuffer> part) {
      size += bytes;
      parts.add(
          to -> {
            int end = to.position() + (int) bytes;
            part.accept(to);
            to.position(end);
          });
      return this;
    }

    /**
     * Returns the bytes.
     *
     * @param what they are, in the message
     * @throws IllegalStateException if an array cannot hold them
     */
    byte[] array(String what) {
      requireRoom(what, size);
      byte[] array = new byte[(int) size];
      ByteBuffer to = ByteBuffer.wrap(array);
      parts.forEach(part -> part.accept(to));
      return array;
    }
  }

  /**
   * Checks that an array can hold {@code bytes} bytes.
   *
   * @throws IllegalStateException if it cannot
   */
  static void requireRoom(String what, long bytes) {
    if (bytes > GrowingArrays.MAX_LENGTH) {
      throw new IllegalStateException(
          what
              + " are more bytes than an array can hold: expected at most 2^31 - 9 but was "
              + bytes);
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

    /** Checks a value of something, which may be one of several. */
    void require(boolean condition, String what, String expected, Object found) {
      if (!condition) {
        throw new IllegalArgumentException(
            name + ": " + what + ": expected " + expected + " but was " + found);
      }
    }

    /** Checks the length of an array. */
    void requireLength(String what, int expected, int found) {
      require(found == expected, what, "length " + expected, found);
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

    /** Returns a number that is not negative. */
    int getNumber(String what) {
      int value = getInt();
      require(value >= 0, what, "a number >= 0", value);
      return value;
    }

    float getFinite(String what) {
      float value = Float.intBitsToFloat(getInt());
      require(Float.isFinite(value), what, "a finite number", value);
      return value;
    }

    float[] getFinites(String what) {
      float[] values = getFloats();
      for (float value : values) {
        if (!Float.isFinite(value)) {
          require(false, what, "finite numbers", value);
        }
      }
      return values;
    }

    /** Reads ascending numbers in [0, bound), each once. */
    int[] getAscending(String what, int bound) {
      int[] values = getInts();
      requireAscending(what, values, 0, values.length, bound);
      return values;
    }

    private void requireAscending(String what, int[] values, int begin, int end, int bound) {
      int before = -1;
      for (int i = begin; i < end; before = values[i++]) {
        if (values[i] <= before || values[i] >= bound) {
          require(false, what, "numbers in (" + before + ", " + bound + ")", values[i]);
        }
      }
    }

    /** Returns the offsets and the columns of a matrix without values. */
    SparseMatrix getMatrix(String what, int columns) {
      int[] offsets = getInts();
      int[] all = getInts();
      require(offsets.length > 0 && offsets[0] == 0, what, "offsets from 0", "others");
      for (int row = 0; row + 1 < offsets.length; row++) {
        if (offsets[row + 1] < offsets[row] || offsets[row + 1] > all.length) {
          String expected = "offsets in [" + offsets[row] + ", " + all.length + "]";
          require(false, what, expected, offsets[row + 1]);
        }
        requireAscending(what, all, offsets[row], offsets[row + 1], columns);
      }
      requireLength(what, offsets[offsets.length - 1], all.length);
      return new SparseMatrix(offsets, all, null);
    }

    /** Returns a set of numbers below {@code count}. */
    BitSet getSet(String what, int count) {
      BitSet set = BitSet.valueOf(getLongs());
      require(set.length() <= count, what, "numbers below " + count, set.length() - 1);
      return set;
    }

    /** Returns the number of the items that follow, each of at least {@code size} bytes. */
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
