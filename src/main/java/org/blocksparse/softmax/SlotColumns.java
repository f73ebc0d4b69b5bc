// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import org.blocksparse.internal.memory.Storage;

/**
 * The numbers of the slots of classes, (classes, rows, slots): of W2 with a row for each feature,
 * of b2 with one, or of their optimizer state. They are changed in place, and without other memory:
 * a change must not fail halfway for lack of it.
 */
record SlotColumns(Storage storage, int rows, int slots) {
  private long at(int classNumber, int row, int slot) {
    return ((long) classNumber * rows + row) * slots + slot;
  }

  /** Returns a number of a slot. */
  float get(int classNumber, int row, int slot) {
    return storage.getFloat(at(classNumber, row, slot));
  }

  /** Moves the numbers of a slot of a class to another slot, and clears the first. */
  public void move(int classNumber, int from, int to) {
    for (int row = 0; row < rows; row++) {
      float value = storage.getFloat(at(classNumber, row, from));
      storage.putFloat(at(classNumber, row, from), 0);
      if (to != from) {
        storage.putFloat(at(classNumber, row, to), value);
      }
    }
  }

  /** Clears slots [begin, end) of a class. */
  public void clear(int classNumber, int begin, int end) {
    for (int row = 0; row < rows; row++) {
      storage.fill(at(classNumber, row, begin), end - begin, 0);
    }
  }

  /** Fills slots [begin, end) of a class with the means of the slots before {@code begin}. */
  public void fillWithMean(int classNumber, int begin, int end) {
    for (int row = 0; row < rows; row++) {
      double sum = 0;
      for (int slot = 0; slot < begin; slot++) {
        sum += get(classNumber, row, slot);
      }
      storage.fill(at(classNumber, row, begin), end - begin, (float) (sum / begin));
    }
  }
}
