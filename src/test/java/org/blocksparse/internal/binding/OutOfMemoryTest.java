// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.binding;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.blocksparse.Backend;
import org.blocksparse.programs.AbsurdSizesProgram;
import org.blocksparse.programs.BoundedMemoryProgram;
import org.blocksparse.programs.ClosedTensorsProgram;
import org.blocksparse.programs.DeepStackProgram;
import org.blocksparse.programs.ManyCallersProgram;
import org.blocksparse.programs.SmallHeapProgram;
import org.blocksparse.testing.ChildJvm;
import org.bytedeco.javacpp.Loader;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Native memory, the stack or the room for callers runs out: the library throws, and works
 * afterwards.
 */
@Tag("packaged")
final class OutOfMemoryTest {
  @TempDir Path folder;

  private ChildJvm jvm() {
    return new ChildJvm(folder.resolve("cache"))
        .option("-XX:ErrorFile=" + folder.resolve("hs_err.log"))
        .property("blocksparse.backend", Backend.isNative() ? "native" : "java");
  }

  private void assertLivesOn(ChildJvm.Result result) {
    assertEquals(0, result.exit(), result::toString);
    assertTrue(result.output().contains("lives on"), result::toString);
    assertTrue(Files.notExists(folder.resolve("hs_err.log")), "the JVM has crashed");
  }

  @Test
  @Execution(ExecutionMode.CONCURRENT)
  void operationsOnAShortStack() {
    assertLivesOn(jvm().option("-Xmx64m").option("-XX:+UseSerialGC").run(DeepStackProgram.class));
  }

  /** The shell limits native memory, or Java does, which waits for it. */
  @Test
  @Execution(ExecutionMode.CONCURRENT)
  void everyPublicMethodWithAbsurdSizes() {
    ChildJvm jvm = jvm().option("-Xmx64m").option("-XX:+UseSerialGC");
    if (Backend.isNative() && Loader.getPlatform().startsWith("linux")) {
      jvm.option("-XX:CompressedClassSpaceSize=32m")
          .option("-XX:ReservedCodeCacheSize=64m")
          .environment("MALLOC_ARENA_MAX", "2")
          .addressSpace(2 << 20);
    } else {
      jvm.property("blocksparse.backend", "java").option("-XX:MaxDirectMemorySize=512m");
    }
    assertLivesOn(jvm.run(AbsurdSizesProgram.class, folder.toString()));
  }

  /** Java's own kernels allocate memory that Java limits. */
  @Test
  @Execution(ExecutionMode.CONCURRENT)
  void callsOfManyRowsTakeMemoryThatDoesNotGrowWithThem() {
    assertLivesOn(
        jvm()
            .property("blocksparse.backend", "java")
            .option("-Xmx512m")
            .option("-XX:MaxDirectMemorySize=150m")
            .run(BoundedMemoryProgram.class));
  }

  /** JavaCPP would allow four times the heap. */
  @Test
  @Execution(ExecutionMode.CONCURRENT)
  void memoryIsNotLimitedByTheHeap() {
    assertLivesOn(
        jvm().option("-Xmx48m").run(SmallHeapProgram.class, folder.resolve("m").toString()));
  }

  /**
   * 160 MB of tensors, one after the other, where 32 MB are allowed; and 24 MB beside 16 MB that
   * wait.
   */
  @Test
  @Execution(ExecutionMode.CONCURRENT)
  void closedTensorsOfJavaKernelsHoldNoMemory() {
    assertLivesOn(
        jvm()
            .property("blocksparse.backend", "java")
            .option("-XX:MaxDirectMemorySize=32m")
            .run(ClosedTensorsProgram.class));
  }

  static Stream<String> isas() {
    return Stream.of("portable", "avx2", "avx512", "neon").filter(SUPPORTED::contains);
  }

  private static final List<String> SUPPORTED =
      Backend.isNative()
          ? NativeLibrary.supportedIsas().mapToObj(NativeLibrary::isaName).toList()
          : List.of();

  /**
   * OpenBLAS prints errors if more than 128 threads use it, and ends the process if many more do.
   */
  @ParameterizedTest(allowZeroInvocations = true)
  @Execution(ExecutionMode.CONCURRENT)
  @MethodSource("isas")
  void sevenHundredCallersAtOnce(String isa) {
    ChildJvm.Result result =
        jvm()
            .option("-Xss512k")
            .property("blocksparse.isa", isa)
            .property("blocksparse.path", "blas")
            .run(ManyCallersProgram.class, "700");
    assertLivesOn(result);
    assertFalse(result.output().contains("OpenBLAS"), result::toString);
  }
}
