// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import static org.blocksparse.softmax.GrowingLayer.CLASSES;
import static org.blocksparse.softmax.GrowingLayer.FEATURES;
import static org.blocksparse.softmax.GrowingLayer.ROWS;
import static org.blocksparse.softmax.GrowingLayer.assertIsWell;
import static org.blocksparse.softmax.GrowingLayer.columns;
import static org.blocksparse.softmax.GrowingLayer.logProbabilities;
import static org.blocksparse.softmax.GrowingLayer.train;
import static org.blocksparse.softmax.GrowingLayer.trained;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.blocksparse.FloatTensor;
import org.blocksparse.Optimizer;
import org.blocksparse.Workers;
import org.blocksparse.internal.tensors.Dense;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Layers whose outputs get other classes. */
final class ReassignmentTest {
  /** Another assignment: no class keeps its outputs; class 2 is a part of an old one. */
  private static final ClassAssignment OTHERS = ClassAssignment.of(0, 1, 1, 0, 1, 0, 1, 2, 2);

  @ParameterizedTest
  @MethodSource("org.blocksparse.softmax.GrowingLayer#kindsAndOptimizers")
  void classesInAnotherOrderChangeNothing(LayerKind kind, Optimizer optimizer) {
    try (TwoLevelLayer<?> layer = trained(kind, optimizer);
        TwoLevelLayer<?> other = layer.copy()) {
      double[][] before = logProbabilities(layer);
      layer.reassign(CLASSES);
      assertSameParameters(other, layer);
      layer.reassign(ClassAssignment.of(2, 2, 2, 0, 0, 1, 1, 1, 1));
      for (int row = 0; row < ROWS; row++) {
        assertArrayEquals(before[row], logProbabilities(layer)[row], 1e-6);
      }
      // They stay equal when both are trained: the state has moved along.
      train(layer, optimizer, 1, 2, 3, 8);
      train(other, optimizer, 1, 2, 3, 8);
      for (int row = 0; row < ROWS; row++) {
        assertArrayEquals(logProbabilities(other)[row], logProbabilities(layer)[row], 1e-4);
      }
    }
  }

  /** Outputs retired in the layer may also be retired in the assignment. */
  @ParameterizedTest
  @MethodSource("org.blocksparse.softmax.GrowingLayer#kindsAndOptimizers")
  void theLayersOwnClassesChangeNothing(LayerKind kind, Optimizer optimizer) {
    try (TwoLevelLayer<?> layer = trained(kind, optimizer)) {
      layer.retire(3, 6);
      ClassAssignment before = layer.assignment();
      double[][] logProbabilities = logProbabilities(layer);
      layer.reassign(before);
      assertEquals(before, layer.assignment());
      assertTrue(layer.assignment().isRetired(3), "it stays so");
      for (int row = 0; row < ROWS; row++) {
        assertArrayEquals(logProbabilities[row], logProbabilities(layer)[row]);
      }
    }
  }

  /** Compares all parameters except padding, which is cleared. */
  private static void assertSameParameters(TwoLevelLayer<?> wanted, TwoLevelLayer<?> actual) {
    int[] all = IntStream.range(0, wanted.outputs()).toArray();
    assertEquals(wanted.assignment(), actual.assignment());
    assertArrayEquals(columns(wanted, all), columns(actual, all));
    assertArrayEquals(wanted.W1().toArray(), actual.W1().toArray());
    assertArrayEquals(wanted.b1().toArray(), actual.b1().toArray());
    assertFalse(Dense.from(wanted.W2()).storage().isSameMemory(Dense.from(actual.W2()).storage()));
  }

  /** If weights do not matter, nothing is lost, however certain the layer is. */
  @ParameterizedTest
  @CsvSource({
    "SOFTMAX, 1",
    "SOFTMAX, 30",
    "LABEL_TREE, 1",
    "LABEL_TREE, 30",
    "LABEL_TREE, -30",
    "LABEL_TREE, 1000",
    "LABEL_TREE, -1000"
  })
  void theDistributionOfZeroStaysAsItIs(LayerKind kind, float scale) {
    try (TwoLevelLayer<?> layer = trained(kind, Optimizer.adagrad(.3f));
        FloatTensor zero = FloatTensor.zeros(1, FEATURES)) {
      for (int output = 0; output < 9; output++) {
        int c = CLASSES.classOf(output);
        layer.b2().set(scale * (output % 4 - 1), c, CLASSES.slotOf(output));
      }
      layer.b1().set(scale, 1);
      double[] before = logProbabilities(layer, zero)[0];
      layer.reassign(OTHERS);
      double[] after = logProbabilities(layer, zero)[0];
      for (int output = 0; output < 9; output++) {
        double allowed = 1e-5 + 1e-6 * Math.abs(before[output]);
        assertEquals(before[output], after[output], allowed, "output " + output);
      }
      for (FloatTensor biases : new FloatTensor[] {layer.b1(), layer.b2()}) {
        for (float bias : biases.toArray()) {
          assertTrue(Float.isFinite(bias), () -> "a bias of " + bias);
        }
      }
      assertIsWell(layer);
    }
  }

  /**
   * The probability that a class is present depends on its current outputs, not on its former ones.
   */
  @Test
  void aPartOfAClassIsThereLessOften() {
    try (TwoLevelLayer<?> layer = trained(LayerKind.LABEL_TREE, Optimizer.adagrad(.3f))) {
      layer.b1().fill(0); // 1/2
      layer.b2().fill(0); // 1/2
      layer.reassign(OTHERS);
      // Two of the outputs of a class: 1/2 (1 - 1/2 1/2). One alone: 1/2 of 1/2, and a little more,
      // since it must not be certain when the class is present.
      double one = 1 / 4. * (1 + Math.exp(-3));
      double two = 3 / 8.;
      double[] p = {1 - Math.pow(1 - one, 3), 1 - Math.pow(1 - one, 2) * (1 - two), two};
      for (int c = 0; c < 3; c++) {
        assertEquals(Math.log(p[c] / (1 - p[c])), layer.b1().get(c), 1e-5, "class " + c);
      }
    }
  }

  /**
   * An output keeps its total logit, so that two outputs that share a class before and after keep
   * their ratio.
   */
  @Test
  void outputsThatStayTogetherKeepTheirRatio() {
    try (TwoLevelLayer<?> layer = trained(LayerKind.SOFTMAX, Optimizer.adagrad(.3f))) {
      double[][] before = logProbabilities(layer);
      layer.reassign(ClassAssignment.of(0, 1, 1, 0, 1, 0, 1, 1, 1));
      double[][] after = logProbabilities(layer);
      for (int row = 0; row < ROWS; row++) {
        for (int[] pair : new int[][] {{1, 2}, {6, 7}, {7, 8}}) {
          assertEquals(
              before[row][pair[0]] - before[row][pair[1]],
              after[row][pair[0]] - after[row][pair[1]],
              1e-5);
        }
      }
    }
  }

  /** A common shift of all outputs of a class has no effect, and must not grow. */
  @Test
  void theMeanOfTheBiasesInAClassStaysAsItIs() {
    try (TwoLevelLayer<?> layer = trained(LayerKind.SOFTMAX, Optimizer.adagrad(.3f))) {
      for (int c = 0; c < 3; c++) {
        layer.b1().set(2 * c * c - 1, c);
      }
      double[] before = new double[3];
      double[] after = new double[3];
      for (int output = 0; output < 9; output++) {
        before[OTHERS.classOf(output)] +=
            layer.b2().get(CLASSES.classOf(output), CLASSES.slotOf(output));
      }
      layer.reassign(OTHERS);
      for (int output = 0; output < 9; output++) {
        after[OTHERS.classOf(output)] +=
            layer.b2().get(OTHERS.classOf(output), OTHERS.slotOf(output));
      }
      assertArrayEquals(before, after, 1e-5);
    }
  }

  @ParameterizedTest
  @EnumSource
  void whatWasLearnedIsNotLost(LayerKind kind) {
    int labels = 60;
    ClassAssignment apart =
        ClassAssignment.of(IntStream.range(0, labels).map(o -> o % 8).toArray());
    ClassAssignment together = ClassAssignment.contiguous(labels, 6);
    int[] targets = IntStream.range(0, labels).toArray();
    try (TwoLevelLayer<?> layer = kind.random(8, apart, Workers.common(), 1);
        TwoLevelLayer<?> fresh = kind.random(8, together, Workers.common(), 1);
        FloatTensor x = FloatTensor.zeros(labels, 8)) {
      SplittableRandom random = new SplittableRandom(2);
      for (int label = 0; label < labels; label++) {
        for (int f = 0; f < 8; f++) {
          x.set((f == label / 10 ? 2 : 0) + (float) random.nextGaussian(), label, f);
        }
      }
      Optimizer adagrad = Optimizer.adagrad(.3f);
      for (int step = 0; step < 300; step++) {
        LayerKind.step(layer, x, adagrad, targets);
      }
      double before = LayerKind.loss(layer, x, targets);
      layer.retire(5);
      layer.reassign(together);
      assertTrue(layer.assignment().isRetired(5), "it stays so");
      int[] left = IntStream.range(0, labels).map(o -> o == 5 ? 6 : o).toArray();
      double moved = LayerKind.loss(layer, x, left);
      double anew = LayerKind.loss(fresh, x, targets);
      // The loss of a label tree includes its classes, which differ from those that it learned.
      double bound = kind == LayerKind.SOFTMAX ? (before + anew) / 2 : anew;
      assertTrue(moved < bound, before + " became " + moved + ", anew " + anew);
      for (int step = 0; step < 30; step++) {
        LayerKind.step(layer, x, adagrad, left);
        LayerKind.step(fresh, x, adagrad, targets);
      }
      double ahead = LayerKind.loss(layer, x, left);
      assertTrue(ahead < LayerKind.loss(fresh, x, targets), "a start that is ahead");
    }
  }
}
