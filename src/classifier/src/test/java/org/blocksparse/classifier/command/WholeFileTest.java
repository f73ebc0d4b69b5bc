// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.command;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

final class WholeFileTest {
  @TempDir private Path folder;

  private static void write(Path file, String text) throws IOException {
    WholeFile.write(file, out -> out.write(text.getBytes(UTF_8)));
  }

  private List<Path> files() throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.sorted().toList();
    }
  }

  @Test
  void aNewFile_hasTheModeOfOthers() throws IOException {
    Path file = folder.resolve("file");
    write(file, "text");
    assertEquals("text", Files.readString(file));
    Path other = Files.createFile(folder.resolve("other"));
    if (Files.getFileStore(file).supportsFileAttributeView("posix")) {
      assertEquals(Files.getPosixFilePermissions(other), Files.getPosixFilePermissions(file));
    }
    assertEquals(List.of(file, other), files());
  }

  @Test
  void contentThatFails_leavesTheOldFile_andIsToldOfIt() throws IOException {
    Path file = Files.writeString(folder.resolve("file"), "old");
    for (Path each : List.of(file, folder.resolve("new"))) {
      IOException e =
          assertThrows(
              IOException.class,
              () ->
                  WholeFile.write(
                      each,
                      out -> {
                        out.write(1);
                        throw new IOException("no space");
                      }));
      assertEquals(each + ": no space", e.getMessage());
    }
    assertEquals("old", Files.readString(file));
    assertEquals(List.of(file), files());
  }

  @Test
  @DisabledOnOs(OS.WINDOWS) // links are not for everybody
  void linksStay_whereTheirTargetIsNotThereYet_andCirclesAreRefused() throws IOException {
    Path link = Files.createSymbolicLink(folder.resolve("link"), Path.of("target"));
    write(link, "text");
    assertTrue(Files.isSymbolicLink(link));
    assertEquals("text", Files.readString(folder.resolve("target")));
    Path circle = Files.createSymbolicLink(folder.resolve("circle"), Path.of("circle"));
    IOException e = assertThrows(IOException.class, () -> write(circle, "text"));
    assertEquals(circle + ": too many symbolic links", e.getMessage());
    assertEquals(List.of(circle, link, folder.resolve("target")), files());
  }
}
