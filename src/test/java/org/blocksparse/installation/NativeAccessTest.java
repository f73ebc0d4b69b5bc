// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.installation;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.File;
import java.nio.file.Path;
import java.util.stream.Collectors;
import org.blocksparse.programs.ProductProgram;
import org.blocksparse.testing.ChildJvm;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** A JVM that denies native code, as a later JDK will by default. */
final class NativeAccessTest extends Installation {
  private static final String CLASS_PATH = "--enable-native-access=ALL-UNNAMED";
  private static final String MODULE_PATH =
      "--enable-native-access=org.bytedeco.javacpp,org.blocksparse";

  @BeforeAll
  static void needsTheOption() {
    assumeTrue(Runtime.version().feature() >= 24, "the JVM cannot deny native code");
  }

  private ChildJvm denying() {
    return jvm().option("--illegal-native-access=deny");
  }

  private static ChildJvm.Result runFromClassPath(ChildJvm jvm) {
    String classPath =
        jvm.entries(name -> true).stream()
            .map(Path::toString)
            .collect(Collectors.joining(File.pathSeparator));
    return jvm.runProgram("-cp", classPath, ProductProgram.class.getName());
  }

  private static ChildJvm.Result runFromModulePath(ChildJvm jvm) {
    return jvm.runProgram(
        "-p",
        modulePath(jvm),
        "--add-modules",
        NATIVE_MODULE,
        "-m",
        "org.blocksparse/org.blocksparse.Backend");
  }

  private static void assertNames(ChildJvm.Result result, String option) {
    assertEquals(1, result.exit(), result::toString);
    assertContains(result, line("kernels", "none"));
    assertContains(result, "does not load: Illegal native access from");
    assertContains(result, "start it with " + option + ". -Dblocksparse.backend=java");
    assertFalse(result.output().contains("cachedir=DIR"), result::toString);
  }

  @Test
  void classPath_reportAndErrorNameTheOption() {
    ChildJvm.Result result = runFromClassPath(denying());
    assertFails(result);
    assertNames(result, CLASS_PATH);
  }

  @Test
  void classPath_withTheOptionItRuns() {
    ChildJvm.Result result = runFromClassPath(denying().option(CLASS_PATH));
    assertWorks(result);
    assertFalse(result.output().contains("WARNING"), result::toString);
  }

  @Test
  void modulePath_reportNamesTheOption() {
    assertNames(runFromModulePath(denying()), MODULE_PATH);
    assertNames(
        runFromModulePath(denying().option("--enable-native-access=org.bytedeco.javacpp")),
        MODULE_PATH);
  }

  @Test
  void modulePath_withTheOptionItRuns() {
    ChildJvm.Result result = runFromModulePath(denying().option(MODULE_PATH));
    assertEquals(0, result.exit(), result::toString);
    assertContains(result, line("kernels", "native"));
    assertFalse(result.output().contains("WARNING"), result::toString);
  }
}
