// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.io;

import static org.blocksparse.testing.GgufBytes.ARRAY;
import static org.blocksparse.testing.GgufBytes.BOOL;
import static org.blocksparse.testing.GgufBytes.F32;
import static org.blocksparse.testing.GgufBytes.FLOAT32;
import static org.blocksparse.testing.GgufBytes.Q8_0;
import static org.blocksparse.testing.GgufBytes.STRING;
import static org.blocksparse.testing.GgufBytes.UINT32;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.blocksparse.FileFormatException;
import org.blocksparse.FloatTensor;
import org.blocksparse.testing.GgufBytes;
import org.blocksparse.testing.ThreadHeap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Malformed GGUF files: each ends in one exception that names the file, the part and the reason.
 */
final class HostileGgufTest {
  /** The heap that the claims of a small file may take. */
  private static final long MOST_HEAP = 1 << 20;

  private static final long LARGEST = Long.MAX_VALUE;

  @TempDir private Path folder;

  private static Arguments of(String part, String reason, GgufBytes bytes) {
    return Arguments.of(part, reason, bytes.bytes());
  }

  private static GgufBytes value(String key, int type) {
    return GgufBytes.of(0, 1).key(key, type);
  }

  private static GgufBytes array(int type, long count) {
    return value("a", ARRAY).ints(type).longs(count);
  }

  private static GgufBytes tensor(int type, long offset, long... dims) {
    return GgufBytes.of(1, 0).tensor("t", type, offset, dims).aligned(32).ints(0, 0);
  }

  static Stream<Arguments> headers() {
    GgufBytes deep = value("a", ARRAY);
    for (int i = 0; i < 1000; i++) {
      deep.ints(ARRAY).longs(1);
    }
    return Stream.of(
        of("file", "is empty", new GgufBytes()),
        of("header", "ends at byte 3", new GgufBytes().raw("GGU")),
        of("header", "does not begin with GGUF", new GgufBytes().raw("GGML").longs(0, 0, 0)),
        of("header", "is big-endian", new GgufBytes().raw("GGUF").raw(0, 0, 0, 3).longs(0, 0)),
        of("header", "has version 1,", new GgufBytes().raw("GGUF").ints(1, 0, 0)),
        of("header", "has version 4,", new GgufBytes().raw("GGUF").ints(4).longs(0, 0)),
        of("header", "has version 4294967295,", new GgufBytes().raw("GGUF").ints(-1).longs(0, 0)),
        of("header", "18446744073709551615 tensors do not fit", GgufBytes.of(-1, 0)),
        of("header", LARGEST + " tensors do not fit", GgufBytes.of(LARGEST, 0)),
        of("header", "1 tensors do not fit into the 8 bytes", GgufBytes.of(1, 0)),
        of("header", "1 values of metadata do not fit", GgufBytes.of(0, 1).raw("123456789012")),
        of("key 0", LARGEST + " bytes of text", GgufBytes.of(0, 1).longs(LARGEST).longs(0)),
        of("key 0", "6 bytes of text do not fit", GgufBytes.of(0, 1).longs(6).raw("12345")),
        of("key 0", "is not UTF-8", GgufBytes.of(0, 1).text("\u00c0").ints(BOOL).raw(0)),
        of("a", "unknown type 13", value("a", 13).longs(0)),
        of("a", "unknown type 4294967295", value("a", -1).longs(0)),
        of("a", "boolean of 2", value("a", BOOL).raw(2)),
        of("a", "is cut off", value("a", UINT32)),
        of("a", "-1 bytes of text".replace("-1", "18446744073709551615"), value("a", 8).longs(-1)),
        of("a", LARGEST + " elements", array(UINT32, LARGEST)),
        of("a", (1L << 62) + " elements", array(UINT32, 1L << 62).ints(1)),
        of("a", "2 elements do not fit into the 7 bytes", array(UINT32, 2).raw("1234567")),
        of("a", "2 elements do not fit into the 15 bytes", array(STRING, 2).text("1234567")),
        of("a", "9 bytes of text do not fit", array(STRING, 1).longs(9).longs(0)),
        of("a", "boolean of -1", array(BOOL, 3).raw(0, 1, 255)),
        of("a", "unknown type 99", array(99, 0)),
        of("a", "nests arrays more than 4 deep", deep),
        of("a", "is there twice", GgufBytes.of(0, 2).key("a", BOOL).raw(0).key("a", BOOL).raw(0)),
        of("general.alignment", "is no UINT32 but", value("general.alignment", BOOL).raw(1)),
        of("general.alignment", "0 is no power", value("general.alignment", UINT32).ints(0)),
        of("general.alignment", "24 is no power", value("general.alignment", UINT32).ints(24)),
        of("general.alignment", "no UINT32", value("general.alignment", FLOAT32).ints(32)),
        of("header", "has 65537 tensors", GgufBytes.of(65537, 0).raw(new int[24 * 65537])),
        of("header", "65537 values", GgufBytes.of(0, 65537).raw(new int[13 * 65537])));
  }

  static Stream<Arguments> tensors() {
    GgufBytes aligned = GgufBytes.of(1, 1).key("general.alignment", UINT32).ints(1 << 31);
    return Stream.of(
        of("tensor 0", LARGEST + " bytes of text", GgufBytes.of(1, 0).longs(LARGEST, 0, 0)),
        of("tensor 0", "is not UTF-8", GgufBytes.of(1, 0).tensor("\u00ff", F32, 0, 1).ints(0)),
        of("t", "5 dimensions", tensor(F32, 0, 1, 1, 1, 1, 1)),
        of("t", "4294967295 dimensions", GgufBytes.of(1, 0).text("t").ints(-1).longs(0, 0)),
        of("t", "is cut off", GgufBytes.of(1, 0).text("t").ints(4).longs(1, 1)),
        of("t", "is negative", tensor(F32, 0, -1)),
        of("t", "too many elements", tensor(F32, 0, 1L << 32, 1L << 32)),
        of("t", "too many elements", tensor(F32, 0, LARGEST, 2, 1, 3)),
        of("t", "too many bytes", tensor(F32, 0, 1L << 60)),
        of("t", "rows of 31 elements, no multiple of Q8_0's 32", tensor(Q8_0, 0, 31, 32)),
        of("t", "rows of 1 elements", tensor(Q8_0, 0)),
        of("t", "ends at byte 76, the file at 72", tensor(F32, 0, 3)),
        of("t", "ends at byte", tensor(F32, 0, 1L << 40)),
        of("t", "ends at byte", tensor(F32, 64, 1)),
        of("t", "begins at byte 18446744073709551584 of the data", tensor(F32, -32, 1)),
        of("t", "begins at byte 9223372036854775776 of the data", tensor(F32, LARGEST - 31, 1)),
        of("t", "begins at byte 4 of the data, no multiple of the alignment", tensor(F32, 4, 1)),
        of("t", "ends at byte 2147483652", aligned.tensor("t", F32, 0, 1).longs(0, 0, 0)),
        of(
            "t",
            "is there twice",
            GgufBytes.of(2, 0).tensor("t", F32, 0, 1).tensor("t", F32, 32, 1)),
        of(
            "t",
            "overlaps another tensor: ends at byte 132, the other begins at 128",
            GgufBytes.of(2, 0)
                .tensor("u", F32, 32, 1)
                .tensor("t", F32, 0, 9)
                .aligned(32)
                .longs(new long[16])),
        of(
            "t",
            "overlaps another tensor",
            GgufBytes.of(2, 0)
                .tensor("u", F32, 0, 9)
                .tensor("t", F32, 0, 8)
                .aligned(32)
                .longs(new long[16])));
  }

  @ParameterizedTest(name = "{0}: {1}")
  @MethodSource({"headers", "tensors"})
  void isRefused(String part, String reason, byte[] bytes) throws IOException {
    Path file = Files.write(folder.resolve("hostile"), bytes);
    long memory = FloatTensor.allocatedBytes();
    long heap = ThreadHeap.taken();
    FileFormatException refused =
        assertThrows(FileFormatException.class, () -> GgufFile.open(file));
    long taken = ThreadHeap.taken() - heap;
    assertEquals(file, refused.file());
    assertEquals(part, refused.part());
    assertTrue(refused.reason().contains(reason), refused.getMessage());
    assertTrue(taken < MOST_HEAP, () -> taken + " bytes of the heap");
    assertEquals(memory, FloatTensor.allocatedBytes());
  }

  /** The file lacks the last byte of the last tensor, or more bytes. */
  @Test
  void eachByteIsNeeded() throws IOException {
    byte[] right = GgufFileTest.resource("types.gguf");
    Path file = folder.resolve("cut");
    int lastTensor = 12;
    int padding = 32 - lastTensor;
    Files.write(file, Arrays.copyOf(right, right.length - padding));
    GgufFile.open(file).close();
    for (int length = right.length - padding - 1; length >= 0; length -= length > 3000 ? 97 : 1) {
      Files.write(file, Arrays.copyOf(right, length));
      assertThrows(FileFormatException.class, () -> GgufFile.open(file));
    }
  }

  /** Returns arrays of small elements, whose objects would take many times their bytes. */
  static Stream<GgufBytes> largeArrays() {
    int count = 1 << 19;
    GgufBytes arrays = array(ARRAY, count);
    GgufBytes nested = array(ARRAY, count);
    for (int i = 0; i < count; i++) {
      arrays.ints(STRING).longs(0);
      nested.ints(ARRAY).longs(1).ints(ARRAY).longs(1).ints(STRING).longs(i % 3);
      for (int j = 0; j < i % 3; j++) {
        nested.text("");
      }
    }
    return Stream.of(
        array(STRING, count).raw(new int[8 * count]),
        array(BOOL, count).raw(new int[count]),
        array(FLOAT32, count).raw(new int[4 * count]),
        arrays,
        nested);
  }

  /** For a large file that is valid up to its end, nothing but its names stays in memory. */
  @ParameterizedTest
  @MethodSource("largeArrays")
  void metadataTakesNoHeapUntilItIsAskedFor(GgufBytes bytes) throws IOException {
    Path file = Files.write(folder.resolve("large"), bytes.bytes());
    long heap = ThreadHeap.taken();
    try (GgufFile gguf = GgufFile.open(file)) {
      assertTrue(ThreadHeap.taken() - heap < MOST_HEAP);
      List<?> all = (List<?>) gguf.metadata().get("a");
      assertEquals(1 << 19, all.size());
      assertTrue(ThreadHeap.taken() - heap < Files.size(file) * 3 / 2 + MOST_HEAP);
    }
  }

  /** A long name is rejected before it is read. */
  @Test
  void aLongNameIsRefused() throws IOException {
    GgufBytes bytes = GgufBytes.of(0, 1).longs(9 << 20).raw(new int[9 << 20]);
    Path file = Files.write(folder.resolve("long"), bytes.bytes());
    long heap = ThreadHeap.taken();
    FileFormatException refused =
        assertThrows(FileFormatException.class, () -> GgufFile.open(file));
    assertTrue(ThreadHeap.taken() - heap < MOST_HEAP);
    assertEquals("key 0", refused.part());
  }

  @Test
  void namesOfManyBytesAreRefused() throws IOException {
    GgufBytes bytes = GgufBytes.of(0, 9);
    for (int i = 0; i < 9; i++) {
      bytes.key(i + "x".repeat(1 << 20), BOOL).raw(0);
    }
    Path file = Files.write(folder.resolve("long"), bytes.bytes());
    FileFormatException refused =
        assertThrows(FileFormatException.class, () -> GgufFile.open(file));
    assertEquals("key 7", refused.part());
    assertTrue(refused.reason().contains("more than 8388608 bytes of keys"), refused.getMessage());
  }

  @Test
  void whatIsNotFiniteIsFoundWhenItIsRead() throws IOException {
    GgufBytes bytes = GgufBytes.of(2, 0).tensor("t", F32, 0, 3).tensor("q", Q8_0, 32, 32);
    bytes.aligned(32).ints(0, 0, Float.floatToIntBits(Float.NaN)).aligned(32);
    bytes.raw(0, 0x7c).raw(new int[31]).raw(1); // an infinite scale
    Path file = Files.write(folder.resolve("infinite"), bytes.bytes());
    long memory = FloatTensor.allocatedBytes();
    try (GgufFile gguf = GgufFile.open(file)) {
      FileFormatException nan = assertThrows(FileFormatException.class, () -> gguf.floats("t"));
      assertEquals("element 2 is NaN", nan.reason());
      FileFormatException infinite =
          assertThrows(FileFormatException.class, () -> gguf.floats("q"));
      assertEquals("element 0 is NaN", infinite.reason());
      assertEquals(memory, FloatTensor.allocatedBytes());
    }
  }

  /** Numbers of two or four bytes at odd addresses can be read. */
  @Test
  void onlyAlignedTensorsAreUsedWhereTheyLie() throws IOException {
    GgufBytes bytes = GgufBytes.of(1, 1).key("general.alignment", UINT32).ints(1);
    bytes.tensor("t", F32, 0, 1);
    int padding = (5 - bytes.bytes().length % 4) % 4;
    byte[] right = bytes.raw(new int[0]).bytes();
    ByteBuffer file = ByteBuffer.allocate(right.length + padding + 4);
    file.order(ByteOrder.LITTLE_ENDIAN).put(right);
    // The offset is the last number before the data.
    file.putLong(right.length - Long.BYTES, padding).position(right.length + padding);
    file.putFloat(3);
    Path path = Files.write(folder.resolve("odd"), file.array());
    try (GgufFile gguf = GgufFile.open(path);
        FloatTensor floats = gguf.floats("t")) {
      assertEquals(3, floats.get(0));
      FileFormatException refused =
          assertThrows(FileFormatException.class, () -> gguf.weights("t"));
      assertTrue(refused.reason().contains("no multiple of 4"), refused.getMessage());
      assertTrue(refused.reason().endsWith("floats() can read it"), refused.getMessage());
    }
  }
}
