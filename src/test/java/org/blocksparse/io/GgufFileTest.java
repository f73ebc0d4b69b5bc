// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.io;

import static org.blocksparse.testing.Failures.assertRejects;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.InputStream;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.SplittableRandom;
import org.blocksparse.ElementType;
import org.blocksparse.FileFormatException;
import org.blocksparse.FloatTensor;
import org.blocksparse.Shape;
import org.blocksparse.Weights;
import org.blocksparse.io.GgufFile.TensorInfo;
import org.blocksparse.testing.GgufBytes;
import org.blocksparse.testing.Seed;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Files that ggml has written: {@code src/test/resources/gguf} has the program that made them. */
final class GgufFileTest {
  private static final List<String> WIDENED =
      List.of(
          "f32", "f16", "bf16", "q8_0", "q4_0", "mxfp4", "q4_1", "q5_0", "q5_1", "iq4_nl", "q4_K",
          "q6_K", "q5_K", "q2_K", "q3_K", "iq4_xs", "iq3_s");

  @TempDir private Path folder;
  private Path file;

  @BeforeEach
  void write() throws IOException {
    file = Files.write(folder.resolve("types.gguf"), resource("types.gguf"));
  }

  static byte[] resource(String name) throws IOException {
    try (InputStream in = GgufFileTest.class.getResourceAsStream("/gguf/" + name)) {
      return Objects.requireNonNull(in, name).readAllBytes();
    }
  }

  /** Returns the floats that ggml widens the tensors to. */
  private static Map<String, float[]> expected() throws IOException {
    FloatBuffer all =
        ByteBuffer.wrap(resource("types.floats")).order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer();
    Map<String, float[]> floats = new LinkedHashMap<>();
    for (String name : WIDENED) {
      float[] values = new float[isLarge(name) ? 2 * 3 * 256 : 3 * 5 * 64];
      all.get(values);
      floats.put(name, values);
    }
    assertFalse(all.hasRemaining());
    return floats;
  }

  /** Returns whether a block has 256 elements. */
  private static boolean isLarge(String name) {
    return name.endsWith("K") || name.equals("iq4_xs") || name.equals("iq3_s");
  }

  private static int[] bits(float[] values) {
    int[] bits = new int[values.length];
    for (int i = 0; i < bits.length; i++) {
      bits[i] = Float.floatToRawIntBits(values[i]);
    }
    return bits;
  }

  @ParameterizedTest
  @ValueSource(ints = {2, 3})
  void floatsHaveTheBitsOfGgml(int version) throws IOException {
    byte[] bytes = resource("types.gguf");
    bytes[4] = (byte) version;
    Files.write(file, bytes);
    Map<String, float[]> expected = expected();
    try (GgufFile gguf = GgufFile.open(file)) {
      for (String name : WIDENED) {
        try (FloatTensor floats = gguf.floats(name)) {
          assertEquals(gguf.tensors().get(name).shape(), floats.shape());
          assertArrayEquals(bits(expected.get(name)), bits(floats.toArray()), name);
          floats.set(1, 0, 0, 0); // the tensor is the caller's
        }
      }
    }
  }

  @Test
  void tensorsAreListedInTheirOrder() throws IOException {
    try (GgufFile gguf = GgufFile.open(file)) {
      Shape small = Shape.of(3, 5, 64);
      Shape large = Shape.of(2, 3, 256);
      Map<String, TensorInfo> expected = new LinkedHashMap<>();
      expected.put("f32", new TensorInfo(small, "F32", 3840));
      expected.put("f16", new TensorInfo(small, "F16", 1920));
      expected.put("bf16", new TensorInfo(small, "BF16", 1920));
      expected.put("q8_0", new TensorInfo(small, "Q8_0", 1020));
      expected.put("q4_0", new TensorInfo(small, "Q4_0", 540));
      expected.put("mxfp4", new TensorInfo(small, "MXFP4", 510));
      expected.put("q4_1", new TensorInfo(small, "Q4_1", 600));
      expected.put("q5_0", new TensorInfo(small, "Q5_0", 660));
      expected.put("q5_1", new TensorInfo(small, "Q5_1", 720));
      expected.put("iq4_nl", new TensorInfo(small, "IQ4_NL", 540));
      expected.put("q4_K", new TensorInfo(large, "Q4_K", 864));
      expected.put("q6_K", new TensorInfo(large, "Q6_K", 1260));
      expected.put("q5_K", new TensorInfo(large, "Q5_K", 1056));
      expected.put("q2_K", new TensorInfo(large, "Q2_K", 504));
      expected.put("q3_K", new TensorInfo(large, "Q3_K", 660));
      expected.put("iq4_xs", new TensorInfo(large, "IQ4_XS", 816));
      expected.put("iq3_s", new TensorInfo(large, "IQ3_S", 660));
      expected.put("tq2_0", new TensorInfo(Shape.of(2, 256), "TQ2_0", 132));
      expected.put("i32", new TensorInfo(Shape.of(3), "I32", 12));
      assertEquals(List.copyOf(expected.entrySet()), List.copyOf(gguf.tensors().entrySet()));
      assertEquals("GgufFile(" + file + ", " + expected.keySet() + ")", gguf.toString());
    }
  }

  @Test
  void metadataHasItsTypes() throws IOException {
    try (GgufFile gguf = GgufFile.open(file)) {
      Map<String, Object> expected = new LinkedHashMap<>();
      BigInteger largest = BigInteger.TWO.pow(64).subtract(BigInteger.ONE);
      expected.put("general.architecture", "test");
      expected.put("u8", 255L);
      expected.put("i8", -128L);
      expected.put("u16", 65535L);
      expected.put("i16", -32768L);
      expected.put("u32", (1L << 32) - 1);
      expected.put("i32", (long) Integer.MIN_VALUE);
      expected.put("u64", largest);
      expected.put("i64", Long.MIN_VALUE);
      expected.put("f32", 0.1f);
      expected.put("f64", 0.1);
      expected.put("yes", true);
      expected.put("no", false);
      expected.put("empty", "");
      expected.put("u8s", List.of(1L, 255L));
      expected.put("i16s", List.of(1L, -1L));
      expected.put("u64s", List.of(1L, largest));
      expected.put("f32s", List.of(1f, 0.1f));
      expected.put("f64s", List.of(0.1));
      expected.put("bools", List.of(false, true, true));
      expected.put("none", List.of());
      expected.put("tokens", List.of("a", "", "é", "日本"));
      Map<String, Object> metadata = gguf.metadata();
      assertEquals(List.copyOf(expected.entrySet()), List.copyOf(metadata.entrySet()));
      List<?> tokens = (List<?>) metadata.get("tokens");
      assertThrows(IndexOutOfBoundsException.class, () -> tokens.get(4));
      assertThrows(UnsupportedOperationException.class, () -> tokens.remove(0));
      assertThrows(UnsupportedOperationException.class, metadata::clear);
    }
  }

  /** ggml writes no such file, but its format allows it. */
  @Test
  void arraysMayHoldArrays() throws IOException {
    GgufBytes bytes = GgufBytes.of(0, 1).key("a", GgufBytes.ARRAY).ints(GgufBytes.ARRAY).longs(2);
    bytes.ints(GgufBytes.STRING).longs(1).text("b").ints(GgufBytes.UINT32).longs(2).ints(3, 4);
    Files.write(file, bytes.bytes());
    try (GgufFile gguf = GgufFile.open(file)) {
      assertEquals(Map.of(), gguf.tensors());
      assertEquals(Map.of("a", List.of(List.of("b"), List.of(3L, 4L))), gguf.metadata());
    }
  }

  /** Arrays of every length, up to the deepest, whose elements are requested in any order. */
  @Test
  void nestedArraysHaveTheirElements() throws IOException {
    SplittableRandom random = new SplittableRandom(Seed.value());
    GgufBytes bytes = GgufBytes.of(0, 1).key("a", GgufBytes.ARRAY);
    List<Object> expected = addArray(bytes, random, 1);
    Files.write(file, bytes.bytes());
    try (GgufFile gguf = GgufFile.open(file)) {
      List<?> actual = (List<?>) gguf.metadata().get("a");
      assertEquals(expected, actual);
      for (int i = expected.size() - 1; i >= 0; i--) {
        assertEquals(expected.get(i), actual.get(i));
      }
    }
  }

  private static List<Object> addArray(GgufBytes bytes, SplittableRandom random, int depth) {
    boolean isInner = depth < 4 && random.nextInt(4) > 0;
    boolean isText = random.nextBoolean();
    int count = depth == 1 ? 30 : random.nextInt(5);
    bytes.ints(isInner ? GgufBytes.ARRAY : isText ? GgufBytes.STRING : GgufBytes.UINT32);
    bytes.longs(count);
    List<Object> elements = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      if (isInner) {
        elements.add(addArray(bytes, random, depth + 1));
      } else if (isText) {
        elements.add("ab".repeat(random.nextInt(3)));
        bytes.text((String) elements.get(i));
      } else {
        elements.add((long) random.nextInt(1 << 30));
        bytes.ints((int) (long) elements.get(i));
      }
    }
    return elements;
  }

  /** Tensors lie at other multiples than usual, and in another order than that of their names. */
  @Test
  void alignmentIsTheFiles() throws IOException {
    GgufBytes bytes = GgufBytes.of(3, 1).key("general.alignment", GgufBytes.UINT32).ints(64);
    bytes.tensor("a", GgufBytes.F32, 64, 2, 1).tensor("b", 77, 128, 5).tensor("c", 0, 0);
    bytes.aligned(64).ints(Float.floatToIntBits(3)).aligned(64);
    bytes.ints(Float.floatToIntBits(1), Float.floatToIntBits(2)).aligned(64).raw(1, 2, 3);
    Files.write(file, bytes.bytes());
    try (GgufFile gguf = GgufFile.open(file);
        FloatTensor a = gguf.floats("a");
        FloatTensor c = gguf.floats("c");
        Weights wide = gguf.weights("a");
        FloatTensor same = wide.widened()) {
      assertArrayEquals(new float[] {1, 2}, a.toArray());
      assertArrayEquals(new float[] {3}, c.toArray());
      assertEquals(Shape.of(), c.shape());
      assertEquals(Shape.of(1, 1, 2, 1), wide.shape());
      assertArrayEquals(new float[] {1, 2}, same.toArray());
      assertEquals(new TensorInfo(Shape.of(5), "type 77", 3), gguf.tensors().get("b"));
    }
  }

  @Test
  void tensorsMayBeEmpty() throws IOException {
    GgufBytes bytes = GgufBytes.of(4, 0).tensor("none", GgufBytes.F32, 0, 3, 0);
    bytes.tensor("in", GgufBytes.Q8_0, 0, 0, 5).tensor("out", GgufBytes.Q8_0, 0, 32, 0);
    bytes.tensor("experts", GgufBytes.Q8_0, 0, 32, 5, 0).aligned(32);
    Files.write(file, bytes.bytes());
    Map<String, Shape> expected =
        Map.of(
            "none", Shape.of(1, 1, 3, 0),
            "in", Shape.of(1, 1, 0, 5),
            "out", Shape.of(1, 1, 32, 0),
            "experts", Shape.of(1, 0, 32, 5));
    try (GgufFile gguf = GgufFile.open(file)) {
      for (String name : gguf.tensors().keySet()) {
        try (FloatTensor floats = gguf.floats(name);
            Weights weights = gguf.weights(name);
            FloatTensor widened = weights.widened()) {
          assertEquals(0, floats.shape().size());
          assertEquals(expected.get(name), weights.shape());
          assertEquals(0, widened.toArray().length);
        }
      }
    }
  }

  @ParameterizedTest
  @CsvSource({
    "f32, FLOAT32, 1, 3",
    "f16, FLOAT16, 3, 1",
    "bf16, BFLOAT16, 1, 3",
    "f16, FLOAT16, 1, 3"
  })
  void weightsLieInTheFile(String name, ElementType type, int iBlocks, int oBlocks)
      throws IOException {
    long before = FloatTensor.allocatedBytes();
    Weights weights;
    try (GgufFile gguf = GgufFile.open(file)) {
      weights = iBlocks == 1 ? gguf.weights(name) : gguf.weights(List.of(name), iBlocks, oBlocks);
      assertEquals(before, FloatTensor.allocatedBytes());
    }
    float[] expected = expected().get(name);
    try (weights; // the weights outlive the file
        FloatTensor widened = weights.widened()) {
      assertEquals(type, weights.type());
      assertEquals(Shape.of(iBlocks, oBlocks, 64, 5), weights.shape());
      for (int e = 0; e < 3; e++) {
        for (int in = 0; in < 64; in++) {
          for (int out = 0; out < 5; out++) {
            float value = widened.get(iBlocks == 1 ? 0 : e, iBlocks == 1 ? e : 0, in, out);
            assertEquals(expected[(e * 5 + out) * 64 + in], value);
          }
        }
      }
    }
  }

  @ParameterizedTest
  @CsvSource({
    "q8_0, Q8_0, 1, 3, 5, 64, 1.0",
    "q4_0, Q4_0, 3, 1, 5, 64, 1.0",
    "mxfp4, MXFP4, 1, 3, 5, 64, 1.0",
    "q4_K, Q4_K, 1, 2, 3, 256, 1.028",
    "q6_K, Q6_K, 2, 1, 3, 256, 1.0",
    "q5_K, Q5_K, 2, 1, 3, 256, 1.023",
    "iq4_nl, IQ4_NL, 1, 3, 5, 64, 1.0",
    "iq4_xs, IQ4_XS, 1, 2, 3, 256, 1.015",
    "q5_1, Q5_1, 1, 3, 5, 64, 1.0",
    "q4_1, Q5_1, 1, 3, 5, 64, 1.2",
    "q5_0, Q8_0, 1, 3, 5, 64, 1.545",
    "q2_K, Q2_K, 1, 2, 3, 256, 1.19",
    "q3_K, Q6_K, 1, 2, 3, 256, 1.909",
    "iq3_s, Q6_K, 2, 1, 3, 256, 1.909"
  })
  void weightsOfWholeNumbersKeepThem(
      String name, ElementType type, int iBlocks, int oBlocks, int out, int in, double size)
      throws IOException {
    try (FloatTensor expected = blocks(expected().get(name), iBlocks, oBlocks, out, in)) {
      Weights weights;
      try (GgufFile gguf = GgufFile.open(file)) {
        weights = gguf.weights(List.of(name), iBlocks, oBlocks);
      }
      try (weights;
          FloatTensor widened = weights.widened()) {
        assertEquals(type, weights.type());
        assertTrue(weights.type().isPacked());
        assertEquals(expected.shape(), widened.shape());
        // A panel has 16 outputs in all types.
        double padded = size * inFile(name) / out * 16;
        assertEquals(padded, weights.bytes(), 0.003 * padded);
        assertArrayEquals(bits(expected.toArray()), bits(widened.toArray()));
      }
    }
  }

  /** Returns the bytes of a tensor. */
  private long inFile(String name) throws IOException {
    try (GgufFile gguf = GgufFile.open(file)) {
      return gguf.tensors().get(name).bytes();
    }
  }

  /** The outputs are 5 each: panels end in the middle of the second tensor. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "f32", "bf16", "q8_0", "q4_0", "mxfp4", "q4_K", "q6_K", "q5_K", "q2_K", "q5_1", "iq4_nl",
        "iq4_xs"
      })
  void tensorsStandSideBySide(String name) throws IOException {
    try (GgufFile gguf = GgufFile.open(file);
        Weights one = gguf.weights(name);
        Weights four =
            gguf.weights(List.of(name, name, name, name), 1, one.shape().dim(1) == 3 ? 3 : 2);
        FloatTensor expected = one.widened();
        FloatTensor actual = four.widened()) {
      long in = one.shape().dim(2);
      long out = one.shape().dim(3);
      assertEquals(Shape.of(1, one.shape().dim(1), in, 4 * out), four.shape());
      assertEquals(one.type(), four.type());
      for (long e = 0; e < one.shape().dim(1); e++) {
        for (long i = 0; i < in; i++) {
          for (long o = 0; o < 4 * out; o++) {
            assertEquals(expected.get(0, e, i, o % out), actual.get(0, e, i, o));
          }
        }
      }
    }
  }

  /** Returns matrices (out, in), one after the other, as a tensor of blocks (in, out). */
  private static FloatTensor blocks(float[] m, int iBlocks, int oBlocks, int out, int in) {
    FloatTensor rows = FloatTensor.of(m, oBlocks, iBlocks, out, in);
    try (rows) {
      FloatTensor view = rows.transposeBlocks();
      return FloatTensor.of(view.toArray(), view.shape().toArray());
    }
  }

  /** Numbers of Q4_K may exceed a float16; a scale may be NaN. */
  @Test
  void weightsThatAreNotFiniteAreRefused() throws IOException {
    GgufBytes bytes = GgufBytes.of(5, 0).tensor("large", 12, 0, 256);
    bytes.tensor("infinite", GgufBytes.Q8_0, 160, 32).tensor("nan", 12, 224, 256);
    bytes.tensor("minimum", 12, 384, 256).tensor("six", 14, 544, 256).aligned(32);
    bytes.raw(0xff, 0x7b, 0, 0).raw(filled(140, 0xff)).aligned(32);
    bytes.raw(0, 0x7c).raw(filled(32, 1)).aligned(32);
    bytes.raw(0, 0x7e, 0, 0).raw(filled(140, 1)).aligned(32);
    bytes.raw(0, 0, 0, 0xfc).raw(filled(140, 1)).aligned(32);
    bytes.raw(filled(208, 1)).raw(0, 0x7c);
    Files.write(file, bytes.bytes());
    long before = FloatTensor.allocatedBytes();
    try (GgufFile gguf = GgufFile.open(file)) {
      try (Weights large = gguf.weights("large");
          FloatTensor widened = large.widened()) {
        assertEquals(6.190128E7f, widened.get(0, 0, 0, 0));
      }
      refused("infinite", "Q8_0: a scale of group 0 makes", () -> gguf.weights("infinite"));
      refused("nan", "Q4_K: a scale of group 0 makes", () -> gguf.weights("nan"));
      refused("minimum", "Q4_K: a scale of group 0 makes", () -> gguf.weights("minimum"));
      refused("six", "Q6_K: a scale of group 0 makes", () -> gguf.weights("six"));
    }
    assertEquals(before, FloatTensor.allocatedBytes());
  }

  private static int[] filled(int count, int value) {
    int[] values = new int[count];
    Arrays.fill(values, value);
    return values;
  }

  @Test
  void whatCannotBeGivenIsRefused() throws IOException {
    GgufFile gguf = GgufFile.open(file);
    refused("nothing", "is missing", () -> gguf.floats("nothing"));
    refused("q8_1", "is missing; did you mean q8_0? there are f32", () -> gguf.weights("q8_1"));
    String widened =
        "expected one of [F32, F16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K,"
            + " IQ4_NL, IQ3_S, IQ4_XS, BF16, MXFP4] but was ";
    String remedy =
        "; llama-quantize --allow-requantize IN.gguf OUT.gguf Q8_0 writes one of them, and so does"
            + " Q4_K_M from a file of F16 or BF16";
    refused("tq2_0", widened + "TQ2_0 (2, 256)" + remedy, () -> gguf.floats("tq2_0"));
    refused("i32", widened + "I32 (3)", () -> gguf.floats("i32"));
    refused("tq2_0", widened + "TQ2_0 (2, 256)" + remedy, () -> gguf.weights("tq2_0"));
    for (int[] blocks : new int[][] {{1, 2}, {-1, -3}, {0, 3}, {2, 1}}) {
      assertRejects(
          "iBlocks, oBlocks: expected 1 and 3 or the reverse, as f32 has so many matrices, but was "
              + blocks[0]
              + " and "
              + blocks[1],
          () -> gguf.weights(List.of("f32"), blocks[0], blocks[1]));
    }
    String other = "expected F32 (3, 5, 64), as f32 is, but was F16 (3, 5, 64)";
    refused("f16", other, () -> gguf.weights(List.of("f32", "f16"), 1, 3));
    refused("none", "is missing", () -> gguf.weights(List.of("f32", "none"), 1, 3));
    assertThrows(IllegalArgumentException.class, () -> gguf.weights(List.of(), 1, 3));
    gguf.close();
    gguf.close();
    assertEquals(19, gguf.tensors().size());
    assertThrows(IllegalStateException.class, gguf::metadata);
    assertThrows(IllegalStateException.class, () -> gguf.floats("f32"));
    assertThrows(IllegalStateException.class, () -> gguf.weights("f32"));
  }

  private interface Reading {
    AutoCloseable read() throws IOException;
  }

  private void refused(String part, String reason, Reading reading) {
    FileFormatException e = assertThrows(FileFormatException.class, reading::read);
    assertEquals(file, e.file());
    assertEquals(part, e.part());
    assertTrue(e.reason().contains(reason), e.getMessage());
  }
}
