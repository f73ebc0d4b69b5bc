// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Iterator;
import java.util.SplittableRandom;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.blocksparse.FloatTensor;
import org.blocksparse.IntTensor;
import org.blocksparse.Optimizer;
import org.blocksparse.SparseRows;
import org.blocksparse.Workers;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.training.Parameter;
import org.blocksparse.internal.training.TensorState;
import org.blocksparse.io.LoadOptions;
import org.blocksparse.io.SaveOptions;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Adam corrects the moments of each output by the number of its own steps. */
final class AdamOfNewOutputsTest {
  private static final int FEATURES = 5;
  private static final float RATE = 0.01f;
  private static final double BETA1 = 0.9f;
  private static final double BETA2 = 0.999f;
  private static final double EPSILON = 1e-8f;
  private static final Optimizer ADAM = Optimizer.adam(RATE);

  /** Classes of 3, 2, 2 and 2 outputs; the last is not trained before the change. */
  private static final ClassAssignment CLASSES = ClassAssignment.of(0, 0, 0, 1, 1, 2, 2, 3, 3);

  @TempDir Path folder;

  /** Ways to get outputs that are newer than their class. */
  private enum Growing {
    ADDED(layer -> layer.addOutputs(3)),
    ADDED_WITHOUT_ROOM(layer -> layer.addOutputs(7)),
    ADDED_TWICE(
        layer -> {
          layer.addOutputs(1);
          layer.addOutputs(9);
          layer.addOutputs(2);
        }),
    REUSED(
        layer -> {
          layer.retire(0, 3);
          layer.reuse(3, 0);
        }),
    RETIRED_AFTER(
        layer -> {
          layer.addOutputs(3);
          layer.retire(3);
        }),
    REASSIGNED(layer -> layer.reassign(ClassAssignment.of(0, 1, 2, 0, 1, 2, 0, 1, 2))),
    REASSIGNED_AFTER(
        layer -> {
          layer.addOutputs(3);
          layer.reassign(ClassAssignment.of(0, 1, 2, 0, 1, 2, 0, 1, 2, 1, 2, 0));
        });

    @SuppressWarnings("ImmutableEnumChecker") // a change keeps nothing
    private final Consumer<TwoLevelLayer<?>> change;

    Growing(Consumer<TwoLevelLayer<?>> change) {
      this.change = change;
    }
  }

  private static Stream<Arguments> cases() {
    return Arrays.stream(LayerKind.values())
        .flatMap(kind -> Arrays.stream(Growing.values()).map(how -> Arguments.of(kind, how)));
  }

  /** A layer, and the number of steps of each of its outputs. */
  private static final class Trained implements AutoCloseable {
    final SplittableRandom random = new SplittableRandom(7);
    TwoLevelLayer<?> layer;
    int[] steps = new int[CLASSES.outputs()];

    Trained(LayerKind kind) {
      layer = kind.random(FEATURES, CLASSES, Workers.common(), 3);
      for (int i = 0; i < 200; i++) {
        train(random.nextInt(7)); // no output of the last class
      }
    }

    private void train(int target) {
      try (FloatTensor x = x()) {
        LayerKind.step(layer, x, ADAM, target);
      }
      count(target);
    }

    private FloatTensor x() {
      float[] values = new float[FEATURES];
      for (int i = 0; i < FEATURES; i++) {
        values[i] = (float) random.nextDouble(-1, 1);
      }
      return FloatTensor.of(values, 1, FEATURES);
    }

    private void count(int target) {
      int c = layer.assignment().classOf(target);
      for (int output = 0; output < steps.length; output++) {
        steps[output] += layer.assignment().classOf(output) == c ? 1 : 0;
      }
    }

    void change(Growing how) {
      how.change.accept(layer);
      int[] before = steps;
      steps = Arrays.copyOf(before, layer.outputs());
      if (how == Growing.REUSED) {
        steps[0] = 0;
        steps[3] = 0;
      }
    }

    /** Asserts that a step moves each output of the class according to its own number of steps. */
    void assertSteps(LayerKind kind, int target) {
      int c = layer.assignment().classOf(target);
      try (FloatTensor x = x();
          SoftmaxGradients gradients = gradients(x, target)) {
        float[][] before = numbers();
        LayerKind.step(layer, x, ADAM, target);
        count(target);
        float[][] after = numbers();
        float[] g = gradients.W2().toArray();
        int slots = layer.assignment().slots();
        for (int slot = 0; slot < layer.assignment().size(c); slot++) {
          int output = layer.assignment().output(c, slot);
          for (int f = 0; f < FEATURES; f++) {
            int at = (c * FEATURES + f) * slots + slot;
            double m = BETA1 * before[1][at] + (1 - BETA1) * g[at];
            double v = BETA2 * before[2][at] + (1 - BETA2) * g[at] * g[at];
            double mean = m / (1 - Math.pow(BETA1, steps[output]));
            double root = Math.sqrt(v / (1 - Math.pow(BETA2, steps[output])));
            double step = RATE * mean / (root + EPSILON);
            String what = kind + ", output " + output + " after " + steps[output] + " steps";
            assertEquals(step, before[0][at] - after[0][at], 2e-3 * RATE, what);
            assertTrue(steps[output] > 1 || Math.abs(step) <= 1.001 * RATE, what);
          }
        }
      }
    }

    private SoftmaxGradients gradients(FloatTensor x, int target) {
      if (layer instanceof HierarchicalSoftmax softmax) {
        try (IntTensor targets = IntTensor.of(new int[] {target}, 1)) {
          return softmax.gradients(x, targets);
        }
      }
      try (SparseRows targets = SparseRows.of(new int[] {0, 1}, new int[] {target})) {
        return ((LabelTree) layer).gradients(x, targets);
      }
    }

    /** Returns W2 and its moments. */
    private float[][] numbers() {
      TensorState state = layer.memory().state().of(Parameter.W2.index());
      Storage[] all = {
        layer.memory().parameters().of(Parameter.W2), state.moment(0), state.moment(1)
      };
      return Arrays.stream(all)
          .map(
              storage -> {
                float[] values = new float[(int) storage.elements()];
                storage.getFloats(0, values, 0, values.length);
                return values;
              })
          .toArray(float[][]::new);
    }

    /** Asserts the steps of all outputs, the new ones first. */
    void assertAllStep(LayerKind kind) {
      for (int round = 0; round < 12; round++) {
        for (int output = layer.outputs() - 1; output >= 0; output -= 2) {
          if (!layer.assignment().isRetired(output)) {
            assertSteps(kind, output);
          }
        }
      }
    }

    @Override
    public void close() {
      layer.close();
    }
  }

  @ParameterizedTest
  @MethodSource("cases")
  void eachOutputCountsItsOwnSteps(LayerKind kind, Growing how) {
    try (Trained trained = new Trained(kind)) {
      trained.change(how);
      trained.assertAllStep(kind);
    }
  }

  @ParameterizedTest
  @MethodSource("cases")
  void copiesAndFilesKeepTheCounts(LayerKind kind, Growing how) throws IOException {
    Path file = folder.resolve("model");
    try (Trained trained = new Trained(kind)) {
      trained.change(how);
      trained.layer.save(file, SaveOptions.defaults().withOptimizerState());
      try (TwoLevelLayer<?> first = trained.layer) {
        trained.layer = kind.load(file, LoadOptions.copied());
        TwoLevelLayer<?> loaded = trained.layer;
        trained.layer = first.copy();
        trained.assertAllStep(kind);
        trained.layer.close();
        trained.layer = loaded;
      }
    }
    try (Trained trained = new Trained(kind)) {
      trained.change(how);
      trained.layer.close();
      trained.layer = kind.load(file, LoadOptions.copied());
      trained.assertAllStep(kind);
    }
  }

  /** Parts make the same file as the layer, whether they continue training or not. */
  @ParameterizedTest
  @EnumSource
  void partsKeepTheCounts(Growing how) throws IOException {
    Path whole = folder.resolve("whole");
    Path ofParts = folder.resolve("parts");
    SaveOptions options = SaveOptions.defaults().withOptimizerState();
    try (Trained trained = new Trained(LayerKind.SOFTMAX)) {
      trained.change(how);
      HierarchicalSoftmax layer = (HierarchicalSoftmax) trained.layer;
      if (IntStream.range(0, layer.outputs()).anyMatch(layer.assignment()::isRetired)) {
        return; // a builder's classes have no retired outputs
      }
      int[] targets = IntStream.range(0, layer.outputs()).toArray();
      LayerBuilder<IntTensor, HierarchicalSoftmax> builder =
          HierarchicalSoftmax.builder(FEATURES, layer.outputs()).classes(layer.assignment());
      float[] values = new float[targets.length * FEATURES];
      Arrays.setAll(targets, i -> i);
      for (int i = 0; i < values.length; i++) {
        values[i] = (float) trained.random.nextDouble(-1, 1);
      }
      long steps = layer.steps();
      Iterator<byte[]> parts =
          IntStream.range(LayerPart.CLASS_LEVEL, layer.classCount())
              .mapToObj(number -> part(layer, number, values, targets))
              .toList()
              .iterator();
      builder.saveParts(ofParts, steps + 1, parts, options);
      try (FloatTensor x = FloatTensor.of(values, targets.length, FEATURES);
          IntTensor all = IntTensor.of(targets, targets.length)) {
        layer.step(x, all, Loss.sum(), ADAM, null);
      }
      layer.save(whole, options);
      assertArrayEquals(Files.readAllBytes(whole), Files.readAllBytes(ofParts));
    }
  }

  /** Returns a part after a step with its rows. */
  private static byte[] part(HierarchicalSoftmax layer, int number, float[] x, int[] targets) {
    ClassAssignment classes = layer.assignment();
    boolean level = number == LayerPart.CLASS_LEVEL;
    int[] own = IntStream.of(targets).filter(o -> level || classes.classOf(o) == number).toArray();
    float[] rows = new float[own.length * FEATURES];
    for (int i = 0; i < own.length; i++) {
      System.arraycopy(x, own[i] * FEATURES, rows, i * FEATURES, FEATURES);
    }
    int[] ofPart = IntStream.of(own).map(level ? classes::classOf : classes::slotOf).toArray();
    try (LayerPart<IntTensor> part = LayerPart.of(layer, number, Workers.common());
        FloatTensor ofX = FloatTensor.of(rows, own.length, FEATURES);
        IntTensor ofTargets = IntTensor.of(ofPart, own.length)) {
      part.step(ofX, ofTargets, Loss.sum(), ADAM);
      return part.toBytes();
    }
  }
}
