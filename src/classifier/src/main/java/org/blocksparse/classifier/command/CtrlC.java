// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.command;

import java.util.concurrent.CountDownLatch;
import java.util.function.BooleanSupplier;

/**
 * Delays the end of the program by Ctrl-C until this is closed. If there is nothing worth saving
 * yet, the program ends at once.
 */
final class CtrlC implements AutoCloseable {
  private final BooleanSupplier isWorthIt;
  private final Runnable answer;
  private final CountDownLatch closed = new CountDownLatch(1);
  private final Thread hook = new Thread(this::press, "ctrl-c");
  private volatile boolean pressed;

  /**
   * Starts to wait.
   *
   * @param answer runs at once if the program does not end at once
   */
  CtrlC(BooleanSupplier isWorthIt, Runnable answer) {
    this.isWorthIt = isWorthIt;
    this.answer = answer;
    Runtime.getRuntime().addShutdownHook(hook);
  }

  /** Handles Ctrl-C: the JVM calls it and ends when it returns. */
  void press() {
    boolean waits = isWorthIt.getAsBoolean();
    if (waits) {
      answer.run(); // before other threads notice, and end
    }
    pressed = true;
    if (!waits) {
      return;
    }
    try {
      closed.await();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt(); // the program ends at once
    }
  }

  boolean isPressed() {
    return pressed;
  }

  @Override
  public void close() {
    closed.countDown();
    try {
      Runtime.getRuntime().removeShutdownHook(hook);
    } catch (IllegalStateException e) {
      pressed = true; // it was pressed, and the program is ending
    }
  }
}
