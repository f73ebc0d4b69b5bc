// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bag;

import static org.blocksparse.testing.Failures.assertFails;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.blocksparse.Backend;
import org.blocksparse.ElementType;
import org.blocksparse.FileFormatException;
import org.blocksparse.FloatTensor;
import org.blocksparse.SparseRows;
import org.blocksparse.bag.EmbeddingBag.Mode;
import org.blocksparse.io.LoadOptions;
import org.blocksparse.io.SaveOptions;
import org.blocksparse.io.TensorFile;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.blocksparse.softmax.LabelTree;
import org.blocksparse.testing.SafeTensorsOracle;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/** Embedding bags with rows in fewer bits in files: alone, and with the layer behind them. */
final class NarrowBagFileTest {
  private static final String NARROW = "FLOAT16|BFLOAT16|INT8";
  private static final int VOCABULARY = 37;
  private static final int FEATURES = 7;

  @TempDir private Path folder;
  private Path file;
  private Path other;

  @BeforeEach
  void nameTheFiles() {
    file = folder.resolve("bag.safetensors");
    other = folder.resolve("other.safetensors");
  }

  private static EmbeddingBag bag() {
    return EmbeddingBag.builder(VOCABULARY, FEATURES).mode(Mode.ROOT_MEAN).seed(3).build();
  }

  private static List<LoadOptions> ways() {
    return Backend.isNative()
        ? List.of(LoadOptions.copied(), LoadOptions.mapped(), LoadOptions.copyOnWrite())
        : List.of(LoadOptions.copied());
  }

  private static float[] sums(EmbeddingBag bag) {
    try (SparseRows rows = SparseRows.of(List.of(new int[] {1, 36, 1}, new int[0], new int[] {7}));
        FloatTensor sums = bag.apply(rows)) {
      return sums.toArray();
    }
  }

  /** An odd number of elements of two bytes may precede those of one. */
  @ParameterizedTest
  @EnumSource(mode = EnumSource.Mode.MATCH_ALL, names = NARROW)
  void theLayerBehindItIsAligned(ElementType type) throws IOException {
    assumeTrue(Backend.isNative(), "a file is mapped for native code");
    try (EmbeddingBag floats = bag();
        EmbeddingBag narrow = floats.withWeights(type);
        HierarchicalSoftmax wide = HierarchicalSoftmax.builder(FEATURES, 5).build()) {
      for (ElementType ofLayer : List.of(ElementType.FLOAT32, ElementType.INT8)) {
        try (HierarchicalSoftmax layer = wide.withWeights(ofLayer)) {
          layer.save(file, SaveOptions.defaults().with(narrow));
        }
        for (LoadOptions options : ways()) {
          try (TensorFile tensors = TensorFile.open(file, options);
              FloatTensor b2 = tensors.floats("b2");
              HierarchicalSoftmax loaded = HierarchicalSoftmax.load(file, options);
              EmbeddingBag loadedBag = EmbeddingBag.load(file, options)) {
            assertArrayEquals(wide.b2().toArray(), b2.toArray());
            assertEquals(ofLayer, loaded.weightType());
            assertArrayEquals(sums(narrow), sums(loadedBag));
          }
        }
      }
    }
  }

  private void assertSameFiles() throws IOException {
    assertArrayEquals(Files.readAllBytes(file), Files.readAllBytes(other));
  }

  @ParameterizedTest
  @EnumSource(mode = EnumSource.Mode.MATCH_ALL, names = NARROW)
  void comesBackAsItWas(ElementType type) throws IOException {
    Path wide = folder.resolve("wide.safetensors");
    try (EmbeddingBag floats = bag();
        EmbeddingBag narrow = floats.withWeights(type)) {
      narrow.save(file, SaveOptions.defaults().withMetadata(Map.of("language", "de")));
      floats.save(wide, SaveOptions.defaults().withMetadata(Map.of("language", "de")));
      for (LoadOptions options : ways()) {
        try (EmbeddingBag loaded = EmbeddingBag.load(wide, options);
            EmbeddingBag rounded = loaded.withWeights(type)) {
          rounded.save(other);
          assertSameFiles();
        }
        try (EmbeddingBag loaded = EmbeddingBag.load(file, options);
            EmbeddingBag copy = loaded.withWeights(type);
            EmbeddingBag widened = loaded.withWeights(ElementType.FLOAT32)) {
          assertEquals(type, loaded.weightType());
          assertEquals(Mode.ROOT_MEAN, loaded.mode());
          assertEquals(VOCABULARY, loaded.vocabulary());
          assertEquals(FEATURES, loaded.features());
          assertEquals(Map.of("language", "de"), copy.metadata());
          for (EmbeddingBag same : List.of(loaded, copy, widened)) {
            assertArrayEquals(sums(narrow), sums(same));
          }
          loaded.save(other);
          assertSameFiles();
          copy.save(other);
          assertSameFiles();
        }
      }
    }
  }

  /** The file as other readers see it: types, shapes, and elements at multiples of their size. */
  @ParameterizedTest
  @CsvSource({"FLOAT16, F16, 2", "BFLOAT16, BF16, 2", "INT8, I8, 1"})
  void othersCanReadIt(ElementType type, String dtype, int bytes) throws IOException {
    try (EmbeddingBag floats = bag();
        EmbeddingBag narrow = floats.withWeights(type);
        EmbeddingBag widened = narrow.withWeights(ElementType.FLOAT32)) {
      narrow.save(file);
      SafeTensorsOracle reader = new SafeTensorsOracle(file);
      SafeTensorsOracle.Tensor table = reader.tensors.get("table");
      assertEquals(dtype, table.type());
      assertEquals(List.of((long) VOCABULARY, (long) FEATURES), table.shape());
      assertEquals(0, table.positionInFile() % 64);
      assertEquals(VOCABULARY * FEATURES * bytes, table.data().remaining());
      SafeTensorsOracle.Tensor scales = reader.tensors.get("table.scales");
      assertEquals(type == ElementType.INT8, scales != null);
      if (scales != null) {
        assertEquals("F32", scales.type());
        assertEquals(List.of((long) VOCABULARY), scales.shape());
        assertEquals(0, scales.positionInFile() % 4);
      }
      ByteBuffer data = table.data().duplicate().order(ByteOrder.LITTLE_ENDIAN);
      float[] expected = widened.table().toArray();
      for (int i = 0; i < expected.length; i++) {
        float actual =
            switch (type) {
              case FLOAT32 -> data.getFloat();
              case FLOAT16 -> SafeTensorsOracle.half(data.getShort());
              case BFLOAT16 -> Float.intBitsToFloat(data.getShort() << 16);
              default -> data.get() * scales.floats()[i / FEATURES];
            };
        assertEquals(expected[i], actual, "table " + i);
      }
    }
  }

  @ParameterizedTest
  @EnumSource(mode = EnumSource.Mode.MATCH_ALL, names = NARROW)
  void aBagAndTheLayerBehindIt_inOneFile(ElementType type) throws IOException {
    try (EmbeddingBag floats = bag();
        EmbeddingBag narrow = floats.withWeights(type);
        HierarchicalSoftmax softmax = HierarchicalSoftmax.builder(FEATURES, 11).build();
        HierarchicalSoftmax narrowSoftmax = softmax.withWeights(type);
        LabelTree tree = LabelTree.builder(FEATURES, 11).build()) {
      narrowSoftmax.save(file, SaveOptions.defaults().with(narrow));
      for (LoadOptions options : ways()) {
        try (EmbeddingBag loaded = EmbeddingBag.load(file, options);
            HierarchicalSoftmax behind = HierarchicalSoftmax.load(file, options)) {
          assertEquals(type, loaded.weightType());
          assertEquals(type, behind.weightType());
          assertArrayEquals(sums(narrow), sums(loaded));
          behind.save(other, SaveOptions.defaults().with(loaded));
          assertSameFiles();
        }
      }
      tree.save(file, SaveOptions.defaults().with(narrow)); // each keeps its type
      try (EmbeddingBag loaded = EmbeddingBag.load(file);
          LabelTree behind = LabelTree.load(file)) {
        assertEquals(type, loaded.weightType());
        assertEquals(ElementType.FLOAT32, behind.weightType());
        assertArrayEquals(sums(narrow), sums(loaded));
      }
    }
  }

  // ------------------------------------------------------------------------------- hostile files

  private byte[] saved(ElementType type) throws IOException {
    try (EmbeddingBag floats = bag();
        EmbeddingBag narrow = floats.withWeights(type)) {
      narrow.save(file);
    }
    return Files.readAllBytes(file);
  }

  private void assertRefused(byte[] bytes, String reason) throws IOException {
    Files.write(other, bytes);
    long before = FloatTensor.allocatedBytes();
    assertFails(FileFormatException.class, other + ": " + reason, () -> EmbeddingBag.load(other));
    assertTrue(FloatTensor.allocatedBytes() <= before);
  }

  /** Changes of the file's text that keep its length, and the message for each. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "\"table.scales\"|\"table.scalee\"|table.scales: is missing; did you mean"
            + " table.scalee? there are table.scalee, table",
        "\"I8\"|\"U8\"|table: expected F32 with 2 dimensions but was U8 (37, 7)",
        "[37]|[37,1]|table.scales: expected F32 with 1 dimensions but was F32 (37, 1)",
        "bag.mode\":\"ROOT_MEAN\"|bag.optimizer\":\"SGD\"|__metadata__: has no"
            + " blocksparse.bag.mode: not a file of this library"
      })
  void aFileWithAnotherHeader_isRefused(String from, String to, String reason) throws IOException {
    byte[] bytes = saved(ElementType.INT8);
    String text = new String(bytes, StandardCharsets.ISO_8859_1);
    int begin = text.indexOf(from);
    int length = (int) ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).getLong();
    String header =
        text.substring(8, begin) + to + text.substring(begin + from.length(), 8 + length);
    byte[] changed = Arrays.copyOf(bytes, bytes.length + to.length() - from.length());
    ByteBuffer into = ByteBuffer.wrap(changed).order(ByteOrder.LITTLE_ENDIAN);
    into.putLong(header.length()).put(header.getBytes(StandardCharsets.ISO_8859_1));
    into.put(bytes, 8 + length, bytes.length - 8 - length);
    assertRefused(changed, reason);
  }

  @Test
  void theStateOfAnOptimizer_isRefused() throws IOException {
    saved(ElementType.FLOAT16);
    byte[] bytes = Files.readAllBytes(file);
    String key = "\"blocksparse.bag.mode\"";
    String text = new String(bytes, StandardCharsets.ISO_8859_1);
    String rule = "\"blocksparse.bag.optimizer\":\"SGD\",";
    String changed = text.replace(key, rule + key);
    byte[] result = changed.getBytes(StandardCharsets.ISO_8859_1);
    ByteBuffer header = ByteBuffer.wrap(result).order(ByteOrder.LITTLE_ENDIAN);
    header.putLong(0, header.getLong(0) + rule.length());
    assertRefused(
        result,
        "__metadata__: blocksparse.bag.optimizer is there, but weights of F16 are only read");
  }

  private static int position(Path file, String tensor) throws IOException {
    return (int) new SafeTensorsOracle(file).tensors.get(tensor).positionInFile();
  }

  @Test
  void numbersThatAreNone_areRefused() throws IOException {
    byte[] half = saved(ElementType.FLOAT16);
    ByteBuffer.wrap(half)
        .order(ByteOrder.LITTLE_ENDIAN)
        .putShort(position(file, "table") + 6, (short) 0xfc00);
    assertRefused(half, "table: element 3 is not a finite number");
    byte[] brain = saved(ElementType.BFLOAT16);
    ByteBuffer.wrap(brain)
        .order(ByteOrder.LITTLE_ENDIAN)
        .putShort(position(file, "table") + 2, (short) 0x7f81);
    assertRefused(brain, "table: element 1 is not a finite number");
    byte[] whole = saved(ElementType.INT8);
    ByteBuffer scales = ByteBuffer.wrap(whole).order(ByteOrder.LITTLE_ENDIAN);
    for (float large : new float[] {3e37f, -3e37f}) {
      scales.putFloat(position(file, "table.scales") + 4, large);
      assertRefused(whole, "table.scales: element 1 = " + large + " makes weights infinite");
    }
    scales.putFloat(position(file, "table.scales") + 4, Float.NaN);
    assertRefused(whole, "table.scales: element 1 is NaN");
  }

  @Test
  void everyPartOfAFile_isRefused() throws IOException {
    byte[] whole = saved(ElementType.INT8);
    for (int length = 0; length < whole.length; length += 13) {
      Files.write(other, Arrays.copyOf(whole, length));
      assertThrows(FileFormatException.class, () -> EmbeddingBag.load(other), "bytes: " + length);
    }
  }
}
