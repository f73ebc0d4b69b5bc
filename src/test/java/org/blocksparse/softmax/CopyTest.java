// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import static org.blocksparse.softmax.GrowingLayer.assertIsWell;
import static org.blocksparse.softmax.GrowingLayer.assertSameLayer;
import static org.blocksparse.softmax.GrowingLayer.train;
import static org.blocksparse.softmax.GrowingLayer.trained;
import static org.blocksparse.softmax.GrowingLayer.x;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.IntStream;
import org.blocksparse.ElementType;
import org.blocksparse.FloatTensor;
import org.blocksparse.Optimizer;
import org.blocksparse.io.LoadOptions;
import org.blocksparse.io.SaveOptions;
import org.blocksparse.ranking.Labels;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Copies of layers, which serve while the layers train and grow. */
final class CopyTest {
  @TempDir Path folder;

  @ParameterizedTest
  @MethodSource("org.blocksparse.softmax.GrowingLayer#kindsAndOptimizers")
  void aCopyGoesOnAsTheLayerDoes(LayerKind kind, Optimizer optimizer) {
    try (TwoLevelLayer<?> layer = trained(kind, optimizer)) {
      layer.setLabels(
          Labels.of(IntStream.range(0, layer.outputs()).mapToObj(i -> "" + i).toList()));
      try (TwoLevelLayer<?> copy = layer.copy()) {
        assertSameLayer(layer, copy);
        assertEquals(layer.labels(), copy.labels());
        assertEquals(5, copy.steps());
        float[] before = copy.W2().toArray();
        train(layer, optimizer, 1, 2, 3, 4);
        assertArrayEquals(before, copy.W2().toArray(), "the copy is its own");
        train(copy, optimizer, 1, 2, 3, 4);
        assertSameLayer(layer, copy);
        layer.close();
        assertIsWell(copy);
      }
    }
  }

  /** A conversion of floats to floats is a copy, with the optimizer's state. */
  @ParameterizedTest
  @MethodSource("org.blocksparse.softmax.GrowingLayer#kindsAndOptimizers")
  void aLayerOfFloatsGoesOnAsTheLayerDoes(LayerKind kind, Optimizer optimizer) {
    try (TwoLevelLayer<?> layer = trained(kind, optimizer);
        TwoLevelLayer<?> floats = layer.withWeights(ElementType.FLOAT32)) {
      assertSameLayer(layer, floats);
      train(layer, optimizer, 1, 2, 3, 4);
      train(floats, optimizer, 1, 2, 3, 4);
      assertSameLayer(layer, floats);
    }
  }

  @ParameterizedTest
  @EnumSource
  void aCopyOfAMappedLayerCanBeTrained(LayerKind kind) throws IOException {
    Path file = folder.resolve("model");
    Optimizer adam = Optimizer.adam(.01f);
    try (TwoLevelLayer<?> layer = trained(kind, adam)) {
      layer.save(file, SaveOptions.defaults().withOptimizerState().withMetadata(Map.of("a", "b")));
      try (TwoLevelLayer<?> mapped = kind.load(file, LoadOptions.mapped());
          TwoLevelLayer<?> copy = mapped.copy()) {
        assertEquals(Map.of("a", "b"), copy.metadata());
        train(layer, adam, 1, 2, 3, 4);
        train(copy, adam, 1, 2, 3, 4);
        assertSameLayer(layer, copy);
      }
    }
  }

  @ParameterizedTest
  @EnumSource
  void aCopyServesWhileTheLayerGrows(LayerKind kind) throws Exception {
    ExecutorService server = Executors.newSingleThreadExecutor();
    try (TwoLevelLayer<?> layer = trained(kind, Optimizer.adagrad(.1f));
        TwoLevelLayer<?> served = layer.copy();
        FloatTensor x = x()) {
      int[] wanted = served.topK(x, 3).outputs(0);
      Future<?> serving =
          server.submit(
              () -> {
                for (int i = 0; i < 500; i++) {
                  assertArrayEquals(wanted, served.topK(x, 3).outputs(0));
                }
              });
      for (int i = 0; i < 50; i++) {
        layer.addOutputs(2);
        layer.retire(layer.outputs() - 1);
        train(layer, Optimizer.adagrad(.1f), 0, 4, 7, layer.outputs() - 2);
      }
      serving.get();
      assertEquals(109, layer.outputs());
      assertIsWell(layer);
    } finally {
      server.shutdownNow();
    }
  }
}
