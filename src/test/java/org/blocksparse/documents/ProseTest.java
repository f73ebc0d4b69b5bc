// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.documents;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/**
 * Sentences of comments and pages begin with the thing that they are about, not with a clause, and
 * programs print, name or return: they do not "tell". Lines that are right all the same stand in
 * {@code prose-allowed.txt}, word by word. Lines of pages are short.
 */
final class ProseTest {
  private static final Path ALLOWED = Path.of("src/test/resources/prose-allowed.txt");

  private static final int COLUMNS_OF_A_PAGE = 120;

  private static final String BEGINNING = "(?:^|[.:;] |\\| )";
  private static final String CLAUSE =
      "(?:(?:What|Who|Whoever|Whatever) [a-z]|That (?:of|is|are|there|they|what) )[^?]*$";

  private static final Pattern WRONG =
      Pattern.compile(BEGINNING + CLAUSE + "|\\b(?:tells|told)\\b");

  private static final Pattern COMMENT = Pattern.compile("^\\s*(?:/\\*\\*?|\\*|//|<!--|#) (.*)$");

  /** The comments of a source, or all lines of a page. */
  private static Stream<String> text(Path file) {
    Stream<String> lines = Page.read(file).lines();
    if (file.toString().endsWith(".md")) {
      return lines;
    }
    return lines.map(COMMENT::matcher).filter(m -> m.matches()).map(comment -> comment.group(1));
  }

  private static List<Path> files() throws IOException {
    List<Path> files = new ArrayList<>();
    for (String folder :
        List.of("src", "native", "cmake", "README.md", "CONTRIBUTING.md", "CHANGELOG.md")) {
      try (Stream<Path> all = Files.walk(Path.of(folder))) {
        all.filter(file -> file.toString().matches(".*\\.(?:java|cpp|h|inl|cmake|md)"))
            .filter(file -> !file.toString().contains("/target/"))
            .forEach(files::add);
      }
    }
    return files;
  }

  @Test
  void sentencesBeginWithTheirSubject() throws IOException {
    Set<String> allowed = new HashSet<>(Files.readAllLines(ALLOWED));
    Set<String> unused = new HashSet<>(allowed);
    List<String> wrong = new ArrayList<>();
    List<Path> files = files();
    for (Path file : files) {
      text(file)
          .filter(line -> WRONG.matcher(line).find())
          .map(String::strip)
          .peek(unused::remove)
          .filter(line -> !allowed.contains(line))
          .forEach(line -> wrong.add(file + ": " + line));
    }
    assertTrue(files.size() > 500, () -> files.size() + " files");
    assertEquals(List.of(), wrong);
    assertEquals(Set.of(), unused);
  }

  /** Outside tables, pictures and code; generated pages have lines as long as names make them. */
  @Test
  void linesOfPagesAreShort() throws IOException {
    List<String> wrong = new ArrayList<>();
    int pages = 0;
    for (Path file : files()) {
      if (file.toString().endsWith(".md") && !file.startsWith("src/doc/performance")) {
        pages++;
        boolean isCode = false;
        for (String line : Page.read(file).lines().toList()) {
          isCode ^= line.strip().startsWith("```");
          if (!isCode && line.length() > COLUMNS_OF_A_PAGE && !line.matches("(?:\\||!\\[).*")) {
            wrong.add(file + ": " + line);
          }
        }
      }
    }
    assertTrue(pages > 20, pages + " pages");
    assertEquals(List.of(), wrong);
  }
}
