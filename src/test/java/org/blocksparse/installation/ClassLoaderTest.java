// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.installation;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.file.Path;
import org.blocksparse.Backend;
import org.blocksparse.programs.ClassLoaderProgram;
import org.blocksparse.testing.Budget;
import org.blocksparse.testing.ChildJvm;
import org.blocksparse.testing.ProcessMemory;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The library in class loaders that come and go, as in an application server. */
@Tag("packaged")
final class ClassLoaderTest {
  @TempDir Path folder;

  @BeforeEach
  void saveAModel() {
    assumeTrue(Backend.isNative(), "without native code there is nothing to unload");
    assumeTrue(ProcessMemory.isKnown(), "/proc shows the resident memory");
    ChildJvm.Result result = run(jvm(), "save");
    assertEquals(0, result.exit(), result::toString);
  }

  private ChildJvm jvm() {
    return new ChildJvm(folder.resolve("cache"))
        .option("-XX:SoftRefLRUPolicyMSPerMB=0")
        .option("-Xms64m")
        .option("-Xmx64m")
        .option("-XX:+AlwaysPreTouch")
        .option("-XX:+UseSerialGC")
        .property(
            "blocksparse.loaders", Integer.toString(Budget.of("blocksparse.loaders", 20, 100)));
  }

  private ChildJvm.Result run(ChildJvm jvm, String what) {
    return jvm.run(ClassLoaderProgram.class, what, folder.toString());
  }

  /** A signal handler that was unloaded with its loader would end the process at the next fault. */
  @Test
  void loadersComeAndGo() {
    ChildJvm.Result result = run(jvm(), "each");
    assertEquals(0, result.exit(), result::toString);
    assertTrue(result.output().contains("the JVM answers a fault"), result::toString);
  }

  /** With JavaCPP above several copies of this library, one copy has the native code. */
  @Test
  void aSecondLoaderBelowOneJavaCppIsToldWhatToDo() {
    ChildJvm.Result result =
        run(jvm().option("--add-opens=java.base/java.lang=ALL-UNNAMED"), "shared");
    assertEquals(1, result.exit(), result::toString);
    assertTrue(result.output().contains("loader 0 works"), result::toString);
    assertTrue(result.output().contains(REMEDY), result::toString);
  }

  @Test
  void javaCppAboveIsToldWhatToDo() {
    ChildJvm.Result result = run(jvm(), "shared");
    assertEquals(1, result.exit(), result::toString);
    assertTrue(result.output().contains(REMEDY), result::toString);
  }

  private static final String REMEDY =
      "JavaCPP was loaded by another class loader than blocksparse, and gives its libraries to one"
          + " loader only: put the jars of both into the same one";
}
