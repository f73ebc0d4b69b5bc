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
 * Each package names only the packages that the table allows, so that there is no circle. The types
 * that a class names are those in its constant pool and in its imports: javac copies constants
 * without a trace.
 *
 * <p>A sealed type whose implementation is in the machine is its face: users see the face, inner
 * code receives the implementation. The machine may name a face as if it were in the package of the
 * implementation.
 */
final class LayeringTest {
  private static final String ROOT = "org.blocksparse";
  private static final String INTERNAL = ROOT + ".internal";
  private static final Path SOURCES = Path.of("src/main/java");
  private static final Pattern IMPORT =
      Pattern.compile("(?m)^import (?:static )?(org\\.blocksparse(?:\\.[a-z]+)*)\\.([A-Z]\\w*)");
  private static final Pattern CLASS = Pattern.compile("(org/blocksparse(?:/[a-z]+)*)/([A-Z]\\w*)");

  /** The types of the root that hold no memory and no kernels: all of the machine names them. */
  private static final Set<String> VALUES =
      Set.of(
          "Activation",
          "ElementType",
          "FileFormatException",
          "GradientOptions",
          "MemoryUse",
          "Optimizer",
          "Progress",
          "Shape",
          "Similarity",
          "UnknownIds");

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
          entry(
              "tensors", "training", "files", "kernels", "sparse", "weights", "schedule", "memory"),
          entry("training", "kernels", "sparse", "weights", "schedule", "memory"),
          entry("layers", "tensors", "files"),
          entry("search", "tensors", "files", "kernels", "sparse", "weights", "schedule", "memory"),
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

  /** Returns, for each package, the packages whose classes it names. */
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
        add(named, own, other.group(1), other.group(2));
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
      named.computeIfAbsent(ownPackage, key -> new TreeSet<>());
      Matcher other =
          CLASS.matcher(new String(Files.readAllBytes(file), StandardCharsets.ISO_8859_1));
      while (other.find()) {
        add(named, ownPackage, other.group(1).replace('/', '.'), other.group(2));
      }
    }
  }

  private static void add(
      Map<String, Set<String>> named, String own, String otherPackage, String type) {
    String other = otherPackage;
    if (own.startsWith(INTERNAL + ".")) {
      if (other.equals(ROOT) && VALUES.contains(type)) {
        return;
      }
      other = implementation(other, type);
    }
    if (!other.equals(own)) {
      named.computeIfAbsent(own, key -> new TreeSet<>()).add(other);
    }
  }

  /**
   * Returns the package of the only implementation of a sealed type; for other types, their own
   * package.
   */
  private static String implementation(String ofType, String type) {
    Set<String> packages = new TreeSet<>();
    try {
      Class<?> face = Class.forName(ofType + "." + type, false, Workers.class.getClassLoader());
      addImplementations(face, packages);
    } catch (ClassNotFoundException e) {
      return ofType; // a string, or the beginning of a name that looks like a class
    }
    return packages.size() == 1 ? packages.iterator().next() : ofType;
  }

  private static void addImplementations(Class<?> type, Set<String> packages) {
    if (type.isSealed()) {
      for (Class<?> permitted : type.getPermittedSubclasses()) {
        addImplementations(permitted, packages);
      }
    } else {
      packages.add(type.getPackageName());
    }
  }

  private static boolean mayName(String name, String other) {
    if (name.startsWith(INTERNAL + ".")) {
      Set<String> allowed = MACHINE.get(name.substring(INTERNAL.length() + 1));
      return other.startsWith(INTERNAL + ".")
          && allowed.contains(other.substring(INTERNAL.length() + 1));
    }
    if (other.equals(ROOT) || other.startsWith(INTERNAL)) {
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
    Set<String> expected = new TreeSet<>(Set.of(ROOT));
    SUBJECTS.keySet().forEach(name -> expected.add(ROOT + "." + name));
    MACHINE.keySet().forEach(name -> expected.add(INTERNAL + "." + name));
    assertEquals(expected, packages.keySet());
    packages.forEach(
        (name, others) ->
            others.forEach(
                other -> assertTrue(mayName(name, other), () -> name + " names " + other)));
  }
}
