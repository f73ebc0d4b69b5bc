// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.programs;

import java.nio.file.Path;

/**
 * Loads the given libraries, then uses this one; the main class of a JVM of {@code OpenBlasTest}.
 */
public final class OpenBlasFirstProgram {
  private OpenBlasFirstProgram() {}

  public static void main(String[] args) {
    for (String library : args) {
      System.load(Path.of(library).toString());
    }
    ProductProgram.main(args);
  }
}
