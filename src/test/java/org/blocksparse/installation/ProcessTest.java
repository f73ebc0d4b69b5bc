// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.installation;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.file.Files;
import java.util.Locale;
import org.blocksparse.internal.binding.NativeLibrary;
import org.blocksparse.programs.LittleMemoryProgram;
import org.blocksparse.programs.ProductProgram;
import org.blocksparse.testing.ChildJvm;
import org.junit.jupiter.api.Test;

/** The start of a process: the properties of the library, languages, and memory. */
final class ProcessTest extends Installation {
  @Test
  void javaKernelsCanBeAskedFor() {
    ChildJvm.Result result =
        jvm().property("blocksparse.backend", "JAVA").run(ProductProgram.class);
    assertWorks(result);
    assertContains(result, line("because", "asked for with -Dblocksparse.backend=java"));
    assertContains(result, line("instruction set", "java"));
    assertFalse(Files.exists(folder.resolve("cache")), "a library was extracted");
  }

  @Test
  void unknownBackend() {
    ChildJvm.Result result = jvm().property("blocksparse.backend", "gpu").run(ProductProgram.class);
    assertFails(result);
    assertContains(result, "blocksparse.backend: expected native or java but was gpu");
  }

  @Test
  void unknownInstructionSet() {
    ChildJvm.Result result = jvm().property("blocksparse.isa", "mmx").run(ProductProgram.class);
    assertFails(result);
    assertContains(result, "blocksparse.isa: there is no instruction set called mmx");
  }

  @Test
  void instructionSetIsCapped() {
    for (int isa : NativeLibrary.supportedIsas().toArray()) {
      String name = NativeLibrary.isaName(isa);
      ChildJvm.Result result = jvm().property("blocksparse.isa", name).run(ProductProgram.class);
      assertWorks(result);
      assertContains(result, line("instruction set", name));
    }
  }

  @Test
  void openBlasHasOneThreadWhereItIsCalled() {
    ChildJvm.Result result = jvm().property("blocksparse.path", "blas").run(ProductProgram.class);
    assertWorks(result);
    assertContains(result, line("products", "OpenBLAS for all products of float32 weights"));
    assertContains(result, line("OpenBLAS threads", "1"));
  }

  @Test
  void threadsOfOpenBlasAreLeftAloneOnRequest() {
    ChildJvm.Result result =
        jvm()
            .environment("OPENBLAS_NUM_THREADS", "2")
            .property("blocksparse.openblas.threads", "keep")
            .run(ProductProgram.class);
    assertWorks(result);
    assumeTrue(Runtime.getRuntime().availableProcessors() > 1);
    assertContains(result, line("OpenBLAS threads", "2"));
  }

  @Test
  void tilesAloneAreOnePropertyAway() {
    ChildJvm.Result result = jvm().property("blocksparse.path", "tile").run(ProductProgram.class);
    assertWorks(result);
    assertContains(result, line("products", "register tiles for all products"));
  }

  /**
   * An encoding in which ASCII has two bytes. Java 17 uses it for all texts, later versions for
   * some.
   */
  @Test
  void anotherDefaultEncoding() {
    ChildJvm.Result result = jvm().property("file.encoding", "UTF-16BE").run(ProductProgram.class);
    assertEquals(0, result.exit(), result::toString);
  }

  /** Locales with their own letters and digits: Turkish i, Arabic digits. */
  @Test
  void otherLocales() {
    for (String language : new String[] {"tr", "ar"}) {
      ChildJvm.Result result =
          jvm()
              .property("user.language", language)
              .property("user.country", language.equals("tr") ? "TR" : "EG")
              .property("blocksparse.backend", "native".toUpperCase(Locale.ROOT))
              .run(ProductProgram.class);
      assertWorks(result);
    }
  }

  @Test
  void memoryThatCannotBeHadIsAnErrorThatTheJvmSurvives() {
    assumeTrue(PLATFORM.startsWith("linux"), "ulimit limits the address space");
    ChildJvm.Result result =
        jvm()
            .option("-Xmx64m")
            .option("-XX:MaxMetaspaceSize=64m")
            .option("-XX:CompressedClassSpaceSize=32m")
            .option("-XX:ReservedCodeCacheSize=64m")
            .environment("MALLOC_ARENA_MAX", "2")
            .addressSpace(3 << 20)
            .run(LittleMemoryProgram.class);
    assertEquals(0, result.exit(), result::toString);
    assertContains(result, "lives on");
  }
}
