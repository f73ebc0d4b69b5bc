// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import org.blocksparse.Optimizer;
import org.blocksparse.Workers;
import org.blocksparse.io.SaveOptions;
import org.blocksparse.ranking.Labels;
import org.blocksparse.testing.KernelsUnderTest;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Parts that are trained one after the other have the bits of the layer, on all kernels.
 *
 * @param <T> the targets
 * @param <L> the layer
 */
abstract class LayerPartContract<T, L extends TwoLevelLayer<T>> {
  static final SaveOptions WITH_STATE = SaveOptions.defaults().withOptimizerState();

  @TempDir Path folder;
  Path ofLayer;
  Path ofParts;

  @BeforeEach
  void files() {
    ofLayer = folder.resolve("layer");
    ofParts = folder.resolve("parts");
  }

  /**
   * Returns a builder of a layer with the sizes of {@link PartBatch#FEATURES} and {@link
   * PartBatch#CLASSES}.
   */
  abstract LayerBuilder<T, L> builder();

  abstract List<PartBatch<T>> batches(long seed, boolean weighted);

  abstract L load(Path file) throws IOException;

  /** Returns whether a step of a part accepts rows without a target in it. */
  abstract boolean takesRowsOfOtherParts();

  final LayerBuilder<T, L> builder(Workers workers) {
    return builder().classes(PartBatch.CLASSES).seed(5).workers(workers);
  }

  final void assertSameFiles() throws IOException {
    assertEquals(-1, Files.mismatch(ofLayer, ofParts), "the first byte that differs");
    load(ofParts).close();
  }

  @ParameterizedTest(name = "{0} {1} weighted {2}")
  @MethodSource("org.blocksparse.softmax.PartBatch#cases")
  void partsHaveTheBitsOfTheLayer(KernelsUnderTest kernels, Optimizer optimizer, boolean weighted)
      throws IOException {
    List<PartBatch<T>> batches = batches(3, weighted);
    LayerBuilder<T, L> builder = builder(kernels.workers());
    try (L layer = builder.build()) {
      batches.forEach(batch -> batch.stepLayer(layer, optimizer));
      assertEquals(PartBatch.COUNT, layer.steps());
      layer.save(ofLayer, WITH_STATE);
    }
    List<byte[]> trained = PartBatch.train(PartBatch.initial(builder), batches, optimizer);
    builder.saveParts(ofParts, PartBatch.COUNT, trained.iterator(), WITH_STATE);
    assertSameFiles();
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void lossesOfPartsAddUpToThatOfTheLayer(boolean weighted) {
    LayerBuilder<T, L> builder = builder(Workers.common());
    try (L layer = builder.build()) {
      PartBatch.assertLossesAddUp(layer, PartBatch.initial(builder), batches(6, weighted));
    }
  }

  @ParameterizedTest(name = "{0} {1} weighted {2}")
  @MethodSource("org.blocksparse.softmax.PartBatch#cases")
  void trainingOfALayerGoesOnInParts(
      KernelsUnderTest kernels, Optimizer optimizer, boolean weighted) throws IOException {
    List<PartBatch<T>> first = batches(4, weighted);
    List<PartBatch<T>> second = batches(5, weighted);
    LayerBuilder<T, L> builder = builder(kernels.workers());
    try (L layer = builder.build()) {
      first.forEach(batch -> batch.stepLayer(layer, optimizer));
      List<LayerPart<T>> parts =
          IntStream.range(-1, PartBatch.CLASSES.classCount())
              .mapToObj(number -> LayerPart.of(layer, number, kernels.workers()))
              .toList();
      List<byte[]> trained = PartBatch.train(parts, second, optimizer);
      second.forEach(batch -> batch.stepLayer(layer, optimizer));
      layer.save(ofLayer, WITH_STATE);
      builder.saveParts(ofParts, layer.steps(), trained.iterator(), WITH_STATE);
    }
    assertSameFiles();
  }

  /** Class 2 keeps a state that the layer has dropped, and that no file may have. */
  @ParameterizedTest
  @MethodSource("org.blocksparse.softmax.PartBatch#changesOfKind")
  void aClassThatAnotherOptimizerLeavesOutHasNoState(Optimizer before, Optimizer after)
      throws IOException {
    List<PartBatch<T>> first = batches(8, false);
    List<PartBatch<T>> second = PartBatch.without(2, batches(9, false));
    LayerBuilder<T, L> builder = builder(Workers.common());
    try (L layer = builder.build()) {
      first.forEach(batch -> batch.stepLayer(layer, before));
      List<LayerPart<T>> parts =
          IntStream.range(-1, PartBatch.CLASSES.classCount())
              .mapToObj(number -> LayerPart.of(layer, number, Workers.common()))
              .toList();
      List<byte[]> trained = PartBatch.train(parts, second, after);
      second.forEach(batch -> batch.stepLayer(layer, after));
      for (SaveOptions options : List.of(SaveOptions.defaults(), WITH_STATE)) {
        layer.save(ofLayer, options);
        builder.saveParts(ofParts, layer.steps(), trained.iterator(), options);
        assertSameFiles();
      }
    }
  }

  /** The layer drops the state of class 2, too, and later training begins without it. */
  @ParameterizedTest
  @MethodSource("org.blocksparse.softmax.PartBatch#changesOfKind")
  void aStepWithoutRowsTellsAClassThatTheOptimizerIsAnother(Optimizer before, Optimizer between)
      throws IOException {
    List<PartBatch<T>> first = batches(10, false);
    List<PartBatch<T>> second = PartBatch.without(2, batches(11, true));
    List<PartBatch<T>> third = batches(12, false);
    LayerBuilder<T, L> builder = builder(Workers.common());
    try (L layer = builder.build()) {
      first.forEach(batch -> batch.stepLayer(layer, before));
      second.forEach(batch -> batch.stepLayer(layer, between));
      third.forEach(batch -> batch.stepLayer(layer, before));
      layer.save(ofLayer, WITH_STATE);
    }
    for (boolean allRows : takesRowsOfOtherParts() ? List.of(false, true) : List.of(false)) {
      assertSameOfParts(
          builder,
          3L * PartBatch.COUNT,
          part -> {
            first.forEach(batch -> batch.stepPart(part, before));
            second.forEach(
                batch ->
                    batch.stepPart(
                        part, between, allRows ? batch.allRows() : batch.own(part.number())));
            third.forEach(batch -> batch.stepPart(part, before));
          });
    }
  }

  /** Then the layer changes nothing, and its state is the previous one. */
  @ParameterizedTest
  @MethodSource("org.blocksparse.softmax.PartBatch#changesOfKind")
  void noClassIsToldOfABatchOfWhichNoRowCounts(Optimizer before, Optimizer between)
      throws IOException {
    List<PartBatch<T>> first = batches(13, false);
    PartBatch<T> second = batches(14, false).get(0).withWeight(0);
    List<PartBatch<T>> third = batches(15, false);
    LayerBuilder<T, L> builder = builder(Workers.common());
    try (L layer = builder.build()) {
      first.forEach(batch -> batch.stepLayer(layer, before));
      second.stepLayer(layer, between);
      third.forEach(batch -> batch.stepLayer(layer, before));
      layer.save(ofLayer, WITH_STATE);
    }
    assertSameOfParts(
        builder,
        2L * PartBatch.COUNT + 1,
        part -> {
          first.forEach(batch -> batch.stepPart(part, before));
          if (part.number() == LayerPart.CLASS_LEVEL) {
            second.stepPart(part, between);
          }
          third.forEach(batch -> batch.stepPart(part, before));
        });
  }

  /** Parts receive the product, which is 0. */
  @Test
  void aWeightWhoseShareOfTheMeanIsZeroDoesNotCount() throws IOException {
    Optimizer optimizer = Optimizer.adam(0.02f);
    List<PartBatch<T>> batches = new ArrayList<>(batches(16, false));
    batches.set(1, batches.get(1).withWeight(Float.MIN_VALUE));
    LayerBuilder<T, L> builder = builder(Workers.common());
    try (L layer = builder.build()) {
      batches.forEach(batch -> batch.stepLayer(layer, optimizer));
      layer.save(ofLayer, WITH_STATE);
    }
    assertSameOfParts(
        builder,
        PartBatch.COUNT,
        part -> batches.forEach(batch -> batch.stepPart(part, optimizer)));
  }

  /**
   * Asserts that all parts, each trained separately, make the same file as the layer, with its
   * state.
   */
  final void assertSameOfParts(
      LayerBuilder<T, L> builder, long steps, Consumer<LayerPart<T>> training) throws IOException {
    List<byte[]> trained = PartBatch.trainEach(PartBatch.initial(builder), training);
    builder.saveParts(ofParts, steps, trained.iterator(), WITH_STATE);
    assertSameFiles();
  }

  @Test
  void aFileOfPartsHasNamesAndMetadataAsThatOfALayer() throws IOException {
    Labels names = Labels.of(IntStream.range(0, 90).mapToObj(o -> "output " + o).toList());
    SaveOptions options = SaveOptions.defaults().withMetadata(Map.of("a", "b"));
    LayerBuilder<T, L> builder = builder(Workers.common()).labels(names);
    try (L layer = builder.build()) {
      layer.save(ofLayer, options);
    }
    builder.saveParts(
        ofParts,
        0,
        PartBatch.train(PartBatch.initial(builder), List.of(), Optimizer.sgd(1)).iterator(),
        options);
    assertSameFiles();
    try (L loaded = load(ofParts)) {
      assertEquals("output 7", loaded.labels().name(7));
    }
  }
}
