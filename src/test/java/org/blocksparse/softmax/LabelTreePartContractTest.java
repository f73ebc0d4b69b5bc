// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.blocksparse.FloatTensor;
import org.blocksparse.IntTensor;
import org.blocksparse.Optimizer;
import org.blocksparse.SparseRows;
import org.blocksparse.Workers;
import org.blocksparse.internal.tensors.Dense;
import org.blocksparse.io.SaveOptions;
import org.blocksparse.testing.Data;
import org.junit.jupiter.api.Test;

/** Parts of a label tree, under the contract of all parts. */
final class LabelTreePartContractTest extends LayerPartContract<SparseRows, LabelTree> {
  @Override
  LayerBuilder<SparseRows, LabelTree> builder() {
    return LabelTree.builder(PartBatch.FEATURES, PartBatch.CLASSES.outputs());
  }

  @Override
  List<PartBatch<SparseRows>> batches(long seed, boolean weighted) {
    return PartBatch.ofSets(seed, weighted);
  }

  @Override
  LabelTree load(Path file) throws IOException {
    return LabelTree.load(file);
  }

  @Override
  boolean takesRowsOfOtherParts() {
    return true;
  }

  /** A batch opens so many classes that the layer takes some of them after the others. */
  @Test
  void classesHaveTheBitsOfALayerThatDividesItsBatch() {
    int classes = 160;
    int slots = 1000;
    int rows = 1_600; // 160 in a class: BLAS takes 128 at a time
    int each = 16;
    List<int[]> all =
        IntStream.range(0, rows)
            .mapToObj(
                row ->
                    IntStream.range(0, each)
                        .map(i -> (row + 2 * i) % classes * slots + 7 * (row + i) % slots)
                        .toArray())
            .toList();
    float[] values = new Data(1).coarseFloats(3L * rows);
    Optimizer rule = Optimizer.adagrad(0.1f);
    try (LabelTree layer = LabelTree.builder(3, classes * slots).classes(classes).seed(1).build();
        FloatTensor x = FloatTensor.of(values, rows, 3);
        FloatTensor gradX = FloatTensor.zeros(rows, 3);
        SparseRows y = SparseRows.of(all)) {
      assertRowsDoNotDependOnOthers(layer, x, y);
      List<LayerPart<SparseRows>> parts =
          IntStream.range(0, classes)
              .mapToObj(number -> LayerPart.of(layer, number, Workers.common()))
              .toList();
      layer.step(x, y, Loss.sum(), rule, gradX);
      for (LayerPart<SparseRows> part : parts) {
        int[] own =
            IntStream.range(0, rows)
                .filter(row -> slotsIn(part.number(), slots, all.get(row)).length > 0)
                .toArray();
        float[] ownValues = new float[3 * own.length];
        for (int i = 0; i < own.length; i++) {
          System.arraycopy(values, 3 * own[i], ownValues, 3 * i, 3);
        }
        try (part;
            FloatTensor ownX = FloatTensor.of(ownValues, own.length, 3);
            SparseRows ownY =
                SparseRows.of(
                    Arrays.stream(own)
                        .mapToObj(row -> slotsIn(part.number(), slots, all.get(row)))
                        .toList());
            LayerPart<SparseRows> ofLayer = LayerPart.of(layer, part.number(), Workers.common())) {
          part.step(ownX, ownY, Loss.sum(), rule);
          assertArrayEquals(ofLayer.toBytes(), part.toBytes(), "class " + part.number());
        }
      }
    }
  }

  private static int[] slotsIn(int classNumber, int slots, int[] outputs) {
    return Arrays.stream(outputs)
        .filter(o -> o / slots == classNumber)
        .map(o -> o % slots)
        .toArray();
  }

  /**
   * Asserts the losses and gradients of x for half of the rows, which are not divided; the
   * contributions of classes to the latter are added in another order.
   */
  private static void assertRowsDoNotDependOnOthers(LabelTree layer, FloatTensor x, SparseRows y) {
    int half = y.rows() / 2;
    int features = layer.features();
    float[] ofHalf = Arrays.copyOf(x.toArray(), half * features);
    try (FloatTensor few = FloatTensor.of(ofHalf, half, features);
        SparseRows yOfFew = y.slice(0, half);
        SoftmaxGradients expected = layer.gradients(few, yOfFew, Loss.sum());
        SoftmaxGradients actual = layer.gradients(x, y, Loss.sum());
        FloatTensor losses = layer.losses(x, y, Loss.sum());
        FloatTensor lossesOfFew = layer.losses(few, yOfFew, Loss.sum())) {
      assertArrayEquals(
          expected.x().toArray(), Arrays.copyOf(actual.x().toArray(), half * features), 1e-3f);
      assertArrayEquals(lossesOfFew.toArray(), Arrays.copyOf(losses.toArray(), half));
    }
  }

  /** The parts have equal sizes, but belong to the other kind of layer. */
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
        Dense.from(part.b()).storage().putFloat(0, Float.NaN);
        Exception e = assertThrows(IllegalStateException.class, part::toBytes);
        assertTrue(e.getMessage().startsWith(part + ": element "), e.getMessage());
      }
    }
  }
}
