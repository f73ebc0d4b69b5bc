// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.memory;

/** Arrays that grow to what the largest call needs, and are used again by the next one. */
public final class GrowingArrays {
  /** Elements of the largest array that a JVM makes. */
  public static final int MAX_LENGTH = Integer.MAX_VALUE - 8;

  private GrowingArrays() {}

  /**
   * The array itself if it has room for that many elements, else a larger one without its content.
   */
  public static int[] ints(int[] array, int elements) {
    return array.length >= elements ? array : new int[grown(array.length, elements)];
  }

  /** As {@link #ints}. */
  public static long[] longs(long[] array, int elements) {
    return array.length >= elements ? array : new long[grown(array.length, elements)];
  }

  /** As {@link #ints}. */
  public static float[] floats(float[] array, int elements) {
    return array.length >= elements ? array : new float[grown(array.length, elements)];
  }

  /** As {@link #ints}. */
  public static double[] doubles(double[] array, int elements) {
    return array.length >= elements ? array : new double[grown(array.length, elements)];
  }

  /** Half as much again, so that needs that differ a little from call to call are met soon. */
  private static int grown(int before, int elements) {
    return (int) Math.max(elements, Math.min(MAX_LENGTH, before + before / 2L));
  }
}
