// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.documents;

import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Runs the programs of the pages, each from its source as a user runs it. */
@Tag("packaged")
final class ProgramsTest {
  @TempDir private Path folder;

  /**
   * Returns the programs that need only the library; further programs run where their dependencies
   * are. {@link PythonTest} runs the one that takes arguments.
   */
  static Stream<Program> programs() {
    return Program.in(Path.of("src")).stream().filter(Program::runsByItself);
  }

  @ParameterizedTest
  @Execution(ExecutionMode.CONCURRENT)
  @MethodSource("programs")
  void printsWhatItsCommentsSay(Program program) {
    program.check(folder);
  }
}
