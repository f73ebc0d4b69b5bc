// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.command;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

final class CtrlCTest {
  @Test
  void theProgramEndsAtOnce_whereNothingWouldBeKept() {
    List<String> answers = new ArrayList<>();
    try (CtrlC ctrlC = new CtrlC(() -> false, () -> answers.add("ends"))) {
      ctrlC.press(); // returns
      assertTrue(ctrlC.isPressed());
    }
    assertEquals(List.of(), answers);
  }

  @Test
  void theProgramWaits_untilTheModelIsSaved() throws InterruptedException {
    Thread hook;
    List<String> answers = new ArrayList<>();
    try (CtrlC ctrlC = new CtrlC(() -> true, () -> answers.add("ends"))) {
      hook = new Thread(ctrlC::press);
      hook.start();
      while (!ctrlC.isPressed()) {
        Thread.onSpinWait();
      }
      assertEquals(List.of("ends"), answers); // immediately
      hook.join(100);
      assertTrue(hook.isAlive());
    }
    hook.join();
  }
}
