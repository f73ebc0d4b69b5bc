// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.documents;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

/** Rules for sources that can be counted. Rules of formatters are not repeated. */
final class SourcesTest {
  private static final int LINES_OF_A_METHOD = 60;
  private static final int COLUMNS_OF_A_POM = 120;
  private static final int COLUMNS_OF_NATIVE_CODE = 100;

  private static final Pattern EXECUTION_WITHOUT_REASON =
      Pattern.compile("(?<!-->\\s{1,60})<execution>(?!\\s*<!--)");

  /** The first line of what is in a class, or in one within that. */
  private static final Pattern MEMBER = Pattern.compile("( {2}| {4})[\\w<].*[^;]");

  private static final Pattern TYPE = Pattern.compile(".* (?:class|interface|enum|record) .*");

  /** Calls that write numbers or change letters by the locale of a user. */
  private static final Pattern OF_A_LANGUAGE =
      Pattern.compile(
          "%[-,.$\\d]*[defgx](?:(?!;\n).)*?\\.formatted\\("
              + "|String\\.format\\((?!\\s*Locale\\.ROOT)"
              + "|\\.to(?:Lower|Upper)Case\\(\\)",
          Pattern.DOTALL);

  /** The files in a folder whose names match, but for what is built. */
  private static List<Path> files(String folder, String pattern) throws IOException {
    List<Path> found = new ArrayList<>();
    Files.walkFileTree(
        Path.of(folder),
        new SimpleFileVisitor<>() {
          @Override
          public FileVisitResult preVisitDirectory(Path place, BasicFileAttributes attributes) {
            return place.endsWith("target")
                ? FileVisitResult.SKIP_SUBTREE
                : FileVisitResult.CONTINUE;
          }

          @Override
          public FileVisitResult visitFile(Path file, BasicFileAttributes attributes) {
            if (file.getFileName().toString().matches(pattern)) {
              found.add(file);
            }
            return FileVisitResult.CONTINUE;
          }
        });
    return found;
  }

  private static List<Path> poms() throws IOException {
    List<Path> poms = files("src", "pom\\.xml");
    poms.add(Path.of("pom.xml"));
    poms.addAll(files("platform", "pom\\.xml"));
    assertTrue(poms.size() >= 10, poms::toString);
    return poms;
  }

  private static void assertColumns(int most, List<Path> files) {
    for (Path file : files) {
      List<String> lines = Page.read(file).lines().toList();
      for (int i = 0; i < lines.size(); i++) {
        int at = i + 1;
        assertTrue(lines.get(i).length() <= most, () -> file + ":" + at + " is too long");
      }
    }
  }

  /** A simple name is that of one type in all projects; each program may have its Main. */
  @Test
  void eachNameIsThatOfOneType() throws IOException {
    Map<String, Path> found = new HashMap<>();
    List<Path> sources = production();
    for (String folder : List.of("src/demo", "src/jmh")) {
      sources.addAll(Files.isDirectory(Path.of(folder)) ? files(folder, ".*\\.java") : List.of());
    }
    for (Path source : sources) {
      String name = source.getFileName().toString();
      if (!name.matches("(?:Main|.*-info)\\.java")) {
        Path other = found.put(name, source);
        assertTrue(other == null, () -> source + " has the name of " + other);
      }
    }
  }

  private static List<Path> production() throws IOException {
    List<Path> sources = new ArrayList<>();
    for (String project : List.of("src", "src/classifier/src", "src/spark/src")) {
      sources.addAll(files(project + "/main/java", ".*\\.java"));
    }
    assertTrue(sources.size() > 100, sources::toString);
    return sources;
  }

  private static List<String> uses(List<Path> sources, Pattern pattern) throws IOException {
    List<String> found = new ArrayList<>();
    for (Path source : sources) {
      pattern
          .matcher(Page.read(source))
          .results()
          .forEach(use -> found.add(source + " uses " + use.group()));
    }
    return found;
  }

  /** Those of more lines than a method may have, but for those whose comment begins "Long". */
  private static List<String> longMembers(Path source) throws IOException {
    List<String> found = new ArrayList<>();
    List<String> lines = Page.read(source).lines().toList();
    for (String indent : List.of("  ", "    ")) {
      int begin = -1;
      boolean hasReason = false;
      for (int i = 0; i < lines.size(); i++) {
        String line = lines.get(i);
        Matcher member = MEMBER.matcher(line);
        if (line.startsWith(indent + "// Long, since ")) {
          hasReason = true;
        } else if (member.matches() && member.group(1).equals(indent)) {
          begin = TYPE.matcher(line).matches() ? -1 : i;
        } else if (line.equals(indent + "}") && begin >= 0) {
          if (i + 1 - begin > LINES_OF_A_METHOD && !hasReason) {
            found.add(source + ":" + (begin + 1) + " has " + (i + 1 - begin) + " lines");
          }
          begin = -1;
          hasReason = false;
        }
      }
    }
    return found;
  }

  @Test
  void methodsAreShort() throws IOException {
    List<String> found = new ArrayList<>();
    for (Path source : production()) {
      found.addAll(longMembers(source));
    }
    assertEquals(List.of(), found);
  }

  /** Texts are English whatever the user's language is; commands say that once, for all theirs. */
  @Test
  void numbersInTextsAreThoseOfNoLanguage() throws IOException {
    List<Path> sources = production();
    sources.removeIf(source -> source.getParent().endsWith("command"));
    assertEquals(List.of(), uses(sources, OF_A_LANGUAGE));
  }

  @Test
  void linesAreShort() throws IOException {
    assertColumns(COLUMNS_OF_A_POM, poms());
    List<Path> sources = files("native", ".*\\.(cpp|h|inl)");
    assertTrue(sources.size() > 40, sources::toString);
    assertColumns(COLUMNS_OF_NATIVE_CODE, sources);
  }

  @Test
  void everyExecutionOfAPomHasAReason() throws IOException {
    List<String> without = new ArrayList<>();
    for (Path pom : poms()) {
      String text = Page.read(pom);
      Matcher matcher = EXECUTION_WITHOUT_REASON.matcher(text);
      while (matcher.find()) {
        without.add(pom + ":" + (1 + text.substring(0, matcher.start()).lines().count()));
      }
    }
    assertEquals(List.of(), without);
  }
}
