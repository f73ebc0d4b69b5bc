// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.binding;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.blocksparse.Backend;
import org.blocksparse.programs.AbsurdSizesProgram;
import org.blocksparse.programs.BoundedMemoryProgram;
import org.blocksparse.programs.ClosedTensorsProgram;
import org.blocksparse.programs.DeepStackProgram;
import org.blocksparse.programs.FullHeapProgram;
import org.blocksparse.programs.LargeArraysProgram;
import org.blocksparse.programs.ManyCallersProgram;
import org.blocksparse.programs.PublicMethodsProgram;
import org.blocksparse.programs.RefusedChangesProgram;
import org.blocksparse.programs.SmallHeapProgram;
import org.blocksparse.testing.Budget;
import org.blocksparse.testing.ChildJvm;
import org.blocksparse.testing.Seed;
import org.bytedeco.javacpp.Loader;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** On a full heap, a short stack or with many callers, the library throws, and works afterwards. */
@Tag("packaged")
final class OutOfMemoryTest {
  /** The public methods are called in as many parts, or one of more. */
  private static final List<String> COLLECTORS = List.of("Serial", "Parallel", "G1", "Z");

  @TempDir Path folder;

  private ChildJvm jvm() {
    return new ChildJvm(folder.resolve("cache"))
        .option("-XX:ErrorFile=" + folder.resolve("hs_err.log"))
        .property("blocksparse.backend", Backend.isNative() ? "native" : "java");
  }

  /** With Java kernels, or with native ones, where there are any, on a path. */
  private ChildJvm jvm(String kernels) {
    return withBothCompilers(jvm())
        .property(kernels.equals("java") ? "blocksparse.backend" : "blocksparse.path", kernels);
  }

  /** For programs that compute much. */
  private static ChildJvm withBothCompilers(ChildJvm jvm) {
    return jvm.option("-XX:TieredStopAtLevel=4");
  }

  /** Calls by reflection need no code that is made on the way. */
  private ChildJvm withPlainReflection() {
    return jvm()
        .property("sun.reflect.inflationThreshold", Integer.toString(Integer.MAX_VALUE))
        .property("jdk.reflect.useNativeAccessorOnly", "true");
  }

  private void assertLivesOn(ChildJvm.Result result) {
    assertEquals(0, result.exit(), result::toString);
    assertTrue(result.output().contains("lives on"), result::toString);
    assertTrue(Files.notExists(folder.resolve("hs_err.log")), "the JVM has crashed");
  }

  /** Where the heap is full again and again; memory that is there again is to be had at once. */
  private static ChildJvm withSmallHeap(ChildJvm jvm, String collector) {
    return jvm.option("-Xmx32m")
        .option("-XX:+Use" + collector + "GC")
        // After many collections that free little, some collectors refuse even what there is.
        .option("-XX:-UseGCOverheadLimit");
  }

  /** One of them, chosen by the seed; in the long run all. */
  private static <T> Stream<T> some(List<T> combinations) {
    int count = Budget.of("blocksparse.combinations", 1, combinations.size());
    return IntStream.range(0, count).mapToObj(i -> inTurn(combinations, i));
  }

  /** Each comes first by some seed. */
  private static <T> T inTurn(List<T> all, int i) {
    return all.get(Math.floorMod(Seed.value() + i, all.size()));
  }

  static Stream<Arguments> collectorsAndKernels() {
    return some(
        List.of(
            Arguments.of("Serial", "auto"),
            Arguments.of("Parallel", "blas"),
            Arguments.of("G1", "auto"),
            Arguments.of("Z", "blas"),
            Arguments.of("Serial", "java")));
  }

  @ParameterizedTest
  @Execution(ExecutionMode.CONCURRENT)
  @MethodSource("collectorsAndKernels")
  void everyOperationOnAFullHeap(String collector, String kernels) {
    assertLivesOn(
        withSmallHeap(jvm(kernels), collector)
            .property(
                "blocksparse.fillings", Integer.toString(Budget.of("blocksparse.fillings", 2, 10)))
            .run(FullHeapProgram.class, folder.toString(), Long.toString(Seed.value())));
  }

  @Test
  @Execution(ExecutionMode.CONCURRENT)
  void operationsOnAShortStack() {
    assertLivesOn(jvm().option("-Xmx64m").option("-XX:+UseSerialGC").run(DeepStackProgram.class));
  }

  /** Some of them, others each time; in the long run all, some on each collector. */
  static Stream<Arguments> partsOfPublicMethods() {
    int parts = Budget.of("blocksparse.heap.parts", 80, COLLECTORS.size());
    return IntStream.range(0, parts > COLLECTORS.size() ? 1 : parts)
        .mapToObj(part -> Arguments.of(inTurn(COLLECTORS, part), parts, part));
  }

  @ParameterizedTest
  @Execution(ExecutionMode.CONCURRENT)
  @MethodSource("partsOfPublicMethods")
  void everyPublicMethodOnAFullHeap(String collector, int parts, int part) {
    assertLivesOn(
        withSmallHeap(withPlainReflection(), collector)
            .run(
                PublicMethodsProgram.class,
                folder.toString(),
                Long.toString(Seed.value()),
                Integer.toString(parts),
                Integer.toString(part)));
  }

  /** Memory off the heap is limited as well: by the shell, or by Java, which waits for it. */
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

  @Test
  @Execution(ExecutionMode.CONCURRENT)
  void arraysThatTheHeapHasNoRoomFor() {
    assertLivesOn(
        jvm()
            .option("-Xmx64m")
            .option("-XX:+UseSerialGC")
            .option("-XX:MaxDirectMemorySize=1g")
            .run(LargeArraysProgram.class, folder.toString()));
  }

  /** Java's own kernels take their memory from what Java limits. */
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

  @Test
  @Execution(ExecutionMode.CONCURRENT)
  void aChangeOfOutputsThatIsRefusedChangesNothing() {
    assertLivesOn(
        withBothCompilers(jvm())
            .option("-Xmx12m")
            .option("-XX:+UseSerialGC")
            .run(RefusedChangesProgram.class));
  }

  /** JavaCPP would allow four times the heap. */
  @Test
  @Execution(ExecutionMode.CONCURRENT)
  void memoryIsNotLimitedByTheHeap() {
    assertLivesOn(
        jvm().option("-Xmx48m").run(SmallHeapProgram.class, folder.resolve("m").toString()));
  }

  /**
   * 160 MB of tensors, one after the other, where 32 MB are allowed; and 24 beside 16 that wait.
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
   * OpenBLAS complains when more than 128 threads are in it, and ends the process when many more
   * are.
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
