// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.softmax;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;

import org.blocksparse.internal.Engine;
import org.blocksparse.internal.Scheduler;
import org.junit.jupiter.api.Test;

final class RelocationTest {
  /** An optimizer that counts steps corrects too little for them, and never too much. */
  @Test
  void aClassHasTakenTheFewestStepsOfItsSourcesThatHaveTakenAny() {
    ClassTable from =
        new ClassTable(
            new int[] {0, 0, 1, 1, 2, 2, 3, 3},
            new int[] {0, 1, 0, 1, 0, 1, 0, 1},
            new int[][] {{0, 1}, {2, 3}, {4, 5}, {6, 7}},
            2);
    ClassTable to =
        new ClassTable(
            new int[] {0, 1, 0, 2, 1, 2, 3, 3},
            new int[] {0, 0, 1, 0, 1, 1, 0, 1},
            new int[][] {{0, 2}, {1, 4}, {3, 5}, {6, 7}},
            2);
    Relocation relocation =
        new Relocation(Engine.of(Scheduler.common()), Link.SOFTMAX, 1, from, to);
    assertArrayEquals(new int[] {7, 5, 5, 0}, relocation.steps(new int[] {7, 0, 5, 0}));
    assertArrayEquals(new int[] {4, 1, 1, 9}, relocation.steps(new int[] {7, 4, 1, 9}));
  }
}
