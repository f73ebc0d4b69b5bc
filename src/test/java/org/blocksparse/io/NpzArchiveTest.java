// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.io;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.channels.SeekableByteChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;
import org.blocksparse.internal.files.MalformedException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The limits of archives, from both sides. */
final class NpzArchiveTest {
  @TempDir private Path folder;

  private Path write(String name, Map<String, NpzArchive.Member> members) throws IOException {
    Path file = folder.resolve(name);
    try (SeekableByteChannel channel =
        Files.newByteChannel(file, StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
      NpzArchive.write(channel, members);
    }
    return file;
  }

  /** Returns arrays of one byte each, which are never read. */
  private static Map<String, NpzArchive.Member> members(int count, String prefix) {
    Map<String, NpzArchive.Member> members = new LinkedHashMap<>();
    for (int i = 0; i < count; i++) {
      members.put(prefix + i, out -> out.write(1));
    }
    return members;
  }

  @Test
  void noMoreArraysThanCanBeReadAgain() throws IOException {
    Path file = write("most", members(65_536, ""));
    try (NpzArchive archive = NpzArchive.open(file)) {
      assertEquals(65_536, archive.names().size());
    }
    assertEquals(
        "tensors: 65537 are more than the limit of 65536",
        assertThrows(IllegalArgumentException.class, () -> write("more", members(65_537, "")))
            .getMessage());
    Path more = folder.resolve("by others");
    try (ZipOutputStream out = new ZipOutputStream(Files.newOutputStream(more))) {
      for (int i = 0; i < 65_537; i++) {
        out.putNextEntry(new ZipEntry(i + ".npy"));
      }
    }
    assertEquals(
        "archive: 65537 arrays are more than the limit of 65536",
        assertThrows(MalformedException.class, () -> NpzArchive.open(more)).getMessage());
  }

  @Test
  void noLargerDirectoriesThanCanBeReadAgain() throws IOException {
    String prefix = "n".repeat(60_000);
    try (NpzArchive archive = NpzArchive.open(write("most", members(139, prefix)))) {
      assertEquals(139, archive.names().size());
    }
    String refused =
        assertThrows(IllegalArgumentException.class, () -> write("more", members(140, prefix)))
            .getMessage();
    // The part written until then remains; 22 bytes end it.
    Path more = folder.resolve("more");
    long bytes = ZipDirectory.bytes(more) + 22;
    assertEquals(
        "tensors: their names take " + bytes + " bytes, more than the limit of 8388608", refused);
    assertTrue(
        assertThrows(MalformedException.class, () -> NpzArchive.open(more))
            .getMessage()
            .endsWith("is above the limit, 8388608"));
  }

  @ParameterizedTest
  @CsvSource(
      ignoreLeadingAndTrailingWhitespace = false,
      value = {"a,true", "a b,true", " ,true", "~,true", "a.b,true", "\u001f,false"})
  void namesOfArrays(String name, boolean expected) {
    assertEquals(expected, NpzArchive.isName(name));
  }

  @Test
  void namesThatCouldBePaths() {
    for (String name : new String[] {"", ".", "..", ".a", "a/b", "a\\b", "a:b", "\u007f", "a\n"}) {
      assertFalse(NpzArchive.isName(name), name);
    }
  }

  @Test
  void theLongestName() {
    String longest = "n".repeat(NpzArchive.LONGEST_NAME);
    assertTrue(NpzArchive.hasRoom(longest));
    assertFalse(NpzArchive.hasRoom(longest + "n"));
    assertFalse(NpzArchive.hasRoom("\ud800"), "half of a pair");
  }
}
