// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.io;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystem;
import java.nio.file.FileSystemException;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;
import java.util.function.Predicate;
import java.util.stream.Stream;
import org.blocksparse.FloatTensor;
import org.blocksparse.Progress;
import org.blocksparse.programs.SaveProgram;
import org.blocksparse.programs.WaitingSaveProgram;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.blocksparse.softmax.ModelFileTest;
import org.blocksparse.testing.ChildJvm;
import org.blocksparse.testing.WatchedFileSystem;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * The outcome for the file, its neighbors and the previous file. All kinds of files are written in
 * one way, so most tests write a short text.
 */
final class SavingTest {
  private static final String TEXT = SaveProgram.TEXT;

  @TempDir Path folder;

  private List<String> names() throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.map(file -> file.getFileName().toString()).sorted().toList();
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"rw-------", "rw-rw-rw-", "r--r-----", "rwxr-x--x"})
  @DisabledOnOs(OS.WINDOWS)
  void theModeIsKept(String mode) throws IOException {
    Path file = Files.writeString(folder.resolve("file"), "old");
    Files.setPosixFilePermissions(file, PosixFilePermissions.fromString(mode));
    SaveProgram.save(file);
    assertEquals(TEXT, Files.readString(file));
    assertEquals(mode, PosixFilePermissions.toString(Files.getPosixFilePermissions(file)));
  }

  /**
   * A user who may not read the file afterwards cannot read the new content under its first name,
   * either.
   */
  @Test
  @DisabledOnOs(OS.WINDOWS)
  void theModeIsNeverWider() throws IOException {
    Path file = Files.writeString(folder.resolve("file"), "old");
    Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rw-------"));
    List<String> modes = new ArrayList<>();
    WatchedFileSystem files =
        new WatchedFileSystem(
            (event, path) -> {
              if (!path.equals(file) && Files.isRegularFile(path)) {
                modes.add(PosixFilePermissions.toString(Files.getPosixFilePermissions(path)));
              }
            });
    SaveProgram.save(files.watch(file));
    assertEquals(Set.of("rw-------"), Set.copyOf(modes));
  }

  @Test
  @DisabledOnOs(OS.WINDOWS)
  void aLinkStaysAndItsTargetIsReplacedOrMade() throws IOException {
    Path sub = Files.createDirectory(folder.resolve("sub"));
    Path second = Files.createSymbolicLink(sub.resolve("second"), Path.of("..", "target"));
    Path first = Files.createSymbolicLink(folder.resolve("first"), Path.of("sub", "second"));
    for (int time = 0; time < 2; time++) {
      SaveProgram.save(first);
      assertTrue(Files.isSymbolicLink(first) && Files.isSymbolicLink(second));
      assertTrue(
          Files.isRegularFile(folder.resolve("target"), java.nio.file.LinkOption.NOFOLLOW_LINKS));
      assertEquals(TEXT, Files.readString(folder.resolve("target")));
      assertEquals(List.of("first", "sub", "target"), names());
    }
    Path loop = Files.createSymbolicLink(folder.resolve("loop"), Path.of("loop"));
    FileSystemException refused =
        assertThrows(FileSystemException.class, () -> SaveProgram.save(loop));
    assertEquals(loop.toString(), refused.getFile());
  }

  @ParameterizedTest
  @ValueSource(strings = {"mkfifo FILE", "mknod FILE c 1 3"})
  @DisabledOnOs(OS.WINDOWS)
  void whatIsNoRegularFileIsRefused(String command) throws Exception {
    Path file = folder.resolve("special");
    Process made =
        new ProcessBuilder(command.replace("FILE", file.toString()).split(" "))
            .redirectErrorStream(true)
            .start();
    assumeTrue(made.waitFor() == 0, () -> command + " is not allowed here");
    FileSystemException refused =
        assertThrows(FileSystemException.class, () -> SaveProgram.save(file));
    assertEquals(file + ": is not a regular file", refused.getMessage());
    assertEquals(List.of("special"), names());
    assertTrue(
        Files.readAttributes(file, java.nio.file.attribute.BasicFileAttributes.class).isOther());
  }

  @Test
  void namesAreAsLongAsTheFileSystemAllows() throws IOException {
    Path longest = folder.resolve("n".repeat(255));
    SaveProgram.save(longest);
    SaveProgram.save(longest);
    assertEquals(TEXT, Files.readString(longest));
    assertEquals(1, names().size());
    Path longer = folder.resolve("n".repeat(256));
    FileSystemException refused =
        assertThrows(FileSystemException.class, () -> SaveProgram.save(longer));
    assertEquals(longer.toString(), refused.getFile());
    assertEquals(1, names().size());
  }

  // ------------------------------------------------------------------------ order and failures

  @Test
  void theContentIsOnTheDiskBeforeItHasItsName() throws IOException {
    Path file = folder.resolve("file");
    List<String> events = new ArrayList<>();
    WatchedFileSystem files =
        new WatchedFileSystem(
            (event, path) -> {
              if (List.of("write", "force", "move").contains(event)) {
                events.add(event + (path.equals(folder) ? " folder" : " file"));
              }
            });
    SaveProgram.save(files.watch(file));
    List<String> expected =
        System.getProperty("os.name").startsWith("Windows")
            ? List.of("write file", "force file", "move file")
            : List.of("write file", "force file", "move file", "force folder");
    assertEquals(expected, events);
    assertEquals(TEXT, Files.readString(file));
  }

  private static AccessDeniedException denied(Path path) {
    return new AccessDeniedException(path.toString());
  }

  /** Returns a file system in which an event of some paths throws an exception. */
  private static WatchedFileSystem failing(
      String failing, Predicate<Path> ofPaths, Function<Path, IOException> exception) {
    return new WatchedFileSystem(
        (event, path) -> {
          if (event.equals(failing) && ofPaths.test(path)) {
            throw exception.apply(path);
          }
        });
  }

  /** Once the file has its name, failures are no longer reported. */
  @ParameterizedTest
  @ValueSource(strings = {"open", "force", "close"})
  void aFolderThatCannotBeOpenedOrFlushedIsNoFailure(String failing) throws IOException {
    Path file = Files.writeString(folder.resolve("file"), "old");
    WatchedFileSystem files = failing(failing, folder::equals, SavingTest::denied);
    SaveProgram.save(files.watch(file));
    assertEquals(TEXT, Files.readString(file));
    assertEquals(List.of("file"), names());
  }

  @ParameterizedTest
  @ValueSource(strings = {"open", "write", "force", "move"})
  void whatFailsBeforeLeavesEverythingAsItWas(String failing) throws IOException {
    Path file = Files.writeString(folder.resolve("file"), "old");
    WatchedFileSystem files = failing(failing, path -> !path.equals(folder), SavingTest::denied);
    AccessDeniedException refused =
        assertThrows(AccessDeniedException.class, () -> SaveProgram.save(files.watch(file)));
    // The exception names the requested file, not the one that is written first.
    assertEquals(file.toString(), refused.getFile());
    assertEquals("old", Files.readString(file));
    assertEquals(List.of("file"), names());
  }

  /** On a full disk, the system names no file. */
  @ParameterizedTest
  @ValueSource(strings = {"write", "force"})
  void aDiskThatIsFullIsToldOfTheFile(String failing) throws IOException {
    Path file = Files.writeString(folder.resolve("file"), "old");
    WatchedFileSystem files =
        failing(
            failing,
            path -> !path.equals(folder),
            path -> new IOException("No space left on device"));
    FileSystemException refused =
        assertThrows(FileSystemException.class, () -> SaveProgram.save(files.watch(file)));
    assertEquals(file + ": No space left on device", refused.getMessage());
    assertEquals("old", Files.readString(file));
    assertEquals(List.of("file"), names());
  }

  // ------------------------------------------------------------------------------- leftovers

  /** Two savers of one file in one process do not take each other for dead. */
  @Test
  void theFileOfALiveSaverIsNotDeleted() throws Exception {
    Path file = folder.resolve("file");
    ExecutorService other = Executors.newSingleThreadExecutor();
    try (HierarchicalSoftmax layer = ModelFileTest.layer()) {
      Progress nested =
          (done, total) -> {
            try {
              Callable<Void> save =
                  () -> {
                    SaveProgram.save(file);
                    return null;
                  };
              other.submit(save).get();
            } catch (Exception e) {
              throw new AssertionError(e);
            }
            assertEquals(2, read(() -> names()).size());
          };
      layer.save(file, SaveOptions.defaults().withProgress(nested));
      HierarchicalSoftmax.load(file).close();
      assertEquals(List.of("file"), names());
    } finally {
      other.shutdown();
      assertTrue(other.awaitTermination(10, TimeUnit.MINUTES));
    }
  }

  private static <T> T read(Callable<T> call) {
    try {
      return call.call();
    } catch (Exception e) {
      throw new AssertionError(e);
    }
  }

  private ChildJvm.Started startWaiting(Path file) throws Exception {
    ChildJvm.Started started =
        new ChildJvm(folder.resolveSibling(folder.getFileName() + "-cache"))
            .property("blocksparse.backend", "java")
            .start(WaitingSaveProgram.class, file.toString());
    while (!Files.readString(started.output()).contains("begun")) {
      assertTrue(started.process().isAlive(), () -> started.await().toString());
      Thread.sleep(5);
    }
    return started;
  }

  @Tag("packaged")
  @ParameterizedTest
  @ValueSource(strings = {"", "rw-------", "rw-r--r--"})
  void theFileOfALiveProcessIsNotDeleted(String replacedMode) throws Exception {
    Path file = folder.resolve("file");
    if (!replacedMode.isEmpty()) {
      Files.writeString(file, "old");
      if (Files.getFileStore(file).supportsFileAttributeView("posix")) {
        Files.setPosixFilePermissions(file, PosixFilePermissions.fromString(replacedMode));
      }
    }
    ChildJvm.Started started = startWaiting(file);
    SaveProgram.save(file);
    assertEquals(TEXT, Files.readString(file));
    assertEquals(2, names().size());
    started.process().getOutputStream().write('\n');
    started.process().getOutputStream().flush();
    ChildJvm.Result result = started.await();
    assertEquals(0, result.exit(), result.toString());
    HierarchicalSoftmax.load(file).close();
    assertEquals(List.of("file"), names());
  }

  @Tag("packaged")
  @Test
  void whatAKilledSaverLeftIsDeletedByTheNext() throws Exception {
    Path file = folder.resolve("file");
    startWaiting(file).kill();
    startWaiting(folder.resolve("another")).kill();
    assertEquals(4, names().size(), names().toString());
    SaveProgram.save(file);
    // Leftovers of other files are kept.
    assertEquals(3, names().size(), names().toString());
    SaveProgram.save(folder.resolve("another"));
    assertEquals(List.of("another", "file"), names());
  }

  /**
   * Root may write whatever the mode is: this command runs as another user with the right to read.
   */
  private static final String[] AS_NOBODY = {
    "setpriv",
    "--reuid=65534",
    "--clear-groups",
    "--inh-caps=-all,+dac_read_search",
    "--ambient-caps=-all,+dac_read_search"
  };

  private static boolean canBeNobody() throws InterruptedException {
    List<String> command = new ArrayList<>(List.of(AS_NOBODY));
    command.add("true");
    try {
      return new ProcessBuilder(command).redirectErrorStream(true).start().waitFor() == 0;
    } catch (IOException e) {
      return false;
    }
  }

  /** It has the mode of the file that it was to replace. */
  @Tag("packaged")
  @Test
  @DisabledOnOs(OS.WINDOWS)
  void whatIsLeftOfAFileThatMustNotBeWrittenIsDeleted() throws Exception {
    Path file = folder.resolve("file");
    startWaiting(file).kill();
    String left = names().get(0);
    assertNotEquals("file", left);
    Files.setPosixFilePermissions(
        folder.resolve(left), PosixFilePermissions.fromString("r--r--r--"));
    Files.setPosixFilePermissions(folder, PosixFilePermissions.fromString("rwxrwxrwx"));
    ChildJvm jvm = new ChildJvm(folder.resolveSibling(folder.getFileName() + "-cache"));
    if (System.getProperty("user.name").equals("root")) {
      assumeTrue(canBeNobody(), "there is no setpriv");
      jvm.within(AS_NOBODY);
    }
    ChildJvm.Result result = jvm.run(SaveProgram.class, file.toString());
    assertEquals(0, result.exit(), result.toString());
    assertEquals(TEXT, Files.readString(file));
    assertEquals(List.of("file"), names());
  }

  // -------------------------------------------------------------------- other file systems

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void filesOfAZipFileSystemAreReadAndWritten(boolean posix) throws IOException {
    Path zip = folder.resolve("files.zip");
    Map<String, Boolean> settings = Map.of("create", true, "enablePosixFileAttributes", posix);
    try (FileSystem files = FileSystems.newFileSystem(zip, settings);
        HierarchicalSoftmax layer = ModelFileTest.layer();
        FloatTensor tensor = FloatTensor.of(new float[] {1, 2, 3}, 3)) {
      Path inside = files.getPath("file");
      // A file of the same name on the disk is another file.
      Path outside = Path.of("file");
      assertFalse(Files.exists(outside));
      for (int time = 0; time < 2; time++) {
        SaveProgram.save(inside);
        assertEquals(TEXT, Files.readString(inside));
        NpyFile.write(inside, tensor);
        try (FloatTensor read = NpyFile.readFloats(inside)) {
          assertArrayEquals(tensor.toArray(), read.toArray());
        }
        TensorFile.save(inside, Map.of("a", tensor));
        try (TensorFile tensors = TensorFile.open(inside);
            FloatTensor read = tensors.floats("a")) {
          assertArrayEquals(tensor.toArray(), read.toArray());
        }
        layer.save(inside);
        try (HierarchicalSoftmax loaded = HierarchicalSoftmax.load(inside)) {
          assertArrayEquals(layer.W2().toArray(), loaded.W2().toArray());
        }
      }
      for (LoadOptions options : List.of(LoadOptions.mapped(), LoadOptions.copyOnWrite())) {
        UnsupportedOperationException refused =
            assertThrows(
                UnsupportedOperationException.class,
                () -> HierarchicalSoftmax.load(inside, options));
        assertTrue(refused.getMessage().contains("copied()"), refused.getMessage());
      }
      assertEquals(
          List.of("file"),
          Arrays.asList(
              read(
                  () -> {
                    try (Stream<Path> entries = Files.list(files.getPath("/"))) {
                      return entries.map(entry -> entry.getFileName().toString()).toArray();
                    }
                  })));
      assertFalse(Files.exists(outside));
    }
  }
}
