// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static org.blocksparse.testing.Failures.assertRejects;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.blocksparse.internal.tensors.StoredBlocks;
import org.blocksparse.io.GgufFile;
import org.blocksparse.testing.GgufBytes;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.ShortPointer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Memory laid out (out, in), as other libraries' models have it, packed by copying. */
final class PackAddressTest {
  private static final int EXPERTS = 3;
  private static final int IN = 64;
  private static final int OUT = 18;

  @TempDir private Path folder;

  private static float[] floats(Weights weights) {
    try (FloatTensor widened = weights.widened()) {
      return widened.toArray();
    }
  }

  @Test
  void int8KeepsItsNumbersAndTheScalesOfItsOutputs() {
    assumeTrue(Backend.isNative());
    float[] values = new float[EXPERTS * IN * OUT];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) Math.sin(i * i);
    }
    try (FloatTensor W = FloatTensor.of(values, EXPERTS, 1, IN, OUT);
        Weights expected = Weights.of(W, ElementType.INT8);
        FloatTensor widened = expected.widened();
        BytePointer memory = new BytePointer(values.length);
        FloatTensor scales = FloatTensor.zeros(EXPERTS, 1, OUT)) {
      for (int i = 0; i < values.length; i++) {
        int out = i / IN % OUT;
        int at = (i / (IN * OUT) * IN + i % IN) * OUT + out;
        float scale = StoredBlocks.from(expected).scales().getFloat(i / IN);
        memory.put(i, (byte) Math.round(widened.toArray()[at] / scale));
      }
      for (int i = 0; i < EXPERTS * OUT; i++) {
        scales.set(StoredBlocks.from(expected).scales().getFloat(i), i / OUT, 0, i % OUT);
      }
      try (Weights packed =
          Weights.packAddress(
              memory.address(),
              values.length,
              memory,
              ElementType.INT8,
              scales,
              EXPERTS,
              1,
              IN,
              OUT)) {
        memory.fill(0); // it was copied
        assertEquals(ElementType.INT8, packed.type());
        assertEquals(expected.bytes(), packed.bytes());
        assertArrayEquals(floats(expected), floats(packed));
      }
    }
  }

  @Test
  void numbersOfBfloat16KeepTheirBits() {
    assumeTrue(Backend.isNative());
    try (FloatTensor W = FloatTensor.zeros(EXPERTS, 1, IN, OUT);
        ShortPointer memory = new ShortPointer(EXPERTS * IN * OUT)) {
      for (int i = 0; i < EXPERTS * IN * OUT; i++) {
        float value = (float) Math.sin(i * i);
        int bits = Float.floatToRawIntBits(value) & 0xffff0000;
        memory.put(i, (short) (bits >> 16));
        W.set(Float.intBitsToFloat(bits), i / (IN * OUT), 0, i % IN, i / IN % OUT);
      }
      try (Weights packed =
          Weights.packAddress(
              memory.address(),
              2L * EXPERTS * IN * OUT,
              memory,
              ElementType.PACKED_BFLOAT16,
              null,
              EXPERTS,
              1,
              IN,
              OUT)) {
        assertArrayEquals(W.toArray(), floats(packed));
      }
    }
  }

  /** The weights are those that a file of the same bytes gives. */
  @ParameterizedTest
  @CsvSource({
    "Q8_0, 8, 64, 32, 34, 1, 1",
    "Q4_0, 2, 64, 32, 18, 1, 1",
    "MXFP4, 39, 64, 32, 17, 0, 0",
    "Q4_K, 12, 512, 256, 144, 1, 3",
    "Q6_K, 14, 512, 256, 210, 209, 209",
    "Q5_K, 13, 512, 256, 176, 1, 3",
    "Q2_K, 10, 512, 256, 84, 81, 83",
    "Q5_1, 7, 64, 32, 24, 1, 3",
    "IQ4_NL, 20, 64, 32, 18, 1, 1",
    "IQ4_XS, 23, 512, 256, 136, 1, 1"
  })
  void blocksOfGgmlKeepTheirNumbers(
      ElementType type,
      int code,
      int in,
      int blockSize,
      int blockBytes,
      int scaleByte,
      int otherScaleByte)
      throws IOException {
    assumeTrue(Backend.isNative());
    byte[] blocks = new byte[EXPERTS * OUT * in / blockSize * blockBytes];
    for (int i = 0; i < blocks.length; i++) {
      int at = i % blockBytes;
      blocks[i] = (byte) (at == scaleByte || at == otherScaleByte ? 0x28 + i % 3 : i * 37);
    }
    Path file = folder.resolve("blocks.gguf");
    GgufBytes header = GgufBytes.of(1, 0).tensor("t", code, 0, in, OUT, EXPERTS).aligned(32);
    int[] raw = new int[blocks.length];
    for (int i = 0; i < raw.length; i++) {
      raw[i] = blocks[i];
    }
    Files.write(file, header.raw(raw).bytes());
    long before = FloatTensor.allocatedBytes();
    try (GgufFile gguf = GgufFile.open(file);
        Weights expected = gguf.weights("t");
        BytePointer memory = new BytePointer(blocks);
        Weights packed =
            Weights.packAddress(
                memory.address(), blocks.length, memory, type, null, 1, EXPERTS, in, OUT)) {
      assertEquals(expected.toString(), packed.toString());
      assertArrayEquals(floats(expected), floats(packed));
    }
    assertTrue(FloatTensor.allocatedBytes() <= before);
  }

  @Test
  void blocksAreCountedAnew() {
    try (FloatTensor W = FloatTensor.of(new float[] {1, 2, 3, 4, 5, 6, 7, 8}, 2, 1, 2, 2);
        Weights weights = Weights.of(W, ElementType.BFLOAT16);
        Weights reshaped = weights.reshapeBlocks(1, 2);
        Weights turned = reshaped.transposeBlocks()) {
      assertEquals(Shape.of(1, 2, 2, 2), reshaped.shape());
      assertArrayEquals(W.toArray(), floats(reshaped));
      assertEquals(Shape.of(2, 1, 2, 2), turned.shape());
      assertArrayEquals(new float[] {1, 3, 2, 4, 5, 7, 6, 8}, floats(turned));
      assertRejects(
          "iBlocks, oBlocks: expected 2 blocks, as there are, but was 2 times 2",
          () -> weights.reshapeBlocks(2, 2));
      assertRejects(
          "Weights.reshapeBlocks: expected contiguous weights but (2, 1, 2, 2) is a transposed"
              + " view",
          () -> turned.reshapeBlocks(1, 2));
      weights.close();
      assertTrue(reshaped.isClosed());
    }
  }
}
