// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.memory;

import static org.junit.jupiter.api.Assertions.assertTrue;

import org.blocksparse.testing.ShortStack;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.OS;

final class StackRoomTest {
  private int operations;
  private int files;

  private void askForBoth() {
    try {
      StackRoom.require();
    } catch (StackOverflowError e) {
      operations++;
    }
    try {
      StackRoom.requireMuch();
    } catch (StackOverflowError e) {
      files++;
    }
  }

  @Test
  @DisabledOnOs(value = OS.WINDOWS, disabledReason = "operations are given nearly as much as files")
  void filesAreRefusedWhereOperationsStillHaveRoom() throws Exception {
    int depths = 250;
    int[] unasked = new int[1];
    ShortStack.onThread(() -> unasked[0] = ShortStack.fill(0, 10, depths, this::askForBoth));
    String counts = operations + " and " + files + " of " + depths + " but " + unasked[0];
    assertTrue(unasked[0] < 10, counts);
    assertTrue(operations > 3 && operations < files && operations < depths / 2, counts);
  }
}
