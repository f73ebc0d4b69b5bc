// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.format;

import java.nio.ByteBuffer;
import org.blocksparse.internal.memory.Storage;

/** A tensor that is to be written: its name, type and dimensions, and where its elements are. */
public record TensorSource(String name, ElementType type, long[] dims, Elements elements) {
  /** Bytes of an element. */
  public int elementBytes() {
    return type.bytes();
  }

  /** Puts some elements into a buffer in the order of the file, from its beginning on. */
  public interface Elements {
    void put(long begin, int count, ByteBuffer into);
  }

  /**
   * Floats, all of which must be finite: {@link IllegalStateException} if one is not, when it is
   * its turn.
   */
  public static TensorSource floats(String name, long[] dims, Storage storage) {
    return new TensorSource(
        name,
        ElementType.F32,
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

  /** Elements of one or two bytes as they are in memory. */
  public static TensorSource narrow(String name, ElementType type, long[] dims, Storage storage) {
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

  /** A list of integers. */
  public static TensorSource ints(String name, int[] values) {
    return new TensorSource(
        name,
        ElementType.I32,
        new long[] {values.length},
        (begin, count, into) -> into.asIntBuffer().put(values, (int) begin, count));
  }

  /** A list of bytes. */
  public static TensorSource bytes(String name, byte[] values) {
    return new TensorSource(
        name,
        ElementType.U8,
        new long[] {values.length},
        (begin, count, into) -> into.put(values, (int) begin, count));
  }

  /** Integers. */
  public static TensorSource ints(String name, long[] dims, Storage storage) {
    return new TensorSource(
        name,
        ElementType.I32,
        dims,
        (begin, count, into) -> {
          int[] ints = new int[count];
          storage.getInts(begin, ints, 0, count);
          into.asIntBuffer().put(ints, 0, count);
        });
  }
}
