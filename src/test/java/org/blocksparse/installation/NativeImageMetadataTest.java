// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.installation;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.File;
import java.io.IOException;
import java.lang.reflect.Field;
import java.lang.reflect.Method;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import org.blocksparse.Backend;
import org.blocksparse.internal.binding.Blocksparse;
import org.blocksparse.internal.binding.BlocksparsePreset;
import org.bytedeco.javacpp.Loader;
import org.bytedeco.javacpp.annotation.Platform;
import org.bytedeco.javacpp.annotation.Properties;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * The metadata for GraalVM's native-image against what it must name. No image is built here: the
 * lookups of the JNI code are read from its source, and those of JavaCPP's loader from the
 * annotations that it reads.
 */
@Tag("packaged")
final class NativeImageMetadataTest {
  private static final String OURS = "META-INF/native-image/org.blocksparse/blocksparse/";
  private static final Set<String> ALL =
      Set.of(
          "allDeclaredConstructors",
          "allDeclaredMethods",
          "allDeclaredFields",
          "allPublicMethods",
          "allPublicFields");

  /** The jars that an image is built from. */
  private static final List<Path> JARS = new ArrayList<>();

  /** The entries of each class in a file of metadata. */
  private record Entries(Map<String, Set<String>> flags, List<Pattern> resources) {}

  @BeforeAll
  static void findJars() {
    String classPath =
        System.getProperty("surefire.test.class.path", System.getProperty("java.class.path"));
    Arrays.stream(classPath.split(File.pathSeparator))
        .filter(entry -> entry.matches(".*(blocksparse|javacpp|openblas)-[^/\\\\]*\\.jar"))
        .map(Path::of)
        .filter(Files::exists) // the jar of the libraries is missing after -Dnative.skip
        .forEach(JARS::add);
    assertFalse(JARS.isEmpty(), classPath);
  }

  private static Entries parse(String json) throws IOException {
    Entries entries = new Entries(new HashMap<>(), new ArrayList<>());
    try (JsonParser parser = new JsonFactory().createParser(json)) {
      String name = null;
      for (JsonToken token = parser.nextToken(); token != null; token = parser.nextToken()) {
        if (token == JsonToken.VALUE_STRING && parser.currentName().equals("name")) {
          name = parser.getText();
          assertEquals(null, entries.flags().put(name, new HashSet<>()), name + " is there twice");
        } else if (token == JsonToken.VALUE_STRING && parser.currentName().equals("pattern")) {
          entries.resources().add(Pattern.compile(parser.getText()));
        } else if (token == JsonToken.VALUE_TRUE) {
          entries.flags().get(name).add(parser.currentName());
        }
      }
    }
    return entries;
  }

  private static Entries ours(String file) throws IOException {
    try (var in = Backend.class.getResourceAsStream("/" + OURS + file)) {
      assertNotNull(in, file);
      return parse(new String(in.readAllBytes(), UTF_8));
    }
  }

  private interface Visitor {
    void visit(ZipFile jar, ZipEntry entry) throws IOException;
  }

  private static void visitJars(Visitor visitor) throws IOException {
    for (Path path : JARS) {
      try (ZipFile jar = new ZipFile(path.toFile())) {
        for (ZipEntry entry : Collections.list(jar.entries())) {
          visitor.visit(jar, entry);
        }
      }
    }
  }

  /** Returns our entries, and those in bytedeco's jars. */
  private static Entries all(String file) throws IOException {
    Entries all = new Entries(new HashMap<>(), new ArrayList<>());
    visitJars(
        (jar, entry) -> {
          if (entry.getName().matches("META-INF/native-image/.*/" + file)) {
            Entries some = parse(new String(jar.getInputStream(entry).readAllBytes(), UTF_8));
            some.flags()
                .forEach(
                    (name, flags) ->
                        all.flags().computeIfAbsent(name, n -> new HashSet<>()).addAll(flags));
            all.resources().addAll(some.resources());
          }
        });
    return all;
  }

  @ParameterizedTest
  @ValueSource(strings = {"jni-config.json", "reflect-config.json"})
  void classesThatAreNamedExist(String file) throws ReflectiveOperationException, IOException {
    Map<String, Set<String>> named = ours(file).flags();
    assertFalse(named.isEmpty());
    for (Map.Entry<String, Set<String>> entry : named.entrySet()) {
      Class.forName(entry.getKey(), false, Backend.class.getClassLoader());
      assertEquals(ALL, entry.getValue(), entry.getKey());
    }
  }

  private static final Pattern CLASS_NAMES =
      Pattern.compile("JavaCPP_classNames\\[\\d+\\] = \\{(.*?)\\}", Pattern.DOTALL);
  private static final Pattern QUOTED = Pattern.compile("\"([^\"]+)\"");
  private static final Pattern MEMBER =
      Pattern.compile("JavaCPP_get(?:Static)?(Field|Method)ID\\(env, (\\d+), \"([^\"]+)\"");

  @Test
  void jniFindsItsClassesAndMembers() throws IOException, ReflectiveOperationException {
    Path folder = Path.of("target", "native-jni", Loader.getPlatform());
    assumeTrue(Backend.isNative() && Files.isDirectory(folder), "no JNI code was generated");
    Map<String, Set<String>> named = ours("jni-config.json").flags();
    List<Path> sources;
    try (Stream<Path> files = Files.list(folder)) {
      sources = files.filter(file -> file.toString().endsWith(".cpp")).toList();
    }
    int members = 0;
    for (Path source : sources) {
      String code = Files.readString(source);
      Matcher list = CLASS_NAMES.matcher(code);
      assertTrue(list.find(), source + " names no classes");
      List<String> classes =
          QUOTED.matcher(list.group(1)).results().map(m -> m.group(1).replace('/', '.')).toList();
      for (String name : classes) {
        assertTrue(named.containsKey(name), name + ", of " + source);
      }
      for (Matcher member = MEMBER.matcher(code); member.find(); members++) {
        // An inherited member would have to be named with the class that declares it.
        Class<?> holder = Class.forName(classes.get(Integer.parseInt(member.group(2))));
        Stream<String> declared =
            member.group(1).equals("Field")
                ? Arrays.stream(holder.getDeclaredFields()).map(Field::getName)
                : Stream.concat(
                    Arrays.stream(holder.getDeclaredMethods()).map(Method::getName),
                    Stream.of("<init>"));
        // Fields of the JDK itself are hidden from reflection.
        assertTrue(
            declared.anyMatch(member.group(3)::equals) || holder.getName().startsWith("java."),
            member.group(3) + " of " + holder);
      }
    }
    assertTrue(members > 10, "only " + members + " members were found");
  }

  @Test
  void loaderFindsItsClasses() throws IOException {
    assumeTrue(Backend.isNative(), "the jars of the platform are not there");
    Map<String, Set<String>> named = all("reflect-config.json").flags();
    Properties properties = BlocksparsePreset.class.getAnnotation(Properties.class);
    Set<String> wanted = new HashSet<>(Set.of(properties.global()));
    for (Class<?> preset : properties.inherit()) {
      wanted.add(preset.getName());
    }
    for (Class<?> c = Blocksparse.class.getSuperclass(); c != Object.class; c = c.getSuperclass()) {
      wanted.add(c.getName());
    }
    for (String name : wanted) {
      assertTrue(named.containsKey(name), name);
    }
  }

  @Test
  void loaderFindsItsLibraries() throws IOException {
    assumeTrue(Backend.isNative(), "the jars of the platform are not there");
    List<Pattern> ours = ours("resource-config.json").resources();
    List<Pattern> all = all("resource-config.json").resources();
    Set<String> preloaded = new HashSet<>();
    for (Platform platform : BlocksparsePreset.class.getAnnotation(Properties.class).value()) {
      Arrays.stream(platform.preload())
          .map(name -> name.replaceFirst("@.*", ""))
          .forEach(preloaded::add);
    }
    List<String> seen = new ArrayList<>();
    visitJars(
        (jar, entry) -> {
          String name = entry.getName();
          boolean own = name.matches("org/blocksparse/internal/binding/.+\\.(txt|so|dll|dylib)");
          boolean preload =
              name.startsWith("org/bytedeco/openblas/" + Loader.getPlatform() + "/")
                  && preloaded.stream().anyMatch(p -> name.matches(".*/(lib)?" + p + "\\..*"));
          if (own || preload) {
            seen.add(name);
            assertTrue(
                (own ? ours : all).stream().anyMatch(pattern -> pattern.matcher(name).matches()),
                name);
          }
        });
    assertTrue(seen.size() >= 4, seen.toString());
  }
}
