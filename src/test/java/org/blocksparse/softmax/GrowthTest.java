// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import static org.blocksparse.softmax.GrowingLayer.CLASSES;
import static org.blocksparse.softmax.GrowingLayer.FEATURES;
import static org.blocksparse.softmax.GrowingLayer.assertHasNoState;
import static org.blocksparse.softmax.GrowingLayer.assertIsWell;
import static org.blocksparse.softmax.GrowingLayer.column;
import static org.blocksparse.softmax.GrowingLayer.columns;
import static org.blocksparse.softmax.GrowingLayer.logProbabilities;
import static org.blocksparse.softmax.GrowingLayer.train;
import static org.blocksparse.softmax.GrowingLayer.trained;
import static org.blocksparse.softmax.GrowingLayer.untrained;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.stream.IntStream;
import org.blocksparse.FloatTensor;
import org.blocksparse.Optimizer;
import org.blocksparse.internal.tensors.Dense;
import org.blocksparse.internal.training.Parameter;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Layers that get more outputs. */
final class GrowthTest {
  @ParameterizedTest
  @MethodSource("org.blocksparse.softmax.GrowingLayer#kindsAndOptimizers")
  void outputsGoIntoTheClassesThatHaveTheFewest(LayerKind kind, Optimizer optimizer) {
    try (TwoLevelLayer<?> layer = trained(kind, optimizer)) {
      int[] all = IntStream.range(0, 9).toArray();
      float[][] before = columns(layer, all);
      float[] w1 = layer.W1().toArray();
      FloatTensor w2 = layer.W2();
      fillEmptySlots(layer);
      assertEquals(9, layer.addOutputs(3));
      assertTrue(
          Dense.from(w2).storage().isSameMemory(Dense.from(layer.W2()).storage()),
          "there was room");
      assertEquals(12, layer.outputs());
      assertEquals(4, layer.assignment().slots());
      assertArrayEquals(
          new int[] {1, 0, 1}, IntStream.range(9, 12).map(layer.assignment()::classOf).toArray());
      assertArrayEquals(before, columns(layer, all));
      assertArrayEquals(w1, layer.W1().toArray());
      assertAreMeans(layer, 9, 9, 10, 11);
      assertIsWell(layer);
      train(layer, optimizer, 9, 10, 11, 9); // the new outputs can be trained
      for (int output = 9; output < 12; output++) {
        assertFalse(Arrays.equals(before[3], column(layer, output)));
      }
    }
  }

  /** Fills the slots without outputs, which may hold anything in a file. */
  private static void fillEmptySlots(TwoLevelLayer<?> layer) {
    for (int c = 0; c < 2; c++) {
      for (int slot = CLASSES.size(c); slot < 4; slot++) {
        layer.b2().set(99, c, slot);
        for (int moment = 0; moment < layer.memory().state().kind().moments(); moment++) {
          layer.memory().state().of(Parameter.B2.index()).moment(moment).putFloat(4 * c + slot, 99);
        }
      }
    }
  }

  /** Asserts that new outputs begin as the mean of those of their class. */
  private static void assertAreMeans(TwoLevelLayer<?> layer, int old, int... added) {
    for (int output : added) {
      int c = layer.assignment().classOf(output);
      int[] others =
          IntStream.range(0, old).filter(o -> layer.assignment().classOf(o) == c).toArray();
      for (double[] logits : logits(layer)) {
        double mean = Arrays.stream(others).mapToDouble(o -> logits[o]).average().getAsDouble();
        assertEquals(mean, logits[output], 1e-4, "output " + output);
      }
      assertHasNoState(layer, output);
    }
  }

  /**
   * Returns, for each row, the numbers whose mean a mean of logits is: for a softmax, log
   * probabilities; for a label tree, the log odds of each output within its class.
   */
  private static double[][] logits(TwoLevelLayer<?> layer) {
    if (layer instanceof HierarchicalSoftmax) {
      return logProbabilities(layer);
    }
    double[][] logits = new double[GrowingLayer.ROWS][layer.outputs()];
    for (int row = 0; row < logits.length; row++) {
      try (FloatTensor x = GrowingLayer.x(row)) {
        for (int output = 0; output < layer.outputs(); output++) {
          double p = layer.explain(x, output).probabilityInClass();
          logits[row][output] = Math.log(p / (1 - p));
        }
      }
    }
    return logits;
  }

  /** In a label tree, whether an output is a target does not depend on other outputs. */
  @ParameterizedTest
  @EnumSource
  void inALabelTreeTheOthersKeepTheirProbabilities(LayerKind kind) {
    try (TwoLevelLayer<?> layer = trained(kind, Optimizer.adagrad(.1f))) {
      double[][] before = logProbabilities(layer);
      layer.addOutputs(2);
      layer.addOutputs(30);
      for (int row = 0; row < before.length; row++) {
        double[] after = Arrays.copyOf(logProbabilities(layer)[row], 9);
        assertEquals(kind == LayerKind.LABEL_TREE, near(before[row], after));
      }
    }
  }

  private static boolean near(double[] a, double[] b) {
    return IntStream.range(0, a.length).allMatch(i -> Math.abs(a[i] - b[i]) < 1e-5);
  }

  @ParameterizedTest
  @MethodSource("org.blocksparse.softmax.GrowingLayer#kindsAndOptimizers")
  void withoutRoomAllClassesGetMore(LayerKind kind, Optimizer optimizer) {
    try (TwoLevelLayer<?> layer = trained(kind, optimizer);
        TwoLevelLayer<?> other = layer.copy()) {
      int[] all = IntStream.range(0, 9).toArray();
      float[][] before = columns(layer, all);
      FloatTensor w2 = layer.W2();
      assertEquals(9, layer.addOutputs(39));
      assertTrue(w2.isClosed());
      // 48 outputs in 3 classes are 16 each, and one more.
      assertEquals(17, layer.assignment().slots());
      assertEquals(3, layer.classCount());
      assertArrayEquals(before, columns(layer, all));
      assertAreMeans(layer, 9, IntStream.range(9, 48).toArray());
      assertIsWell(layer);
      // Growth within the spare room gives the same result as growth into new memory.
      other.addOutputs(3);
      assertArrayEquals(before, columns(other, all));
      for (int output = 9; output < 12; output++) {
        if (layer.assignment().classOf(output) == other.assignment().classOf(output)) {
          assertArrayEquals(column(layer, output), column(other, output));
        }
      }
      train(layer, optimizer, 1, 2, 3, 4);
    }
  }

  @ParameterizedTest
  @EnumSource
  void outputsGoIntoTheLikeliestClassWithRoom(LayerKind kind) {
    try (TwoLevelLayer<?> layer = untrained(kind);
        FloatTensor x = FloatTensor.zeros(3, FEATURES);
        FloatTensor one = FloatTensor.zeros(1, FEATURES)) {
      layer.b1().set(3, 0);
      layer.b1().set(2, 1);
      layer.b1().set(9, 2); // makes it the likeliest class, which is full
      layer.W1().fill(0);
      layer.W1().set(5, 0, 1); // the first feature favors class 1
      x.set(1, 0, 0);
      assertEquals(9, layer.addOutputs(x));
      assertArrayEquals(
          new int[] {1, 0, 1}, IntStream.range(9, 12).map(layer.assignment()::classOf).toArray());
      assertAreMeans(layer, 9, 9, 10, 11);
      // 13 outputs in 3 classes are 5 each, plus one slot: all classes have room now.
      assertEquals(12, layer.addOutputs(one));
      assertEquals(6, layer.assignment().slots());
      assertEquals(2, layer.assignment().classOf(12));
    }
  }

  @ParameterizedTest
  @EnumSource
  void noMemoryIsKept(LayerKind kind) {
    long before = FloatTensor.allocatedBytes();
    try (TwoLevelLayer<?> layer = trained(kind, Optimizer.adam(.01f))) {
      layer.copy().close();
      layer.addOutputs(1);
      layer.addOutputs(20);
      layer.retire(3, 4);
      layer.retire(0);
      layer.reuse(0, 3);
      layer.reassign(ClassAssignment.contiguous(layer.outputs(), 4));
    }
    assertTrue(FloatTensor.allocatedBytes() <= before + (1 << 20), "of workspaces and scratch");
  }
}
