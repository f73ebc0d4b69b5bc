// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.files;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.List;
import org.junit.jupiter.api.Test;

/**
 * The order of names, which files store: with another order, names in older files could not be
 * found.
 */
final class NameTableTest {
  /**
   * Names whose FNV-1a hashes of 32 bits are bf9cf968, e70c2de5, 811c9dc5, e40c292c and 5e4daa9d.
   */
  private static final List<String> NAMES = List.of("foobar", "b", "", "a", "liquid");

  /** The order by hash as a signed number. */
  private static final int[] BY_HASH = {2, 0, 3, 1, 4};

  private static byte[] text(List<String> names) {
    return String.join("", names).getBytes(StandardCharsets.UTF_8);
  }

  private static int[] offsets(List<String> names) {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    int[] offsets = new int[names.size() + 1];
    for (int i = 0; i < names.size(); i++) {
      bytes.writeBytes(names.get(i).getBytes(StandardCharsets.UTF_8));
      offsets[i + 1] = bytes.size();
    }
    return offsets;
  }

  private static NameTable table(String... names) {
    return NameTable.of(text(List.of(names)), offsets(List.of(names)));
  }

  private static NameTable read(int... order) throws MalformedException {
    NameTable.requireOffsets(offsets(NAMES), text(NAMES).length);
    return NameTable.read(text(NAMES), offsets(NAMES), order);
  }

  @Test
  void namesAreOrderedByTheirHash() {
    assertArrayEquals(BY_HASH, NameTable.of(text(NAMES), offsets(NAMES)).order());
    assertDoesNotThrow(() -> read(BY_HASH).check());
  }

  /** These two names have the same hash. */
  @Test
  void thoseOfOneHashAreOrderedByTheirBytes() {
    assertArrayEquals(new int[] {0, 1}, table("costarring", "liquid").order());
    assertArrayEquals(new int[] {1, 0}, table("liquid", "costarring").order());
  }

  @Test
  void anotherOrderIsRefused() {
    for (int[] order : new int[][] {{0, 2, 3, 1, 4}, {2, 0, 1, 3, 4}, {2, 0, 3, 4, 1}}) {
      assertThrows(MalformedException.class, () -> read(order).check());
    }
  }

  @Test
  void ofTwoThatAreTheSame_theSmallerNumberIsFirst() {
    assertArrayEquals(new int[] {1, 3}, table("a", "b", "c", "b").duplicate());
    assertNull(table("a", "b", "c").duplicate());
  }
}
