// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.documents;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.blocksparse.testing.ChildJvm;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** The programs of src/examples, each started from its source as a user starts it. */
final class ProgramsTest {
  @TempDir private Path cache;

  static Stream<Path> programs() throws IOException {
    try (Stream<Path> files = Files.list(Example.PROGRAMS)) {
      return files.filter(file -> file.toString().endsWith(".java")).sorted().toList().stream();
    }
  }

  /** Those that need no arguments; {@link PythonTest} runs the other one. */
  static Stream<Path> programsAlone() throws IOException {
    return programs().filter(file -> !Page.read(file).contains("args[0]"));
  }

  @ParameterizedTest
  @MethodSource("programsAlone")
  void printsWhatItsCommentsSay(Path program) {
    List<String> expected = Example.program(program).commentsOnPrinting();
    assertTrue(!expected.isEmpty(), "prints nothing");
    ChildJvm.Result result = new ChildJvm(cache).runSource(program);
    assertEquals(0, result.exit(), result.output());
    assertEquals(expected, result.output().lines().toList());
  }

  /** "At most 40 lines", without imports and comments. */
  @ParameterizedTest
  @MethodSource("programs")
  void isShort(Path program) {
    long lines =
        Example.program(program)
            .text()
            .lines()
            .map(String::strip)
            .filter(line -> !line.isEmpty() && !line.matches("(//|/\\*\\*|import ).*"))
            .count();
    assertTrue(lines <= 40, () -> program + " has " + lines + " lines");
  }
}
