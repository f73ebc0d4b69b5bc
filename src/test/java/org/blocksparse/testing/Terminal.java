// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.testing;

import java.io.Console;

/**
 * Whether somebody sits before a terminal, to whom the demo and the benchmarks, which are compiled
 * beside the tests, show a bar.
 */
public final class Terminal {
  private Terminal() {}

  /** Whether both input and output are one. */
  @SuppressWarnings("SystemConsoleNull") // what that warns of is asked next
  public static boolean isThere() {
    Console console = System.console();
    if (console == null) {
      return false;
    }
    try {
      // JDK 22 to 24 have a console for pipes as well, which shows it.
      return (boolean) Console.class.getMethod("isTerminal").invoke(console);
    } catch (NoSuchMethodException e) { // before JDK 22
      return true;
    } catch (ReflectiveOperationException e) {
      throw new IllegalStateException(e);
    }
  }
}
