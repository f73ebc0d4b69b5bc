// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.command;

import java.io.File;
import java.util.regex.Pattern;

/** The command line that started the program, to print similar ones. */
final class Launcher {
  private static final Pattern PLAIN = Pattern.compile("[\\w./\\\\:=@%+,-]+");

  private Launcher() {}

  /**
   * Returns the command before the name of a subcommand: {@code java -jar FILE}, if it is a jar.
   */
  static String command() {
    return command(System.getProperty("java.class.path"));
  }

  /** Returns the command for a class path. */
  static String command(String classPath) {
    boolean isJar = classPath.endsWith(".jar") && !classPath.contains(File.pathSeparator);
    return isJar ? "java -jar " + word(classPath) : "java -cp ... " + Main.class.getName();
  }

  /** Returns a value as one word of a shell, without special characters. */
  static String word(Object value) {
    String text = value.toString();
    if (PLAIN.matcher(text).matches()) {
      return text;
    }
    boolean isWindows = File.separatorChar == '\\'; // file names have no quotation mark there
    return isWindows ? '"' + text + '"' : "'" + text.replace("'", "'\\''") + "'";
  }
}
