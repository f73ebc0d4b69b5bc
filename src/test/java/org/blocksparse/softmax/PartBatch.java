// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.blocksparse.FloatTensor;
import org.blocksparse.IntTensor;
import org.blocksparse.Optimizer;
import org.blocksparse.SparseRows;
import org.blocksparse.testing.KernelsUnderTest;
import org.junit.jupiter.params.provider.Arguments;

/**
 * The rows of a batch, for steps of a layer and of its parts. For a softmax, each row has one
 * target.
 *
 * @param <T> the targets
 */
@SuppressWarnings("ArrayRecordComponent")
record PartBatch<T>(float[][] x, int[][] targets, float[] weights, Kind<T> kind) {
  /** The differences between the kinds of layers. */
  private interface Kind<T> {
    Kind<IntTensor> SOFTMAX =
        new Kind<>() {
          @Override
          public IntTensor of(int[][] targets) {
            int[] single = Arrays.stream(targets).mapToInt(row -> row[0]).toArray();
            return IntTensor.of(single, single.length);
          }

          @Override
          public void close(IntTensor targets) {
            targets.close();
          }

          @Override
          public float weight(float ofRow, int rows) {
            return ofRow * (1f / rows);
          }
        };

    Kind<SparseRows> LABEL_TREE =
        new Kind<>() {
          @Override
          public SparseRows of(int[][] targets) {
            return SparseRows.of(List.of(targets));
          }

          @Override
          public void close(SparseRows targets) {
            targets.close();
          }

          @Override
          public float weight(float ofRow, int rows) {
            return ofRow / rows;
          }
        };

    T of(int[][] targets);

    void close(T targets);

    /** Returns the weight of a row in a part's step that corresponds to the layer's mean. */
    float weight(float ofRow, int rows);
  }

  static final int FEATURES = 19;

  /** The number of batches that {@link #random} makes. */
  static final int COUNT = 7;

  private static final int ROWS = 150;

  /** Class 0 has a quarter of the outputs, so that the other classes have empty slots. */
  static final ClassAssignment CLASSES =
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

  /** Returns all kernels and optimizers, with and without weights. */
  static Stream<Arguments> cases() {
    return KernelsUnderTest.forBlocks(FEATURES, CLASSES.slots()).stream()
        .flatMap(
            kernels ->
                OPTIMIZERS.stream()
                    .flatMap(
                        optimizer ->
                            Stream.of(false, true)
                                .map(weighted -> Arguments.of(kernels, optimizer, weighted))));
  }

  /** Returns an optimizer, and another kind of one. */
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

  /** Batches of rows with one target. */
  static List<PartBatch<IntTensor>> random(long seed, boolean weighted) {
    return random(Kind.SOFTMAX, seed, weighted, random -> new int[] {randomTarget(random)});
  }

  /** Returns batches of rows with up to six targets, none, or one of them twice. */
  static List<PartBatch<SparseRows>> ofSets(long seed, boolean weighted) {
    return random(
        Kind.LABEL_TREE,
        seed,
        weighted,
        random ->
            IntStream.range(0, random.nextInt(7))
                .map(i -> randomTarget(random) / (1 + i / 4))
                .map(target -> CLASSES.classOf(target) == 7 ? 4 : target)
                .toArray());
  }

  /** Returns a target: some classes have no rows in a batch, and the last has none at all. */
  private static int randomTarget(Random random) {
    int target = random.nextInt(4) == 0 ? 4 * random.nextInt(20) : random.nextInt(90);
    return CLASSES.classOf(target) == 7 ? 4 : target;
  }

  private interface Targets {
    int[] ofRow(Random random);
  }

  private static <T> List<PartBatch<T>> random(
      Kind<T> kind, long seed, boolean weighted, Targets targets) {
    Random random = new Random(seed);
    List<PartBatch<T>> batches = new ArrayList<>();
    for (int b = 0; b < COUNT; b++) {
      float[][] x = new float[ROWS - 11 * b][FEATURES];
      int[][] ofRows = new int[x.length][];
      float[] weights = new float[x.length];
      for (int r = 0; r < x.length; r++) {
        for (int f = 0; f < FEATURES; f++) {
          x[r][f] = (float) random.nextGaussian();
        }
        ofRows[r] = targets.ofRow(random);
        weights[r] = weighted ? random.nextInt(3) * 0.7f : 1;
      }
      batches.add(new PartBatch<>(x, ofRows, weights, kind));
    }
    return batches;
  }

  /** Returns the batches without the rows of a class. */
  static <T> List<PartBatch<T>> without(int classNumber, List<PartBatch<T>> batches) {
    return batches.stream().map(batch -> batch.without(classNumber)).toList();
  }

  private PartBatch<T> without(int classNumber) {
    int[][] others =
        Arrays.stream(targets)
            .map(
                row ->
                    IntStream.of(row).map(t -> CLASSES.classOf(t) == classNumber ? 4 : t).toArray())
            .toArray(int[][]::new);
    return new PartBatch<>(x, others, weights, kind);
  }

  /** Returns the same rows, all of one weight. */
  PartBatch<T> withWeight(float weight) {
    float[] all = new float[weights.length];
    Arrays.fill(all, weight);
    return new PartBatch<>(x, targets, all, kind);
  }

  /** Returns the loss before the step. */
  double stepLayer(TwoLevelLayer<T> layer, Optimizer optimizer) {
    T outputs = kind.of(targets);
    try (FloatTensor rows = rows(allRows());
        FloatTensor w = FloatTensor.of(weights, weights.length)) {
      return layer.step(rows, outputs, Loss.mean().withRowWeights(w), optimizer, null);
    } finally {
      kind.close(outputs);
    }
  }

  /** Returns the targets of a row in a part: classes, or slots. */
  private static int[] targets(int part, int[] outputs) {
    return part == LayerPart.CLASS_LEVEL
        ? IntStream.of(outputs).map(CLASSES::classOf).toArray()
        : IntStream.of(outputs)
            .filter(o -> CLASSES.classOf(o) == part)
            .map(CLASSES::slotOf)
            .toArray();
  }

  /** Returns the rows of a part. */
  int[] own(int part) {
    return IntStream.range(0, x.length)
        .filter(r -> part == LayerPart.CLASS_LEVEL || targets(part, targets[r]).length > 0)
        .toArray();
  }

  int[] allRows() {
    return IntStream.range(0, x.length).toArray();
  }

  double stepPart(LayerPart<T> part, Optimizer optimizer) {
    return stepPart(part, optimizer, own(part.number()));
  }

  /** Runs a step with the given rows. Returns their contribution to the loss before it. */
  double stepPart(LayerPart<T> part, Optimizer optimizer, int[] own) {
    int[][] ofPart =
        IntStream.of(own).mapToObj(r -> targets(part.number(), targets[r])).toArray(int[][]::new);
    float[] ownWeights = new float[own.length];
    for (int i = 0; i < own.length; i++) {
      ownWeights[i] = kind.weight(weights[own[i]], x.length);
    }
    T ownTargets = kind.of(ofPart);
    try (FloatTensor rows = rows(own);
        FloatTensor w = FloatTensor.of(ownWeights, own.length)) {
      return part.step(rows, ownTargets, Loss.sum().withRowWeights(w), optimizer);
    } finally {
      kind.close(ownTargets);
    }
  }

  /** Asserts that in each of several steps the losses of the parts add up to that of the layer. */
  static <T> void assertLossesAddUp(
      TwoLevelLayer<T> layer, List<LayerPart<T>> parts, List<PartBatch<T>> batches) {
    Optimizer optimizer = Optimizer.adagrad(0.3f);
    for (PartBatch<T> batch : batches) {
      double sum = parts.stream().mapToDouble(part -> batch.stepPart(part, optimizer)).sum();
      double whole = batch.stepLayer(layer, optimizer);
      assertEquals(whole, sum, 1e-5 * whole);
    }
    parts.forEach(LayerPart::close);
  }

  private FloatTensor rows(int[] which) {
    float[] flat = new float[which.length * FEATURES];
    for (int i = 0; i < which.length; i++) {
      System.arraycopy(x[which[i]], 0, flat, i * FEATURES, FEATURES);
    }
    return FloatTensor.of(flat, which.length, FEATURES);
  }

  /** Returns the new parts of a layer. */
  static <T> List<LayerPart<T>> initial(LayerBuilder<T, ?> builder) {
    return IntStream.range(-1, CLASSES.classCount()).mapToObj(builder::buildPart).toList();
  }

  /** Trains all parts separately, returns them, and closes them. */
  static <T> List<byte[]> trainEach(List<LayerPart<T>> parts, Consumer<LayerPart<T>> training) {
    List<byte[]> trained = new ArrayList<>();
    for (LayerPart<T> part : parts) {
      try (part) {
        training.accept(part);
        trained.add(part.toBytes());
      }
    }
    return trained;
  }

  /**
   * Trains all parts that have rows, in an order in which only the class level has a fixed place,
   * and returns them.
   */
  static <T> List<byte[]> train(
      List<LayerPart<T>> parts, List<PartBatch<T>> batches, Optimizer optimizer) {
    List<byte[]> trained =
        trainEach(
            parts,
            part ->
                batches.stream()
                    .filter(batch -> batch.own(part.number()).length > 0)
                    .forEach(batch -> batch.stepPart(part, optimizer)));
    Collections.shuffle(trained.subList(1, trained.size()), new Random(1));
    return trained;
  }
}
