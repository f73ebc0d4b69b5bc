// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.installation;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.abort;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.blocksparse.programs.ProductProgram;
import org.blocksparse.programs.TimelessLoaderProgram;
import org.blocksparse.testing.ChildJvm;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The folder to which libraries are extracted: what may lie there, and where it may be. */
final class LibraryCacheTest extends Installation {
  /** Names of our libraries. */
  private static final String OURS = ".*blocksparse.*";

  /** The number of the user nobody. */
  private static final int ANOTHER_USER = 65534;

  /**
   * Makes other files of libraries in the cache, with the same time stamps.
   *
   * @param names a pattern of theirs
   * @param least how many there are at least
   */
  private void changeInCache(String names, int least, UnaryOperator<byte[]> change)
      throws IOException {
    List<Path> cached;
    try (Stream<Path> files = Files.walk(folder.resolve("cache"))) {
      cached =
          files
              .filter(file -> Files.isRegularFile(file, LinkOption.NOFOLLOW_LINKS))
              .filter(file -> file.getFileName().toString().matches(names))
              .toList();
    }
    assertTrue(cached.size() >= least, cached::toString);
    for (Path file : cached) {
      FileTime time = Files.getLastModifiedTime(file);
      Files.write(file, change.apply(Files.readAllBytes(file)));
      Files.setLastModifiedTime(file, time);
    }
  }

  /** A JVM that was killed while it extracted the libraries. */
  @Test
  void truncatedLibrariesInTheCache() throws IOException {
    assertWorks(jvm().run(ProductProgram.class));
    changeInCache(OURS, 2, bytes -> Arrays.copyOf(bytes, 1000));
    assertWorks(jvm().run(ProductProgram.class));
  }

  /** To JavaCPP, a library of the same size and time stamp is the same library. */
  @Test
  void librariesOfAnOlderJarInTheCache() throws IOException {
    assertWorks(jvm().run(ProductProgram.class));
    changeInCache(OURS, 2, bytes -> new byte[bytes.length]);
    assertWorks(jvm().run(ProductProgram.class));
  }

  /** OpenBLAS as well: to load what is not one would end the process. */
  @Test
  void anotherOpenBlasInTheCache() throws IOException {
    assertWorks(jvm().run(ProductProgram.class));
    changeInCache("libopenblas\\.(so\\.0|0.*|dll)", 1, bytes -> new byte[bytes.length]);
    assertWorks(jvm().run(ProductProgram.class));
  }

  /** A cached library is loaded only if it is whole: here, its second half is wrong. */
  @ParameterizedTest
  @ValueSource(
      classes = {
        ProductProgram.class,
        TimelessLoaderProgram.class,
        TimelessLoaderProgram.WithoutLength.class
      })
  void otherLibrariesInTheCache(Class<?> program) throws IOException {
    assertWorks(jvm().run(program));
    changeInCache(
        ".*",
        5,
        bytes -> {
          Arrays.fill(bytes, bytes.length / 2, bytes.length, (byte) 0);
          return bytes;
        });
    assertWorks(jvm().run(program));
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

  /** A place for the cache in which nothing can be written, not even by root. */
  private Path unwritable() throws IOException {
    return Files.createFile(folder.resolve("file"));
  }

  /** Where the folder for temporary files alone can be written. */
  private ChildJvm withoutHome() throws IOException {
    return new ChildJvm(unwritable().resolve("cache"))
        .property("user.home", folder.resolve("file").toString())
        .property("java.io.tmpdir", folder.toString());
  }

  @Test
  void cacheThatCannotBeWrittenIsMadeElsewhere() throws IOException {
    assertWorks(withoutHome().run(ProductProgram.class));
  }

  /** What JavaCPP has made in the folder for temporary files. */
  private Path temporaryCache() throws IOException {
    assumeTrue(!PLATFORM.startsWith("windows"), "owners and permissions of POSIX");
    try (Stream<Path> files = Files.list(folder)) {
      List<Path> cache =
          files.filter(file -> file.getFileName().toString().startsWith(".javacpp")).toList();
      assertEquals(1, cache.size(), cache::toString);
      return cache.get(0);
    }
  }

  /** Its name is known to anybody, who could have put other libraries there. */
  private static void assertRefuses(ChildJvm jvm, Path cache) {
    ChildJvm.Result result = jvm.run(ProductProgram.class);
    assertFails(result);
    assertContains(result, cache + ", which others can write");
  }

  @Test
  void cacheInTheTemporaryFolderThatOthersCanWrite() throws IOException {
    ChildJvm jvm = withoutHome();
    assertWorks(jvm.run(ProductProgram.class));
    Path cache = temporaryCache();
    Files.setPosixFilePermissions(cache, PosixFilePermissions.fromString("rwxrwxrwx"));
    assertRefuses(jvm, cache);
  }

  @Test
  void cacheInTheTemporaryFolderOfAnotherUser() throws IOException {
    ChildJvm jvm = withoutHome();
    assertWorks(jvm.run(ProductProgram.class));
    Path cache = temporaryCache();
    try {
      Files.setAttribute(cache, "unix:uid", ANOTHER_USER);
    } catch (FileSystemException e) {
      abort("only root gives files away: " + e);
    }
    assertRefuses(jvm, cache);
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

  /** Mounted in a name space of its own, which needs root, or a system that lets anyone have it. */
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
