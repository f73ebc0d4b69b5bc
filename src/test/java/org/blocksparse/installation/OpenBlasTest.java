// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.installation;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Enumeration;
import java.util.List;
import java.util.jar.JarEntry;
import java.util.jar.JarFile;
import org.blocksparse.programs.OpenBlasFirstProgram;
import org.blocksparse.programs.ProductProgram;
import org.blocksparse.testing.ChildJvm;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Machines with an OpenBLAS of their own, under the name that ours is linked with. */
final class OpenBlasTest extends Installation {
  private static final List<String> LIBRARIES =
      List.of("libgcc_s.so.1", "libquadmath.so.0", "libgfortran.so.5", "libopenblas.so.0");

  private ChildJvm jvm;
  private Path ofTheMachine;

  @BeforeAll
  static void needsLinux() {
    assumeTrue(PLATFORM.startsWith("linux"), "libraries of Linux");
  }

  /** Installs a copy of the right library in another place as the machine's library. */
  @BeforeEach
  void setUp() throws IOException {
    jvm = jvm();
    Path libraries = Files.createDirectory(folder.resolve("machine"));
    try (JarFile jar = new JarFile(jvm.entry(OpenBlasTest::isJar).toFile())) {
      Enumeration<JarEntry> entries = jar.entries();
      while (entries.hasMoreElements()) {
        JarEntry entry = entries.nextElement();
        String name = entry.getName().replaceFirst(".*/", "");
        if (LIBRARIES.contains(name)) {
          try (InputStream in = jar.getInputStream(entry)) {
            Files.copy(in, libraries.resolve(name));
          }
        }
      }
    }
    ofTheMachine = libraries.resolve("libopenblas.so.0");
  }

  private static boolean isJar(String name) {
    return isNativeJarOf("openblas", name);
  }

  private static String fileInUse(Path file) {
    return line("OpenBLAS file", file.toString());
  }

  @Test
  void thatOfTheJarIsUsed() {
    ChildJvm.Result result =
        jvm.environment("LD_LIBRARY_PATH", ofTheMachine.getParent().toString())
            .run(ProductProgram.class);
    assertEquals(0, result.exit(), result::toString);
    assertContains(result, fileInUse(folder.resolve("cache")));
    assertFalse(result.output().contains("WARNING"), result::toString);
  }

  @Test
  void withoutTheJarThatOfTheMachineIsRefused() {
    ChildJvm.Result result =
        jvm.without(OpenBlasTest::isJar)
            .environment("LD_LIBRARY_PATH", ofTheMachine.getParent().toString())
            .run(ProductProgram.class);
    assertEquals(1, result.exit(), result::toString);
    assertContains(result, "java.lang.UnsatisfiedLinkError");
    assertContains(
        result,
        "does not load: org.bytedeco:openblas with the classifier " + PLATFORM + " is missing");
  }

  /** An extracted library works for a user who has run it with the jar before, and for no other. */
  @Test
  void thatOfAnEarlierRunIsNoStandInForTheJar() {
    assertEquals(0, jvm.run(ProductProgram.class).exit());
    ChildJvm.Result result = jvm.without(OpenBlasTest::isJar).run(ProductProgram.class);
    assertEquals(1, result.exit(), result::toString);
    assertContains(
        result,
        "does not load: org.bytedeco:openblas with the classifier " + PLATFORM + " is missing");
  }

  /** The result does not depend on whether this machine has one. */
  @Test
  void withoutTheJarNothingRuns() {
    ChildJvm.Result result = jvm.without(OpenBlasTest::isJar).run(ProductProgram.class);
    assertEquals(1, result.exit(), result::toString);
    assertContains(result, "the native library for " + PLATFORM + " is there but does not load");
    assertContains(
        result, "org.bytedeco:openblas with the classifier " + PLATFORM + " are on the class path");
  }

  /** JavaCPP's own option to request a library of the machine. */
  @Test
  void thatOfTheMachineIsUsedOnRequest() {
    ChildJvm.Result result =
        jvm.property("org.bytedeco.javacpp.pathsFirst", "true")
            .property("java.library.path", ofTheMachine.getParent().toString())
            .run(ProductProgram.class);
    assertEquals(0, result.exit(), result::toString);
    assertContains(result, fileInUse(ofTheMachine));
    assertFalse(result.output().contains("WARNING"), result::toString);
  }

  /** An OpenBLAS may be built without the C interface; here its functions have another name. */
  @Test
  void oneWithoutCblasIsAnErrorWithTheRemedy() throws IOException {
    String bytes = Files.readString(ofTheMachine, ISO_8859_1);
    assertTrue(bytes.contains("\0cblas_sgemm\0"), "it has no such name");
    Files.writeString(
        ofTheMachine, bytes.replace("\0cblas_sgemm\0", "\0cblas_sgemn\0"), ISO_8859_1);
    ChildJvm.Result result =
        jvm.property("org.bytedeco.javacpp.pathsFirst", "true")
            .property("java.library.path", ofTheMachine.getParent().toString())
            .run(ProductProgram.class);
    assertEquals(1, result.exit(), result::toString);
    assertContains(result, "does not load: ");
    assertContains(result, "undefined symbol: cblas_sgemm. Another OpenBLAS was found first");
    assertContains(result, "take its folder out of LD_LIBRARY_PATH and java.library.path");
  }

  /** The system's linker takes the first library of a name, and this library cannot change that. */
  @Test
  void ifOtherCodeWasFirstItsOwnIsUsedWithAWarning() {
    ChildJvm.Result result =
        jvm.run(
            OpenBlasFirstProgram.class,
            LIBRARIES.stream()
                .map(library -> ofTheMachine.resolveSibling(library).toString())
                .toArray(String[]::new));
    assertEquals(0, result.exit(), result::toString);
    assertContains(result, RIGHT);
    assertContains(result, fileInUse(ofTheMachine));
    assertContains(result, "-> it is not the one of the jar: other code has loaded it first");
    assertContains(result, "WARNING: Using the OpenBLAS of " + ofTheMachine);
  }
}
