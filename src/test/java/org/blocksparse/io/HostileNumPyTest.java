// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.io;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.stream.Stream;
import org.blocksparse.FileFormatException;
import org.blocksparse.FloatTensor;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Malformed arrays, and unusual ones. */
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
  }

  private interface Action {
    void run() throws IOException;
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
}
