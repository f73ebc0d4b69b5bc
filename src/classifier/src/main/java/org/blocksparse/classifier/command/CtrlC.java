// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.command;

import java.util.concurrent.CountDownLatch;

/** While this is open, Ctrl-C does not end the program before it has closed this. */
final class CtrlC implements AutoCloseable {
  private final CountDownLatch closed = new CountDownLatch(1);
  private final Thread hook = new Thread(this::waitUntilClosed, "ctrl-c");
  private volatile boolean pressed;

  CtrlC() {
    Runtime.getRuntime().addShutdownHook(hook);
  }

  private void waitUntilClosed() {
    pressed = true;
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
      pressed = true; // it was pressed, and the program ends now
    }
  }
}
