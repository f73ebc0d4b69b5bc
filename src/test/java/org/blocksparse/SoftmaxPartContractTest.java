// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

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
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.blocksparse.testing.KernelsUnderTest;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Parts that are trained one after the other have the bits of the layer, on all kernels. */
final class SoftmaxPartContractTest {
  private static final int FEATURES = 19;
  private static final int BATCHES = 7;
  private static final int BATCH = 150;

  /** Class 0 has a quarter of the outputs, so that the other classes have empty slots. */
  private static final ClassAssignment CLASSES =
      ClassAssignment.of(IntStream.range(0, 90).map(o -> o % 4 == 0 ? 0 : 1 + o % 7).toArray());

  private static final List<Optimizer> OPTIMIZERS =
      List.of(
          Optimizer.sgd(0.3f),
          Optimizer.sgd(0.3f).withDecay(0.01f),
          Optimizer.sgd(0.3f).withMaxNorm(0.05f),
          Optimizer.adagrad(0.1f),
          Optimizer.adagrad(0.1f).withDecay(0.01f).withMaxNorm(0.1f),
          Optimizer.adam(0.02f),
          Optimizer.adam(0.02f).withDecay(0.01f).withMaxNorm(0.1f));

  @TempDir Path folder;
  private Path ofLayer;
  private Path ofParts;

  @BeforeEach
  void files() {
    ofLayer = folder.resolve("layer");
    ofParts = folder.resolve("parts");
  }

  static Stream<Arguments> cases() {
    return KernelsUnderTest.all().stream()
        .flatMap(
            kernels ->
                OPTIMIZERS.stream()
                    .flatMap(
                        optimizer ->
                            Stream.of(false, true)
                                .map(weighted -> Arguments.of(kernels, optimizer, weighted))));
  }

  /** The rows of a batch. */
  @SuppressWarnings("ArrayRecordComponent")
  private record Batch(float[][] x, int[] targets, float[] weights) {
    static List<Batch> random(long seed, boolean weighted) {
      Random random = new Random(seed);
      List<Batch> batches = new ArrayList<>();
      for (int b = 0; b < BATCHES; b++) {
        float[][] x = new float[BATCH - 11 * b][FEATURES];
        int[] targets = new int[x.length];
        float[] weights = new float[x.length];
        for (int r = 0; r < x.length; r++) {
          for (int f = 0; f < FEATURES; f++) {
            x[r][f] = (float) random.nextGaussian();
          }
          // Some classes have no rows in a batch, and the last has none at all.
          targets[r] = random.nextInt(4) == 0 ? 4 * random.nextInt(20) : random.nextInt(90);
          if (CLASSES.classOf(targets[r]) == 7) {
            targets[r] = 4;
          }
          weights[r] = weighted ? random.nextInt(3) * 0.7f : 1;
        }
        batches.add(new Batch(x, targets, weights));
      }
      return batches;
    }

    Batch without(int classNumber) {
      int[] others =
          IntStream.of(targets).map(t -> CLASSES.classOf(t) == classNumber ? 4 : t).toArray();
      return new Batch(x, others, weights);
    }

    Batch withoutWeight() {
      return new Batch(x, targets, new float[weights.length]);
    }

    void stepLayer(HierarchicalSoftmax layer, Optimizer optimizer) {
      try (FloatTensor rows = rows(IntStream.range(0, x.length).toArray());
          IntTensor outputs = IntTensor.of(targets, targets.length);
          FloatTensor w = FloatTensor.of(weights, weights.length)) {
        layer.step(rows, outputs, Loss.mean().withRowWeights(w), optimizer);
      }
    }

    /** The rows that are a part's. */
    private int[] own(int part) {
      return IntStream.range(0, targets.length)
          .filter(r -> part == SoftmaxPart.CLASS_LEVEL || CLASSES.classOf(targets[r]) == part)
          .toArray();
    }

    void stepPart(SoftmaxPart part, Optimizer optimizer) {
      boolean all = part.number() == SoftmaxPart.CLASS_LEVEL;
      int[] own = own(part.number());
      int[] ownTargets =
          Arrays.stream(own)
              .map(r -> all ? CLASSES.classOf(targets[r]) : CLASSES.slotOf(targets[r]))
              .toArray();
      float[] ownWeights = new float[own.length];
      for (int i = 0; i < own.length; i++) {
        ownWeights[i] = weights[own[i]] * (1f / targets.length);
      }
      try (FloatTensor rows = rows(own);
          IntTensor outputs = IntTensor.of(ownTargets, own.length);
          FloatTensor w = FloatTensor.of(ownWeights, own.length)) {
        part.step(rows, outputs, Loss.sum().withRowWeights(w), optimizer);
      }
    }

    private FloatTensor rows(int[] which) {
      float[] flat = new float[which.length * FEATURES];
      for (int i = 0; i < which.length; i++) {
        System.arraycopy(x[which[i]], 0, flat, i * FEATURES, FEATURES);
      }
      return FloatTensor.of(flat, which.length, FEATURES);
    }
  }

  private static HierarchicalSoftmaxBuilder builder(Workers workers) {
    return HierarchicalSoftmax.builder(FEATURES, CLASSES.outputs())
        .classes(CLASSES)
        .seed(5)
        .workers(workers);
  }

  /**
   * All parts, trained where they have rows, in an order in which only the class level has a place.
   */
  private static List<byte[]> train(
      List<SoftmaxPart> parts, List<Batch> batches, Optimizer optimizer) {
    List<byte[]> trained = new ArrayList<>();
    for (SoftmaxPart part : parts) {
      try (part) {
        batches.stream()
            .filter(batch -> batch.own(part.number()).length > 0)
            .forEach(batch -> batch.stepPart(part, optimizer));
        trained.add(part.toBytes());
      }
    }
    Collections.shuffle(trained.subList(1, trained.size()), new Random(1));
    return trained;
  }

  private static List<SoftmaxPart> initial(HierarchicalSoftmaxBuilder builder) {
    return IntStream.range(-1, CLASSES.classCount()).mapToObj(builder::buildPart).toList();
  }

  private void assertSameFiles() throws IOException {
    assertEquals(-1, Files.mismatch(ofLayer, ofParts), "the first byte that differs");
  }

  @ParameterizedTest(name = "{0} {1} weighted {2}")
  @MethodSource("cases")
  void partsHaveTheBitsOfTheLayer(KernelsUnderTest kernels, Optimizer optimizer, boolean weighted)
      throws IOException {
    SaveOptions options = SaveOptions.defaults().withOptimizerState();
    List<Batch> batches = Batch.random(3, weighted);
    HierarchicalSoftmaxBuilder builder = builder(kernels.workers());
    try (HierarchicalSoftmax layer = builder.build()) {
      batches.forEach(batch -> batch.stepLayer(layer, optimizer));
      assertEquals(BATCHES, layer.steps());
      layer.save(ofLayer, options);
    }
    List<byte[]> trained = train(initial(builder), batches, optimizer);
    builder.saveParts(ofParts, BATCHES, trained.iterator(), options);
    assertSameFiles();
  }

  @ParameterizedTest(name = "{0} {1} weighted {2}")
  @MethodSource("cases")
  void trainingOfALayerGoesOnInParts(
      KernelsUnderTest kernels, Optimizer optimizer, boolean weighted) throws IOException {
    SaveOptions options = SaveOptions.defaults().withOptimizerState();
    List<Batch> first = Batch.random(4, weighted);
    List<Batch> second = Batch.random(5, weighted);
    HierarchicalSoftmaxBuilder builder = builder(kernels.workers());
    try (HierarchicalSoftmax layer = builder.build()) {
      first.forEach(batch -> batch.stepLayer(layer, optimizer));
      List<SoftmaxPart> parts =
          IntStream.range(-1, CLASSES.classCount())
              .mapToObj(number -> SoftmaxPart.of(layer, number, kernels.workers()))
              .toList();
      List<byte[]> trained = train(parts, second, optimizer);
      second.forEach(batch -> batch.stepLayer(layer, optimizer));
      layer.save(ofLayer, options);
      builder.saveParts(ofParts, layer.steps(), trained.iterator(), options);
    }
    assertSameFiles();
  }

  /** The batches of which no row is in a class. */
  private static List<Batch> without(int classNumber, List<Batch> batches) {
    return batches.stream().map(batch -> batch.without(classNumber)).toList();
  }

  static Stream<Arguments> changesOfKind() {
    Optimizer sgd = Optimizer.sgd(0.3f);
    Optimizer clipped = Optimizer.sgd(0.3f).withMaxNorm(0.05f);
    Optimizer adagrad = Optimizer.adagrad(0.1f);
    Optimizer adam = Optimizer.adam(0.02f);
    return Stream.of(
        Arguments.of(adam, adagrad),
        Arguments.of(adam, sgd),
        Arguments.of(adam, clipped),
        Arguments.of(adagrad, adam),
        Arguments.of(adagrad, sgd),
        Arguments.of(sgd, adam));
  }

  /** Class 2 keeps what the layer has forgotten, which no file is to have. */
  @ParameterizedTest
  @MethodSource("changesOfKind")
  void aClassThatAnotherOptimizerLeavesOutHasNoState(Optimizer before, Optimizer after)
      throws IOException {
    List<Batch> first = Batch.random(8, false);
    List<Batch> second = without(2, Batch.random(9, false));
    HierarchicalSoftmaxBuilder builder = builder(Workers.common());
    try (HierarchicalSoftmax layer = builder.build()) {
      first.forEach(batch -> batch.stepLayer(layer, before));
      List<SoftmaxPart> parts =
          IntStream.range(-1, CLASSES.classCount())
              .mapToObj(number -> SoftmaxPart.of(layer, number, Workers.common()))
              .toList();
      List<byte[]> trained = train(parts, second, after);
      second.forEach(batch -> batch.stepLayer(layer, after));
      for (SaveOptions options :
          List.of(SaveOptions.defaults(), SaveOptions.defaults().withOptimizerState())) {
        layer.save(ofLayer, options);
        builder.saveParts(ofParts, layer.steps(), trained.iterator(), options);
        assertSameFiles();
      }
    }
  }

  /** The layer forgets the state of class 2, too, and what goes on later begins anew. */
  @ParameterizedTest
  @MethodSource("changesOfKind")
  void aStepWithoutRowsTellsAClassThatTheOptimizerIsAnother(Optimizer before, Optimizer between)
      throws IOException {
    SaveOptions options = SaveOptions.defaults().withOptimizerState();
    List<Batch> first = Batch.random(10, false);
    List<Batch> second = without(2, Batch.random(11, true));
    List<Batch> third = Batch.random(12, false);
    HierarchicalSoftmaxBuilder builder = builder(Workers.common());
    try (HierarchicalSoftmax layer = builder.build()) {
      first.forEach(batch -> batch.stepLayer(layer, before));
      second.forEach(batch -> batch.stepLayer(layer, between));
      third.forEach(batch -> batch.stepLayer(layer, before));
      layer.save(ofLayer, options);
    }
    assertSameOfParts(
        builder,
        3L * BATCHES,
        part -> {
          first.forEach(batch -> batch.stepPart(part, before));
          second.forEach(batch -> batch.stepPart(part, between));
          third.forEach(batch -> batch.stepPart(part, before));
        });
  }

  /** The layer changes nothing then, and its state is that before. */
  @ParameterizedTest
  @MethodSource("changesOfKind")
  void noClassIsToldOfABatchOfWhichNoRowCounts(Optimizer before, Optimizer between)
      throws IOException {
    SaveOptions options = SaveOptions.defaults().withOptimizerState();
    List<Batch> first = Batch.random(13, false);
    Batch second = Batch.random(14, false).get(0).withoutWeight();
    List<Batch> third = Batch.random(15, false);
    HierarchicalSoftmaxBuilder builder = builder(Workers.common());
    try (HierarchicalSoftmax layer = builder.build()) {
      first.forEach(batch -> batch.stepLayer(layer, before));
      second.stepLayer(layer, between);
      third.forEach(batch -> batch.stepLayer(layer, before));
      layer.save(ofLayer, options);
    }
    assertSameOfParts(
        builder,
        2L * BATCHES + 1,
        part -> {
          first.forEach(batch -> batch.stepPart(part, before));
          if (part.number() == SoftmaxPart.CLASS_LEVEL) {
            second.stepPart(part, between);
          }
          third.forEach(batch -> batch.stepPart(part, before));
        });
  }

  /** All parts, each trained by itself, make the file that the layer made, with its state. */
  private void assertSameOfParts(
      HierarchicalSoftmaxBuilder builder, long steps, Consumer<SoftmaxPart> training)
      throws IOException {
    List<byte[]> trained = new ArrayList<>();
    for (SoftmaxPart part : initial(builder)) {
      try (part) {
        training.accept(part);
        trained.add(part.toBytes());
      }
    }
    builder.saveParts(
        ofParts, steps, trained.iterator(), SaveOptions.defaults().withOptimizerState());
    assertSameFiles();
  }

  @Test
  void aFileOfPartsHasNamesAndMetadataAsThatOfALayer() throws IOException {
    Labels names = Labels.of(IntStream.range(0, 90).mapToObj(o -> "output " + o).toList());
    SaveOptions options = SaveOptions.defaults().withMetadata(Map.of("a", "b"));
    HierarchicalSoftmaxBuilder builder = builder(Workers.common()).labels(names);
    try (HierarchicalSoftmax layer = builder.build()) {
      layer.save(ofLayer, options);
    }
    builder.saveParts(
        ofParts, 0, train(initial(builder), List.of(), Optimizer.sgd(1)).iterator(), options);
    assertSameFiles();
    try (HierarchicalSoftmax loaded = HierarchicalSoftmax.load(ofParts)) {
      assertEquals("output 7", loaded.labels().name(7));
    }
  }

  /** As many as can be counted, and they stay so. */
  @ParameterizedTest
  @ValueSource(longs = {999_999_999_999_999_999L, 1_000_000_000_000_000_000L, Long.MAX_VALUE})
  void stepsOfAnyNumberAreKept(long steps) throws IOException {
    long next = steps == Long.MAX_VALUE ? steps : steps + 1;
    HierarchicalSoftmaxBuilder builder = builder(Workers.common());
    List<byte[]> parts = train(initial(builder), List.of(), Optimizer.sgd(1));
    builder.saveParts(ofParts, steps, parts.iterator(), SaveOptions.defaults());
    try (HierarchicalSoftmax loaded = HierarchicalSoftmax.load(ofParts)) {
      assertEquals(steps, loaded.steps());
      try (FloatTensor x = FloatTensor.zeros(1, FEATURES);
          IntTensor target = IntTensor.zeros(1)) {
        x.fill(Float.NaN);
        Exception e =
            assertThrows(ArithmeticException.class, () -> loaded.step(x, target, Optimizer.sgd(1)));
        assertTrue(e.getMessage().startsWith("step " + next + ": "), e.getMessage());
      }
      Batch.random(1, false).get(0).stepLayer(loaded, Optimizer.sgd(1));
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
    HierarchicalSoftmaxBuilder builder = builder(Workers.common());
    List<byte[]> parts = train(initial(builder), Batch.random(6, false), Optimizer.adam(0.02f));
    builder.saveParts(ofParts, BATCHES, parts.iterator(), options);
    assertEquals(told.stream().sorted().distinct().toList(), told);
    assertEquals(Set.of(Files.size(ofParts)), Set.copyOf(totals));
    assertEquals(totals.get(0), told.get(told.size() - 1));
    assertTrue(told.size() > parts.size(), told.toString());
  }

  @Test
  void whatIsNotAWholeLayerIsRefusedAndTheOldFileStays() throws IOException {
    HierarchicalSoftmaxBuilder builder = builder(Workers.common());
    List<byte[]> parts = train(initial(builder), List.of(), Optimizer.sgd(1));
    Files.writeString(ofParts, "old");
    assertRefused(builder, "there are none", List.of());
    assertRefused(builder, "class level first", parts.subList(1, parts.size()));
    assertRefused(builder, "is missing", parts.subList(0, parts.size() - 1));
    List<byte[]> twice = new ArrayList<>(parts);
    twice.set(2, parts.get(1));
    assertRefused(builder, "once", twice);
    assertRefused(HierarchicalSoftmax.builder(FEATURES + 1, 90).classes(CLASSES), "weights", parts);
    byte[] cut = Arrays.copyOf(parts.get(3), parts.get(3).length - 1);
    List<byte[]> damaged = new ArrayList<>(parts);
    damaged.set(3, cut);
    assertRefused(builder, "is damaged", damaged);
    damaged.set(3, new byte[100]);
    assertRefused(builder, "SoftmaxPart.toBytes", damaged);
    // So many weights that their bytes, by an overflow, are as many as there are.
    assertSpoiltIsRefused(builder, "is damaged", parts, 3, 12, 1 << 30);
    assertThrows(
        IllegalArgumentException.class,
        () -> builder.saveParts(ofParts, -1, parts.iterator(), SaveOptions.defaults()));
    assertThrows(
        IllegalArgumentException.class,
        () ->
            builder.saveParts(
                ofParts,
                1,
                parts.iterator(),
                SaveOptions.defaults().withWeights(ElementType.INT8)));
    assertArrayEquals("old".getBytes(StandardCharsets.UTF_8), Files.readAllBytes(ofParts));
  }

  /** What {@link HierarchicalSoftmax#load} refuses is not written. */
  @Test
  void numbersThatNoFileMayHaveAreRefused() throws IOException {
    HierarchicalSoftmaxBuilder builder = builder(Workers.common());
    List<byte[]> parts = train(initial(builder), Batch.random(3, false), Optimizer.adam(0.1f));
    Files.writeString(ofParts, "old");
    // A class that made no step has no state, and fewer bytes.
    int trained =
        IntStream.range(1, parts.size())
            .reduce(1, (a, b) -> parts.get(b).length > parts.get(a).length ? b : a);
    for (int part : new int[] {0, trained}) {
      int end = parts.get(part).length;
      assertSpoiltIsRefused(builder, "its steps = -1 are negative", parts, part, 36, -1);
      int nan = Float.floatToIntBits(Float.NaN);
      assertSpoiltIsRefused(builder, "element 0 = NaN is not finite", parts, part, 40, nan);
      int infinite = Float.floatToIntBits(Float.NEGATIVE_INFINITY);
      assertSpoiltIsRefused(builder, "is not finite", parts, part, end - 4, infinite);
      int tiny = Float.floatToIntBits(-Float.MIN_VALUE);
      assertSpoiltIsRefused(builder, "of moment 1 = -1.4E-45", parts, part, end - 4, tiny);
    }
    assertEquals("old", Files.readString(ofParts));
    builder.saveParts(ofParts, 1, parts.iterator(), SaveOptions.defaults().withOptimizerState());
    HierarchicalSoftmax.load(ofParts).close();
  }

  private void assertSpoiltIsRefused(
      HierarchicalSoftmaxBuilder builder,
      String reason,
      List<byte[]> parts,
      int part,
      int place,
      int bits) {
    byte[] spoilt = parts.get(part).clone();
    ByteBuffer.wrap(spoilt).order(ByteOrder.LITTLE_ENDIAN).putInt(place, bits);
    List<byte[]> changed = new ArrayList<>(parts);
    changed.set(part, spoilt);
    assertRefused(builder, reason, changed);
  }

  private void assertRefused(
      HierarchicalSoftmaxBuilder builder, String reason, List<byte[]> parts) {
    IllegalArgumentException e =
        assertThrows(
            IllegalArgumentException.class,
            () -> builder.saveParts(ofParts, 1, parts.iterator(), SaveOptions.defaults()));
    assertTrue(e.getMessage().contains(reason), e.getMessage());
  }

  @Test
  void whatAPartCannotDoIsRefusedAndChangesNothing() {
    HierarchicalSoftmaxBuilder builder = builder(Workers.common());
    assertThrows(IndexOutOfBoundsException.class, () -> builder.buildPart(-2));
    assertThrows(IndexOutOfBoundsException.class, () -> builder.buildPart(CLASSES.classCount()));
    for (int number : new int[] {SoftmaxPart.CLASS_LEVEL, 1}) {
      try (SoftmaxPart part = builder.buildPart(number);
          FloatTensor x = FloatTensor.zeros(1, FEATURES);
          IntTensor target = IntTensor.of(new int[] {0}, 1);
          IntTensor outside = IntTensor.of(new int[] {number == 1 ? CLASSES.size(1) : 8}, 1)) {
        byte[] before = part.toBytes();
        Optimizer sgd = Optimizer.sgd(1);
        assertThrows(
            IllegalArgumentException.class,
            () -> part.step(x, target, Loss.sum().withSmoothing(0.1f), sgd));
        assertThrows(IndexOutOfBoundsException.class, () -> part.step(x, outside, Loss.sum(), sgd));
        x.set(Float.NaN, 0, 3);
        assertThrows(ArithmeticException.class, () -> part.step(x, target, Loss.sum(), sgd));
        assertArrayEquals(before, part.toBytes());
        part.b().storage().putFloat(0, Float.NaN);
        assertThrows(IllegalStateException.class, part::toBytes);
        assertFalse(part.toString().isEmpty());
      }
    }
  }
}
