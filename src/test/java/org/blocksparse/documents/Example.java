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
 * A piece of the code of a test that a page shows: what stands between {@code // example: NAME} and
 * {@code // end of example}, moved to the left margin.
 */
record Example(String name, String text) {
  private static final Pattern MARKED =
      Pattern.compile("(?ms)^ *// example: (\\S+)\\n(.*?)^ *// end of example$");

  /** All of them, from the tests, the benchmarks and the projects below. */
  static List<Example> all() {
    return Stream.of(
            "src/test/java",
            "src/jmh/java",
            "src/classifier/src/test/java",
            "src/spark/src/test/java")
        .map(Path::of)
        .flatMap(Example::sources)
        .flatMap(Example::in)
        .toList();
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
        .map(found -> new Example(found.group(1), found.group(2).stripTrailing().stripIndent()))
        .toList()
        .stream();
  }
}
