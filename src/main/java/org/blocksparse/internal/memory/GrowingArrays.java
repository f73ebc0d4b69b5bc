// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.memory;

/** Grows arrays to what the largest call needs, so that later calls use them again. */
public final class GrowingArrays {
  /** The length of the largest array that every JVM can allocate. */
  public static final int MAX_LENGTH = Integer.MAX_VALUE - 8;

  private GrowingArrays() {}

  /**
   * Returns the array itself if it has room for that many elements, else a larger array of zeros.
   */
  public static int[] ints(int[] array, int elements) {
    return array.length >= elements ? array : new int[grown(array.length, elements)];
  }

  /** See {@link #ints}. */
  public static long[] longs(long[] array, int elements) {
    return array.length >= elements ? array : new long[grown(array.length, elements)];
  }

  /** See {@link #ints}. */
  public static float[] floats(float[] array, int elements) {
    return array.length >= elements ? array : new float[grown(array.length, elements)];
  }

  /** See {@link #ints}. */
  public static double[] doubles(double[] array, int elements) {
    return array.length >= elements ? array : new double[grown(array.length, elements)];
  }

  /**
   * Returns the new length: at least 1.5 times the old one, so that slowly growing needs allocate
   * rarely.
   */
  private static int grown(int before, int elements) {
    return (int) Math.max(elements, Math.min(MAX_LENGTH, before + before / 2L));
  }
}
