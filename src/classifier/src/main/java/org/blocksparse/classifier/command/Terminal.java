// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.command;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.Console;
import java.nio.charset.Charset;

/** The terminal, if there is one, for a progress bar. */
final class Terminal {
  private Terminal() {}

  /** Returns the charset of output: the terminal's, and elsewhere UTF-8. */
  static Charset charset() {
    return isThere() ? System.console().charset() : UTF_8;
  }

  /** Returns whether both input and output are a terminal. */
  @SuppressWarnings("SystemConsoleNull") // the next call covers the warning
  static boolean isThere() {
    Console console = System.console();
    if (console == null) {
      return false;
    }
    try {
      // JDK 22 to 24 have a console for pipes as well, which reports that.
      return (boolean) Console.class.getMethod("isTerminal").invoke(console);
    } catch (NoSuchMethodException e) { // before JDK 22
      return true;
    } catch (ReflectiveOperationException e) {
      throw new IllegalStateException(e);
    }
  }
}
