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
    float[] floats = new float[size];
    for (int i = 0; i < size; i++) {
      floats[i] = Float.intBitsToFloat(elements[i]);
    }
    return floats;
  }

  int[] toArray() {
    return Arrays.copyOf(elements, size);
  }
}
