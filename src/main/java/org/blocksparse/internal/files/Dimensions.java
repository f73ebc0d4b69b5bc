// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.files;

import java.util.Arrays;
import java.util.stream.Collectors;

/** Dimensions from files: checked, counted and shown. */
public final class Dimensions {
  /** The limit of NumPy 1, which this library writes for. */
  public static final int MOST = 32;

  /** The limit of NumPy 2 and PyTorch; safetensors has none. */
  static final int MOST_READ = 64;

  private static final long MOST_ELEMENTS = (1L << 61) - 1;

  /** The maximum number of bytes of elements, which leaves room for the header of a file. */
  private static final long MOST_BYTES = Long.MAX_VALUE - (1L << 32);

  private Dimensions() {}

  /**
   * Returns the number of elements, such that neither they nor their bytes overflow.
   *
   * @throws IllegalArgumentException if there can be no such tensor
   */
  public static long size(long[] dims, int elementBytes) {
    boolean empty = false;
    for (int axis = 0; axis < dims.length; axis++) {
      if (dims[axis] < 0) {
        throw new IllegalArgumentException(
            "shape: dimension " + axis + " of " + text(dims) + " is negative");
      }
      empty |= dims[axis] == 0;
    }
    if (empty) {
      return 0;
    }
    long size = 1;
    for (long dim : dims) {
      if (dim > MOST_ELEMENTS / size) {
        throw new IllegalArgumentException("shape: " + text(dims) + " has too many elements");
      }
      size *= dim;
    }
    if (size > MOST_BYTES / elementBytes) {
      throw new IllegalArgumentException("shape: " + text(dims) + " has too many bytes");
    }
    return size;
  }

  /**
   * Checks that an array of such dimensions can be read again, by NumPy as well.
   *
   * @throws IllegalArgumentException if there are too many
   */
  public static void requireReadable(String name, long[] dims) {
    if (dims.length > MOST) {
      throw new IllegalArgumentException(
          name + ": has " + dims.length + " dimensions, more than the limit of " + MOST);
    }
  }

  /** Returns the dimensions as text, {@code (2, 4, 6)} for instance. */
  public static String text(long[] dims) {
    return Arrays.stream(dims).mapToObj(Long::toString).collect(Collectors.joining(", ", "(", ")"));
  }
}
