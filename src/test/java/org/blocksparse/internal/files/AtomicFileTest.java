// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.files;

import static org.blocksparse.testing.Failures.assertFails;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Temporary files beside a file, of this process and, by their names, of others. */
final class AtomicFileTest {
  private static final AtomicFile.Content NOTHING = channel -> {};

  @TempDir Path folder;
  private Path file;

  @BeforeEach
  void name() {
    file = folder.resolve("file");
  }

  private Set<String> names() throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files
          .map(path -> path.getFileName().toString())
          .collect(Collectors.toCollection(TreeSet::new));
    }
  }

  /** Returns the name of a file before it is complete. */
  private String temporary(Path of) throws IOException {
    Set<String> found = new TreeSet<>();
    Set<String> before = names();
    AtomicFile.write(of, channel -> found.addAll(names()));
    found.removeAll(before);
    assertEquals(1, found.size(), found::toString);
    Files.delete(of);
    return found.iterator().next();
  }

  /**
   * Returns the name that another process would use, which begins with the number of the process.
   */
  private static String ofAnother(String temporary) {
    String prefix = ".blocksparse-00000000-0000-0000-0000-000000000000-";
    return temporary.substring(0, prefix.length()) + "0-0-" + temporary.substring(prefix.length());
  }

  @Test
  void whatOthersHaveLeftBehindIsDeleted() throws IOException {
    String ours = temporary(file);
    String left = ofAnother(ours);
    String ofAnotherFile = ofAnother(temporary(folder.resolve("other")));
    String aFolder = left + "-folder";
    for (String name : Set.of(ours, left, ofAnotherFile)) {
      Files.createFile(folder.resolve(name));
    }
    Files.createDirectory(folder.resolve(aFolder));
    AtomicFile.write(file, NOTHING);
    assertEquals(new TreeSet<>(Set.of("file", ours, ofAnotherFile, aFolder)), names());
  }

  @Test
  void whatIsBeingWrittenStays() throws IOException {
    String left = ofAnother(temporary(file));
    try (FileChannel channel =
            FileChannel.open(
                folder.resolve(left), StandardOpenOption.CREATE, StandardOpenOption.WRITE);
        FileLock lock = channel.lock()) {
      assertTrue(lock.isValid());
      AtomicFile.write(file, NOTHING);
      assertEquals(new TreeSet<>(Set.of("file", left)), names());
    }
  }

  @Test
  void whatGoesWrongWithOtherFilesIsToldOfThem() throws IOException {
    NoSuchFileException other = new NoSuchFileException("other");
    assertSame(
        other,
        assertThrows(
            NoSuchFileException.class,
            () ->
                AtomicFile.write(
                    file,
                    channel -> {
                      throw other;
                    })));
    assertEquals(Set.of(), names());
  }

  @Test
  void whatIsDeletedWhileItIsWrittenIsToldOfTheFileThatWasAskedFor() {
    assertFails(
        FileSystemException.class,
        file + ": was deleted while it was written",
        () ->
            AtomicFile.write(
                file,
                channel -> {
                  for (String name : names()) {
                    Files.delete(folder.resolve(name));
                  }
                }));
  }
}
