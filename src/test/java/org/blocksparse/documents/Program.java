// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.documents;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.blocksparse.testing.ChildJvm;

/**
 * A program that a page shows: a source file that begins as JBang requires. The page leaves out its
 * license, and its package, which it has where other tests call it.
 */
public record Program(Path source, String text) {
  private static final String BEGIN = "///usr/bin/env jbang ";
  private static final String LIBRARY = "org.blocksparse:blocksparse-platform:";

  private static final Pattern NOT_SHOWN =
      Pattern.compile("(//|#) SPDX-License-Identifier: .*\\n|(?m)^package .*;\\n\\n");

  private static final Pattern JAVA = Pattern.compile("(?m)^//JAVA (\\d+)\\+$");

  /** Returns all programs below a folder. */
  public static List<Program> in(Path folder) {
    try (Stream<Path> files = Files.walk(folder)) {
      return files
          .filter(file -> file.toString().endsWith(".java"))
          .filter(file -> Page.read(file).startsWith(BEGIN))
          .sorted()
          .map(Program::of)
          .toList();
    } catch (IOException e) {
      throw new AssertionError("tests run in the folder of pom.xml", e);
    }
  }

  /** Returns the program of a file. */
  static Program of(Path file) {
    return new Program(file, NOT_SHOWN.matcher(Page.read(file)).replaceAll("").strip());
  }

  /** Returns whether it needs nothing but the library. */
  boolean needsTheLibraryAlone() {
    return text.lines()
        .filter(line -> line.startsWith("//DEPS "))
        .allMatch(line -> line.contains(LIBRARY));
  }

  /**
   * Returns whether it needs nothing but the library and no arguments: {@link ProgramsTest} runs
   * it.
   */
  boolean runsByItself() {
    return needsTheLibraryAlone() && !text.contains("args[0]");
  }

  /** Returns the number of lines of code, without imports and comments. */
  long lines() {
    return text.lines()
        .map(String::strip)
        .filter(line -> !line.isEmpty() && !line.matches("(//|/\\*\\*|import ).*"))
        .count();
  }

  /** Returns whether it has these lines in sequence, at any indentation. */
  boolean hasExcerpt(String lines) {
    for (int depth = 0; depth <= 6; depth += 2) {
      if (("\n" + text + "\n").contains("\n" + indented(lines, depth))) {
        return true;
      }
    }
    return false;
  }

  private static String indented(String lines, int depth) {
    return lines.indent(depth).replaceAll("(?m)^ +$", "");
  }

  /** Runs the program of the page in a folder of its own: it prints what its comments say. */
  public void check(Path folder) {
    Matcher java = JAVA.matcher(text);
    assumeTrue(!java.find() || Runtime.version().feature() >= Integer.parseInt(java.group(1)));
    List<String> expected =
        text.lines()
            .filter(line -> line.contains("println("))
            .map(line -> line.substring(line.indexOf("// ") + 3))
            .toList();
    assertTrue(!expected.isEmpty(), "prints nothing");
    ChildJvm.Result result = new ChildJvm(folder.resolve("cache")).runSource(copiedTo(folder));
    assertEquals(0, result.exit(), result.output());
    assertEquals(expected, result.output().lines().toList());
  }

  private Path copiedTo(Path folder) {
    try {
      return Files.writeString(folder.resolve(source.getFileName()), text);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Override
  public String toString() {
    return source.toString();
  }
}
