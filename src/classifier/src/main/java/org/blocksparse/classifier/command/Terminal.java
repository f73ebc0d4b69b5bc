// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.command;

import java.io.Console;

/** Whether somebody sits before a terminal, who is shown a bar. */
final class Terminal {
  private Terminal() {}

  /** Whether both input and output are one. */
  @SuppressWarnings("SystemConsoleNull") // what that warns of is asked next
  static boolean isThere() {
    Console console = System.console();
    if (console == null) {
      return false;
    }
    try {
      // JDK 22 to 24 have a console for pipes as well, which tells.
      return (boolean) Console.class.getMethod("isTerminal").invoke(console);
    } catch (NoSuchMethodException e) { // before JDK 22
      return true;
    } catch (ReflectiveOperationException e) {
      throw new IllegalStateException(e);
    }
  }
}
