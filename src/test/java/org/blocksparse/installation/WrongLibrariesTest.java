// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.installation;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Enumeration;
import java.util.function.Predicate;
import java.util.function.UnaryOperator;
import java.util.jar.JarEntry;
import java.util.jar.JarFile;
import java.util.jar.JarOutputStream;
import java.util.zip.Deflater;
import org.blocksparse.programs.ProductProgram;
import org.blocksparse.testing.ChildJvm;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Native libraries that are there and are not those of the classes: broken ones, and those of other
 * builds.
 */
final class WrongLibrariesTest extends Installation {
  /** A copy of a jar in which one file is another. */
  private Path changedJar(Path original, String suffix, UnaryOperator<byte[]> change)
      throws IOException {
    Path copy = folder.resolve("changed.jar");
    int changed = 0;
    try (JarFile from = new JarFile(original.toFile());
        OutputStream out = Files.newOutputStream(copy);
        JarOutputStream to = new JarOutputStream(out)) {
      to.setLevel(Deflater.NO_COMPRESSION);
      Enumeration<JarEntry> entries = from.entries();
      while (entries.hasMoreElements()) {
        JarEntry entry = entries.nextElement();
        to.putNextEntry(new JarEntry(entry.getName()));
        try (InputStream in = from.getInputStream(entry)) {
          byte[] bytes = in.readAllBytes();
          boolean wanted = entry.getName().endsWith(suffix);
          changed += wanted ? 1 : 0;
          to.write(wanted ? change.apply(bytes) : bytes);
        }
        to.closeEntry();
      }
    }
    assertEquals(1, changed, "files " + suffix + " in " + original);
    return copy;
  }

  /** Runs a product with a jar of the class path in which one file is another. */
  private ChildJvm.Result runWithChanged(
      Predicate<String> jar, String suffix, UnaryOperator<byte[]> change) throws IOException {
    ChildJvm jvm = jvm();
    Path changed = changedJar(jvm.entry(jar), suffix, change);
    return jvm.without(jar).with(changed).run(ProductProgram.class);
  }

  /** Never hidden by the fallback: that is for a library that is absent. */
  @Test
  void brokenLibrary() throws IOException {
    ChildJvm.Result result =
        runWithChanged(
            Installation::isNativeJar,
            System.mapLibraryName("jniblocksparse"),
            bytes -> Arrays.copyOf(bytes, 40));
    assertFails(result);
    assertContains(result, "the native library for " + PLATFORM + " is there but does not load");
    assertContains(result, "-Dblocksparse.backend=java runs without native code");
  }

  /** To load it would end the process. */
  @ParameterizedTest
  @ValueSource(strings = {"/libjniblocksparse.so", "/libblocksparse.so", "/libopenblas.so.0"})
  void libraryThatEndsEarly(String library) throws IOException {
    assumeTrue(PLATFORM.startsWith("linux"), "elsewhere the loader looks at the length");
    String artifact = library.contains("openblas") ? "openblas" : "blocksparse";
    for (int percent : new int[] {20, 50, 80}) {
      ChildJvm.Result result =
          runWithChanged(
              name -> isNativeJarOf(artifact, name),
              library,
              bytes -> Arrays.copyOf(bytes, (int) (percent * (long) bytes.length / 100)));
      assertFails(result);
      assertContains(result, library + " is cut short: download or build its jar again");
    }
  }

  /** Any library will do: it has none of the functions. */
  @Test
  void otherLibraryOfOurName() throws IOException {
    assumeTrue(PLATFORM.startsWith("linux"), "the linker of Linux");
    Path other = Files.createDirectory(folder.resolve("other"));
    try (JarFile jar = new JarFile(jvm().entry(name -> isNativeJarOf("javacpp", name)).toFile())) {
      JarEntry library = jar.getJarEntry("org/bytedeco/javacpp/" + PLATFORM + "/libjnijavacpp.so");
      try (InputStream in = jar.getInputStream(library)) {
        Files.copy(in, other.resolve("libblocksparse.so"));
      }
    }
    ChildJvm.Result result =
        jvm()
            .property("org.bytedeco.javacpp.pathsFirst", "true")
            .property("java.library.path", other.toString())
            .environment("LD_LIBRARY_PATH", other.toString())
            .run(ProductProgram.class);
    assertFails(result);
    assertContains(result, "is there but does not load");
    assertContains(
        result,
        "Another libblocksparse.so was found first: take its folder out of LD_LIBRARY_PATH and"
            + " java.library.path");
  }

  /** A library that is not the one that the jar was made with. */
  @Test
  void libraryOfAnotherBuild() throws IOException {
    ChildJvm.Result result =
        runWithChanged(
            Installation::isNativeJar,
            "blocksparse.buildid",
            bytes -> "0123456789abcdef".getBytes(StandardCharsets.UTF_8));
    assertFails(result);
    assertContains(result, "the jar holds build 0123456789abcdef");
    assertContains(result, "empty it if it is older than the jar");
  }

  /** Jars of two releases: functions of the same name may take other arguments. */
  @Test
  void libraryOfAnotherVersion() throws IOException {
    ChildJvm.Result result =
        runWithChanged(
            Installation::isMainJar,
            "blocksparse/pom.properties",
            bytes -> "version=9.8.7".getBytes(StandardCharsets.UTF_8));
    assertFails(result);
    assertContains(result, ", the classes of version 9.8.7: take both jars of");
  }
}
