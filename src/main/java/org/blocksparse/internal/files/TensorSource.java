// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.files;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.function.LongToIntFunction;
import org.blocksparse.internal.memory.Storage;

/** A tensor to write: its name, type and dimensions, and the source of its elements. */
public record TensorSource(String name, Dtype type, long[] dims, Elements elements) {
  /** The elements that are passed on at a time. */
  private static final int PIECE = 1 << 20;

  /** Returns the tensor with a prefix before its name, also in messages. */
  TensorSource under(String prefix) {
    return new TensorSource(
        prefix + name,
        type,
        dims,
        (begin, count, into) -> {
          try {
            elements.put(begin, count, into);
          } catch (IllegalStateException e) { // its message begins with the name
            throw new IllegalStateException(prefix + e.getMessage(), e);
          }
        });
  }

  /** Returns the bytes of an element. */
  public int elementBytes() {
    return type.bytes();
  }

  /** Receives some elements as bytes of the file. */
  public interface Sink {
    void take(ByteBuffer bytes) throws IOException;
  }

  /** Returns a buffer for {@link #forEachPiece} of any tensor. */
  public static ByteBuffer buffer() {
    return ByteBuffer.allocateDirect(4 * PIECE).order(ByteOrder.LITTLE_ENDIAN);
  }

  /** Passes all elements on, in order, one buffer at a time. */
  public void forEachPiece(ByteBuffer buffer, Sink sink) throws IOException {
    long size = Dimensions.size(dims, elementBytes());
    for (long begin = 0; begin < size; begin += PIECE) {
      int count = (int) Math.min(PIECE, size - begin);
      elements.put(begin, count, buffer.clear());
      sink.take(buffer.position(0).limit(elementBytes() * count));
    }
  }

  /** Puts some elements into a buffer in the order of the file, from its beginning on. */
  public interface Elements {
    void put(long begin, int count, ByteBuffer into);
  }

  /**
   * Returns floats, all of which must be finite: writing one that is not throws {@link
   * IllegalStateException}.
   */
  public static TensorSource floats(String name, long[] dims, Storage storage) {
    return new TensorSource(
        name,
        Dtype.F32,
        dims,
        (begin, count, into) -> {
          float[] floats = new float[count];
          storage.getFloats(begin, floats, 0, count);
          for (int i = 0; i < count; i++) {
            if (!Float.isFinite(floats[i])) {
              throw new IllegalStateException(
                  name
                      + ": element "
                      + (begin + i)
                      + " is "
                      + floats[i]
                      + "; a layer that is not finite is not saved");
            }
          }
          into.asFloatBuffer().put(floats, 0, count);
        });
  }

  /**
   * Returns numbers from 0 to a largest one, in the narrowest type that holds it: U8, U16 or I32.
   * Writing an invalid number throws {@link IllegalStateException}.
   */
  public static TensorSource unsigned(
      String name, int size, int largest, LongToIntFunction numbers) {
    Dtype type = largest <= 0xff ? Dtype.U8 : largest <= 0xffff ? Dtype.U16 : Dtype.I32;
    return new TensorSource(
        name,
        type,
        new long[] {size},
        (begin, count, into) -> {
          for (long i = begin; i < begin + count; i++) {
            int number = numbers.applyAsInt(i);
            if (number < 0 || number > largest) {
              throw new IllegalStateException(name + ": the mapped file is damaged");
            }
            switch (type.bytes()) {
              case 1 -> into.put((byte) number);
              case 2 -> into.putShort((short) number);
              default -> into.putInt(number);
            }
          }
        });
  }

  /** Returns elements of one or two bytes, written unchanged. */
  public static TensorSource narrow(String name, Dtype type, long[] dims, Storage storage) {
    return new TensorSource(
        name,
        type,
        dims,
        (begin, count, into) -> {
          for (long i = begin; i < begin + count; i++) {
            if (type.bytes() == 1) {
              into.put(storage.getByte(i));
            } else {
              into.putShort(storage.getShort(i));
            }
          }
        });
  }

  /** Returns a list of integers. */
  public static TensorSource ints(String name, int[] values) {
    return new TensorSource(
        name,
        Dtype.I32,
        new long[] {values.length},
        (begin, count, into) -> into.asIntBuffer().put(values, (int) begin, count));
  }

  /** Returns a list of bytes. */
  public static TensorSource bytes(String name, byte[] values) {
    return new TensorSource(
        name,
        Dtype.U8,
        new long[] {values.length},
        (begin, count, into) -> into.put(values, (int) begin, count));
  }

  /** Returns integers. */
  public static TensorSource ints(String name, long[] dims, Storage storage) {
    return new TensorSource(
        name,
        Dtype.I32,
        dims,
        (begin, count, into) -> {
          int[] ints = new int[count];
          storage.getInts(begin, ints, 0, count);
          into.asIntBuffer().put(ints, 0, count);
        });
  }
}
