// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier;

import java.util.Arrays;

/** Numbers that become more: an {@code int[]} that grows. */
final class Numbers {
  private int[] elements = new int[1 << 10];
  private int size;

  int size() {
    return size;
  }

  int get(int index) {
    return elements[index];
  }

  void add(int number) {
    if (size == elements.length) {
      if (size > Integer.MAX_VALUE / 2) {
        throw new IllegalArgumentException("examples: more than 2^30 features in all of them");
      }
      elements = Arrays.copyOf(elements, size + size / 2);
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
