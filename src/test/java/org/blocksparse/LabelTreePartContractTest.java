// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.blocksparse.testing.KernelsUnderTest;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Parts of a label tree that are trained one after the other have the bits of the layer, on all
 * kernels. What they share with those of a softmax is tested there.
 */
final class LabelTreePartContractTest {
  private static final SaveOptions WITH_STATE = SaveOptions.defaults().withOptimizerState();

  @TempDir Path folder;
  private Path ofLayer;
  private Path ofParts;

  @BeforeEach
  void files() {
    ofLayer = folder.resolve("layer");
    ofParts = folder.resolve("parts");
  }

  private static LayerBuilder<SparseRows, LabelTree> builder(Workers workers) {
    return LabelTree.builder(PartBatch.FEATURES, PartBatch.CLASSES.outputs())
        .classes(PartBatch.CLASSES)
        .seed(5)
        .workers(workers);
  }

  private void assertSameFiles() throws IOException {
    assertEquals(-1, Files.mismatch(ofLayer, ofParts), "the first byte that differs");
    LabelTree.load(ofParts).close();
  }

  @ParameterizedTest(name = "{0} {1} weighted {2}")
  @MethodSource("org.blocksparse.PartBatch#cases")
  void partsHaveTheBitsOfTheLayer(KernelsUnderTest kernels, Optimizer optimizer, boolean weighted)
      throws IOException {
    List<PartBatch<SparseRows>> batches = PartBatch.ofSets(3, weighted);
    LayerBuilder<SparseRows, LabelTree> builder = builder(kernels.workers());
    try (LabelTree layer = builder.build()) {
      batches.forEach(batch -> batch.stepLayer(layer, optimizer));
      layer.save(ofLayer, WITH_STATE);
    }
    List<byte[]> trained = PartBatch.train(PartBatch.initial(builder), batches, optimizer);
    builder.saveParts(ofParts, PartBatch.COUNT, trained.iterator(), WITH_STATE);
    assertSameFiles();
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void lossesOfPartsAddUpToThatOfTheLayer(boolean weighted) {
    LayerBuilder<SparseRows, LabelTree> builder = builder(Workers.common());
    try (LabelTree layer = builder.build()) {
      PartBatch.assertLossesAddUp(layer, PartBatch.initial(builder), PartBatch.ofSets(6, weighted));
    }
  }

  @ParameterizedTest(name = "{0} {1} weighted {2}")
  @MethodSource("org.blocksparse.PartBatch#cases")
  void trainingOfALayerGoesOnInParts(
      KernelsUnderTest kernels, Optimizer optimizer, boolean weighted) throws IOException {
    List<PartBatch<SparseRows>> first = PartBatch.ofSets(4, weighted);
    List<PartBatch<SparseRows>> second = PartBatch.ofSets(5, weighted);
    LayerBuilder<SparseRows, LabelTree> builder = builder(kernels.workers());
    try (LabelTree layer = builder.build()) {
      first.forEach(batch -> batch.stepLayer(layer, optimizer));
      List<LayerPart<SparseRows>> parts =
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

  /** By a step with none of the batch's rows, or with all of them, none of which is its own. */
  @ParameterizedTest
  @MethodSource("org.blocksparse.PartBatch#changesOfKind")
  void aClassThatIsNotThereIsToldThatTheOptimizerIsAnother(Optimizer before, Optimizer between)
      throws IOException {
    List<PartBatch<SparseRows>> first = PartBatch.ofSets(10, false);
    List<PartBatch<SparseRows>> second = PartBatch.without(2, PartBatch.ofSets(11, true));
    List<PartBatch<SparseRows>> third = PartBatch.ofSets(12, false);
    LayerBuilder<SparseRows, LabelTree> builder = builder(Workers.common());
    try (LabelTree layer = builder.build()) {
      first.forEach(batch -> batch.stepLayer(layer, before));
      second.forEach(batch -> batch.stepLayer(layer, between));
      third.forEach(batch -> batch.stepLayer(layer, before));
      layer.save(ofLayer, WITH_STATE);
    }
    for (boolean all : new boolean[] {false, true}) {
      List<byte[]> trained =
          PartBatch.trainEach(
              PartBatch.initial(builder),
              part -> {
                first.forEach(batch -> batch.stepPart(part, before));
                for (PartBatch<SparseRows> batch : second) {
                  if (all) {
                    batch.stepPart(part, between, IntStream.range(0, batch.x().length).toArray());
                  } else {
                    batch.stepPart(part, between);
                  }
                }
                third.forEach(batch -> batch.stepPart(part, before));
              });
      builder.saveParts(ofParts, 3L * PartBatch.COUNT, trained.iterator(), WITH_STATE);
      assertSameFiles();
    }
  }

  @Test
  void aFileOfPartsHasNamesAndMetadataAsThatOfALayer() throws IOException {
    Labels names = Labels.of(IntStream.range(0, 90).mapToObj(o -> "output " + o).toList());
    SaveOptions options = SaveOptions.defaults().withMetadata(Map.of("a", "b"));
    LayerBuilder<SparseRows, LabelTree> builder = builder(Workers.common()).labels(names);
    try (LabelTree layer = builder.build()) {
      layer.save(ofLayer, options);
    }
    List<byte[]> parts = PartBatch.train(PartBatch.initial(builder), List.of(), Optimizer.sgd(1));
    builder.saveParts(ofParts, 0, parts.iterator(), options);
    assertSameFiles();
  }

  /** The parts have the same sizes, but the numbers are of other decisions. */
  @Test
  void partsOfTheOtherKindOfLayerAreRefused() throws IOException {
    LayerBuilder<SparseRows, LabelTree> tree = builder(Workers.common());
    LayerBuilder<IntTensor, HierarchicalSoftmax> softmax =
        HierarchicalSoftmax.builder(PartBatch.FEATURES, 90).classes(PartBatch.CLASSES);
    List<byte[]> ofTree = PartBatch.train(PartBatch.initial(tree), List.of(), Optimizer.sgd(1));
    List<byte[]> ofSoftmax =
        PartBatch.train(PartBatch.initial(softmax), List.of(), Optimizer.sgd(1));
    List<byte[]> mixed = new ArrayList<>(ofTree);
    mixed.set(3, ofSoftmax.get(3));
    Files.writeString(ofParts, "old");
    assertRefused(tree, ofSoftmax, "parts: expected what LayerPart.toBytes returns of a LabelTree");
    assertRefused(tree, mixed, "parts: expected what LayerPart.toBytes returns of a LabelTree");
    assertRefused(
        softmax, ofTree, "parts: expected what LayerPart.toBytes returns of a HierarchicalSoftmax");
    assertEquals("old", Files.readString(ofParts));
  }

  private void assertRefused(LayerBuilder<?, ?> builder, List<byte[]> parts, String message) {
    Exception e =
        assertThrows(
            IllegalArgumentException.class,
            () -> builder.saveParts(ofParts, 1, parts.iterator(), SaveOptions.defaults()));
    assertEquals(message, e.getMessage());
  }

  @Test
  void whatAPartCannotDoIsRefusedAndChangesNothing() {
    LayerBuilder<SparseRows, LabelTree> builder = builder(Workers.common());
    assertThrows(IndexOutOfBoundsException.class, () -> builder.buildPart(-2));
    assertThrows(IndexOutOfBoundsException.class, () -> builder.buildPart(8));
    for (int number : new int[] {LayerPart.CLASS_LEVEL, 1}) {
      int bound = number == 1 ? PartBatch.CLASSES.size(1) : 8;
      try (LayerPart<SparseRows> part = builder.buildPart(number);
          FloatTensor x = FloatTensor.zeros(2, PartBatch.FEATURES);
          SparseRows targets = SparseRows.of(List.of(new int[] {0}, new int[0]));
          SparseRows few = SparseRows.of(List.of(new int[] {0}));
          SparseRows outside = SparseRows.of(List.of(new int[0], new int[] {1, bound}))) {
        Optimizer sgd = Optimizer.sgd(1);
        part.step(x, targets, Loss.sum(), sgd);
        byte[] before = part.toBytes();
        for (Loss single : List.of(Loss.sum().withSmoothing(0.1f), Loss.sum().withIgnored(0))) {
          assertThrows(IllegalArgumentException.class, () -> part.step(x, targets, single, sgd));
        }
        assertThrows(IllegalArgumentException.class, () -> part.step(x, few, Loss.sum(), sgd));
        assertThrows(IndexOutOfBoundsException.class, () -> part.step(x, outside, Loss.sum(), sgd));
        x.set(Float.NaN, 1, 3);
        Exception notFinite =
            assertThrows(ArithmeticException.class, () -> part.step(x, targets, Loss.sum(), sgd));
        assertTrue(notFinite.getMessage().startsWith("step 2: "), notFinite.getMessage());
        assertArrayEquals(before, part.toBytes());
        part.b().storage().putFloat(0, Float.NaN);
        Exception e = assertThrows(IllegalStateException.class, part::toBytes);
        assertTrue(e.getMessage().startsWith(part + ": element "), e.getMessage());
      }
    }
  }
}
