// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.command;

import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

final class CtrlCTest {
  @Test
  void theProgramEndsAtOnce_whereNothingWouldBeKept() {
    try (CtrlC ctrlC = new CtrlC(() -> false)) {
      ctrlC.press(); // returns
      assertTrue(ctrlC.isPressed());
    }
  }

  @Test
  void theProgramWaits_untilTheModelIsSaved() throws InterruptedException {
    Thread hook;
    try (CtrlC ctrlC = new CtrlC(() -> true)) {
      hook = new Thread(ctrlC::press);
      hook.start();
      while (!ctrlC.isPressed()) {
        Thread.onSpinWait();
      }
      hook.join(100);
      assertTrue(hook.isAlive());
    }
    hook.join();
  }
}
