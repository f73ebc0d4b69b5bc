// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.file.Path;
import org.blocksparse.programs.LeakProgram;
import org.blocksparse.testing.Budget;
import org.blocksparse.testing.ChildJvm;
import org.blocksparse.testing.ProcessMemory;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * The resident memory of a process stays flat over many calls. Each test runs in a JVM whose heap
 * has a fixed size and is resident from the start, so that all growth is native.
 */
@Tag("packaged")
final class LeakTest {
  @TempDir Path folder;

  @ParameterizedTest
  @ValueSource(
      strings = {
        "allocations",
        "largeAllocations",
        "plans",
        "operations",
        "layers",
        "batchesOfEverySize"
      })
  void residentMemoryStaysFlat(String scenario) {
    assumeTrue(ProcessMemory.isKnown(), "/proc shows the resident memory");
    assumeTrue(Backend.isNative(), "memory of the JDK is freed when the collector runs");
    ChildJvm.Result result =
        new ChildJvm(folder)
            .option("-Xms128m")
            .option("-Xmx128m")
            .option("-XX:+AlwaysPreTouch")
            .option("-XX:+UseSerialGC")
            .property(
                "blocksparse.leak.calls",
                Integer.toString(Budget.of("blocksparse.leak.calls", 2_000, 50_000)))
            .run(LeakProgram.class, scenario);
    assertEquals(0, result.exit(), result::toString);
  }
}
