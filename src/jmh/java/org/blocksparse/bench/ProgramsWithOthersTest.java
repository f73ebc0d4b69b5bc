// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import java.nio.file.Path;
import java.util.List;
import org.blocksparse.documents.Program;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** The programs of the pages that need DJL or Micrometer, which this profile provides. */
final class ProgramsWithOthersTest {
  @TempDir private Path folder;

  static List<Program> programs() {
    return Program.in(Path.of("src/jmh"));
  }

  @ParameterizedTest
  @MethodSource("programs")
  void printsWhatItsCommentsSay(Program program) {
    program.check(folder);
  }
}
