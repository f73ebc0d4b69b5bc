// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.binding;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.file.Path;
import java.util.stream.Stream;
import org.blocksparse.programs.NoBlasBufferProgram;
import org.blocksparse.testing.ChildJvm;
import org.bytedeco.javacpp.Loader;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** If OpenBLAS has no memory, tiles run, or a caller that requested OpenBLAS gets an error. */
final class BlasMemoryTest {
  static Stream<String> instructionSets() {
    return NativeLibrary.isLoaded()
        ? NativeLibrary.supportedIsas().mapToObj(NativeLibrary::isaName)
        : Stream.of("portable");
  }

  @ParameterizedTest
  @MethodSource("instructionSets")
  void theProcessLivesOn(String isa, @TempDir Path folder) {
    assumeTrue(NativeLibrary.isLoaded(), "Java kernels know no OpenBLAS");
    assumeTrue(Loader.getPlatform().startsWith("linux"), "ulimit limits the address space");
    ChildJvm.Result result =
        new ChildJvm(folder)
            .property("blocksparse.isa", isa)
            .option("-Xmx64m")
            .option("-XX:MaxMetaspaceSize=64m")
            .option("-XX:CompressedClassSpaceSize=32m")
            .option("-XX:ReservedCodeCacheSize=64m")
            .environment("MALLOC_ARENA_MAX", "2")
            .addressSpace(3 << 20)
            .run(NoBlasBufferProgram.class);
    assertEquals(0, result.exit(), result::toString);
    assertTrue(result.output().contains("lives on"), result::toString);
  }
}
