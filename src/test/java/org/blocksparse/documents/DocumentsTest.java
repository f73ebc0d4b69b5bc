// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.documents;

import static java.util.stream.Collectors.joining;
import static java.util.stream.Collectors.toSet;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.blocksparse.Backend;
import org.junit.jupiter.api.Test;

/** The pages against the code: programs, links, and facts that a page must state. */
final class DocumentsTest {
  private final List<Page> pages = Page.all();
  private final List<Program> programs = Program.in(Path.of("src"));

  /** Projects of users that pages show, which tests of their own run. */
  private static final Path PROJECTS = Path.of("src/it");

  private static final List<String> IN_PROJECTS =
      List.of(
          "spring/src/main/java/tagging/Tagging.java",
          "spring/src/main/java/tagging/LabelController.java",
          "langchain4j/src/main/java/topics/SentenceVectors.java",
          "langchain4j/src/main/java/topics/Topics.java",
          "langchain4j/src/main/java/topics/TrainedTextClassifier.java",
          "jlama/src/main/java/engine/Ask.java",
          "jlama/src/main/java/engine/ExpertsFeedForward.java");

  private Stream<Program> programsAndProjects() {
    return Stream.concat(
        programs.stream(), IN_PROJECTS.stream().map(name -> Program.of(PROJECTS.resolve(name))));
  }

  /** Each copied block is a program that runs, or its page links to the whole program. */
  @Test
  void everyJavaBlockIsOfAProgram() {
    javaBlocks()
        .forEach(
            block ->
                assertTrue(
                    programsAndProjects().anyMatch(program -> isOf(program, block)),
                    () -> block.page() + " has Java that no test runs:\n" + block.text()));
  }

  private static boolean isOf(Program program, Page.Block block) {
    return program.text().equals(block.text())
        || (program.hasExcerpt(block.text()) && block.page().linksTo(program.source()));
  }

  /** Each program that {@link ProgramsTest} does not run has a test of its own, which names it. */
  @Test
  void everyProgramIsRun() {
    Set<Path> runElsewhere =
        Set.of(
            Path.of("src/classifier/src/examples/Drinks.java"), // RunnableJarTest
            Path.of("src/classifier/src/examples/FromFastText.java"), // RunnableJarTest
            Path.of("src/classifier/src/examples/Router.java"), // RunnableJarTest
            Path.of("src/classifier/src/examples/Shop.java"), // RunnableJarTest
            Path.of("src/examples/FromPyTorch.java"), // PythonTest
            Path.of("src/spark/src/examples/Training.java")); // ProgramTest
    Set<Path> others =
        programs.stream()
            .filter(program -> !program.runsByItself())
            .map(Program::source)
            .filter(source -> !source.startsWith("src/jmh")) // ProgramsWithOthersTest runs all
            .collect(toSet());
    assertEquals(runElsewhere, others);
  }

  /** Each program is on a page as a whole, or in parts with a link to the whole. */
  @Test
  void everyProgramIsOnAPage() {
    List<Page.Block> blocks = javaBlocks().toList();
    programsAndProjects()
        .forEach(
            program ->
                assertTrue(
                    blocks.stream().anyMatch(block -> isOf(program, block)),
                    () -> "no page has the program " + program));
  }

  /**
   * The first program of each page that needs only the library gets from data to a result in at
   * most 40 lines.
   */
  @Test
  void theFirstProgramOfAPageIsShort() {
    for (Page page : pages) {
      page.blocks("java")
          .flatMap(block -> programs.stream().filter(p -> p.text().equals(block.text())))
          .filter(Program::needsTheLibraryAlone)
          .limit(1)
          .forEach(
              program ->
                  assertTrue(
                      program.lines() <= 40, () -> program + " has " + program.lines() + " lines"));
    }
  }

  @Test
  void theDockerfileIsOnItsPage() {
    String dockerfile = Program.of(PROJECTS.resolve("spring/Dockerfile")).text();
    assertTrue(
        Page.of("src/doc/spring.md")
            .blocks("text")
            .anyMatch(block -> block.text().equals(dockerfile)));
  }

  private Stream<Page.Block> javaBlocks() {
    return pages.stream().flatMap(page -> page.blocks("java"));
  }

  /** Blocks in other languages have other tests; a mistyped name would have none. */
  @Test
  void everyBlockHasALanguage() {
    Set<String> known = Set.of("java", "python", "groovy", "xml", "sh", "text");
    for (Page page : pages) {
      assertEquals(Set.of(), page.languagesBut(known), page.toString());
    }
  }

  @Test
  void linksResolve() {
    List<String> broken = new ArrayList<>();
    for (Page page : pages) {
      page.links().stream()
          .filter(link -> !link.startsWith("https://"))
          .filter(link -> !resolves(page, link))
          .forEach(link -> broken.add(page + ": " + link));
    }
    assertEquals(List.of(), broken);
  }

  private boolean resolves(Page page, String link) {
    String[] parts = link.split("#", 2);
    Path file = parts[0].isEmpty() ? page.file() : page.file().resolveSibling(parts[0]).normalize();
    return Files.exists(file)
        && (parts.length == 1
            || pages.stream()
                .anyMatch(to -> to.file().equals(file) && to.anchors().contains(parts[1])));
  }

  @Test
  void theReadmeLeadsToEveryPage() {
    Set<Path> linked =
        Page.of("README.md").links().stream()
            .map(link -> Path.of(link.replaceFirst("#.*", "")))
            .collect(toSet());
    linked.add(Path.of("README.md"));
    assertEquals(
        List.of(), pages.stream().map(Page::file).filter(p -> !linked.contains(p)).toList());
  }

  /** The README takes five minutes to read. */
  @Test
  void theReadmeIsShort() {
    int length = Page.read(Path.of("README.md")).length();
    assertTrue(length <= 14_000, () -> "README.md has " + length + " characters");
  }

  /** Matches a cell of a table that is a number, not a shape or a sentence with one; or a time. */
  private static final Pattern MEASURED =
      Pattern.compile(
          "(?m)^\\|.*\\|\\W*\\d[\\d.,]*( (ms|us|s|MB|%))?\\W*(\\([^|]*\\)\\W*)?\\|"
              + "|\\d\\.\\d+ (ms|us)\\b");

  private static final Pattern COMMAND =
      Pattern.compile(
          "mvn -[Pf]|src/classifier/compare/|bench_(kernels|packed)|commit\\s`[0-9a-f]{8}");

  /**
   * Numbers come with the command that makes them, in the same part of the page, or with the commit
   * that has it.
   */
  @Test
  void everyPartWithNumbersNamesItsCommand() {
    List<String> without = new ArrayList<>();
    int parts = 0;
    for (Page page : pages) {
      for (String part : Page.read(page.file()).split("(?m)^(?=## )", -1)) {
        if (MEASURED.matcher(part).find()) {
          parts++;
          if (!COMMAND.matcher(part).find()) {
            without.add(page + ": " + part.lines().findFirst().orElse(""));
          }
        }
      }
    }
    assertTrue(parts >= 20, parts + " parts with numbers");
    assertEquals(List.of(), without);
  }

  /** The page explains the lines of the report by their names. */
  @Test
  void theReportOfBackendIsExplained() {
    String page = Page.read(Path.of("src/doc/platforms.md"));
    Set<String> names =
        Backend.describe()
            .lines()
            .map(line -> line.substring(0, Math.min(18, line.length())).strip())
            .filter(name -> !name.isEmpty())
            .collect(toSet());
    assertTrue(names.contains("instruction set"), names.toString());
    for (String name : new TreeSet<>(names)) {
      assertTrue(page.contains("`" + name + "`"), () -> "platforms.md does not explain: " + name);
    }
  }

  @Test
  void everySystemPropertyIsExplained() {
    String page = Page.read(Path.of("src/doc/platforms.md"));
    assertTrue(Commands.OF_THE_LIBRARY.contains("blocksparse.isa"), "finds no properties");
    for (String property : Commands.OF_THE_LIBRARY) {
      assertTrue(
          page.contains("`-D" + property + "="), () -> "platforms.md does not explain " + property);
    }
  }

  private static final Pattern PLATFORM_PRESET =
      Pattern.compile("\"name\": \"([\\w-]+)\", \"inherits\": \"platform\"");

  private static Stream<String> builtPlatforms() {
    return PLATFORM_PRESET
        .matcher(Page.read(Path.of("native/CMakePresets.json")))
        .results()
        .map(preset -> preset.group(1));
  }

  /** The artifacts of single platforms differ in the platform's name alone. */
  @Test
  void eachPlatformHasAnArtifactOfItsOwn() {
    String linux = Page.read(Path.of("platform/each/linux-x86_64/pom.xml"));
    builtPlatforms()
        .forEach(
            platform ->
                assertEquals(
                    linux.replace("linux-x86_64", platform),
                    Page.read(Path.of("platform/each", platform, "pom.xml"))));
    Set<String> needed = new TreeSet<>();
    for (String dependency : Pom.PLATFORM.classified()) {
      if (dependency.endsWith(":linux-x86_64")) {
        needed.add(dependency.replace("linux-x86_64", "${blocksparse.platform}"));
      }
    }
    assertEquals(3, needed.size(), needed::toString);
    assertEquals(needed, Pom.ONE_PLATFORM.classified());
  }

  /** The artifact of all platforms has exactly the platforms that are built. */
  @Test
  void thePlatformArtifactHasThePlatformsThatAreBuilt() {
    String scripts = Page.read(Path.of(".ci/platforms"));
    Set<String> expected = new TreeSet<>();
    builtPlatforms()
        .forEach(
            platform -> {
              assertTrue(Files.exists(Path.of("cmake/toolchains", platform + ".cmake")), platform);
              assertTrue(scripts.contains(platform), () -> ".ci/platforms lacks " + platform);
              for (String artifact : List.of("blocksparse", "javacpp", "openblas")) {
                expected.add(artifact + " " + platform);
              }
            });
    assertTrue(expected.contains("blocksparse linux-x86_64"), expected::toString);
    Set<String> actual = new TreeSet<>();
    for (String dependency : Pom.PLATFORM.classified()) {
      String[] parts = dependency.split(":", -1);
      actual.add(parts[1] + " " + parts[3]);
    }
    assertEquals(expected, actual);
  }

  @Test
  void commandsNameWhatThereIs() {
    List<String> wrong =
        pages.stream()
            .flatMap(page -> page.commands().flatMap(line -> mistakes(page, line)))
            .toList();
    assertEquals(List.of(), wrong);
  }

  private static Stream<String> mistakes(Page page, String line) {
    return Commands.mistakes(line).stream().map(mistake -> page + ": " + line + ": " + mistake);
  }

  /** Code within a text that looks like a method is a method. */
  @Test
  void methodsExist() {
    List<String> wrong =
        pages.stream()
            .filter(page -> page.isForUsers())
            .flatMap(page -> page.spans().filter(Api::isMistaken).map(code -> page + ": " + code))
            .toList();
    assertEquals(List.of(), wrong);
  }

  @Test
  void dependenciesAreThoseOfThePom() {
    List<String> wrong =
        pages.stream()
            .flatMap(page -> page.blocks("xml"))
            .flatMap(block -> Pom.wrongDependencies(block.text()).map(w -> block.page() + ": " + w))
            .toList();
    assertEquals(List.of(), wrong);
  }

  /**
   * The dependencies for Gradle are those of the project that CI runs, with the versions of the
   * POM.
   */
  @Test
  void dependenciesOfGradleAreThoseOfItsProject() {
    String project = Page.read(Path.of("src/it/gradle/build.gradle"));
    List<String> blocks =
        pages.stream().flatMap(page -> page.blocks("groovy")).map(Page.Block::text).toList();
    assertEquals(List.of(), blocks.stream().filter(text -> !project.contains(text)).toList());
    String xml =
        COORDINATES
            .matcher(String.join("\n", blocks))
            .results()
            .map(found -> asXml(found.group(1).split(":")))
            .collect(joining());
    assertTrue(xml.contains("linux-x86_64"), xml);
    assertEquals(List.of(), Pom.wrongDependencies(xml).toList());
  }

  private static final Pattern COORDINATES = Pattern.compile("'([^':]+:[^']+)'");

  private static String asXml(String... coordinates) {
    StringBuilder xml = new StringBuilder("<dependency>");
    List<String> names = List.of("groupId", "artifactId", "version", "classifier");
    for (int i = 0; i < coordinates.length; i++) {
      xml.append("<%1$s>%2$s</%1$s>".formatted(names.get(i), coordinates[i]));
    }
    return xml.append("</dependency>").toString();
  }
}
