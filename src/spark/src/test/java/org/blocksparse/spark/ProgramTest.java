// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.spark;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Runs the program of the page from its source, as a user does. */
@Tag("packaged")
final class ProgramTest {
  private static final Path PROGRAM = Path.of("src/examples/Training.java");

  @TempDir private Path folder;

  @Test
  void printsWhatItsCommentsSay() throws Exception {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    for (String name : List.of("org.bytedeco.javacpp.cachedir", "log4j2.configurationFile")) {
      command.add("-D" + name + "=" + System.getProperty(name));
    }
    // Spark's settings for tests: no port is open to others.
    command.add("-Dspark.ui.enabled=false");
    command.add("-Dspark.driver.host=127.0.0.1");
    command.add("-Dspark.driver.bindAddress=127.0.0.1");
    command.add("-Djava.io.tmpdir=" + folder);
    command.addAll(List.of("-cp", System.getProperty("java.class.path"), PROGRAM.toString()));
    Path told = folder.resolve("told");
    Process process =
        new ProcessBuilder(command)
            .redirectError(ProcessBuilder.Redirect.INHERIT)
            .redirectOutput(told.toFile())
            .start();
    assertTrue(process.waitFor(10, TimeUnit.MINUTES), "did not end");
    assertEquals(0, process.exitValue());
    List<String> expected =
        Files.readString(PROGRAM)
            .lines()
            .filter(line -> line.contains("println("))
            .map(line -> line.substring(line.indexOf(" // ") + 4))
            .toList();
    assertEquals(expected, Files.readAllLines(told));
  }
}
