// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.programs;

import java.io.IOException;
import java.nio.file.Path;
import org.blocksparse.softmax.ClassAssignment;

/** Writes the smallest of files; a main class of JVMs of {@code SavingTest}. */
public final class SaveProgram {
  /** The classes that the program writes. */
  public static final ClassAssignment CLASSES = ClassAssignment.of(1, 0, 1);

  private SaveProgram() {}

  public static void main(String[] args) throws IOException {
    CLASSES.write(Path.of(args[0]));
  }
}
