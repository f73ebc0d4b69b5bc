// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import org.blocksparse.programs.HangProgram;
import org.blocksparse.testing.ChildJvm;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A hanging test ends, and prints where it was. */
@Tag("packaged")
final class HangTest {
  @TempDir Path folder;

  @ParameterizedTest
  @Execution(ExecutionMode.CONCURRENT)
  @ValueSource(
      classes = {
        HangProgram.InAProperty.class,
        HangProgram.InItsArguments.class,
        HangProgram.InAnInitializer.class
      })
  void whatHangsIsEnded(Class<?> hanging) {
    ChildJvm.Result result =
        new ChildJvm(folder.resolve("cache")).run(HangProgram.class, hanging.getName());
    assertEquals(1, result.exit(), result::toString);
    assertTrue(result.output().contains("Nothing has begun or ended for 12 s"), result::toString);
    assertTrue(result.output().contains(hanging.getSimpleName()), result::toString);
    assertTrue(result.output().contains("HangProgram.hang"), result::toString);
  }
}
