// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.blocksparse.ElementType;
import org.blocksparse.FileFormatException;
import org.blocksparse.FloatTensor;
import org.blocksparse.Optimizer;
import org.blocksparse.SparseRows;
import org.blocksparse.bag.EmbeddingBag;
import org.blocksparse.io.LoadOptions;
import org.blocksparse.io.SaveOptions;
import org.blocksparse.ranking.Labels;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Files of label trees: nothing is lost, and invalid files are rejected. */
@Tag("xcheck")
final class LabelTreeFileTest {
  private static final ClassAssignment CLASSES =
      ClassAssignment.of(2, 0, 1, 2, 2, 0, 1, 2, 0, 2, 2);

  @TempDir Path folder;

  private Path file() {
    return folder.resolve("tree.safetensors");
  }

  private static LabelTree layer() {
    return LabelTree.builder(5, 11).classes(CLASSES).seed(7).build();
  }

  private static FloatTensor x() {
    float[] values = new float[20];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) Math.sin(i * i + 1);
    }
    return FloatTensor.of(values, 4, 5);
  }

  private static void train(LabelTree layer, Optimizer optimizer) {
    try (FloatTensor x = x();
        SparseRows targets =
            SparseRows.of(
                List.of(new int[] {3, 8}, new int[] {8}, new int[0], new int[] {1, 10, 0}))) {
      for (int step = 0; step < 3; step++) {
        layer.step(x, targets, optimizer);
      }
    }
  }

  private static void assertSame(LabelTree wanted, LabelTree actual) {
    assertArrayEquals(wanted.W1().toArray(), actual.W1().toArray());
    assertArrayEquals(wanted.b1().toArray(), actual.b1().toArray());
    assertArrayEquals(wanted.W2().toArray(), actual.W2().toArray());
    assertArrayEquals(wanted.b2().toArray(), actual.b2().toArray());
    assertEquals(wanted.assignment(), actual.assignment());
    assertEquals(wanted.steps(), actual.steps());
  }

  static Stream<Optimizer> optimizers() {
    return Stream.of(Optimizer.sgd(0.1f), Optimizer.adagrad(0.1f), Optimizer.adam(0.1f));
  }

  @ParameterizedTest
  @MethodSource("optimizers")
  void trainingGoesOnAsIfItHadNotEnded(Optimizer optimizer) throws IOException {
    try (LabelTree layer = layer()) {
      train(layer, optimizer);
      layer.save(
          file(),
          SaveOptions.defaults().withOptimizerState().withMetadata(Map.of("language", "ö")));
      try (LabelTree loaded = LabelTree.load(file())) {
        assertSame(layer, loaded);
        assertEquals(Map.of("language", "ö"), loaded.metadata());
        train(layer, optimizer);
        train(loaded, optimizer);
        assertSame(layer, loaded);
      }
    }
  }

  @Test
  void namesAndABagInTheSameFile() throws IOException {
    Labels names = Labels.of("a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k");
    try (LabelTree layer = layer();
        EmbeddingBag bag = EmbeddingBag.builder(30, 5).seed(1).build()) {
      layer.setLabels(names);
      layer.save(file(), SaveOptions.defaults().with(bag));
      try (LabelTree loaded = LabelTree.load(file());
          EmbeddingBag loadedBag = EmbeddingBag.load(file())) {
        assertEquals(names, loaded.labels());
        assertArrayEquals(bag.table().toArray(), loadedBag.table().toArray());
      }
    }
  }

  @Test
  void mapped() throws IOException {
    try (LabelTree layer = layer();
        FloatTensor x = x()) {
      layer.save(file());
      try (LabelTree read = LabelTree.load(file(), LoadOptions.mapped())) {
        assertArrayEquals(layer.topK(x, 3).outputs(1), read.topK(x, 3).outputs(1));
        assertArrayEquals(
            layer.probabilities(x).toArray(), read.probabilities(x).toArray(), "probabilities");
        String message =
            assertThrows(IllegalStateException.class, () -> train(read, Optimizer.sgd(1)))
                .getMessage();
        assertTrue(message.startsWith("W2: ") && message.contains("is mapped read-only"), message);
      }
      try (LabelTree trained = LabelTree.load(file(), LoadOptions.copyOnWrite())) {
        train(trained, Optimizer.sgd(0.1f));
        train(layer, Optimizer.sgd(0.1f));
        assertSame(layer, trained);
      }
    }
  }

  /** Weights in 16 bits give the results of a layer of the same floats, and are read-only. */
  @Test
  void weightsInFewerBits() throws IOException {
    try (LabelTree layer = layer();
        FloatTensor x = x()) {
      for (FloatTensor weights : List.of(layer.W1(), layer.W2())) {
        float[] values = weights.toArray();
        for (int i = 0; i < values.length; i++) {
          values[i] = Math.round(values[i] * 64) / 64f; // a bfloat16 holds these exactly
        }
        weights.copyFrom(values);
      }
      LabelTree narrow = layer.withWeights(ElementType.BFLOAT16);
      narrow.save(file());
      try (narrow;
          LabelTree loaded = LabelTree.load(file())) {
        assertEquals(ElementType.BFLOAT16, loaded.weightType());
        assertEquals(ElementType.BFLOAT16, narrow.weightType());
        assertArrayEquals(
            loaded.logProbabilities(x).toArray(), narrow.logProbabilities(x).toArray());
        assertThrows(IllegalStateException.class, narrow::W2);
        assertArrayEquals(
            layer.logProbabilities(x).toArray(), loaded.logProbabilities(x).toArray(), 1e-6f);
        assertArrayEquals(layer.topK(x, 3).outputs(2), loaded.topK(x, 3).outputs(2));
        String message =
            assertThrows(IllegalStateException.class, () -> train(loaded, Optimizer.sgd(1)))
                .getMessage();
        assertTrue(message.startsWith("step: the weights of this layer are "), message);
      }
    }
  }

  private void assertRefused(String reason, boolean tree) {
    FileFormatException refused =
        assertThrows(
            FileFormatException.class,
            () -> {
              if (tree) {
                LabelTree.load(file()).close();
              } else {
                HierarchicalSoftmax.load(file()).close();
              }
            });
    assertTrue(refused.getMessage().contains(reason), refused.getMessage());
  }

  /** The same tensors have another meaning there. */
  @Test
  void eachKindOfLayerLoadsItsOwn() throws IOException {
    try (LabelTree layer = layer()) {
      layer.save(file());
    }
    assertRefused("is of a LabelTree; LabelTree.load loads it", false);
    try (HierarchicalSoftmax layer = HierarchicalSoftmax.builder(5, 11).classes(CLASSES).build()) {
      layer.save(file());
    }
    assertRefused("is of a HierarchicalSoftmax; HierarchicalSoftmax.load loads it", true);
  }

  private void change(String from, String to) throws IOException {
    String text = Files.readString(file(), ISO_8859_1);
    assertTrue(text.contains(from) && from.length() == to.length(), from);
    Files.writeString(file(), text.replace(from, to), ISO_8859_1);
  }

  @Test
  void anotherKindOfLayerIsRefused() throws IOException {
    try (LabelTree layer = layer()) {
      layer.save(file());
    }
    change("LabelTree", "LabelTrie");
    assertRefused("blocksparse.layer is no layer: LabelTrie", true);
    assertRefused("blocksparse.layer is no layer: LabelTrie", false);
  }
}
