// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.file.Path;
import org.blocksparse.programs.ReadOnlyOperandsProgram;
import org.blocksparse.testing.ChildJvm;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Every operation that would write read-only memory rejects it by name. */
@Tag("packaged")
final class ReadOnlyOperandsTest {
  /** Runs in a JVM of its own, which a native write would end; a write by Java would throw. */
  @ParameterizedTest
  @ValueSource(strings = {"native", "java"})
  void ofAllOperations(String backend, @TempDir Path folder) {
    assumeTrue(backend.equals("java") || Backend.isNative(), "there is no native library");
    ChildJvm.Result result =
        new ChildJvm(folder)
            .option("-XX:ErrorFile=" + folder.resolve("hs_err.log"))
            .property("blocksparse.backend", backend)
            .run(ReadOnlyOperandsProgram.class, folder.toString());
    assertEquals(0, result.exit(), result::toString);
  }
}
