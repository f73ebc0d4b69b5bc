// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.features;

import java.util.Arrays;
import java.util.concurrent.ThreadLocalRandom;

/**
 * Numbers keys by first occurrence, without further data. It is an open hash table in two arrays,
 * so that millions of features make no objects. Keys may come from anybody, so each table has a
 * random hash: nobody can make keys collide.
 */
public final class KeyTable {
  private static final int NONE = -1;
  private static final int FIRST_KEYS = 1 << 9;
  private static final int MOST_KEYS = 1 << 29; // the table has twice as many slots

  private final long multiplier = ThreadLocalRandom.current().nextLong() | 1;

  private long[] keys;
  private int[] numbers;
  private int size;

  public KeyTable() {
    this(FIRST_KEYS);
  }

  /** Creates a table that need not grow up to that many keys, at most 2^29. */
  public KeyTable(int expectedKeys) {
    int room = Math.max(FIRST_KEYS, Integer.highestOneBit(Math.max(1, expectedKeys - 1)) << 1);
    keys = new long[room];
    numbers = empty(2 * room);
  }

  private static int[] empty(int size) {
    int[] numbers = new int[size];
    Arrays.fill(numbers, NONE);
    return numbers;
  }

  /** Returns the number of keys; their numbers are [0, size). */
  public int size() {
    return size;
  }

  /** Returns the key that has a number. */
  public long key(int number) {
    return keys[number];
  }

  /** Returns the number of a key; negative if it has none. */
  public int find(long key) {
    return numbers[slot(key)];
  }

  /** Returns the number of a key, which gets one if it has none. */
  public int add(long key) {
    int slot = slot(key);
    if (numbers[slot] == NONE) {
      if (size == keys.length) {
        grow();
        slot = slot(key);
      }
      keys[size] = key;
      numbers[slot] = size++;
    }
    return numbers[slot];
  }

  /** Returns where a key is, or where it would be. At most half of the slots are taken. */
  private int slot(long key) {
    int mask = numbers.length - 1;
    int slot = (int) (hash(key) >>> Long.numberOfLeadingZeros(mask));
    while (numbers[slot] != NONE && keys[numbers[slot]] != key) {
      slot = (slot + 1) & mask;
    }
    return slot;
  }

  /**
   * Returns a hash whose upper bits depend on all bits of the key. It multiplies twice, since some
   * multipliers put consecutive keys, such as indices, close together.
   */
  private long hash(long key) {
    long once = key * multiplier;
    return (once ^ (once >>> 32)) * multiplier;
  }

  private void grow() {
    if (size == MOST_KEYS) {
      throw new IllegalArgumentException(
          "examples: more than " + MOST_KEYS + " different features; take fewer examples");
    }
    numbers = null; // freed first, as both may be most of the heap: it is rebuilt from the keys
    keys = Arrays.copyOf(keys, 2 * keys.length);
    numbers = empty(2 * keys.length);
    for (int number = 0; number < size; number++) {
      numbers[slot(keys[number])] = number;
    }
  }
}
