// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.installation;

import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.blocksparse.programs.ProductProgram;
import org.blocksparse.testing.ChildJvm;
import org.junit.jupiter.api.Test;

/** The folder to which JavaCPP extracts libraries. */
final class LibraryCacheTest extends Installation {
  /** JavaCPP takes a library with the same path, size and time for the same library. */
  @Test
  void eachBuildHasAFolderOfItsOwn() throws IOException {
    ChildJvm.Result result = jvm().run(ProductProgram.class);
    assertWorks(result);
    String build = result.output().replaceFirst("(?s).*\\nbuild +([0-9a-f]{16})\\R.*", "$1");
    for (String name : List.of("blocksparse", "jniblocksparse")) {
      Path library = Path.of(build, System.mapLibraryName(name));
      try (Stream<Path> files = Files.walk(folder.resolve("cache"))) {
        assertTrue(files.anyMatch(file -> file.endsWith(library)), () -> "no " + library);
      }
    }
  }

  @Test
  void eightAtOnceWithAnEmptyCache() {
    List<ChildJvm.Started> all = new ArrayList<>();
    for (int i = 0; i < 8; i++) {
      all.add(jvm().option("-Xmx64m").start(ProductProgram.class));
    }
    for (ChildJvm.Started started : all) {
      ChildJvm.Result result = started.await();
      assertWorks(result);
      assertContains(result, line("kernels", "native"));
    }
  }

  /** Returns a place for the cache that not even root can write to. */
  private Path unwritable() throws IOException {
    return Files.createFile(folder.resolve("file"));
  }

  @Test
  void noPlaceForACache() throws IOException {
    Path file = unwritable();
    ChildJvm.Result result =
        new ChildJvm(file.resolve("cache"))
            .property("user.home", file.toString())
            .property("java.io.tmpdir", file.toString())
            .run(ProductProgram.class);
    assertFails(result);
    assertContains(result, "is in a writable folder that may hold executables");
  }

  /**
   * Mounts it in a name space of its own, which needs root, or a system that permits this to all
   * users.
   */
  @Test
  void cacheThatMayNotHoldExecutables() throws IOException, InterruptedException {
    Path cache = Files.createDirectory(folder.resolve("noexec"));
    ChildJvm jvm = new ChildJvm(cache);
    String mount = "mount -t tmpfs -o noexec none " + cache;
    assumeTrue(
        Files.isExecutable(Path.of("/usr/bin/unshare"))
            && new ProcessBuilder("unshare", "-rm", "sh", "-c", mount).start().waitFor() == 0,
        "nothing can be mounted");
    ChildJvm.Result result =
        jvm.within("unshare", "-rm", "sh", "-c", mount + " && exec \"$0\" \"$@\"")
            .run(ProductProgram.class);
    assertFails(result);
    assertContains(result, "is in a writable folder that may hold executables");
  }
}
