// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.memory;

/** Errors for a Java heap without room for as many elements as the caller asks for. */
public final class HeapRoom {
  /** Elements of the largest array that a JVM makes. */
  public static final int LARGEST_ARRAY = Integer.MAX_VALUE - 8;

  /** The beginning of errors that name the bytes. */
  private static final String TOLD = "cannot ";

  private HeapRoom() {}

  /**
   * The error that names the bytes; the same if it does so already, being that of other memory.
   *
   * @param bytes about as many as are needed
   * @param what they are for
   */
  public static OutOfMemoryError named(OutOfMemoryError error, long bytes, String what) {
    if (error.getMessage() != null && error.getMessage().startsWith(TOLD)) {
      return error;
    }
    OutOfMemoryError named =
        new OutOfMemoryError(TOLD + "have about " + bytes + " bytes of the heap for " + what);
    named.initCause(error);
    return named;
  }

  /**
   * An array of zeros, of floats; see {@link #ints}.
   *
   * @throws OutOfMemoryError if there is no room for it, telling the bytes
   */
  public static float[] floats(int length, String what) {
    try {
      return new float[length];
    } catch (OutOfMemoryError e) {
      throw named(e, (long) Float.BYTES * length, length + " " + what);
    }
  }

  /**
   * An array of zeros.
   *
   * @param what they will be, in the plural
   * @throws OutOfMemoryError if there is no room for it, telling the bytes
   */
  public static int[] ints(int length, String what) {
    try {
      return new int[length];
    } catch (OutOfMemoryError e) {
      throw named(e, (long) Integer.BYTES * length, length + " " + what);
    }
  }
}
