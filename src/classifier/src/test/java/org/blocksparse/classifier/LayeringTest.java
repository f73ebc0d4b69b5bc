// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/**
 * Each package names only the packages before it, so that there is no circle; and each public type
 * is in the API, or its package is documented as internal.
 */
final class LayeringTest {
  private static final Path SOURCES = Path.of("src/main/java/org/blocksparse/classifier");

  /** The packages by floor; the empty name is the root. */
  private static final List<String> FLOORS =
      List.of("examples", "features", "fasttext", "", "training", "nextitem", "command");

  /** The types of the API, by package. */
  private static final Map<String, Set<String>> API =
      Map.of(
          "examples",
          Set.of(
              "EventColumns",
              "Example",
              "ExampleColumns",
              "ExampleFormat",
              "ExampleReader",
              "InvalidInputException",
              "ItemTexts",
              "RecordFormat",
              "Sequence",
              "SequenceFormat",
              "SequenceReader"),
          "fasttext",
          Set.of("FastTextVectors"),
          "",
          Set.of(
              "Classifier",
              "Decisions",
              "Evaluation",
              "Explanation",
              "LabelFilter",
              "ModelHead",
              "NoneMetrics",
              "Prediction",
              "PredictionOptions",
              "PredictionSets",
              "SetCounts"),
          "training",
          Set.of("LearningPoint", "Training", "TrainingListener", "TrainingOptions"),
          "nextitem",
          Set.of("NextItem", "NextItemOptions", "Repeats"));

  private static final Pattern COMMENT = Pattern.compile("/\\*.*?\\*/|//[^\n]*", Pattern.DOTALL);
  private static final Pattern NAMED =
      Pattern.compile("\\borg\\.blocksparse\\.classifier\\.(?:([a-z]+)\\.)?[A-Z]");
  private static final Pattern PUBLIC =
      Pattern.compile(
          "(?m)^public (?:abstract |final |sealed )*(?:class|interface|enum|record) (\\w+)");
  private static final Pattern NOT_API = Pattern.compile("Not API: ([\\w,\\s*]+)\\.");

  private static List<Path> sources(String name) throws IOException {
    try (Stream<Path> files = Files.list(SOURCES.resolve(name))) {
      return files.filter(file -> file.toString().endsWith(".java")).toList();
    }
  }

  @Test
  void eachPackageNamesOnlyThoseBelow() throws IOException {
    Map<String, String> wrong = new TreeMap<>();
    int found = 0;
    for (String name : FLOORS) {
      List<String> allowed = FLOORS.subList(0, FLOORS.indexOf(name) + 1);
      for (Path source : sources(name)) {
        Matcher named = NAMED.matcher(COMMENT.matcher(Files.readString(source)).replaceAll(""));
        while (named.find()) {
          found++;
          String other = named.group(1) == null ? "" : named.group(1);
          if (!allowed.contains(other)) {
            wrong.put(SOURCES.relativize(source).toString(), other);
          }
        }
      }
    }
    assertEquals(Map.of(), wrong);
    assertFalse(found == 0);
  }

  @Test
  void thereAreNoOtherPackages() throws IOException {
    List<String> folders = new ArrayList<>();
    try (Stream<Path> all = Files.walk(SOURCES)) {
      all.filter(Files::isDirectory)
          .forEach(folder -> folders.add(SOURCES.relativize(folder).toString()));
    }
    assertEquals(new TreeSet<>(FLOORS), new TreeSet<>(folders));
  }

  @Test
  void eachPublicTypeIsInTheApiOrItsPackageSaysThatItIsNot() throws IOException {
    for (Map.Entry<String, Set<String>> api : API.entrySet()) {
      Set<String> declared = new TreeSet<>();
      for (Path source : sources(api.getKey())) {
        Matcher type = PUBLIC.matcher(Files.readString(source));
        if (type.find()) {
          declared.add(type.group(1));
        }
      }
      Set<String> known = new TreeSet<>(api.getValue());
      Path description = SOURCES.resolve(api.getKey()).resolve("package-info.java");
      Matcher others = NOT_API.matcher(Files.readString(description));
      if (others.find()) {
        known.addAll(List.of(others.group(1).replaceAll("[\\s*]+", "").split(",")));
      }
      assertEquals(known, declared, api.getKey());
    }
  }
}
