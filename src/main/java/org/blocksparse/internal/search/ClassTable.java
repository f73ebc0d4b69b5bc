// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.search;

import java.util.Arrays;

/**
 * The place of each output: its class, and its slot in the class. The arrays are shared and not to
 * be changed.
 *
 * @param classOf the class of each output; -1 if it is retired
 * @param slotOf the slot of each output; -1 as well
 * @param members the outputs of each class by their slots
 * @param slots the room in every class
 */
public record ClassTable(int[] classOf, int[] slotOf, int[][] members, int slots) {
  /** The class and the slot of a retired output. */
  public static final int RETIRED = -1;

  private static ClassTable of(int[] classOf, int[] slotOf, int[] sizes, int minSlots) {
    return new ClassTable(
        classOf,
        slotOf,
        members(classOf, slotOf, sizes),
        Math.max(minSlots, Arrays.stream(sizes).max().getAsInt()));
  }

  /**
   * Returns a table with slots in the order of the outputs.
   *
   * @param minSlots the room in every class, if no class needs more
   * @throws IllegalArgumentException if a class has no outputs
   */
  public static ClassTable inOrder(int[] classOf, int nClasses, int minSlots) {
    return of(classOf, slotsInOrder(classOf, nClasses), sizes(classOf, nClasses), minSlots);
  }

  /** Puts each output into its place, and checks that the places are permutations. */
  private static int[][] members(int[] classOf, int[] slotOf, int[] sizes) {
    int[][] members = new int[sizes.length][];
    for (int c = 0; c < sizes.length; c++) {
      if (sizes[c] == 0) {
        throw new IllegalArgumentException("classes: class " + c + " has no outputs");
      }
      members[c] = new int[sizes[c]];
      Arrays.fill(members[c], -1);
    }
    for (int output = 0; output < classOf.length; output++) {
      if (classOf[output] < 0) {
        continue;
      }
      int[] ofClass = members[classOf[output]];
      int slot = slotOf[output];
      if (slot < 0 || slot >= ofClass.length || ofClass[slot] >= 0) {
        throw new IllegalArgumentException(
            "slotOf["
                + output
                + "] = "
                + slot
                + " is taken already or outside [0, "
                + ofClass.length
                + "), the outputs of class "
                + classOf[output]
                + ": slots of a class are not a permutation");
      }
      ofClass[slot] = output;
    }
    return members;
  }

  private static int[] slotsInOrder(int[] classOf, int nClasses) {
    int[] slotOf = new int[classOf.length];
    int[] next = new int[nClasses];
    for (int output = 0; output < classOf.length; output++) {
      slotOf[output] = next[classOf[output]]++;
    }
    return slotOf;
  }

  private static int[] sizes(int[] classOf, int nClasses) {
    int[] sizes = new int[nClasses];
    for (int c : classOf) {
      sizes[c]++;
    }
    return sizes;
  }

  /**
   * Returns a table of classes and slots, as it is written to files. The arrays become its own.
   *
   * @param classOf the class of each output, -1 if it is retired
   * @param slotOf the slot of each output: in each class a permutation of [0, size of the class);
   *     -1 if it is retired
   * @param slots the room in every class
   * @throws IllegalArgumentException if that is not what the tables hold
   */
  public static ClassTable of(int[] classOf, int[] slotOf, int nClasses, int slots) {
    int[] sizes = new int[nClasses];
    for (int output = 0; output < classOf.length; output++) {
      int c = classOf[output];
      if (c == RETIRED && slotOf[output] == RETIRED) {
        continue;
      }
      if (c < 0 || c >= nClasses) {
        throw new IllegalArgumentException(
            "classOf[" + output + "] = " + c + " is outside [0, classes = " + nClasses + ")");
      }
      sizes[c]++;
    }
    for (int c = 0; c < nClasses; c++) {
      if (sizes[c] > slots) {
        throw new IllegalArgumentException(
            "class " + c + " has " + sizes[c] + " outputs in " + slots + " slots");
      }
    }
    return of(classOf, slotOf, sizes, slots);
  }

  /** Returns the number of outputs. */
  public int outputs() {
    return classOf.length;
  }

  /** Returns the number of outputs that are not retired. */
  public int live() {
    int live = 0;
    for (int[] outputs : members) {
      live += outputs.length;
    }
    return live;
  }

  /** Returns the number of classes. */
  public int classes() {
    return members.length;
  }

  /** Returns the number of outputs in a class. */
  public int size(int classNumber) {
    return members[classNumber].length;
  }

  /**
   * Returns whether output o is in class o / slots, slot o % slots, with no empty slot anywhere.
   */
  public boolean isDenseAndInOrder() {
    for (int output = 0; output < classOf.length; output++) {
      if (classOf[output] != output / slots || slotOf[output] != output % slots) {
        return false;
      }
    }
    return (long) members.length * slots == classOf.length;
  }

  /** Returns class * slots + slot for each output; -1 if it is retired. */
  public long[] places() {
    long[] places = new long[classOf.length];
    for (int output = 0; output < places.length; output++) {
      places[output] = classOf[output] < 0 ? -1 : (long) classOf[output] * slots + slotOf[output];
    }
    return places;
  }
}
