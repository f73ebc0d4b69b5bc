// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.binding;

import java.nio.ByteBuffer;
import java.nio.FloatBuffer;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.IntPointer;
import org.bytedeco.javacpp.Pointer;

/**
 * Addresses as pointers and buffers. The pointers made here own nothing: JavaCPP neither counts nor
 * frees them, which makes them as cheap as any small object.
 */
public final class NativeMemory {
  private NativeMemory() {}

  /** A plain address. */
  private static final class Address extends Pointer {
    Address(long address, long bytes) {
      super((Pointer) null);
      this.address = address;
      this.limit = bytes;
      this.capacity = bytes;
    }
  }

  /** Zeroed memory of the native library, or 0 if it cannot be had. */
  public static long allocate(long bytes) {
    Pointer memory = Blocksparse.blocksparse_allocate(bytes);
    return memory == null ? 0 : memory.address();
  }

  /** Gives back what {@link #allocate} returned. */
  public static void free(long address, long bytes) {
    Blocksparse.blocksparse_free(new Address(address, bytes), bytes);
  }

  /**
   * A file as memory, or 0 if the system refuses; see {@code blocksparse_map}.
   *
   * @param path the name of the file in the system's encoding
   */
  public static long map(byte[] path, long bytes, boolean copyOnWrite) {
    // Not memory of JavaCPP's own, for which it has limits that a large tensor has long passed.
    long terminated = allocate(path.length + 1L);
    if (terminated == 0) {
      return 0;
    }
    try {
      BytePointer name = new BytePointer(new Address(terminated, path.length + 1L));
      Pointer memory =
          Blocksparse.blocksparse_map(name.put(path, 0, path.length), bytes, copyOnWrite ? 1 : 0);
      return memory == null ? 0 : memory.address();
    } finally {
      free(terminated, path.length + 1L);
    }
  }

  /** Whether a mapped file has shrunk or cannot be read any more. */
  public static boolean isDamaged(long address) {
    return Blocksparse.blocksparse_map_is_damaged(new Address(address, 0)) != 0;
  }

  /** Ends what {@link #map} began. */
  public static void unmap(long address) {
    Blocksparse.blocksparse_unmap(new Address(address, 0));
  }

  /** Where the content of a direct buffer begins, at its position. */
  public static long address(FloatBuffer buffer) {
    return new FloatPointer(buffer).address() + 4L * buffer.position();
  }

  /** A buffer over memory that stays the owner's. */
  public static ByteBuffer buffer(long address, int bytes) {
    return new BytePointer(new Address(address, bytes)).capacity(bytes).asByteBuffer();
  }

  public static FloatPointer floats(long address) {
    return new FloatPointer(new Address(address, 0));
  }

  public static IntPointer ints(long address) {
    return new IntPointer(new Address(address, 0));
  }
}
