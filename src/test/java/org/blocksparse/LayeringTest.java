// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.URISyntaxException;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystem;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.Deque;
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
 * Packages know each other one way: the facade knows those below, and those below neither the
 * facade nor each other in a circle. A class knows the types that its constant pool names and its
 * source imports: javac copies constants without a trace.
 */
final class LayeringTest {
  private static final String FACADE = "org.blocksparse";
  private static final Path SOURCES = Path.of("src/main/java");
  private static final Pattern IMPORT =
      Pattern.compile("(?m)^import (?:static )?(org\\.blocksparse(?:\\.[a-z]+)*)\\.[A-Z]");
  private static final Pattern CLASS = Pattern.compile("(org/blocksparse(?:/[a-z]+)*)/[A-Z]\\w*");

  /** For each package, those whose classes it names. */
  private static Map<String, Set<String>> packages() throws IOException, URISyntaxException {
    Map<String, Set<String>> named = new TreeMap<>();
    Path place = Path.of(Workers.class.getProtectionDomain().getCodeSource().getLocation().toURI());
    if (Files.isDirectory(place)) {
      addConstants(place, named);
    } else {
      try (FileSystem jar = FileSystems.newFileSystem(place)) {
        addConstants(jar.getPath("/"), named);
      }
    }
    addImports(named);
    return named;
  }

  private static void addImports(Map<String, Set<String>> named) throws IOException {
    List<Path> sources;
    try (Stream<Path> files = Files.walk(SOURCES)) {
      sources = files.filter(file -> file.toString().endsWith(".java")).toList();
    }
    assertTrue(sources.size() > 100, sources::toString);
    for (Path source : sources) {
      String own = SOURCES.relativize(source.getParent()).toString().replaceAll("[/\\\\]", ".");
      Matcher other = IMPORT.matcher(Files.readString(source));
      while (other.find()) {
        if (!other.group(1).equals(own)) {
          named.computeIfAbsent(own, key -> new TreeSet<>()).add(other.group(1));
        }
      }
    }
  }

  private static void addConstants(Path root, Map<String, Set<String>> named) throws IOException {
    List<Path> classes;
    try (Stream<Path> files = Files.walk(root)) {
      classes = files.filter(file -> file.toString().endsWith(".class")).toList();
    }
    for (Path file : classes) {
      String name = root.relativize(file).toString().replace('\\', '/');
      Matcher own = CLASS.matcher(name);
      if (!own.lookingAt()) {
        continue; // module-info
      }
      String ownPackage = own.group(1).replace('/', '.');
      Set<String> of = named.computeIfAbsent(ownPackage, key -> new TreeSet<>());
      Matcher other =
          CLASS.matcher(new String(Files.readAllBytes(file), StandardCharsets.ISO_8859_1));
      while (other.find()) {
        String otherPackage = other.group(1).replace('/', '.');
        if (!otherPackage.equals(ownPackage)) {
          of.add(otherPackage);
        }
      }
    }
  }

  @Test
  void nothingBelowKnowsTheFacade() throws IOException, URISyntaxException {
    Map<String, Set<String>> packages = packages();
    assertTrue(packages.get(FACADE).size() > 3, packages::toString);
    packages.forEach(
        (name, others) -> assertTrue(!others.contains(FACADE), () -> name + " knows " + FACADE));
  }

  @Test
  void thereIsNoCircle() throws IOException, URISyntaxException {
    Map<String, Set<String>> packages = packages();
    for (String start : packages.keySet()) {
      Deque<String> next = new ArrayDeque<>(packages.get(start));
      Set<String> reached = new TreeSet<>();
      while (!next.isEmpty()) {
        String name = next.pop();
        if (reached.add(name)) {
          next.addAll(packages.getOrDefault(name, Set.of()));
        }
      }
      assertEquals(
          false, reached.contains(start), () -> start + " knows itself through " + packages);
    }
  }
}
