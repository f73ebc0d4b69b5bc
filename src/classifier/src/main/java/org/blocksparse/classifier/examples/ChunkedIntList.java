// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.examples;

import java.util.Arrays;

/**
 * A growable list of ints in chunks of fixed size: it may be most of the heap, and an array that
 * grows is there twice while it does.
 */
public final class ChunkedIntList {
  /** The maximum size of a list. */
  public static final int MOST = 1 << 30;

  private static final int FIRST = 1 << 10;

  /**
   * The bits of an index within an array, which is small enough for all collectors: a large array
   * would occupy whole regions.
   */
  private static final int ARRAY_BITS = 16;

  private static final int ARRAY = 1 << ARRAY_BITS;

  private final int most;

  /** The arrays, all of length {@link #ARRAY} except a short first one; null after the last. */
  private int[][] arrays = {new int[FIRST]};

  private int size;

  public ChunkedIntList() {
    this(MOST);
  }

  /** Creates a list with a maximum size. */
  public ChunkedIntList(int most) {
    this.most = most;
  }

  /** Thrown by a list that can take no more numbers. */
  public static final class FullException extends RuntimeException {
    private static final long serialVersionUID = 1;
  }

  public int size() {
    return size;
  }

  public int get(int index) {
    return arrays[index >>> ARRAY_BITS][index & (ARRAY - 1)];
  }

  /**
   * Adds a number.
   *
   * @throws FullException if there is no room
   */
  public void add(int number) {
    if (size == most) {
      throw new FullException();
    }
    arrayWithRoom()[size & (ARRAY - 1)] = number;
    size++;
  }

  /** Returns the array that the next number is added to. */
  private int[] arrayWithRoom() {
    int last = size >>> ARRAY_BITS;
    if (last == arrays.length) {
      arrays = Arrays.copyOf(arrays, 2 * arrays.length);
    }
    if (arrays[last] == null) {
      arrays[last] = new int[ARRAY];
    } else if ((size & (ARRAY - 1)) == arrays[last].length) {
      arrays[last] = Arrays.copyOf(arrays[last], 2 * arrays[last].length);
    }
    return arrays[last];
  }

  public void set(int index, int number) {
    arrays[index >>> ARRAY_BITS][index & (ARRAY - 1)] = number;
  }

  /** Keeps the first numbers, and frees the memory of the others. */
  public void truncate(int newSize) {
    size = newSize;
    arrays = Arrays.copyOf(arrays, Math.max(1, (newSize + ARRAY - 1) >>> ARRAY_BITS));
  }

  /** Returns the floats whose bits these are. */
  public float[] toFloats() {
    return toFloats(toArray());
  }

  /** Returns the floats whose bits numbers are. */
  public static float[] toFloats(int[] bits) {
    float[] floats = new float[bits.length];
    for (int i = 0; i < bits.length; i++) {
      floats[i] = Float.intBitsToFloat(bits[i]);
    }
    return floats;
  }

  /** Copies some of the elements. */
  public void copy(int from, int count, int[] to, int at) {
    int copied = 0;
    while (copied < count) {
      int begin = (from + copied) & (ARRAY - 1);
      int part = Math.min(count - copied, ARRAY - begin);
      System.arraycopy(arrays[(from + copied) >>> ARRAY_BITS], begin, to, at + copied, part);
      copied += part;
    }
  }

  /** Counts the occurrences of each number in [0, bound). */
  public int[] counts(int bound) {
    int[] counts = new int[bound];
    for (int i = 0; i < size; i++) {
      counts[get(i)]++;
    }
    return counts;
  }

  public int[] toArray() {
    int[] all = new int[size];
    copy(0, size, all, 0);
    return all;
  }
}
