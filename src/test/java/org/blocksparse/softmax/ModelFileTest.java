// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import static java.nio.charset.StandardCharsets.US_ASCII;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.blocksparse.FloatTensor;
import org.blocksparse.IntTensor;
import org.blocksparse.Optimizer;
import org.blocksparse.Progress;
import org.blocksparse.Shape;
import org.blocksparse.SparseRows;
import org.blocksparse.bag.EmbeddingBag;
import org.blocksparse.internal.files.ModelNames;
import org.blocksparse.io.LoadOptions;
import org.blocksparse.io.SaveOptions;
import org.blocksparse.testing.SafeTensorsOracle;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Saving, and loading into memory: nothing is lost, other programs can read the file, and a save is
 * all or nothing.
 */
@Tag("xcheck")
public final class ModelFileTest {
  private static final int FEATURES = 5;
  private static final ClassAssignment CLASSES =
      ClassAssignment.of(2, 0, 1, 2, 2, 0, 1, 2, 0, 2, 2);

  @TempDir Path folder;

  public static HierarchicalSoftmax layer() {
    return HierarchicalSoftmax.builder(FEATURES, CLASSES.outputs())
        .classes(CLASSES)
        .seed(7)
        .build();
  }

  public static FloatTensor x(int rows) {
    float[] values = new float[rows * FEATURES];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) Math.sin(i * i + 1);
    }
    return FloatTensor.of(values, rows, FEATURES);
  }

  private static void train(HierarchicalSoftmax layer, Optimizer optimizer, int steps) {
    try (FloatTensor x = x(4);
        IntTensor targets = IntTensor.of(new int[] {3, 8, 0, 10}, 4)) {
      for (int step = 0; step < steps; step++) {
        layer.step(x, targets, optimizer);
      }
    }
  }

  private static void assertSameParameters(HierarchicalSoftmax wanted, HierarchicalSoftmax actual) {
    assertArrayEquals(wanted.W1().toArray(), actual.W1().toArray());
    assertArrayEquals(wanted.b1().toArray(), actual.b1().toArray());
    assertArrayEquals(wanted.W2().toArray(), actual.W2().toArray());
    assertArrayEquals(wanted.b2().toArray(), actual.b2().toArray());
    assertEquals(wanted.assignment(), actual.assignment());
  }

  @Test
  void comesBackAsItWas() throws IOException {
    Path file = folder.resolve("model.safetensors");
    Map<String, String> metadata = Map.of("language", "Español \"\\ 日本\n", "", "empty key");
    try (HierarchicalSoftmax layer = layer()) {
      train(layer, Optimizer.sgd(0.1f), 3);
      layer.save(file, SaveOptions.defaults().withMetadata(metadata));
      try (HierarchicalSoftmax loaded = HierarchicalSoftmax.load(file)) {
        assertSameParameters(layer, loaded);
        assertEquals(metadata, loaded.metadata());
        assertEquals(3, loaded.steps());
        // Metadata stays when the layer is saved again without new metadata.
        loaded.save(file);
      }
      try (HierarchicalSoftmax again = HierarchicalSoftmax.load(file)) {
        assertEquals(metadata, again.metadata());
      }
    }
  }

  static Stream<Optimizer> optimizers() {
    return Stream.of(Optimizer.sgd(0.1f), Optimizer.adagrad(0.1f), Optimizer.adam(0.1f));
  }

  @ParameterizedTest
  @MethodSource("optimizers")
  void trainingGoesOnAsIfItHadNotEnded(Optimizer optimizer) throws IOException {
    Path file = folder.resolve("model.safetensors");
    try (HierarchicalSoftmax layer = layer()) {
      train(layer, optimizer, 3);
      layer.save(file, SaveOptions.defaults().withOptimizerState());
      try (HierarchicalSoftmax loaded = HierarchicalSoftmax.load(file)) {
        train(layer, optimizer, 3);
        train(loaded, optimizer, 3);
        assertSameParameters(layer, loaded);
      }
    }
  }

  @Test
  void optimizerStateStaysInTheFileIfItIsNotWanted() throws IOException {
    Path file = folder.resolve("model.safetensors");
    Path again = folder.resolve("again.safetensors");
    SaveOptions withState = SaveOptions.defaults().withOptimizerState();
    try (HierarchicalSoftmax layer = layer();
        EmbeddingBag bag = EmbeddingBag.builder(7, FEATURES).build();
        SparseRows rows = SparseRows.of(List.of(new int[] {1, 3}));
        FloatTensor gradient = x(1)) {
      train(layer, Optimizer.adam(0.1f), 3);
      bag.step(rows, gradient, Optimizer.adagrad(0.1f));
      layer.save(file, withState.with(bag));
      for (LoadOptions options : List.of(LoadOptions.copied(), LoadOptions.mapped())) {
        LoadOptions without = options.withoutOptimizerState();
        try (HierarchicalSoftmax loaded = HierarchicalSoftmax.load(file, without);
            EmbeddingBag loadedBag = EmbeddingBag.load(file, without)) {
          assertSameParameters(layer, loaded);
          assertArrayEquals(bag.table().toArray(), loadedBag.table().toArray());
          assertEquals(3, loaded.steps());
          loaded.save(again, withState.with(loadedBag));
          Map<String, String> saved = new SafeTensorsOracle(again).metadata;
          assertEquals("SGD", saved.get(ModelNames.RULE)); // SGD has no state
          assertEquals("SGD", saved.get(ModelNames.BAG_RULE));
        }
      }
    }
  }

  @Test
  void anotherReaderReadsIt() throws IOException {
    Path file = folder.resolve("model.safetensors");
    try (HierarchicalSoftmax layer = layer()) {
      train(layer, Optimizer.adam(0.1f), 2);
      layer.save(
          file, SaveOptions.defaults().withMetadata(Map.of("author", "me")).withOptimizerState());
      SafeTensorsOracle reader = new SafeTensorsOracle(file);
      assertEquals("me", reader.metadata.get("author"));
      assertEquals("1", reader.metadata.get("blocksparse.format"));
      assertEquals("ADAM", reader.metadata.get("blocksparse.optimizer"));
      Map<String, FloatTensor> parameters =
          Map.of("W1", layer.W1(), "b1", layer.b1(), "W2", layer.W2(), "b2", layer.b2());
      for (String name : parameters.keySet()) {
        FloatTensor tensor = parameters.get(name);
        SafeTensorsOracle.Tensor read = reader.tensors.get(name);
        assertEquals("F32", read.type());
        assertEquals(tensor.shape(), Shape.of(read.shape().stream().mapToLong(d -> d).toArray()));
        assertArrayEquals(tensor.toArray(), read.floats());
        assertTrue(reader.tensors.containsKey("optimizer.first." + name));
        assertTrue(reader.tensors.containsKey("optimizer.second." + name));
      }
      int[] classOf = reader.tensors.get("classOf").ints();
      int[] slotOf = reader.tensors.get("slotOf").ints();
      assertEquals(CLASSES.outputs(), classOf.length);
      for (int output = 0; output < classOf.length; output++) {
        assertEquals(output, CLASSES.output(classOf[output], slotOf[output]));
      }
      assertArrayEquals(new int[] {2, 0, 2}, reader.tensors.get("optimizer.steps").ints());
      assertEquals(0, reader.tensors.get("W2").positionInFile() % 64);
      assertEquals(6 + 1 + 8, reader.tensors.size());
    }
  }

  /** Reads a file that is made by the specification: header length, JSON, little-endian data. */
  @Test
  void readsAFileThatOthersWrote() throws IOException {
    String header =
        "{\"b2\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[32,48]},"
            + "\"W1\":{\"shape\":[1,2],\"dtype\":\"F32\",\"data_offsets\":[0,8]},"
            + "\"b1\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,16]},"
            + "\"W2\":{\"dtype\":\"F32\",\"shape\":[2,1,2],\"data_offsets\":[16,32]},"
            + "\"classOf\":{\"dtype\":\"I32\",\"shape\":[3],\"data_offsets\":[48,60]},"
            + "\"slotOf\":{\"dtype\":\"I32\",\"shape\":[3],\"data_offsets\":[60,72]},"
            + "\"more\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[72,73]},"
            + "\"__metadata__\":{\"blocksparse.format\":\"1\",\"blocksparse.steps\":\"0\"}}   ";
    ByteBuffer bytes = ByteBuffer.allocate(8 + header.length() + 73).order(ByteOrder.LITTLE_ENDIAN);
    bytes.putLong(header.length()).put(header.getBytes(US_ASCII));
    for (float value : new float[] {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 0}) {
      bytes.putFloat(value);
    }
    // The slots of class 1 are not in the order of the outputs.
    for (int value : new int[] {1, 1, 0, 1, 0, 0}) {
      bytes.putInt(value);
    }
    Path file = folder.resolve("theirs.safetensors");
    Files.write(file, bytes.array());
    for (LoadOptions options : List.of(LoadOptions.copied(), LoadOptions.mapped())) {
      try (HierarchicalSoftmax layer = HierarchicalSoftmax.load(file, options)) {
        assertArrayEquals(new float[] {1, 2}, layer.W1().toArray());
        assertArrayEquals(new float[] {3, 4}, layer.b1().toArray());
        assertArrayEquals(new float[] {5, 6, 7, 8}, layer.W2().toArray());
        assertArrayEquals(new float[] {9, 10, 11, 0}, layer.b2().toArray());
        assertEquals(1, layer.assignment().output(1, 0));
        assertEquals(0, layer.assignment().output(1, 1));
        assertEquals(2, layer.assignment().output(0, 0));
        try (FloatTensor x = FloatTensor.of(new float[] {0.5f}, 1, 1);
            FloatTensor p = layer.probabilities(x)) {
          double first = Math.exp(0.5 * 1 + 3) / (Math.exp(0.5 * 1 + 3) + Math.exp(0.5 * 2 + 4));
          double slot0 = Math.exp(0.5 * 7 + 11) / (Math.exp(0.5 * 7 + 11) + Math.exp(0.5 * 8 + 0));
          assertEquals((1 - first) * (1 - slot0), p.get(0, 0), 1e-6);
          assertEquals((1 - first) * slot0, p.get(0, 1), 1e-6);
          assertEquals(first, p.get(0, 2), 1e-6);
        }
      }
    }
  }

  @Test
  void tellsHowFarItIs() throws IOException {
    Path file = folder.resolve("model.safetensors");
    List<Long> done = new ArrayList<>();
    try (HierarchicalSoftmax layer = layer()) {
      Progress progress =
          (bytes, total) -> {
            assertTrue(bytes <= total);
            if (bytes == total) {
              done.add(total);
            }
          };
      layer.save(file, SaveOptions.defaults().withProgress(progress));
      assertEquals(List.of(Files.size(file)), done);
      done.clear();
      HierarchicalSoftmax.load(file, LoadOptions.copied().withProgress(progress)).close();
      assertEquals(1, done.size());
      done.clear();
      HierarchicalSoftmax.load(file, LoadOptions.mapped().withProgress(progress)).close();
      assertEquals(1, done.size());
    }
  }

  /** Saved metadata can be read; metadata that could not is rejected by the save. */
  @Test
  void metadataOfAnyLength() throws IOException {
    Path file = folder.resolve("model.safetensors");
    List<Map<String, String>> all =
        List.of(
            Map.of("k".repeat(2 << 20), "v".repeat(2 << 20), "long", "日".repeat(1_000_000)),
            Map.of("wide", "日" + "v".repeat((2 << 20) - 1)),
            Map.of("of two bytes in the file", "é".repeat(4_000_000)),
            Map.of("of one", "v".repeat(8_000_000)));
    try (HierarchicalSoftmax layer = layer()) {
      for (Map<String, String> metadata : all) {
        layer.save(file, SaveOptions.defaults().withMetadata(metadata));
        try (HierarchicalSoftmax loaded = HierarchicalSoftmax.load(file)) {
          assertEquals(metadata, loaded.metadata());
        }
      }
      byte[] before = Files.readAllBytes(file);
      Map<String, String> many = new TreeMap<>();
      for (int i = 0; i < 70_000; i++) {
        many.put("k" + i, "");
      }
      for (Map<String, String> tooMuch :
          List.of(
              Map.of("k", "v".repeat(8 << 20)),
              Map.of("k", "日" + "v".repeat(2 << 20)),
              Map.of("k".repeat((2 << 20) + 1), "v"),
              many)) {
        IllegalArgumentException refused =
            assertThrows(
                IllegalArgumentException.class,
                () -> layer.save(file, SaveOptions.defaults().withMetadata(tooMuch)));
        assertTrue(refused.getMessage().startsWith("metadata: "), refused.getMessage());
      }
      assertArrayEquals(before, Files.readAllBytes(file));
    }
    for (Map<String, String> half : List.of(Map.of("\ud800", ""), Map.of("key", "a\udc00"))) {
      IllegalArgumentException refused =
          assertThrows(
              IllegalArgumentException.class, () -> SaveOptions.defaults().withMetadata(half));
      assertTrue(refused.getMessage().startsWith("metadata: "), refused.getMessage());
    }
  }
}
