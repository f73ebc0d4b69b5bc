// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.memory;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.EOFException;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.Stream;
import org.blocksparse.internal.binding.NativeLibrary;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Files mapped by the native library, or by Java without it. */
final class MappedFileTest {
  @TempDir Path folder;

  /** Gives a file the name of another, by links, which no system writes to the disk first. */
  private void replace(Path file, Path by) throws IOException {
    Path link = folder.resolve("link");
    Files.createLink(link, by);
    Files.move(link, file, StandardCopyOption.ATOMIC_MOVE);
  }

  /** A file other than the one whose length is read would seem to have been cut short. */
  @Test
  @DisabledOnOs(value = OS.WINDOWS, disabledReason = "files that are open are not replaced there")
  void aFileThatIsReplacedMeanwhileIsMappedAsAWhole() throws Exception {
    Path file = folder.resolve("file");
    Path small = Files.write(folder.resolve("small"), new byte[4]);
    Path large = Files.write(folder.resolve("large"), new byte[10_000]);
    replace(file, large);
    AtomicReference<Throwable> failure = new AtomicReference<>();
    Thread replacing =
        new Thread(
            () -> {
              try {
                for (int i = 0; !Thread.currentThread().isInterrupted(); i++) {
                  replace(file, i % 2 == 0 ? small : large);
                }
              } catch (IOException e) {
                failure.set(e);
              }
            });
    replacing.start();
    int mapped = 0;
    try {
      for (int i = 0; i < 3_000; i++) {
        try (MappedFile mapping = MappedFile.mappedByJava(file, false, MappedFileTest::damage)) {
          assertFalse(mapping.isDamaged(), "mapping " + i);
          mapped++;
        } catch (IOException e) {
          assertTrue(e.getMessage().endsWith("it is being replaced"), e.toString());
        }
      }
    } finally {
      replacing.interrupt();
      replacing.join();
    }
    assertNull(failure.get());
    assertTrue(mapped > 0, "it was never mapped");
  }

  /** Java's buffers meet at 2^30 bytes from the beginning of the part. */
  private static final long MEET = 1L << 30;

  private static IOException damage(Path file) {
    return new IOException(file + ": has shrunk");
  }

  private interface Mapping {
    MappedFile of(Path file, boolean copyOnWrite) throws IOException;
  }

  private static Stream<Arguments> mappings() {
    Mapping byJava =
        (file, copyOnWrite) -> MappedFile.mappedByJava(file, copyOnWrite, MappedFileTest::damage);
    Mapping byEither =
        (file, copyOnWrite) -> MappedFile.open(file, copyOnWrite, MappedFileTest::damage);
    Arguments java = Arguments.of("Java", byJava);
    Arguments either = Arguments.of("the native library", byEither);
    return NativeLibrary.isLoaded() ? Stream.of(java, either) : Stream.of(java);
  }

  /** A write to a part is visible when the part is requested again. */
  @ParameterizedTest(name = "by {0}")
  @MethodSource("mappings")
  void aPartIsTheSameMemoryEachTime(String by, Mapping mapping) throws IOException {
    Path file = Files.write(folder.resolve("parts"), new byte[16]);
    MappedFile mapped = mapping.of(file, true);
    Storage first = Storage.mapped(mapped.share(), 4, 8);
    Storage second = Storage.mapped(mapped.share(), 4, 8);
    first.putFloat(1, 99);
    assertEquals(99, second.getFloat(1));
    second.close();
    first.close();
    Storage third = Storage.mapped(mapped.share(), 4, 8);
    assertEquals(99, third.getFloat(1));
    third.close();
    mapped.close();
    assertArrayEquals(new byte[16], Files.readAllBytes(file));
  }

  /** A file with holes, which takes space only where it is written. */
  @ParameterizedTest(name = "by {0}")
  @MethodSource("mappings")
  @DisabledOnOs(value = OS.WINDOWS, disabledReason = "a gigabyte would be written there")
  void partsOfMoreThanOneBuffer(String by, Mapping mapping) throws IOException {
    Path file = folder.resolve("large");
    byte[] around = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
    try (RandomAccessFile writing = new RandomAccessFile(file.toFile(), "rw")) {
      writing.seek(4 + MEET - 4);
      writing.write(around);
    }
    MappedFile mapped = mapping.of(file, true);
    assertEquals(4 + MEET + 8, mapped.bytes());
    assertFalse(mapped.isDamaged());
    ByteBuffer end = ByteBuffer.allocate(8);
    mapped.read(4 + MEET, end);
    assertArrayEquals(new byte[] {5, 6, 7, 8, 9, 10, 11, 12}, end.array());
    assertThrows(EOFException.class, () -> mapped.read(4 + MEET + 1, ByteBuffer.allocate(8)));
    Storage whole = Storage.mapped(mapped.share(), 4, MEET + 8);
    Storage bytes = Storage.mapped(mapped.share(), 4, MEET + 3);
    assertEquals(MEET / 4 + 2, whole.elements());
    byte[] read = new byte[12];
    whole.getBytes(MEET - 4, read, 12);
    assertArrayEquals(around, read);
    assertEquals(5, bytes.getByte(MEET));
    assertEquals(7, bytes.getByte(MEET + 2));
    assertThrows(IndexOutOfBoundsException.class, () -> bytes.getByte(MEET + 3));
    whole.putFloat(MEET / 4, 2);
    assertEquals(2, whole.getFloat(MEET / 4));
    whole.close();
    bytes.close();
    mapped.close();
    try (MappedFile again = mapping.of(file, false)) {
      again.read(4 + MEET, end.clear());
      assertEquals(5, end.get(0), "what was written is in the file");
    }
  }

  @ParameterizedTest(name = "by {0}")
  @MethodSource("mappings")
  void sharedMappingsEndWithTheirLastOwner(String by, Mapping mapping) throws IOException {
    Path file = Files.write(folder.resolve("file"), new byte[] {1, 2, 3, 4});
    MappedFile mapped = mapping.of(file, false);
    assertFalse(mapped.isCopyOnWrite());
    assertEquals(file, mapped.file());
    mapped.share().close();
    ByteBuffer all = ByteBuffer.allocate(4);
    mapped.read(0, all);
    assertArrayEquals(new byte[] {1, 2, 3, 4}, all.array());
    Storage storage = Storage.mapped(mapped, 0, 4);
    assertTrue(storage.isReadOnly());
    storage.close();
  }

  @ParameterizedTest(name = "by {0}")
  @MethodSource("mappings")
  @DisabledOnOs(value = OS.WINDOWS, disabledReason = "mapped files are not cut short there")
  void filesThatAreCutShortAreDamaged(String by, Mapping mapping) throws IOException {
    Path file = Files.write(folder.resolve("file"), new byte[100_000]);
    try (MappedFile mapped = mapping.of(file, false)) {
      assertFalse(mapped.isDamaged());
      Files.write(file, new byte[99_999]);
      assertTrue(mapped.isDamaged());
    }
  }

  /** Appended bytes are ignored, and do no harm. */
  @ParameterizedTest(name = "by {0}")
  @MethodSource("mappings")
  @DisabledOnOs(value = OS.WINDOWS, disabledReason = "mapped files do not grow there")
  void filesThatGrowAreNotDamaged(String by, Mapping mapping) throws IOException {
    Path file = Files.write(folder.resolve("file"), new byte[] {1, 2, 3, 4});
    try (MappedFile mapped = mapping.of(file, false)) {
      Files.write(file, new byte[10_000], StandardOpenOption.APPEND);
      assertFalse(mapped.isDamaged());
      mapped.requireIntact();
      assertEquals(4, mapped.bytes());
      ByteBuffer all = ByteBuffer.allocate(4);
      mapped.read(0, all);
      assertArrayEquals(new byte[] {1, 2, 3, 4}, all.array());
    }
  }
}
