// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.installation;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.File;
import java.nio.file.Path;
import java.util.stream.Collectors;
import org.blocksparse.Backend;
import org.blocksparse.testing.ChildJvm;
import org.bytedeco.javacpp.Loader;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.io.TempDir;

/**
 * The common part of installation tests: JVMs with the class path of an installation, and their
 * output.
 */
@Tag("packaged")
abstract class Installation {
  static final String PLATFORM = Loader.getPlatform();

  /** The module of the libraries for this platform. */
  static final String NATIVE_MODULE = "org.blocksparse." + PLATFORM.replace('-', '.');

  static final String RIGHT = "1 + 2 * 3 = 7.0";

  @TempDir Path folder;

  @BeforeAll
  static void needsTheNativeLibrary() {
    assumeTrue(Backend.isNative(), "there is no native library");
  }

  final ChildJvm jvm() {
    return new ChildJvm(folder.resolve("cache")).property("java.awt.headless", "true");
  }

  static boolean isNativeJar(String name) {
    return isNativeJarOf("blocksparse", name);
  }

  /** Returns whether a file name is that of an artifact's libraries for this platform. */
  static boolean isNativeJarOf(String artifact, String name) {
    return name.startsWith(artifact + "-") && name.endsWith("-" + PLATFORM + ".jar");
  }

  static boolean isMainJar(String name) {
    return name.matches("blocksparse-[^-]*(-SNAPSHOT|-beta-\\d+)?\\.jar");
  }

  /** Returns the jars of a JVM's class path that are modules, as a module path. */
  static String modulePath(ChildJvm jvm) {
    return jvm
        .entries(name -> name.matches("(blocksparse|javacpp|openblas|jackson-core)-.*\\.jar"))
        .stream()
        .map(Path::toString)
        .collect(Collectors.joining(File.pathSeparator));
  }

  static void assertWorks(ChildJvm.Result result) {
    assertEquals(0, result.exit(), result::toString);
    assertContains(result, RIGHT);
  }

  static void assertFails(ChildJvm.Result result) {
    assertEquals(1, result.exit(), result::toString);
    assertContains(result, "java.lang.UnsatisfiedLinkError");
    assertFalse(result.output().contains(RIGHT), result::toString);
  }

  static void assertContains(ChildJvm.Result result, String text) {
    assertTrue(result.output().contains(text), () -> "no '" + text + "' in " + result);
  }

  static String line(String name, String value) {
    return String.format("%-18s %s", name, value);
  }
}
