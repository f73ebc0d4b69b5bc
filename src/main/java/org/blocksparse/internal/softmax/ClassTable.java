// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.softmax;

/**
 * Where each output lives: its class, and its slot in the class. The arrays are shared and not to
 * be changed.
 *
 * @param classOf the class of each output; -1 if it is retired and lives nowhere
 * @param slotOf the slot of each output; -1 as well
 * @param members the outputs of each class by their slots
 * @param slots the room in every class
 */
public record ClassTable(int[] classOf, int[] slotOf, int[][] members, int slots) {
  /** The number of outputs. */
  public int outputs() {
    return classOf.length;
  }

  /** The number of outputs that live somewhere. */
  public int live() {
    int live = 0;
    for (int[] outputs : members) {
      live += outputs.length;
    }
    return live;
  }

  /** The number of classes. */
  public int classes() {
    return members.length;
  }

  /** The number of outputs in a class. */
  public int size(int classNumber) {
    return members[classNumber].length;
  }

  /** Whether output o is in class o / slots, slot o % slots, with no empty slot anywhere. */
  boolean isDenseAndInOrder() {
    for (int output = 0; output < classOf.length; output++) {
      if (classOf[output] != output / slots || slotOf[output] != output % slots) {
        return false;
      }
    }
    return (long) members.length * slots == classOf.length;
  }

  /** For each output, class * slots + slot; -1 for those that are retired. */
  long[] places() {
    long[] places = new long[classOf.length];
    for (int output = 0; output < places.length; output++) {
      places[output] = classOf[output] < 0 ? -1 : (long) classOf[output] * slots + slotOf[output];
    }
    return places;
  }
}
