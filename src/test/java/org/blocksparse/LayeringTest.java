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
 * Each package names only the packages that the table allows, so that there is no circle. A class
 * names the types in its constant pool and in its imports: javac copies constants without a trace.
 *
 * <p>A sealed type of the root permits one implementation in the machine, and the two name each
 * other. They are one type in two packages: users see the first, the machine receives the second.
 */
final class LayeringTest {
  private static final String ROOT = "org.blocksparse";
  private static final String BRIDGE = ROOT + ".internal";
  private static final Path SOURCES = Path.of("src/main/java");
  private static final Pattern IMPORT =
      Pattern.compile("(?m)^import (?:static )?(org\\.blocksparse(?:\\.[a-z]+)*)\\.([A-Z]\\w*)");
  private static final Pattern CLASS = Pattern.compile("(org/blocksparse(?:/[a-z]+)*)/([A-Z]\\w*)");

  /** Values of the root, which name only each other, and which all of the machine may name. */
  private static final Set<String> VALUES =
      Set.of("ElementType", "FileFormatException", "MemoryUse", "Optimizer", "Progress", "Shape");

  /** For some internal packages, the other types of the root that they may name. */
  private static final Map<String, Set<String>> SEALED =
      Map.of(
          "backend",
          Set.of("Activation"),
          "kernels",
          Set.of("Activation", "Workers"),
          "tensors",
          Set.of(
              "Activation",
              "BlockMatrix",
              "FloatTensor",
              "GradientOptions",
              "IntTensor",
              "SparseRows",
              "Tensor",
              "UnknownIds",
              "Weights",
              "Workers"));

  /** For each package, the packages that it may name besides the root and internal ones. */
  private static final Map<String, Set<String>> SUBJECTS =
      Map.of(
          "mixture", Set.of("io", "ranking", "bag", "softmax", "linear"),
          "products", Set.of(),
          "io", Set.of("products"),
          "ranking", Set.of(),
          "bag", Set.of("products", "io"),
          "softmax", Set.of("products", "io", "ranking", "bag"),
          "linear", Set.of("io", "ranking"),
          "experts", Set.of("products", "io"));

  /** For each internal package, the internal packages that it may name. */
  private static final Map<String, Set<String>> MACHINE =
      Map.ofEntries(
          entry("binding"),
          entry("events"),
          entry("memory", "binding"),
          entry("schedule", "memory", "binding"),
          entry("weights", "schedule", "memory", "binding"),
          entry("sparse", "weights", "schedule", "memory"),
          entry("kernels", "sparse", "weights", "schedule", "memory", "binding"),
          entry("backend", "kernels", "weights", "schedule", "memory", "binding"),
          entry("tensors", "kernels", "sparse", "weights", "schedule", "memory", "files"),
          entry("training", "kernels", "sparse", "weights", "schedule", "memory"),
          entry("search", "kernels", "sparse", "weights", "schedule", "memory"),
          entry(
              "files",
              "training",
              "kernels",
              "weights",
              "schedule",
              "memory",
              "binding",
              "events"));

  private static Map.Entry<String, Set<String>> entry(String name, String... mayName) {
    return Map.entry(name, Set.of(mayName));
  }

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
        if (!other.group(1).equals(own) && !isValue(own, other.group(1), other.group(2))) {
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
        if (!otherPackage.equals(ownPackage)
            && !isValue(ownPackage, otherPackage, other.group(2))) {
          of.add(otherPackage);
        }
      }
    }
  }

  private static boolean isValue(String own, String other, String type) {
    return own.startsWith(BRIDGE + ".")
        && other.equals(ROOT)
        && (VALUES.contains(type)
            || SEALED.getOrDefault(own.substring(BRIDGE.length() + 1), Set.of()).contains(type));
  }

  private static boolean mayName(String name, String other) {
    if (name.equals(BRIDGE)) {
      return true;
    }
    if (name.startsWith(BRIDGE + ".")) {
      Set<String> allowed = MACHINE.get(name.substring(BRIDGE.length() + 1));
      return other.startsWith(BRIDGE + ".")
          && allowed.contains(other.substring(BRIDGE.length() + 1));
    }
    if (other.equals(ROOT) || other.startsWith(BRIDGE)) {
      return true;
    }
    return !name.equals(ROOT)
        && SUBJECTS
            .get(name.substring(ROOT.length() + 1))
            .contains(other.substring(ROOT.length() + 1));
  }

  @Test
  void packagesNameOnlyThoseThatTheTableAllows() throws IOException, URISyntaxException {
    Map<String, Set<String>> packages = packages();
    Set<String> expected = new TreeSet<>(Set.of(ROOT, BRIDGE));
    SUBJECTS.keySet().forEach(name -> expected.add(ROOT + "." + name));
    MACHINE.keySet().forEach(name -> expected.add(BRIDGE + "." + name));
    assertEquals(expected, packages.keySet());
    packages.forEach(
        (name, others) ->
            others.forEach(
                other -> assertTrue(mayName(name, other), () -> name + " names " + other)));
  }

  @Test
  void theBridgeNamesTypesOfSubjectsInOneClass() throws IOException {
    Path bridge = SOURCES.resolve(BRIDGE.replace('.', '/'));
    try (Stream<Path> files = Files.list(bridge)) {
      for (Path file : files.filter(file -> file.toString().endsWith(".java")).toList()) {
        Matcher other = IMPORT.matcher(Files.readString(file));
        while (other.find() && !file.endsWith("Access.java")) {
          String name = other.group(1);
          assertTrue(name.equals(ROOT) || name.startsWith(BRIDGE), () -> file + " names " + name);
        }
      }
    }
  }
}
