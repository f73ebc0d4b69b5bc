// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bag;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.blocksparse.ElementType;
import org.blocksparse.FloatTensor;
import org.blocksparse.Optimizer;
import org.blocksparse.SparseRows;
import org.blocksparse.Workers;
import org.blocksparse.bag.EmbeddingBag.Mode;
import org.blocksparse.io.LoadOptions;
import org.blocksparse.io.SaveOptions;
import org.blocksparse.softmax.ClassAssignment;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.blocksparse.softmax.LayerKind;
import org.blocksparse.softmax.TwoLevelLayer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Bags that grow: alone, with optimizer state, and together with the layer above. */
final class BagGrowthTest {
  private static final int VOCABULARY = 5;
  private static final int FEATURES = 3;

  @TempDir private Path folder;

  static Stream<Optimizer> optimizers() {
    return Stream.of(Optimizer.sgd(.1f), Optimizer.adagrad(.1f), Optimizer.adam(.1f));
  }

  private static EmbeddingBag bag(int vocabulary) {
    return EmbeddingBag.builder(vocabulary, FEATURES).seed(3).build();
  }

  private static void train(EmbeddingBag bag, Optimizer optimizer, int... ids) {
    try (SparseRows rows = SparseRows.of(List.of(ids));
        FloatTensor gradOut = FloatTensor.of(new float[] {.5f, -1, 2}, 1, FEATURES)) {
      bag.step(rows, gradOut, optimizer);
    }
  }

  private byte[] fileOf(EmbeddingBag bag) throws IOException {
    Path file = folder.resolve("of");
    SaveOptions plain = SaveOptions.defaults();
    boolean isTrained = bag.weightType() == ElementType.FLOAT32;
    bag.save(file, isTrained ? plain.withOptimizerState() : plain);
    return Files.readAllBytes(file);
  }

  /**
   * The copy has the table, the mode, the state and the metadata, continues like the bag, and
   * outlives it.
   */
  @ParameterizedTest
  @MethodSource("optimizers")
  void aCopyGoesOnAsTheBagDoes(Optimizer optimizer) throws IOException {
    Path file = folder.resolve("bag");
    try (EmbeddingBag bag = EmbeddingBag.builder(VOCABULARY, FEATURES).mode(Mode.MEAN).build()) {
      train(bag, optimizer, 1, 4, 1);
      Map<String, String> metadata = Map.of("language", "en");
      bag.save(file, SaveOptions.defaults().withOptimizerState().withMetadata(metadata));
    }
    for (LoadOptions options : List.of(LoadOptions.copied(), LoadOptions.copyOnWrite())) {
      try (EmbeddingBag bag = EmbeddingBag.load(file, options)) {
        EmbeddingBag copy = bag.copy();
        assertEquals(0, copy.memoryUse().mappedBytes());
        byte[] before = fileOf(copy);
        assertArrayEquals(fileOf(bag), before);
        train(bag, optimizer, 4, 0);
        assertArrayEquals(before, fileOf(copy), "it is its own");
        train(copy, optimizer, 4, 0);
        assertArrayEquals(fileOf(bag), fileOf(copy));
        bag.close();
        train(copy, optimizer, 2);
        copy.close();
        assertThrows(IllegalStateException.class, copy::copy);
      }
    }
    for (ElementType type : List.of(ElementType.FLOAT16, ElementType.INT8)) {
      try (EmbeddingBag bag = EmbeddingBag.load(file);
          EmbeddingBag narrow = bag.withWeights(type);
          EmbeddingBag copy = narrow.copy()) {
        assertArrayEquals(fileOf(narrow), fileOf(copy));
      }
    }
  }

  /**
   * The result is the same as if the new rows had existed from the beginning, as zeros that no step
   * had touched.
   */
  @ParameterizedTest
  @MethodSource("optimizers")
  void trainingGoesOnAsIfAllRowsHadAlwaysBeenThere(Optimizer optimizer) throws IOException {
    Path file = folder.resolve("bag");
    try (EmbeddingBag bag = bag(VOCABULARY);
        EmbeddingBag large = bag(VOCABULARY + 2)) {
      float[] table = Arrays.copyOf(bag.table().toArray(), (VOCABULARY + 2) * FEATURES);
      large.table().copyFrom(table);
      for (EmbeddingBag each : List.of(bag, large)) {
        train(each, optimizer, 1, 4, 1);
        train(each, optimizer, 4);
      }
      FloatTensor before = bag.table();
      assertEquals(VOCABULARY, bag.addRows(2));
      assertTrue(before.isClosed());
      assertEquals(VOCABULARY + 2, bag.vocabulary());
      bag.save(file, SaveOptions.defaults().withOptimizerState());
      try (EmbeddingBag loaded = EmbeddingBag.load(file)) {
        for (EmbeddingBag each : List.of(bag, large, loaded)) {
          train(each, optimizer, 0, 4, 6);
          train(each, optimizer, 5, 1);
        }
        assertArrayEquals(large.table().toArray(), bag.table().toArray());
        assertArrayEquals(large.table().toArray(), loaded.table().toArray());
      }
    }
  }

  @Test
  void newRowsAddNothing_orHaveTheGivenValues() {
    try (EmbeddingBag bag = bag(VOCABULARY);
        FloatTensor values = FloatTensor.of(new float[] {1, 2, 3, 4, 5, 6}, 2, FEATURES)) {
      bag.addRows(1);
      assertEquals(6, bag.addRows(values));
      try (SparseRows rows = SparseRows.of(List.of(new int[] {5}, new int[] {7}, new int[] {6}));
          FloatTensor out = bag.apply(rows)) {
        assertArrayEquals(new float[] {0, 0, 0, 4, 5, 6, 1, 2, 3}, out.toArray());
      }
    }
  }

  @Test
  void aMappedBagGrowsInMemoryOfItsOwn() throws IOException {
    Path file = folder.resolve("bag");
    try (EmbeddingBag bag = bag(VOCABULARY)) {
      bag.save(file);
      try (EmbeddingBag mapped = EmbeddingBag.load(file, LoadOptions.mapped())) {
        mapped.addRows(1);
        assertEquals(0, mapped.memoryUse().mappedBytes());
        assertEquals(4L * (VOCABULARY + 1) * FEATURES, mapped.memoryUse().privateBytes());
        assertArrayEquals(
            Arrays.copyOf(bag.table().toArray(), (VOCABULARY + 1) * FEATURES),
            mapped.table().toArray());
        train(mapped, Optimizer.adagrad(.1f), 5);
      }
    }
  }

  @ParameterizedTest
  @EnumSource
  void aLayerAndItsBagGrowTogether(LayerKind kind) {
    ClassAssignment classes = ClassAssignment.of(0, 0, 0, 1, 1);
    try (TwoLevelLayer<?> layer = kind.random(FEATURES, classes, Workers.common(), 1);
        EmbeddingBag bag = bag(VOCABULARY)) {
      assertEquals(VOCABULARY, layer.addOutputs(3, bag));
      assertEquals(VOCABULARY + 3, layer.outputs());
      assertEquals(VOCABULARY + 3, bag.vocabulary());
    }
  }

  /** Options that were made before the bag grew save its current content. */
  @Test
  void aLayerAndItsBagAreSavedAsTheyHaveGrown() throws IOException {
    Path file = folder.resolve("both");
    try (HierarchicalSoftmax layer = HierarchicalSoftmax.builder(FEATURES, VOCABULARY).build();
        EmbeddingBag bag = bag(VOCABULARY)) {
      SaveOptions options = SaveOptions.defaults().with(bag).withOptimizerState();
      layer.addOutputs(2, bag);
      train(bag, Optimizer.adam(.1f), 6);
      layer.save(file, options);
      try (HierarchicalSoftmax loaded = HierarchicalSoftmax.load(file);
          EmbeddingBag below = EmbeddingBag.load(file)) {
        assertEquals(VOCABULARY + 2, loaded.outputs());
        assertArrayEquals(bag.table().toArray(), below.table().toArray());
      }
    }
  }

  /** If one of the two is rejected, the other one is unchanged, too. */
  @Test
  void aLayerAndItsBagGrowBothOrNeither() {
    try (HierarchicalSoftmax layer = HierarchicalSoftmax.builder(FEATURES, VOCABULARY).build();
        EmbeddingBag bag = bag(VOCABULARY);
        EmbeddingBag narrow = bag.withWeights(ElementType.INT8);
        HierarchicalSoftmax fixed = layer.withWeights(ElementType.INT8)) {
      assertThrows(IllegalStateException.class, () -> layer.addOutputs(1, narrow));
      assertThrows(IllegalStateException.class, () -> fixed.addOutputs(1, bag));
      assertEquals(VOCABULARY, layer.outputs());
      assertEquals(VOCABULARY, bag.vocabulary());
      train(bag, Optimizer.sgd(1), 0);
      bag.close();
      assertThrows(IllegalStateException.class, () -> layer.addOutputs(1, bag));
      assertEquals(VOCABULARY, layer.outputs());
    }
  }
}
