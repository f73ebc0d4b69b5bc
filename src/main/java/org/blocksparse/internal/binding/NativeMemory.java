// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.binding;

import java.nio.Buffer;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import org.bytedeco.javacpp.BytePointer;

/**
 * Memory by its address, which is a number here and everywhere above: no object is made for it, so
 * that nothing can fail between an address and its use, and nothing counts against JavaCPP's limits
 * of memory.
 */
public final class NativeMemory {
  private NativeMemory() {}

  /** Zeroed memory of the native library, or 0 if it cannot be had. */
  public static long allocate(long bytes) {
    return Blocksparse.blocksparse_allocate(bytes);
  }

  /** Gives back what {@link #allocate} returned. */
  public static void free(long address, long bytes) {
    Blocksparse.blocksparse_free(address, bytes);
  }

  /** Returns a text of the native library, whatever the encoding of the JVM; null of null. */
  public static String text(BytePointer text) {
    return text == null ? null : text.getString(StandardCharsets.US_ASCII);
  }

  /** Returns whether a mapped file has shrunk or cannot be read any more. */
  public static boolean isDamaged(long address) {
    return Blocksparse.blocksparse_map_is_damaged(address) != 0;
  }

  /** Ends what {@link NativePath#map} began. */
  public static void unmap(long address) {
    Blocksparse.blocksparse_unmap(address);
  }

  /** Returns where the content of a direct buffer of floats or ints begins, at its position. */
  public static long address(Buffer buffer) {
    return addressOf(buffer) + 4L * buffer.position();
  }

  /**
   * Returns a buffer over memory that stays the owner's: exactly those bytes, none if there are
   * none. In native order.
   */
  public static ByteBuffer buffer(long address, int bytes) {
    return newBuffer(address, bytes).order(ByteOrder.nativeOrder());
  }

  /**
   * Has the system keep memory in RAM, or no longer.
   *
   * @return false if the system refuses, as it allows only so many bytes
   */
  public static native boolean lock(long address, long bytes, boolean locked);

  // This is in native/jni/buffers.cpp: JavaCPP writes to the buffer that it asks the JVM for
  // without a check that it got one.

  private static native ByteBuffer newBuffer(long address, long bytes);

  private static native long addressOf(Buffer buffer);
}
