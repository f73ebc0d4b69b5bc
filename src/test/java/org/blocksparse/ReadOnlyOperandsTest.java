// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.file.Path;
import org.blocksparse.programs.ReadOnlyOperandsProgram;
import org.blocksparse.testing.ChildJvm;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Memory that cannot be written is refused by name, by every operation that would write it. */
final class ReadOnlyOperandsTest {
  /** In a JVM of its own, which a native write would end; one of Java's would throw. */
  @Test
  void ofAllOperations(@TempDir Path folder) {
    ChildJvm.Result result =
        new ChildJvm(folder)
            .option("-XX:ErrorFile=" + folder.resolve("hs_err.log"))
            .property("blocksparse.backend", Backend.isNative() ? "native" : "java")
            .run(ReadOnlyOperandsProgram.class, folder.toString());
    assertEquals(0, result.exit(), result::toString);
  }
}
