// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.stream.Stream;
import org.blocksparse.FloatTensor;
import org.blocksparse.Optimizer;
import org.blocksparse.Workers;
import org.blocksparse.internal.training.Parameter;
import org.blocksparse.internal.training.TensorState;
import org.junit.jupiter.params.provider.Arguments;

/** The small layers that tests of growth change, and what they compare. */
final class GrowingLayer {
  static final int FEATURES = 3;

  /** Sizes 3, 2 and 4: class 2 is full. */
  static final ClassAssignment CLASSES = ClassAssignment.of(0, 0, 0, 1, 1, 2, 2, 2, 2);

  /** The number of rows of {@link #x}. */
  static final int ROWS = 4;

  private static final float[] X = {1, -2, .5f, .25f, 3, -1, 0, 1, 2, 2, -1, 0};

  private GrowingLayer() {}

  /** Returns each kind of layer with each optimizer. */
  static Stream<Arguments> kindsAndOptimizers() {
    return Arrays.stream(LayerKind.values())
        .flatMap(
            kind ->
                Stream.of(Optimizer.sgd(.1f), Optimizer.adagrad(.1f), Optimizer.adam(.01f))
                    .map(optimizer -> Arguments.of(kind, optimizer)));
  }

  static TwoLevelLayer<?> untrained(LayerKind kind) {
    return kind.random(FEATURES, CLASSES, Workers.common(), 3);
  }

  static TwoLevelLayer<?> trained(LayerKind kind, Optimizer optimizer) {
    TwoLevelLayer<?> layer = untrained(kind);
    train(layer, optimizer, 0, 4, 7, 8);
    return layer;
  }

  static FloatTensor x() {
    return FloatTensor.of(X, ROWS, FEATURES);
  }

  /** Returns one row of {@link #x}. */
  static FloatTensor x(int row) {
    return FloatTensor.of(Arrays.copyOfRange(X, row * FEATURES, (row + 1) * FEATURES), 1, FEATURES);
  }

  /** Trains five steps on {@link #x}. */
  static void train(TwoLevelLayer<?> layer, Optimizer optimizer, int... targets) {
    try (FloatTensor x = x()) {
      for (int step = 0; step < 5; step++) {
        LayerKind.step(layer, x, optimizer, targets);
      }
    }
  }

  /** Returns the log probabilities of each row of {@link #x}. */
  static double[][] logProbabilities(TwoLevelLayer<?> layer) {
    try (FloatTensor x = x()) {
      return logProbabilities(layer, x);
    }
  }

  static double[][] logProbabilities(TwoLevelLayer<?> layer, FloatTensor x) {
    int outputs = layer.outputs();
    try (FloatTensor all = layer.logProbabilities(x)) {
      float[] values = all.toArray();
      double[][] rows = new double[values.length / outputs][outputs];
      for (int i = 0; i < values.length; i++) {
        rows[i / outputs][i % outputs] = values[i];
      }
      return rows;
    }
  }

  /** Asserts that its probabilities are valid: those of a softmax sum to one. */
  static void assertIsWell(TwoLevelLayer<?> layer) {
    for (double[] row : logProbabilities(layer)) {
      double[] probabilities = Arrays.stream(row).map(Math::exp).toArray();
      for (double p : probabilities) {
        assertTrue(p >= 0 && p <= 1, () -> "a probability of " + p);
      }
      if (layer instanceof HierarchicalSoftmax) {
        assertEquals(1, Arrays.stream(probabilities).sum(), 1e-5);
      }
    }
  }

  private static float[] moment(TwoLevelLayer<?> layer, Parameter parameter, int moment) {
    TensorState state = layer.memory().state().of(parameter.index());
    float[] values = new float[(int) state.moment(moment).elements()];
    state.moment(moment).getFloats(0, values, 0, values.length);
    return values;
  }

  /** Returns what belongs to one output alone: its weights, its bias, and their moments. */
  static float[] column(TwoLevelLayer<?> layer, int output) {
    int c = layer.assignment().classOf(output);
    int slot = layer.assignment().slotOf(output);
    int slots = layer.assignment().slots();
    int moments = layer.memory().state().kind().moments();
    float[] column = new float[(FEATURES + 1) * (1 + moments)];
    for (int m = 0; m <= moments; m++) {
      float[] w2 = m == 0 ? layer.W2().toArray() : moment(layer, Parameter.W2, m - 1);
      float[] b2 = m == 0 ? layer.b2().toArray() : moment(layer, Parameter.B2, m - 1);
      for (int f = 0; f < FEATURES; f++) {
        column[m * (FEATURES + 1) + f] = w2[(c * FEATURES + f) * slots + slot];
      }
      column[m * (FEATURES + 1) + FEATURES] = b2[c * slots + slot];
    }
    return column;
  }

  static float[][] columns(TwoLevelLayer<?> layer, int... outputs) {
    return Arrays.stream(outputs).mapToObj(o -> column(layer, o)).toArray(float[][]::new);
  }

  /** Asserts that an output has no optimizer state yet. */
  static void assertHasNoState(TwoLevelLayer<?> layer, int output) {
    float[] column = column(layer, output);
    for (int i = FEATURES + 1; i < column.length; i++) {
      assertEquals(0, column[i], "state of output " + output);
    }
  }

  static void assertSameLayer(TwoLevelLayer<?> wanted, TwoLevelLayer<?> actual) {
    assertEquals(wanted.assignment(), actual.assignment());
    assertArrayEquals(wanted.W1().toArray(), actual.W1().toArray());
    assertArrayEquals(wanted.b1().toArray(), actual.b1().toArray());
    assertArrayEquals(wanted.W2().toArray(), actual.W2().toArray());
    assertArrayEquals(wanted.b2().toArray(), actual.b2().toArray());
  }
}
