// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.blocksparse.ElementType;
import org.blocksparse.FileFormatException;
import org.blocksparse.FloatTensor;
import org.blocksparse.IntTensor;
import org.blocksparse.Optimizer;
import org.blocksparse.Workers;
import org.blocksparse.io.LoadOptions;
import org.blocksparse.ranking.Ranking;
import org.blocksparse.testing.KernelsUnderTest;
import org.blocksparse.testing.SafeTensorsOracle;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Layers with narrow weights: they do all that a layer of the same floats does, except train, with
 * the same bits; and so do their files.
 */
final class NarrowSoftmaxTest {
  private static final int FEATURES = 21;
  private static final int OUTPUTS = 211;
  private static final String NARROW = "FLOAT16|BFLOAT16|INT8";

  @TempDir Path folder;

  static Stream<Arguments> kernelsAndTypes() {
    return KernelsUnderTest.instructionSets().stream()
        .flatMap(
            kernels ->
                Stream.of(ElementType.FLOAT16, ElementType.BFLOAT16, ElementType.INT8)
                    .map(type -> Arguments.of(kernels, type)));
  }

  private static HierarchicalSoftmax layer(Workers workers) {
    HierarchicalSoftmax layer =
        HierarchicalSoftmax.builder(FEATURES, OUTPUTS).seed(3).workers(workers).build();
    try (FloatTensor x = x(40);
        IntTensor targets = targets(40)) {
      for (int step = 0; step < 5; step++) {
        layer.step(x, targets, Optimizer.sgd(5));
      }
    }
    return layer;
  }

  private static FloatTensor x(int rows) {
    float[] values = new float[rows * FEATURES];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) Math.sin(i * i + 1);
    }
    return FloatTensor.of(values, rows, FEATURES);
  }

  private static IntTensor targets(int rows) {
    int[] values = new int[rows];
    for (int i = 0; i < rows; i++) {
      values[i] = i * 53 % OUTPUTS;
    }
    return IntTensor.of(values, rows);
  }

  private static float[] take(FloatTensor tensor) {
    try (tensor) {
      return tensor.toArray();
    }
  }

  /** Compares all results of a layer for some rows. */
  private static void assertSame(HierarchicalSoftmax expected, HierarchicalSoftmax actual) {
    for (int rows : new int[] {1, 3, 70}) {
      try (FloatTensor x = x(rows);
          IntTensor targets = targets(rows)) {
        assertArrayEquals(take(expected.probabilities(x)), take(actual.probabilities(x)));
        assertArrayEquals(take(expected.logProbabilities(x)), take(actual.logProbabilities(x)));
        assertArrayEquals(
            take(expected.logProbabilitiesOf(x, targets)),
            take(actual.logProbabilitiesOf(x, targets)));
        assertSame(rows, expected.topK(x, 7), actual.topK(x, 7));
        assertSame(rows, expected.topP(x, 0.4), actual.topP(x, 0.4));
        assertSame(rows, expected.atLeast(x, 0.01), actual.atLeast(x, 0.01));
        assertArrayEquals(
            expected.sample(x, new SplittableRandom(5)), actual.sample(x, new SplittableRandom(5)));
        assertEquals(expected.loss(x, targets), actual.loss(x, targets));
        try (SoftmaxGradients wanted = expected.gradients(x, targets);
            SoftmaxGradients found = actual.gradients(x, targets)) {
          assertArrayEquals(wanted.x().toArray(), found.x().toArray());
          assertArrayEquals(wanted.W2().toArray(), found.W2().toArray());
        }
        if (rows == 1) {
          assertEquals(expected.explain(x, 17), actual.explain(x, 17));
        }
      }
    }
  }

  private static void assertSame(int rows, Ranking expected, Ranking actual) {
    for (int row = 0; row < rows; row++) {
      assertArrayEquals(expected.outputs(row), actual.outputs(row));
      assertArrayEquals(expected.logProbabilities(row), actual.logProbabilities(row));
    }
  }

  @Tag("xcheck")
  @ParameterizedTest(name = "{0} {1}")
  @MethodSource("kernelsAndTypes")
  void doesWhatALayerOfTheSameFloatsDoes(KernelsUnderTest kernels, ElementType type) {
    try (HierarchicalSoftmax floats = layer(kernels.workers());
        HierarchicalSoftmax narrow = floats.withWeights(type);
        HierarchicalSoftmax widened = narrow.withWeights(ElementType.FLOAT32)) {
      assertEquals(type, narrow.weightType());
      assertEquals(ElementType.FLOAT32, widened.weightType());
      assertFalse(java.util.Arrays.equals(floats.W2().toArray(), widened.W2().toArray()));
      assertEquals(0, distance(floats.W2(), widened.W2()), 0.1);
      assertSame(widened, narrow);
      try (HierarchicalSoftmax copy = narrow.copy();
          HierarchicalSoftmax again = narrow.withWeights(type)) {
        assertSame(narrow, copy);
        assertSame(narrow, again);
      }
    }
  }

  private static double distance(FloatTensor a, FloatTensor b) {
    float[] first = a.toArray();
    float[] second = b.toArray();
    double most = 0;
    for (int i = 0; i < first.length; i++) {
      most = Math.max(most, Math.abs(first[i] - second[i]));
    }
    return most;
  }

  @Test
  void takesLessMemory() {
    try (HierarchicalSoftmax floats = layer(Workers.common())) {
      long start = FloatTensor.allocatedBytes();
      Map<ElementType, Long> bytes = new EnumMap<>(ElementType.class);
      for (ElementType type : ElementType.values()) {
        if (type.isPacked() && type != ElementType.INT8) {
          continue;
        }
        try (HierarchicalSoftmax copy = floats.withWeights(type)) {
          bytes.put(type, FloatTensor.allocatedBytes() - start);
          assertEquals(type != ElementType.FLOAT32, copy.toString().contains("weights of " + type));
        }
        assertTrue(FloatTensor.allocatedBytes() <= start);
      }
      long weights = floats.W1().shape().size() + floats.W2().shape().size();
      long columns = floats.W1().shape().dim(1) + floats.b2().shape().size();
      long wide = bytes.get(ElementType.FLOAT32);
      assertEquals(wide - 2 * weights, (double) bytes.get(ElementType.FLOAT16), 8.0);
      assertEquals(wide - 2 * weights, (double) bytes.get(ElementType.BFLOAT16), 8.0);
      assertEquals(wide - 3 * weights + 4 * columns, (double) bytes.get(ElementType.INT8), 8.0);
    }
  }

  // --------------------------------------------------------------------------------------- files

  private Path file() {
    return folder.resolve("narrow.safetensors");
  }

  @ParameterizedTest
  @EnumSource(mode = EnumSource.Mode.MATCH_ALL, names = NARROW)
  void comesBackAsItWas(ElementType type) throws IOException {
    Path again = folder.resolve("again.safetensors");
    Path wide = folder.resolve("wide.safetensors");
    try (HierarchicalSoftmax floats = layer(Workers.common());
        HierarchicalSoftmax narrow = floats.withWeights(type)) {
      narrow.save(file());
      floats.save(wide);
      try (HierarchicalSoftmax mapped = HierarchicalSoftmax.load(wide, LoadOptions.mapped());
          HierarchicalSoftmax rounded = mapped.withWeights(type)) {
        rounded.save(again);
      }
      assertArrayEquals(Files.readAllBytes(file()), Files.readAllBytes(again));
      for (LoadOptions options :
          List.of(LoadOptions.copied(), LoadOptions.mapped(), LoadOptions.copyOnWrite())) {
        try (HierarchicalSoftmax loaded = HierarchicalSoftmax.load(file(), options)) {
          assertEquals(type, loaded.weightType());
          assertEquals(5, loaded.steps());
          assertSame(narrow, loaded);
          loaded.save(again);
          assertArrayEquals(Files.readAllBytes(file()), Files.readAllBytes(again));
        }
      }
    }
  }

  /** The file as other readers see it: types, shapes, and four bytes at multiples of four. */
  @ParameterizedTest
  @EnumSource(mode = EnumSource.Mode.MATCH_ALL, names = NARROW)
  void othersCanReadIt(ElementType type) throws IOException {
    try (HierarchicalSoftmax floats = layer(Workers.common());
        HierarchicalSoftmax narrow = floats.withWeights(type);
        HierarchicalSoftmax widened = narrow.withWeights(ElementType.FLOAT32)) {
      narrow.save(file());
      SafeTensorsOracle reader = new SafeTensorsOracle(file());
      SafeTensorsOracle.Tensor w2 = reader.tensors.get("W2");
      String dtype =
          switch (type) {
            case FLOAT32 -> "F32";
            case FLOAT16 -> "F16";
            case BFLOAT16 -> "BF16";
            default -> "I8";
          };
      assertEquals(dtype, w2.type());
      assertEquals(dtype, reader.tensors.get("W1").type());
      assertEquals(0, w2.positionInFile() % 64);
      reader.tensors.forEach(
          (name, tensor) -> {
            int size = tensor.type().endsWith("32") ? 4 : tensor.type().endsWith("16") ? 2 : 1;
            assertEquals(0, tensor.positionInFile() % size, name);
          });
      assertEquals(type == ElementType.INT8, reader.tensors.containsKey("W2.scales"));
      ByteBuffer data = w2.data().duplicate().order(ByteOrder.LITTLE_ENDIAN);
      float[] expected = widened.W2().toArray();
      int slots = narrow.assignment().slots();
      float[] scales =
          type == ElementType.INT8 ? reader.tensors.get("W2.scales").floats() : new float[0];
      for (int i = 0; i < expected.length; i++) {
        int block = i / (FEATURES * slots);
        float actual =
            switch (type) {
              case FLOAT32 -> data.getFloat();
              case FLOAT16 -> SafeTensorsOracle.half(data.getShort());
              case BFLOAT16 -> Float.intBitsToFloat(data.getShort() << 16);
              default -> data.get() * scales[block * slots + i % slots];
            };
        assertEquals(expected[i], actual, "W2 " + i);
      }
    }
  }

  private void assertRefused(String part, String reason, byte[] bytes) throws IOException {
    Path hostile = folder.resolve("hostile.safetensors");
    Files.write(hostile, bytes);
    long before = FloatTensor.allocatedBytes();
    FileFormatException e =
        assertThrows(FileFormatException.class, () -> HierarchicalSoftmax.load(hostile));
    assertTrue(e.getMessage().contains(part), e.getMessage());
    assertTrue(e.getMessage().contains(reason), e.getMessage());
    assertTrue(FloatTensor.allocatedBytes() <= before);
  }

  private byte[] saved(ElementType type) throws IOException {
    try (HierarchicalSoftmax floats = layer(Workers.common());
        HierarchicalSoftmax narrow = floats.withWeights(type)) {
      narrow.save(file());
    }
    return Files.readAllBytes(file());
  }

  private static int position(Path file, String tensor) throws IOException {
    return (int) new SafeTensorsOracle(file).tensors.get(tensor).positionInFile();
  }

  private static byte[] changed(byte[] file, String from, String to) {
    String text = new String(file, java.nio.charset.StandardCharsets.ISO_8859_1);
    assertTrue(text.contains(from), from);
    return text.replace(from, to).getBytes(java.nio.charset.StandardCharsets.ISO_8859_1);
  }

  @Test
  void refusesFilesThatLie() throws IOException {
    byte[] whole = saved(ElementType.INT8);
    assertRefused("W2.scales", "is missing", changed(whole, "\"W2.scales\"", "\"W2.scalee\""));
    assertRefused(
        "W1",
        "expected I8",
        changed(whole, "\"W1\":{\"dtype\":\"I8\"", "\"W1\":{\"dtype\":\"U8\""));
    assertRefused(
        "W1",
        "expected F32",
        changed(whole, "\"W2\":{\"dtype\":\"I8\"", "\"W2\":{\"dtype\":\"U8\""));
    byte[] scales = whole.clone();
    ByteBuffer.wrap(scales)
        .order(ByteOrder.LITTLE_ENDIAN)
        .putFloat(position(file(), "W2.scales") + 4, 3e37f);
    assertRefused("W2.scales", "element 1 = 3.0E37 makes weights infinite", scales);
    ByteBuffer.wrap(scales)
        .order(ByteOrder.LITTLE_ENDIAN)
        .putFloat(position(file(), "W2.scales") + 4, Float.NaN);
    assertRefused("W2.scales", "element 1 is NaN", scales);
    byte[] half = saved(ElementType.FLOAT16);
    ByteBuffer.wrap(half)
        .order(ByteOrder.LITTLE_ENDIAN)
        .putShort(position(file(), "W2") + 6, (short) 0xfc00);
    assertRefused("W2", "element 3 is not a finite number", half);
    byte[] brain = saved(ElementType.BFLOAT16);
    ByteBuffer.wrap(brain)
        .order(ByteOrder.LITTLE_ENDIAN)
        .putShort(position(file(), "W1") + 2, (short) 0x7f81);
    assertRefused("W1", "element 1 is not a finite number", brain);
    for (int length = 0; length < whole.length; length += whole.length / 50) {
      byte[] part = java.util.Arrays.copyOf(whole, length);
      assertRefused("hostile", "", part);
    }
  }
}
