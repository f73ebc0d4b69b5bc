// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier;

import java.util.Arrays;

/** Numbers that become more: an {@code int[]} that grows. */
final class Numbers {
  /** So many fit into one. */
  static final int MOST = 1 << 30;

  private static final int FIRST = 1 << 10;

  private final int most;
  private int[] elements;
  private int size;

  Numbers() {
    this(MOST);
  }

  /** Numbers of which there can be so many. */
  Numbers(int most) {
    this.most = most;
    this.elements = new int[Math.min(FIRST, most)];
  }

  /** There are as many as there can be. */
  static final class FullException extends RuntimeException {
    private static final long serialVersionUID = 1;
  }

  int size() {
    return size;
  }

  int get(int index) {
    return elements[index];
  }

  /**
   * Adds a number.
   *
   * @throws FullException if there is no room
   */
  void add(int number) {
    if (size == elements.length) {
      if (size == most) {
        throw new FullException();
      }
      elements = Arrays.copyOf(elements, (int) Math.min(most, size + size / 2L));
    }
    elements[size++] = number;
  }

  void set(int index, int number) {
    elements[index] = number;
  }

  void truncate(int newSize) {
    size = newSize;
  }

  /** The floats whose bits these are. */
  float[] toFloats() {
    return toFloats(elements, size);
  }

  /** The floats whose bits the first numbers are. */
  static float[] toFloats(int[] bits, int count) {
    float[] floats = new float[count];
    for (int i = 0; i < count; i++) {
      floats[i] = Float.intBitsToFloat(bits[i]);
    }
    return floats;
  }

  /** Copies some of them. */
  void copy(int from, int count, int[] to, int at) {
    System.arraycopy(elements, from, to, at, count);
  }

  /** How often each number in [0, bound) is there. */
  int[] counts(int bound) {
    int[] counts = new int[bound];
    for (int i = 0; i < size; i++) {
      counts[elements[i]]++;
    }
    return counts;
  }

  int[] toArray() {
    return Arrays.copyOf(elements, size);
  }
}
