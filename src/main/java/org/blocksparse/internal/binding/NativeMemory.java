// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.binding;

import java.nio.Buffer;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import org.bytedeco.javacpp.BytePointer;

/**
 * Memory by its address, which is a number here and in all callers: no object is made for it, so
 * that nothing can fail between an address and its use, and JavaCPP's memory limits do not count
 * it.
 */
public final class NativeMemory {
  private NativeMemory() {}

  /** Returns zeroed memory of the native library, or 0 if there is none. */
  public static long allocate(long bytes) {
    return Blocksparse.blocksparse_allocate(bytes);
  }

  /** Frees memory of {@link #allocate}. */
  public static void free(long address, long bytes) {
    Blocksparse.blocksparse_free(address, bytes);
  }

  /** Returns a text of the native library, whatever the encoding of the JVM; null if it is null. */
  public static String text(BytePointer text) {
    return text == null ? null : text.getString(StandardCharsets.US_ASCII);
  }

  /** Returns whether a mapped file has shrunk or cannot be read any more. */
  public static boolean isDamaged(long address) {
    return Blocksparse.blocksparse_map_is_damaged(address) != 0;
  }

  /** Ends a mapping of {@link NativePath#map}. */
  public static void unmap(long address) {
    Blocksparse.blocksparse_unmap(address);
  }

  /** Returns where the content of a direct buffer of floats or ints begins, at its position. */
  public static long address(Buffer buffer) {
    return addressOf(buffer) + 4L * buffer.position();
  }

  /** Returns a buffer over {@code bytes} bytes of memory that its owner keeps, in native order. */
  public static ByteBuffer buffer(long address, int bytes) {
    return newBuffer(address, bytes).order(ByteOrder.nativeOrder());
  }

  /**
   * Pins memory in RAM, or unpins it.
   *
   * @return false if the system refuses, because of its limit of locked bytes
   */
  public static native boolean lock(long address, long bytes, boolean locked);

  // Implemented in native/jni/buffers.cpp: JavaCPP would write to the JVM's buffer without checking
  // that there is one.

  private static native ByteBuffer newBuffer(long address, long bytes);

  private static native long addressOf(Buffer buffer);
}
