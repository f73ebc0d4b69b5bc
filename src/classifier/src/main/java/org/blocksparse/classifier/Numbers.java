// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier;

import java.util.Arrays;

/**
 * Numbers that become more, in chunks: they may be most of what Java has, and an array that grows
 * is there twice while it does.
 */
final class Numbers {
  /** So many there can be. */
  static final int MOST = 1 << 30;

  private static final int FIRST = 1 << 10;

  /** A chunk is no large object to any collector of Java, which would give it whole regions. */
  private static final int CHUNK_BITS = 16;

  private static final int CHUNK = 1 << CHUNK_BITS;

  private final int most;

  /** Only the first one is ever shorter than {@link #CHUNK}. Null: none so far. */
  private int[][] chunks = {new int[FIRST]};

  private int size;

  Numbers() {
    this(MOST);
  }

  /** Numbers of which there can be that many. */
  Numbers(int most) {
    this.most = most;
  }

  /** There are as many as there can be. */
  static final class FullException extends RuntimeException {
    private static final long serialVersionUID = 1;
  }

  int size() {
    return size;
  }

  int get(int index) {
    return chunks[index >>> CHUNK_BITS][index & (CHUNK - 1)];
  }

  /**
   * Adds a number.
   *
   * @throws FullException if there is no room
   */
  void add(int number) {
    if (size == most) {
      throw new FullException();
    }
    chunkWithRoom()[size & (CHUNK - 1)] = number;
    size++;
  }

  /** The chunk that the next number is added to. */
  private int[] chunkWithRoom() {
    int last = size >>> CHUNK_BITS;
    if (last == chunks.length) {
      chunks = Arrays.copyOf(chunks, 2 * chunks.length);
    }
    if (chunks[last] == null) {
      chunks[last] = new int[CHUNK];
    } else if ((size & (CHUNK - 1)) == chunks[last].length) {
      chunks[last] = Arrays.copyOf(chunks[last], 2 * chunks[last].length);
    }
    return chunks[last];
  }

  void set(int index, int number) {
    chunks[index >>> CHUNK_BITS][index & (CHUNK - 1)] = number;
  }

  /** Leaves the first ones, and no memory for the others. */
  void truncate(int newSize) {
    size = newSize;
    chunks = Arrays.copyOf(chunks, Math.max(1, (newSize + CHUNK - 1) >>> CHUNK_BITS));
  }

  /** The floats whose bits these are. */
  float[] toFloats() {
    return toFloats(toArray());
  }

  /** The floats whose bits numbers are. */
  static float[] toFloats(int[] bits) {
    float[] floats = new float[bits.length];
    for (int i = 0; i < bits.length; i++) {
      floats[i] = Float.intBitsToFloat(bits[i]);
    }
    return floats;
  }

  /** Copies some of them. */
  void copy(int from, int count, int[] to, int at) {
    int copied = 0;
    while (copied < count) {
      int begin = (from + copied) & (CHUNK - 1);
      int part = Math.min(count - copied, CHUNK - begin);
      System.arraycopy(chunks[(from + copied) >>> CHUNK_BITS], begin, to, at + copied, part);
      copied += part;
    }
  }

  /** How often each number in [0, bound) is there. */
  int[] counts(int bound) {
    int[] counts = new int[bound];
    for (int i = 0; i < size; i++) {
      counts[get(i)]++;
    }
    return counts;
  }

  int[] toArray() {
    int[] all = new int[size];
    copy(0, size, all, 0);
    return all;
  }
}
