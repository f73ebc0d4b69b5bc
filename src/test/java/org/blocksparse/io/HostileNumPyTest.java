// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.io;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.Stream;
import java.util.zip.CRC32;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;
import org.blocksparse.FileFormatException;
import org.blocksparse.FloatTensor;
import org.blocksparse.programs.RefusedFilesProgram;
import org.blocksparse.testing.ChildJvm;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Malformed arrays and archives, and unusual ones. */
final class HostileNumPyTest {
  @TempDir Path folder;

  private static byte[] npy(int major, int minor, String header, int dataBytes) {
    ByteBuffer buffer =
        ByteBuffer.allocate(12 + header.length() + dataBytes).order(ByteOrder.LITTLE_ENDIAN);
    buffer.put((byte) 0x93).put("NUMPY".getBytes(ISO_8859_1)).put((byte) major).put((byte) minor);
    if (major == 1) {
      buffer.putShort((short) header.length());
    } else {
      buffer.putInt(header.length());
    }
    buffer.put(header.getBytes(ISO_8859_1));
    byte[] bytes = new byte[buffer.position() + dataBytes];
    System.arraycopy(buffer.array(), 0, bytes, 0, buffer.position());
    return bytes;
  }

  private static byte[] npy(String header) {
    return npy(1, 0, header, 24);
  }

  private static String header(String type, String shape) {
    return "{'descr': '" + type + "', 'fortran_order': False, 'shape': (" + shape + "), }\n";
  }

  static Stream<Arguments> lies() {
    String right = header("<f4", "2, 3");
    return Stream.of(
        Arguments.of("empty", "magic number is cut off", new byte[0]),
        Arguments.of("not NumPy's", "does not begin", new byte[100]),
        Arguments.of("version 0", "version 0.0", npy(0, 0, right, 24)),
        Arguments.of("version 4", "version 4.0", npy(4, 0, right, 24)),
        Arguments.of("version 1.1", "version 1.1", npy(1, 1, right, 24)),
        Arguments.of("long header", "more than 10000", npy(2, 0, " ".repeat(20000) + right, 24)),
        Arguments.of("negative header", "4294967295 bytes", negativeLength()),
        Arguments.of("cut header", "header is cut off", Arrays.copyOf(npy(right), 30)),
        Arguments.of("cut data", "claims", npy(1, 0, right, 23)),
        Arguments.of("more data", "claims", npy(1, 0, right, 25)),
        Arguments.of("no dictionary", "no dictionary", npy("[1, 2]\n")),
        Arguments.of("code", "no dictionary", npy("__import__('os').system('true')\n")),
        Arguments.of("a call as a value", "no dictionary", npy(right.replace("False", "f()"))),
        Arguments.of("no shape", "without", npy("{'descr': '<f4', 'fortran_order': False, }\n")),
        Arguments.of("no type", "without", npy(right.replace("'<f4'", "1"))),
        Arguments.of("neither order", "without", npy(right.replace("False", "Maybe"))),
        Arguments.of("a field twice", "twice", npy(right.replace("{", "{'shape': (1,), "))),
        Arguments.of("unknown field", "unknown field", npy(right.replace("shape", "form"))),
        Arguments.of("objects", "has the type |O", npy(header("|O", "2, 3"))),
        Arguments.of("halves", "has the type <f2", npy(header("<f2", "2, 3"))),
        Arguments.of("complex", "has the type <c8", npy(header("<c8", "2, 3"))),
        Arguments.of("negative", "is negative", npy(header("<f4", "-2, -3"))),
        Arguments.of("a comma alone", "has the shape (,)", npy(header("<f4", ","))),
        Arguments.of("commas", "has the shape (2, 3,,)", npy(header("<f4", "2, 3,,"))),
        Arguments.of("no comma", "no dictionary", npy(right.replace("False,", "False"))),
        Arguments.of("words", "has the shape", npy(header("<f4", "two, 3"))),
        Arguments.of("beyond 2^63", "has the shape", npy(header("<f4", "9223372036854775808"))),
        Arguments.of("overflow", "too many", npy(header("<f4", "4294967296, 4294967296"))),
        Arguments.of("too many bytes", "bytes", npy(header("<f8", "2305843009213693951"))),
        Arguments.of("larger than the file", "claims", npy(header("<f4", "1000000000000"))),
        Arguments.of("dimensions", "more than 32", npy(header("<f4", "1,".repeat(33)))),
        Arguments.of("brackets", "no dictionary", npy("{" + "(".repeat(5000))),
        Arguments.of("quotes", "no dictionary", npy("{" + "'a':'b',".repeat(1000) + "x")));
  }

  private static byte[] negativeLength() {
    byte[] bytes = npy(3, 0, header("<f4", "2, 3"), 24);
    ByteBuffer.wrap(bytes).putInt(8, -1);
    return bytes;
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("lies")
  void isRefused(String name, String reason, byte[] array) throws IOException {
    Path npy = folder.resolve("lie.npy");
    Files.write(npy, array);
    assertRefused(npy, "array", reason, () -> NpyFile.readFloats(npy).close());
    Path zip = folder.resolve("lie.npz");
    try (ZipOutputStream out = new ZipOutputStream(Files.newOutputStream(zip))) {
      entry(out, "W.npy", array);
    }
    assertRefused(
        zip,
        "W",
        reason,
        () -> {
          try (NpzFile npz = NpzFile.open(zip)) {
            npz.floats("W").close();
          }
        });
  }

  private static void entry(ZipOutputStream out, String name, byte[] bytes) throws IOException {
    out.putNextEntry(new ZipEntry(name));
    out.write(bytes);
    out.closeEntry();
  }

  private interface Action {
    void run() throws IOException;
  }

  /** Opens an archive and reads its tensor W. */
  private static void readW(Path file) throws IOException {
    try (NpzFile npz = NpzFile.open(file)) {
      npz.floats("W").close();
    }
  }

  private static void assertRefused(Path file, String part, String reason, Action action) {
    long before = FloatTensor.allocatedBytes();
    FileFormatException refused = assertThrows(FileFormatException.class, action::run);
    assertEquals(file, refused.file());
    assertEquals(part, refused.part());
    assertTrue(refused.reason().contains(reason), refused.getMessage());
    assertTrue(FloatTensor.allocatedBytes() - before < 1 << 20, "memory was kept");
  }

  @Test
  void valuesThatDoNotFit() throws IOException {
    byte[] array = npy(1, 0, header("<f8", "1"), 8);
    ByteBuffer.wrap(array).order(ByteOrder.LITTLE_ENDIAN).putDouble(array.length - 8, 1e39);
    Path file = folder.resolve("large.npy");
    Files.write(file, array);
    assertRefused(file, "array", "element 0 = 1.0E39", () -> NpyFile.readFloats(file).close());
    byte[] ints = npy(1, 0, header("<i8", "1"), 8);
    ByteBuffer.wrap(ints).order(ByteOrder.LITTLE_ENDIAN).putLong(ints.length - 8, 1L << 31);
    Files.write(file, ints);
    assertRefused(file, "array", "element 0 = 2147483648", () -> NpyFile.readInts(file).close());
  }

  @Test
  void archivesThatLie() throws IOException {
    Path file = folder.resolve("lie.npz");
    byte[] right = npy(header("<f4", "2, 3"));
    for (String name : List.of("../W.npy", "/W.npy", "a\\W.npy", "C:W.npy", ".npy")) {
      try (ZipOutputStream out = new ZipOutputStream(Files.newOutputStream(file))) {
        entry(out, name, right);
      }
      assertRefused(file, name, "could be a path", () -> NpzFile.open(file).close());
    }

    // ZipOutputStream writes no name twice: 'V.npy' is renamed afterwards, wherever it occurs.
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (ZipOutputStream out = new ZipOutputStream(bytes)) {
      entry(out, "W.npy", right);
      entry(out, "V.npy", right);
    }
    String twice = bytes.toString(ISO_8859_1).replace("V.npy", "W.npy");
    Files.write(file, twice.getBytes(ISO_8859_1));
    assertRefused(file, "W", "twice", () -> NpzFile.open(file).close());

    Files.write(file, new byte[1000]);
    assertRefused(file, "archive", "no zip file", () -> NpzFile.open(file).close());
    Files.write(file, Arrays.copyOf(bytes.toByteArray(), bytes.size() - 30));
    assertRefused(file, "archive", "no zip file", () -> NpzFile.open(file).close());

    Files.write(file, bytes.toByteArray());
    try (NpzFile npz = NpzFile.open(file)) {
      assertRefused(file, "b1", "is missing", () -> npz.floats("b1").close());
    }
    assertThrows(NoSuchFileException.class, () -> NpzFile.open(folder.resolve("nothing.npz")));
  }

  @Test
  void zipBombs() throws IOException {
    Path file = folder.resolve("bomb.npz");
    long size = 200L << 20;
    try (ZipOutputStream out = new ZipOutputStream(Files.newOutputStream(file))) {
      out.putNextEntry(new ZipEntry("W.npy"));
      zeros(out, size);
      out.closeEntry();
    }
    assertTrue(Files.size(file) < size / 500);
    try (NpzFile npz = NpzFile.open(file)) {
      assertRefused(file, "W", "zip bomb", () -> npz.floats("W").close());
    }
    // An uncompressed entry: that many bytes really exist.
    CRC32 crc = new CRC32();
    zeros(
        new OutputStream() {
          @Override
          public void write(int b) {
            crc.update(b);
          }

          @Override
          public void write(byte[] bytes, int offset, int length) {
            crc.update(bytes, offset, length);
          }
        },
        size);
    ZipEntry stored = new ZipEntry("W.npy");
    stored.setMethod(ZipEntry.STORED);
    stored.setCrc(crc.getValue());
    stored.setSize(size + 10 + header("<f4", Long.toString(size / 4)).length());
    try (ZipOutputStream out = new ZipOutputStream(Files.newOutputStream(file))) {
      out.putNextEntry(stored);
      zeros(out, size);
      out.closeEntry();
    }
    try (NpzFile npz = NpzFile.open(file);
        FloatTensor W = npz.floats("W")) {
      assertEquals(size / 4, W.shape().size());
    }
  }

  private static void zeros(OutputStream out, long bytes) throws IOException {
    out.write(npy(1, 0, header("<f4", Long.toString(bytes / 4)), 0));
    byte[] piece = new byte[1 << 20];
    for (long done = 0; done < bytes; done += piece.length) {
      out.write(piece);
    }
  }

  @Test
  void infinitiesOfFloat64StayInfinities() throws IOException {
    byte[] array = npy(1, 0, header("<f8", "3"), 24);
    ByteBuffer values = ByteBuffer.wrap(array).order(ByteOrder.LITTLE_ENDIAN);
    values.putDouble(array.length - 24, Double.POSITIVE_INFINITY);
    values.putDouble(array.length - 16, Double.NEGATIVE_INFINITY);
    values.putDouble(array.length - 8, Double.NaN);
    Path file = folder.resolve("infinite.npy");
    Files.write(file, array);
    try (FloatTensor tensor = NpyFile.readFloats(file)) {
      assertArrayEquals(
          new float[] {Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY, Float.NaN},
          tensor.toArray());
    }
  }

  /** Returns an archive of one array, whose directory may claim anything about it. */
  private static byte[] archive(byte[] array, int method, long compressed, long size)
      throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (ZipOutputStream out = new ZipOutputStream(bytes)) {
      ZipEntry entry = new ZipEntry("W.npy");
      CRC32 crc = new CRC32();
      crc.update(array);
      entry.setMethod(method);
      entry.setSize(array.length);
      entry.setCrc(crc.getValue());
      out.putNextEntry(entry);
      out.write(array);
      out.closeEntry();
    }
    ByteBuffer zip = ByteBuffer.wrap(bytes.toByteArray()).order(ByteOrder.LITTLE_ENDIAN);
    int directory = zip.getInt(zip.capacity() - 22 + 16);
    zip.putInt(directory + 20, (int) compressed).putInt(directory + 24, (int) size);
    return zip.array();
  }

  static Stream<Arguments> archivesThatClaim() throws IOException {
    long gigabytes = 2_000_000_000L;
    byte[] claiming = npy(1, 0, header("<f4", Long.toString(gigabytes / 4)), 0);
    long size = claiming.length + gigabytes;
    byte[] small = npy(1, 0, header("<f4", "10000000"), 0);
    long smallSize = small.length + 40_000_000L;
    int deflated = ZipEntry.DEFLATED;
    int stored = ZipEntry.STORED;
    return Stream.of(
        Arguments.of("stored, both", archive(claiming, stored, size, size), "the archive has only"),
        Arguments.of("stored, size", archive(claiming, stored, 92, size), "not compressed"),
        Arguments.of(
            "deflated", archive(claiming, deflated, size / 50, size), "the archive has only"),
        Arguments.of("cannot grow so far", archive(small, deflated, 80, smallSize), "can grow"));
  }

  /** Only claims that the size of the archive proves are trusted. */
  @ParameterizedTest(name = "{0}")
  @MethodSource("archivesThatClaim")
  void sizesThatTheArchiveDoesNotProve(String name, byte[] archive, String reason)
      throws IOException {
    Path file = folder.resolve("claim.npz");
    Files.write(file, archive);
    AtomicLong most = new AtomicLong();
    long before = FloatTensor.allocatedBytes();
    Thread watching =
        new Thread(
            () -> {
              while (!Thread.currentThread().isInterrupted()) {
                most.accumulateAndGet(FloatTensor.allocatedBytes() - before, Math::max);
                Thread.onSpinWait();
              }
            });
    watching.start();
    try {
      assertRefused(file, "W", reason, () -> readW(file));
    } finally {
      watching.interrupt();
    }
    assertTrue(most.get() < 1 << 20, most + " bytes were taken");
  }

  /** Two archives of one size: a claimed compressed size of a fiftieth is not trusted. */
  @Test
  void aBombDoesNotHideItsRatio() throws IOException {
    long size = 200L << 20;
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (ZipOutputStream out = new ZipOutputStream(bytes)) {
      out.putNextEntry(new ZipEntry("W.npy"));
      zeros(out, size);
      out.closeEntry();
    }
    ByteBuffer zip = ByteBuffer.wrap(bytes.toByteArray()).order(ByteOrder.LITTLE_ENDIAN);
    int directory = zip.getInt(zip.capacity() - 22 + 16);
    zip.putInt(directory + 20, (int) (size / 50));
    Path file = folder.resolve("bomb.npz");
    Files.write(file, zip.array());
    assertRefused(file, "W", "the archive has only", () -> readW(file));
  }

  @Test
  void damagedContentIsNoticed() throws IOException {
    Path file = folder.resolve("damaged.npz");
    byte[] array = npy(header("<f4", "2, 3"));
    byte[] archive = archive(array, ZipEntry.STORED, array.length, array.length);
    archive[30 + "W.npy".length() + array.length - 1] ^= 1;
    Files.write(file, archive);
    assertRefused(file, "W", "checksum", () -> readW(file));
  }

  /** Java reads the directory of an archive as a whole; this one is larger than the heap. */
  @Tag("packaged")
  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void largeDirectoriesAreRefusedBeforeTheyAreRead(boolean large) throws IOException {
    Path file = folder.resolve("directory.npz");
    ByteBuffer entry = ByteBuffer.allocate(46 + 60_000).order(ByteOrder.LITTLE_ENDIAN);
    entry.putInt(0, 0x02014b50).putShort(28, (short) 1).putShort(30, (short) 59_999);
    int entries = 1500;
    long size = (long) entries * entry.capacity();
    try (OutputStream out = Files.newOutputStream(file)) {
      for (int i = 0; i < entries; i++) {
        out.write(entry.array());
      }
      if (large) {
        ByteBuffer end64 = ByteBuffer.allocate(56 + 20).order(ByteOrder.LITTLE_ENDIAN);
        end64.putInt(0, 0x06064b50).putLong(4, 44).putLong(24, entries).putLong(32, entries);
        end64.putLong(40, size).putLong(48, 0);
        end64.putInt(56, 0x07064b50).putLong(56 + 8, size).putInt(56 + 16, 1);
        out.write(end64.array());
      }
      ByteBuffer end = ByteBuffer.allocate(22).order(ByteOrder.LITTLE_ENDIAN);
      end.putInt(0, 0x06054b50).putShort(8, (short) entries).putShort(10, (short) entries);
      end.putInt(12, large ? -1 : (int) size).putInt(16, large ? -1 : 0);
      out.write(end.array());
    }
    ChildJvm.Result result =
        new ChildJvm(folder.resolve("cache"))
            .option("-Xmx64m")
            .property("blocksparse.backend", "java")
            .run(RefusedFilesProgram.class, RefusedFilesProgram.ARCHIVE, file.toString());
    assertEquals(0, result.exit(), result.toString());
  }
}
