// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.documents;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.regex.MatchResult;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** Commands that pages name, against the options of the build, the programs and the sources. */
final class Commands {
  private static final Pattern PROFILES = Pattern.compile("mvn\\b.*?\\s-P([\\w,]+)");
  private static final Pattern PROPERTY = Pattern.compile("-D([\\w.-]+)(?:=(\"[^\"]*\"|\\S*))?");
  private static final Pattern OPTION = Pattern.compile("--[a-z][a-z-]+");
  private static final Pattern PRESET = Pattern.compile("--preset (\\S+)");
  private static final Pattern SCRIPT = Pattern.compile("(?:^|\\s)(\\.ci/[\\w-]+)");
  private static final Pattern JAR =
      Pattern.compile("blocksparse-(?:spark_[\\d.]+-)?([\\w.-]+)\\.jar");

  private static final Pattern OURS = Pattern.compile("\"(blocksparse\\.[\\w.]+)\"");

  /** Properties that Maven's plugins, JUnit, JavaCPP and the JVM read. */
  private static final Set<String> OF_OTHERS =
      Set.of(
          "it.test",
          "mdep.outputFile",
          "skipUpload",
          "targetClasses",
          "jqwik.tries.default",
          "test",
          "junit.jupiter.execution.timeout.default",
          "java.library.path",
          "org.bytedeco.javacpp.cachedir",
          "org.bytedeco.javacpp.pathsFirst");

  private static final String DEMO = text("src/demo/java", ".java");
  private static final String BENCH = text("src/jmh/java", ".java");
  private static final String SPARK_BENCH = text("src/spark/src/test/java", "Speed.java");
  private static final String NATIVE_BENCH = text("native/bench", ".cpp");
  private static final String CMAKE = text("native", "CMakeLists.txt");
  private static final String PRESETS = text("native", "CMakePresets.json");

  /** The system properties of ours that the library reads. */
  static final Set<String> OF_THE_LIBRARY = ours("src/main/java");

  private static final Set<String> OF_THE_TESTS = ours("src/test/java", "src/shared-tests/java");

  private Commands() {}

  /** Returns the missing names in a line of code. */
  static List<String> mistakes(String line) {
    List<String> mistakes = new ArrayList<>();
    groups(PROFILES, line)
        .flatMap(profiles -> Stream.of(profiles.split(",", -1)))
        .filter(profile -> !Pom.profiles().contains(profile))
        .forEach(profile -> mistakes.add("no profile " + profile));
    groups(PRESET, line)
        .filter(preset -> !PRESETS.contains("\"" + preset + "\""))
        .forEach(preset -> mistakes.add("no preset " + preset));
    groups(SCRIPT, line)
        .filter(script -> !Files.isExecutable(Path.of(script)))
        .forEach(script -> mistakes.add("no script " + script));
    groups(JAR, line)
        .filter(version -> !version.equals(Pom.MAIN.version()) && !version.equals("classifier"))
        .forEach(version -> mistakes.add("no jar of version " + version));
    if (line.contains("bench_kernels ")) {
      mistakes.addAll(unknownOptions(line, NATIVE_BENCH));
    }
    Matcher property = PROPERTY.matcher(line);
    while (property.find()) {
      String value = property.group(2) == null ? "" : property.group(2).replace("\"", "");
      mistakes.addAll(
          line.contains("mvn -f src/spark -Pbench")
              ? ofSpark(property.group(1), value)
              : ofProperty(property.group(1), value));
    }
    return mistakes;
  }

  /**
   * Returns the mistakes of a program that measures {@code src/spark}: its class, and its first
   * argument.
   */
  private static List<String> ofSpark(String name, String value) {
    boolean known =
        switch (name) {
          case "bench" -> SPARK_BENCH.contains("class " + value + " ");
          case "bench.args" -> SPARK_BENCH.contains("\"" + value.split(" ", 2)[0] + "\"");
          default -> false;
        };
    return known ? List.of() : List.of("nothing reads -D" + name + "=" + value);
  }

  private static List<String> ofProperty(String name, String value) {
    if (name.equals("demo.args")) {
      return ofProgram(value, DEMO);
    }
    if (name.equals("bench.args")) {
      return ofBenchmarks(value);
    }
    boolean known;
    if (name.startsWith("blocksparse.")) {
      known = OF_THE_LIBRARY.contains(name) || OF_THE_TESTS.contains(name);
    } else if (name.startsWith("BLOCKSPARSE_")) {
      known = CMAKE.contains(name);
    } else {
      known = name.startsWith("CMAKE_") || OF_OTHERS.contains(name) || Pom.anyMentions(name);
    }
    List<String> mistakes = new ArrayList<>();
    if (!known) {
      mistakes.add("nothing reads -D" + name);
    }
    if (name.equals("test.jvm.args")) {
      mistakes.addAll(mistakes(value));
    }
    return mistakes;
  }

  /**
   * Returns the mistakes in options and a subcommand, as picocli finds them in the sources of a
   * program.
   */
  private static List<String> ofProgram(String arguments, String source) {
    List<String> mistakes = unknownOptions(arguments, source);
    String first = arguments.split(" ", 2)[0];
    if (!first.startsWith("-") && !source.contains("name = \"" + first + "\"")) {
      mistakes.add("no command " + first);
    }
    return mistakes;
  }

  /**
   * Returns the mistakes in one of our commands, or in parts of the names of benchmarks before the
   * options of JMH.
   */
  private static List<String> ofBenchmarks(String arguments) {
    String[] words = arguments.split(" ", -1);
    if (BENCH.contains("case \"" + words[0] + "\"")) {
      return List.of();
    }
    return Stream.of(words)
        .takeWhile(word -> !word.startsWith("-"))
        .filter(word -> !BENCH.contains("class " + word + "Benchmark"))
        .map(word -> "no benchmark " + word)
        .toList();
  }

  private static List<String> unknownOptions(String arguments, String source) {
    return OPTION
        .matcher(arguments)
        .results()
        .map(MatchResult::group)
        .filter(option -> !option.equals("--help") && !source.contains("\"" + option + "\""))
        .map(option -> "no option " + option)
        .collect(Collectors.toList());
  }

  private static Set<String> ours(String... folders) {
    return Stream.of(folders)
        .flatMap(folder -> groups(OURS, text(folder, ".java")))
        .collect(Collectors.toSet());
  }

  private static Stream<String> groups(Pattern pattern, String text) {
    return pattern.matcher(text).results().map(found -> found.group(1));
  }

  /** Returns all files below a folder whose names end so, one after the other. */
  private static String text(String folder, String ending) {
    try (Stream<Path> files = Files.walk(Path.of(folder))) {
      return files
          .filter(file -> file.toString().endsWith(ending))
          .map(Page::read)
          .collect(Collectors.joining("\n"));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
