// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.documents;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * Code that a page shows: a piece of a test, between {@code // example: NAME} and {@code // end of
 * example}, moved to the left margin; or a program of {@code src/examples} without its licence.
 */
record Example(String name, String text, Path source) {
  static final Path PROGRAMS = Path.of("src/examples");

  private static final Pattern MARKED =
      Pattern.compile("(?ms)^ *// example: (\\S+)\\n(.*?)^ *// end of example$");

  /** All of them in Java, from the tests, the benchmarks, the projects and the programs. */
  static List<Example> all() {
    Stream<Example> pieces =
        Stream.of(
                "src/test/java",
                "src/jmh/java",
                "src/classifier/src/test/java",
                "src/spark/src/test/java")
            .map(Path::of)
            .flatMap(Example::sources)
            .flatMap(Example::in);
    return Stream.concat(pieces, sources(PROGRAMS).map(Example::program)).toList();
  }

  /** A program as a page shows it. */
  static Example program(Path file) {
    String text = Page.read(file).replaceFirst("(//|#) SPDX-License-Identifier: .*\\n", "");
    return new Example(file.getFileName().toString(), text.strip(), file);
  }

  static Example named(String name) {
    return all().stream().filter(example -> example.name.equals(name)).findFirst().orElseThrow();
  }

  /** What the comments say is printed, line by line. */
  List<String> commentsOnPrinting() {
    return text.lines()
        .filter(line -> line.contains("println("))
        .map(line -> line.substring(line.indexOf("// ") + 3))
        .toList();
  }

  private static Stream<Path> sources(Path folder) {
    try (Stream<Path> files = Files.walk(folder)) {
      return files.filter(file -> file.toString().endsWith(".java")).toList().stream();
    } catch (IOException e) {
      throw new AssertionError("tests run in the folder of pom.xml", e);
    }
  }

  private static Stream<Example> in(Path source) {
    Matcher matcher = MARKED.matcher(Page.read(source));
    return matcher
        .results()
        .map(
            found ->
                new Example(found.group(1), found.group(2).stripTrailing().stripIndent(), source))
        .toList()
        .stream();
  }
}
