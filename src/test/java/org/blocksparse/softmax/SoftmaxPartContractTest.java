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
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.stream.IntStream;
import org.blocksparse.FloatTensor;
import org.blocksparse.IntTensor;
import org.blocksparse.Optimizer;
import org.blocksparse.Shape;
import org.blocksparse.Workers;
import org.blocksparse.internal.tensors.Dense;
import org.blocksparse.io.SaveOptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Parts of a softmax, and the files of parts in general. */
final class SoftmaxPartContractTest extends LayerPartContract<IntTensor, HierarchicalSoftmax> {
  @Override
  LayerBuilder<IntTensor, HierarchicalSoftmax> builder() {
    return HierarchicalSoftmax.builder(PartBatch.FEATURES, PartBatch.CLASSES.outputs());
  }

  @Override
  List<PartBatch<IntTensor>> batches(long seed, boolean weighted) {
    return PartBatch.random(seed, weighted);
  }

  @Override
  HierarchicalSoftmax load(Path file) throws IOException {
    return HierarchicalSoftmax.load(file);
  }

  @Override
  boolean takesRowsOfOtherParts() {
    return false;
  }

  /** The number of steps is at the limit, and stays there. */
  @ParameterizedTest
  @ValueSource(longs = {999_999_999_999_999_999L, 1_000_000_000_000_000_000L, Long.MAX_VALUE})
  void stepsOfAnyNumberAreKept(long steps) throws IOException {
    long next = steps == Long.MAX_VALUE ? steps : steps + 1;
    LayerBuilder<IntTensor, HierarchicalSoftmax> builder = builder(Workers.common());
    List<byte[]> parts = PartBatch.train(PartBatch.initial(builder), List.of(), Optimizer.sgd(1));
    builder.saveParts(ofParts, steps, parts.iterator(), SaveOptions.defaults());
    try (HierarchicalSoftmax loaded = HierarchicalSoftmax.load(ofParts)) {
      assertEquals(steps, loaded.steps());
      try (FloatTensor x = FloatTensor.zeros(1, PartBatch.FEATURES);
          IntTensor target = IntTensor.zeros(1)) {
        x.fill(Float.NaN);
        Exception e =
            assertThrows(ArithmeticException.class, () -> loaded.step(x, target, Optimizer.sgd(1)));
        assertTrue(e.getMessage().startsWith("step " + next + ": "), e.getMessage());
      }
      PartBatch.random(1, false).get(0).stepLayer(loaded, Optimizer.sgd(1));
      assertEquals(next, loaded.steps());
      loaded.save(ofLayer);
    }
    try (HierarchicalSoftmax loaded = HierarchicalSoftmax.load(ofLayer)) {
      assertEquals(next, loaded.steps());
    }
  }

  @Test
  void progressOfAFileOfPartsIsToldUpToItsLastByte() throws IOException {
    List<Long> told = new ArrayList<>();
    List<Long> totals = new ArrayList<>();
    SaveOptions options =
        SaveOptions.defaults()
            .withOptimizerState()
            .withProgress(
                (done, total) -> {
                  told.add(done);
                  totals.add(total);
                });
    LayerBuilder<IntTensor, HierarchicalSoftmax> builder = builder(Workers.common());
    List<byte[]> parts =
        PartBatch.train(
            PartBatch.initial(builder), PartBatch.random(6, false), Optimizer.adam(0.02f));
    builder.saveParts(ofParts, PartBatch.COUNT, parts.iterator(), options);
    assertEquals(told.stream().sorted().distinct().toList(), told);
    assertEquals(Set.of(Files.size(ofParts)), Set.copyOf(totals));
    assertEquals(totals.get(0), told.get(told.size() - 1));
    assertTrue(told.size() > parts.size(), told.toString());
  }

  @Test
  void whatIsNotAWholeLayerIsRefusedAndTheOldFileStays() throws IOException {
    LayerBuilder<IntTensor, HierarchicalSoftmax> builder = builder(Workers.common());
    List<byte[]> parts = PartBatch.train(PartBatch.initial(builder), List.of(), Optimizer.sgd(1));
    Files.writeString(ofParts, "old");
    assertRefused(builder, "there are none", List.of());
    assertRefused(builder, "class level first", parts.subList(1, parts.size()));
    assertRefused(builder, "is missing", parts.subList(0, parts.size() - 1));
    List<byte[]> twice = new ArrayList<>(parts);
    twice.set(2, parts.get(1));
    assertRefused(builder, "once", twice);
    assertRefused(
        HierarchicalSoftmax.builder(PartBatch.FEATURES + 1, 90).classes(PartBatch.CLASSES),
        "weights",
        parts);
    byte[] cut = Arrays.copyOf(parts.get(3), parts.get(3).length - 1);
    List<byte[]> damaged = new ArrayList<>(parts);
    damaged.set(3, cut);
    assertRefused(builder, "is damaged", damaged);
    damaged.set(3, new byte[100]);
    assertRefused(builder, "LayerPart.toBytes", damaged);
    // The number of weight bytes overflows to the right one.
    assertDamagedIsRefused(builder, "is damaged", parts, 3, 12, 1 << 30);
    assertThrows(
        IllegalArgumentException.class,
        () -> builder.saveParts(ofParts, -1, parts.iterator(), SaveOptions.defaults()));
    assertArrayEquals("old".getBytes(StandardCharsets.UTF_8), Files.readAllBytes(ofParts));
  }

  /** A file that {@link HierarchicalSoftmax#load} would reject is not written. */
  @Test
  void numbersThatNoFileMayHaveAreRefused() throws IOException {
    LayerBuilder<IntTensor, HierarchicalSoftmax> builder = builder(Workers.common());
    List<byte[]> parts =
        PartBatch.train(
            PartBatch.initial(builder), PartBatch.random(3, false), Optimizer.adam(0.1f));
    Files.writeString(ofParts, "old");
    // A class that made no step has no state, and fewer bytes.
    int trained =
        IntStream.range(1, parts.size())
            .reduce(1, (a, b) -> parts.get(b).length > parts.get(a).length ? b : a);
    for (int part : new int[] {0, trained}) {
      int end = parts.get(part).length;
      assertDamagedIsRefused(builder, "its steps = -1 are negative", parts, part, 36, -1);
      int nan = Float.floatToIntBits(Float.NaN);
      assertDamagedIsRefused(builder, "element 0 = NaN is not finite", parts, part, 44, nan);
      int infinite = Float.floatToIntBits(Float.NEGATIVE_INFINITY);
      assertDamagedIsRefused(builder, "is not finite", parts, part, end - 4, infinite);
      int tiny = Float.floatToIntBits(-Float.MIN_VALUE);
      assertDamagedIsRefused(builder, "of moment 1 = -1.4E-45", parts, part, end - 4, tiny);
    }
    assertEquals("old", Files.readString(ofParts));
    builder.saveParts(ofParts, 1, parts.iterator(), WITH_STATE);
    HierarchicalSoftmax.load(ofParts).close();
  }

  private void assertDamagedIsRefused(
      LayerBuilder<IntTensor, HierarchicalSoftmax> builder,
      String reason,
      List<byte[]> parts,
      int part,
      int place,
      int bits) {
    byte[] damaged = parts.get(part).clone();
    ByteBuffer.wrap(damaged).order(ByteOrder.LITTLE_ENDIAN).putInt(place, bits);
    List<byte[]> changed = new ArrayList<>(parts);
    changed.set(part, damaged);
    assertRefused(builder, reason, changed);
  }

  private void assertRefused(
      LayerBuilder<IntTensor, HierarchicalSoftmax> builder, String reason, List<byte[]> parts) {
    IllegalArgumentException e =
        assertThrows(
            IllegalArgumentException.class,
            () -> builder.saveParts(ofParts, 1, parts.iterator(), SaveOptions.defaults()));
    assertTrue(e.getMessage().contains(reason), e.getMessage());
  }

  /** Numbers are copied in blocks. */
  @Test
  void partsOfManyNumbers() throws IOException {
    int features = 600;
    LayerBuilder<IntTensor, HierarchicalSoftmax> builder =
        HierarchicalSoftmax.builder(features, 4_000)
            .classes(ClassAssignment.contiguous(4_000, 2))
            .seed(4);
    try (HierarchicalSoftmax layer = builder.build();
        FloatTensor x = FloatTensor.zeros(2, features);
        IntTensor targets = IntTensor.of(new int[] {7, 3_999}, 2)) {
      x.fill(0.5f);
      layer.step(x, targets, Optimizer.adagrad(0.1f));
      layer.save(ofLayer, WITH_STATE);
      List<byte[]> parts = new ArrayList<>();
      for (int number = -1; number < 2; number++) {
        try (LayerPart<IntTensor> part = LayerPart.of(layer, number, Workers.common())) {
          parts.add(part.toBytes());
        }
      }
      builder.saveParts(ofParts, 1, parts.iterator(), WITH_STATE);
    }
    assertSameFiles();
  }

  @Test
  void whatAPartSays() {
    try (LayerPart<IntTensor> part = builder(Workers.common()).buildPart(2);
        LayerPart<IntTensor> level = builder(Workers.common()).buildPart(LayerPart.CLASS_LEVEL)) {
      assertEquals("class 2", part.toString());
      assertEquals(2, part.number());
      assertEquals(Shape.of(1, PartBatch.FEATURES, PartBatch.CLASSES.slots()), part.W().shape());
      assertEquals(Shape.of(1, PartBatch.CLASSES.slots()), part.b().shape());
      assertEquals("the class level", level.toString());
      assertEquals(Shape.of(PartBatch.FEATURES, 8), level.W().shape());
    }
  }

  @Test
  void aPartThatIsClosedHoldsNothing() {
    useAPart(); // steps keep their buffers from now on
    long before = FloatTensor.allocatedBytes();
    LayerPart<IntTensor> part = useAPart();
    assertTrue(FloatTensor.allocatedBytes() <= before, "memory was kept");
    assertThrows(IllegalStateException.class, part::toBytes);
  }

  /** Makes two steps and one that fails; the part is then closed. */
  private LayerPart<IntTensor> useAPart() {
    try (LayerPart<IntTensor> part = builder(Workers.common()).buildPart(2);
        FloatTensor x = FloatTensor.zeros(1, PartBatch.FEATURES);
        IntTensor target = IntTensor.of(new int[] {0}, 1)) {
      Optimizer sgd = Optimizer.sgd(0.1f);
      part.step(x, target, Loss.sum(), sgd);
      part.step(x, target, Loss.sum(), sgd);
      part.b().fill(Float.NaN);
      String message =
          assertThrows(ArithmeticException.class, () -> part.step(x, target, Loss.sum(), sgd))
              .getMessage();
      assertTrue(message.startsWith("step 3: the loss is NaN"), message);
      return part;
    }
  }

  @Test
  void whatAPartCannotDoIsRefusedAndChangesNothing() {
    LayerBuilder<IntTensor, HierarchicalSoftmax> builder = builder(Workers.common());
    assertThrows(IndexOutOfBoundsException.class, () -> builder.buildPart(-2));
    assertThrows(
        IndexOutOfBoundsException.class, () -> builder.buildPart(PartBatch.CLASSES.classCount()));
    for (int number : new int[] {LayerPart.CLASS_LEVEL, 1}) {
      try (LayerPart<IntTensor> part = builder.buildPart(number);
          FloatTensor x = FloatTensor.zeros(1, PartBatch.FEATURES);
          IntTensor target = IntTensor.of(new int[] {0}, 1);
          IntTensor outside =
              IntTensor.of(new int[] {number == 1 ? PartBatch.CLASSES.size(1) : 8}, 1)) {
        byte[] before = part.toBytes();
        Optimizer sgd = Optimizer.sgd(1);
        assertThrows(
            IllegalArgumentException.class,
            () -> part.step(x, target, Loss.sum().withSmoothing(0.1f), sgd));
        assertThrows(IndexOutOfBoundsException.class, () -> part.step(x, outside, Loss.sum(), sgd));
        x.set(Float.NaN, 0, 3);
        assertThrows(ArithmeticException.class, () -> part.step(x, target, Loss.sum(), sgd));
        assertArrayEquals(before, part.toBytes());
        Dense.from(part.b()).storage().putFloat(0, Float.NaN);
        assertThrows(IllegalStateException.class, part::toBytes);
        assertFalse(part.toString().isEmpty());
      }
    }
  }
}
