// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.files;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.channels.ClosedByInterruptException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.blocksparse.testing.WatchedFileSystem;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Changes of a file between its creation and its lock. */
final class TemporaryFileTest {
  @TempDir Path folder;

  private Path target;

  /** The temporary files in the order in which they were opened. */
  private final List<Path> opened = new ArrayList<>();

  /** The closed files. */
  private final List<Path> closed = new ArrayList<>();

  @BeforeEach
  void aFileThatIsReplaced() throws IOException {
    target = Files.createFile(folder.resolve("file"));
  }

  private interface Happening {
    void to(Path temporary) throws IOException;
  }

  /** Runs something once, before the event of a file that is not the target. */
  private TemporaryFile beside(String event, Happening happening) throws IOException {
    boolean[] done = {false};
    WatchedFileSystem files =
        new WatchedFileSystem(
            (before, file) -> {
              if (file.equals(target)) {
                return;
              }
              if (before.equals("open")) {
                opened.add(file);
              } else if (before.equals("close")) {
                closed.add(file);
              }
              if (before.equals(event) && !done[0]) {
                done[0] = true;
                happening.to(file);
              }
            });
    return TemporaryFile.beside(files.watch(target), true, true);
  }

  private List<Path> names() throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.filter(file -> !file.equals(target)).toList();
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"look", "lock"})
  @DisabledOnOs(value = OS.WINDOWS, disabledReason = "files that are open are not deleted there")
  void whatOthersTookForLeftBehindIsMadeAnew(String event) throws IOException {
    TemporaryFile temporary = beside(event, Files::delete);
    assertEquals(2, opened.size());
    assertNotEquals(opened.get(0), opened.get(1));
    assertEquals(List.of(opened.get(0)), closed);
    assertEquals(List.of(opened.get(1)), names());
    assertTrue(temporary.channel().isOpen());
    temporary.channel().close();
  }

  @Test
  void whereThereAreNoLocksNoneIsTaken() throws IOException {
    TemporaryFile temporary =
        beside(
            "lock",
            file -> {
              throw new IOException("no locks available");
            });
    assertEquals(opened, names());
    assertEquals(1, opened.size());
    temporary.channel().close();
  }

  @Test
  void anInterruptLeavesNothingBehind() throws IOException {
    ClosedByInterruptException interrupted = new ClosedByInterruptException();
    assertSame(
        interrupted,
        assertThrows(
            ClosedByInterruptException.class,
            () ->
                beside(
                    "lock",
                    file -> {
                      throw interrupted;
                    })));
    assertEquals(List.of(), names());
    assertEquals(opened, closed);
  }

  /** The file system has byte channels only. */
  @Test
  void whereThereIsNoFileChannelAnotherDoes() throws IOException {
    TemporaryFile temporary =
        beside(
            "open",
            file -> {
              throw new UnsupportedOperationException();
            });
    assertEquals(2, opened.size());
    assertEquals(opened.get(0), opened.get(1));
    assertTrue(temporary.channel().isOpen());
    temporary.channel().close();
    assertFalse(temporary.channel().isOpen());
  }

  @Test
  void whatElseFailsIsToldAfterEverythingWasTried() throws IOException {
    IOException closing = new IOException("closing");
    TemporaryFile temporary =
        beside(
            "close",
            file -> {
              Files.delete(file);
              Files.createDirectories(file.resolve("not empty"));
              throw closing;
            });
    IOException because = new IOException("because");
    temporary.delete(because);
    assertEquals(2, because.getSuppressed().length);
    assertSame(closing, because.getSuppressed()[0]);
  }
}
