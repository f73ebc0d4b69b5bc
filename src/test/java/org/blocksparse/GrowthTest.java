// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.blocksparse.internal.optimizer.TensorState;
import org.blocksparse.internal.softmax.Parameter;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Layers that are copied, get more outputs, lose some, or get other classes. */
final class GrowthTest {
  private static final int FEATURES = 3;

  /** Sizes 3, 2 and 4: class 2 is full. */
  private static final ClassAssignment CLASSES = ClassAssignment.of(0, 0, 0, 1, 1, 2, 2, 2, 2);

  @TempDir Path folder;

  static Stream<Optimizer> optimizers() {
    return Stream.of(Optimizer.sgd(.1f), Optimizer.adagrad(.1f), Optimizer.adam(.01f));
  }

  private static HierarchicalSoftmax layer() {
    return HierarchicalSoftmax.builder(FEATURES, 9).classes(CLASSES).seed(3).build();
  }

  private static FloatTensor x() {
    return FloatTensor.of(new float[] {1, -2, .5f, .25f, 3, -1, 0, 1, 2, 2, -1, 0}, 4, FEATURES);
  }

  private static void train(HierarchicalSoftmax layer, Optimizer optimizer, int... targets) {
    try (FloatTensor x = x();
        IntTensor all = IntTensor.of(targets, 4)) {
      for (int step = 0; step < 5; step++) {
        layer.step(x, all, optimizer);
      }
    }
  }

  private static HierarchicalSoftmax trained(Optimizer optimizer) {
    HierarchicalSoftmax layer = layer();
    train(layer, optimizer, 0, 4, 7, 8);
    return layer;
  }

  private static double[][] logProbabilities(HierarchicalSoftmax layer) {
    try (FloatTensor x = x();
        FloatTensor all = layer.logProbabilities(x)) {
      float[] values = all.toArray();
      int outputs = layer.outputs();
      double[][] rows = new double[4][outputs];
      for (int i = 0; i < values.length; i++) {
        rows[i / outputs][i % outputs] = values[i];
      }
      return rows;
    }
  }

  private static void assertSumsToOne(HierarchicalSoftmax layer) {
    for (double[] row : logProbabilities(layer)) {
      assertEquals(1, Arrays.stream(row).map(Math::exp).sum(), 1e-5);
    }
  }

  private static float[] moment(HierarchicalSoftmax layer, Parameter parameter, int moment) {
    TensorState state = layer.memory().state().of(parameter.index());
    float[] values = new float[(int) state.moment(moment).elements()];
    state.moment(moment).getFloats(0, values, 0, values.length);
    return values;
  }

  /** Of an output, all that belongs to it alone: its weights, its bias, and their moments. */
  private static float[] column(HierarchicalSoftmax layer, int output) {
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

  private static float[][] columns(HierarchicalSoftmax layer, int... outputs) {
    return Arrays.stream(outputs).mapToObj(o -> column(layer, o)).toArray(float[][]::new);
  }

  private static void assertSameLayer(HierarchicalSoftmax wanted, HierarchicalSoftmax actual) {
    assertEquals(wanted.assignment(), actual.assignment());
    assertArrayEquals(wanted.W1().toArray(), actual.W1().toArray());
    assertArrayEquals(wanted.b1().toArray(), actual.b1().toArray());
    assertArrayEquals(wanted.W2().toArray(), actual.W2().toArray());
    assertArrayEquals(wanted.b2().toArray(), actual.b2().toArray());
  }

  // --------------------------------------------------------------------------------------- copies

  @ParameterizedTest
  @MethodSource("optimizers")
  void aCopyGoesOnAsTheLayerDoes(Optimizer optimizer) {
    try (HierarchicalSoftmax layer = trained(optimizer)) {
      layer.setLabels(Labels.of("a", "b"));
      try (HierarchicalSoftmax copy = layer.copy()) {
        assertSameLayer(layer, copy);
        assertEquals(layer.labels(), copy.labels());
        assertEquals(layer.steps(), copy.steps());
        float[] before = copy.W2().toArray();
        train(layer, optimizer, 1, 2, 3, 4);
        assertArrayEquals(before, copy.W2().toArray(), "the copy is its own");
        train(copy, optimizer, 1, 2, 3, 4);
        assertSameLayer(layer, copy);
        layer.close();
        assertSumsToOne(copy);
      }
    }
  }

  @Test
  void aCopyOfAMappedLayerCanBeTrained() throws IOException {
    Path file = folder.resolve("model");
    Optimizer adam = Optimizer.adam(.01f);
    try (HierarchicalSoftmax layer = trained(adam)) {
      layer.save(file, SaveOptions.defaults().withOptimizerState().withMetadata(Map.of("a", "b")));
      try (HierarchicalSoftmax mapped = HierarchicalSoftmax.load(file, LoadOptions.mapped());
          HierarchicalSoftmax copy = mapped.copy()) {
        assertEquals(Map.of("a", "b"), copy.metadata());
        train(layer, adam, 1, 2, 3, 4);
        train(copy, adam, 1, 2, 3, 4);
        assertSameLayer(layer, copy);
      }
    }
  }

  @Test
  void aCopyServesWhileTheLayerGrows() throws Exception {
    ExecutorService server = Executors.newSingleThreadExecutor();
    try (HierarchicalSoftmax layer = trained(Optimizer.adagrad(.1f));
        HierarchicalSoftmax served = layer.copy();
        FloatTensor x = x()) {
      int[] wanted = served.topK(x, 3).outputs(0);
      Future<?> serving =
          server.submit(
              () -> {
                for (int i = 0; i < 500; i++) {
                  assertArrayEquals(wanted, served.topK(x, 3).outputs(0));
                }
              });
      for (int i = 0; i < 50; i++) {
        layer.addOutputs(2);
        layer.retire(layer.outputs() - 1);
        train(layer, Optimizer.adagrad(.1f), 0, 4, 7, layer.outputs() - 2);
      }
      serving.get();
      assertEquals(109, layer.outputs());
      assertSumsToOne(layer);
    } finally {
      server.shutdownNow();
    }
  }

  // ------------------------------------------------------------------------------------ additions

  @ParameterizedTest
  @MethodSource("optimizers")
  void outputsGoIntoTheClassesThatHaveTheFewest(Optimizer optimizer) {
    try (HierarchicalSoftmax layer = trained(optimizer)) {
      int[] all = IntStream.range(0, 9).toArray();
      float[][] before = columns(layer, all);
      float[] w1 = layer.W1().toArray();
      FloatTensor w2 = layer.W2();
      fillEmptySlots(layer);
      assertEquals(9, layer.addOutputs(3));
      assertSame(w2, layer.W2(), "there was room");
      assertEquals(12, layer.outputs());
      assertEquals(4, layer.assignment().slots());
      assertArrayEquals(
          new int[] {1, 0, 1}, IntStream.range(9, 12).map(layer.assignment()::classOf).toArray());
      assertArrayEquals(before, columns(layer, all));
      assertArrayEquals(w1, layer.W1().toArray());
      assertAreMeans(layer, 9, 9, 10, 11);
      assertSumsToOne(layer);
      train(layer, optimizer, 9, 10, 11, 9); // and they can be learned
      for (int output = 9; output < 12; output++) {
        assertFalse(Arrays.equals(before[3], column(layer, output)));
      }
    }
  }

  /** What is in slots without outputs is nobody's, and may be anything in a file. */
  private static void fillEmptySlots(HierarchicalSoftmax layer) {
    for (int c = 0; c < 2; c++) {
      for (int slot = CLASSES.size(c); slot < 4; slot++) {
        layer.b2().set(99, c, slot);
        for (int moment = 0; moment < layer.memory().state().kind().moments(); moment++) {
          layer.memory().state().of(Parameter.B2.index()).moment(moment).putFloat(4 * c + slot, 99);
        }
      }
    }
  }

  /** New outputs are as likely as those of their class on the geometric average. */
  private static void assertAreMeans(HierarchicalSoftmax layer, int old, int... added) {
    double[][] logs = logProbabilities(layer);
    for (int output : added) {
      int c = layer.assignment().classOf(output);
      int[] others =
          IntStream.range(0, old).filter(o -> layer.assignment().classOf(o) == c).toArray();
      for (double[] row : logs) {
        double mean = Arrays.stream(others).mapToDouble(o -> row[o]).average().getAsDouble();
        assertEquals(mean, row[output], 1e-5, "output " + output);
      }
      // There is nothing yet that an optimizer remembers.
      float[] column = column(layer, output);
      for (int i = FEATURES + 1; i < column.length; i++) {
        assertEquals(0, column[i]);
      }
    }
  }

  @ParameterizedTest
  @MethodSource("optimizers")
  void withoutRoomAllClassesGetMore(Optimizer optimizer) {
    try (HierarchicalSoftmax layer = trained(optimizer);
        HierarchicalSoftmax other = layer.copy()) {
      int[] all = IntStream.range(0, 9).toArray();
      float[][] before = columns(layer, all);
      FloatTensor w2 = layer.W2();
      assertEquals(9, layer.addOutputs(40));
      assertTrue(w2.isClosed());
      // 49 in 3 classes are 17, and one more.
      assertEquals(18, layer.assignment().slots());
      assertEquals(3, layer.classCount());
      assertArrayEquals(before, columns(layer, all));
      assertAreMeans(layer, 9, IntStream.range(9, 49).toArray());
      assertSumsToOne(layer);
      // What fits is the same in place and in new memory.
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

  @Test
  void outputsGoIntoTheLikeliestClassWithRoom() {
    try (HierarchicalSoftmax layer = layer();
        FloatTensor x = FloatTensor.zeros(3, FEATURES);
        FloatTensor one = FloatTensor.zeros(1, FEATURES)) {
      layer.b1().set(3, 0);
      layer.b1().set(2, 1);
      layer.b1().set(9, 2); // is full
      layer.W1().fill(0);
      layer.W1().set(5, 0, 1); // the first feature speaks for class 1
      x.set(1, 0, 0);
      assertEquals(9, layer.addOutputs(x));
      assertArrayEquals(
          new int[] {1, 0, 1}, IntStream.range(9, 12).map(layer.assignment()::classOf).toArray());
      assertAreMeans(layer, 9, 9, 10, 11);
      // 13 in 3 classes are 5, and one more: there is room in all now.
      assertEquals(12, layer.addOutputs(one));
      assertEquals(6, layer.assignment().slots());
      assertEquals(2, layer.assignment().classOf(12));
    }
  }

  // ---------------------------------------------------------------------------------- retirements

  /** A layer without the retired outputs, whose numbers are those that are left in order. */
  private static HierarchicalSoftmax without(HierarchicalSoftmax layer, int[] left) {
    int[] classOf = Arrays.stream(left).map(layer.assignment()::classOf).toArray();
    int[] slotOf = Arrays.stream(left).map(layer.assignment()::slotOf).toArray();
    ClassAssignment classes =
        ClassAssignment.of(classOf, slotOf, layer.classCount(), layer.assignment().slots());
    return HierarchicalSoftmax.builder(FEATURES, left.length)
        .classes(classes)
        .build(
            FloatTensor.of(layer.W1().toArray(), layer.W1().shape().toArray()),
            FloatTensor.of(layer.b1().toArray(), layer.b1().shape().toArray()),
            FloatTensor.of(layer.W2().toArray(), layer.W2().shape().toArray()),
            FloatTensor.of(layer.b2().toArray(), layer.b2().shape().toArray()));
  }

  @ParameterizedTest
  @MethodSource("optimizers")
  void retiredOutputsHaveNoProbability(Optimizer optimizer) {
    try (HierarchicalSoftmax layer = trained(optimizer)) {
      double[][] before = logProbabilities(layer);
      int[] left = {1, 2, 3, 4, 5, 8};
      float[][] columns = columns(layer, left);
      FloatTensor w2 = layer.W2();
      layer.retire(6, 0, 7, 6);
      layer.retire(0);
      layer.retire();
      assertSame(w2, layer.W2(), "in place");
      assertEquals(9, layer.outputs());
      assertEquals("9 outputs in 3 classes of up to 4, 3 of them retired", layer.assignment() + "");
      assertArrayEquals(columns, columns(layer, left));
      double[][] after = logProbabilities(layer);
      for (int row = 0; row < 4; row++) {
        for (int output = 0; output < 9; output++) {
          int c = CLASSES.classOf(output);
          boolean retired = Arrays.binarySearch(left, output) < 0;
          assertEquals(retired, layer.assignment().isRetired(output));
          if (retired) {
            assertEquals(Double.NEGATIVE_INFINITY, after[row][output]);
            continue;
          }
          double[] logs = before[row];
          double all =
              IntStream.range(0, 9)
                  .filter(o -> CLASSES.classOf(o) == c)
                  .mapToDouble(o -> Math.exp(logs[o]))
                  .sum();
          double ofLeft =
              Arrays.stream(left)
                  .filter(o -> CLASSES.classOf(o) == c)
                  .mapToDouble(o -> Math.exp(logs[o]))
                  .sum();
          assertEquals(logs[output] + Math.log(all / ofLeft), after[row][output], 1e-5);
        }
      }
      assertSumsToOne(layer);
      try (FloatTensor x = x();
          IntTensor candidates = IntTensor.of(new int[] {0, 1, 6, 8, 2, 7, 3, 4}, 4, 2);
          FloatTensor scores = layer.logProbabilitiesOf(x, candidates);
          FloatTensor probabilities = layer.probabilitiesOf(x, candidates)) {
        assertEquals(after[0][1], scores.get(0, 1), 0);
        assertEquals(Float.NEGATIVE_INFINITY, scores.get(0, 0));
        assertEquals(Float.NEGATIVE_INFINITY, scores.get(2, 1));
        assertEquals(0, probabilities.get(1, 0));
        assertEquals(6, layer.topK(x, 100).size(0));
        assertEquals(6, layer.topP(x, 1).size(1));
        assertEquals(List.of(), notIn(left, layer.topK(x, 100).outputs(2)));
        assertEquals(List.of(), notIn(left, layer.sample(x, new SplittableRandom(1))));
        // Filters may name them; that changes nothing, and allows nothing.
        assertEquals(5, layer.topK(x, 100, Filter.without(0, 1, 7)).size(0));
        assertArrayEquals(new int[] {8}, layer.topK(x, 9, Filter.only(0, 8)).outputs(0));
        assertTrue(layer.topK(x, 9, Filter.only(0, 6)).isFilteredOut(0));
        assertTrue(layer.topK(x, 9, Filter.without(left)).isFilteredOut(0));
        assertFalse(layer.topK(x, 9, Filter.without(0, 0, 0, 6, 6, 7)).isFilteredOut(0));
      }
    }
  }

  private static List<Integer> notIn(int[] sorted, int[] outputs) {
    return Arrays.stream(outputs).filter(o -> Arrays.binarySearch(sorted, o) < 0).boxed().toList();
  }

  /** Loss, smoothing and steps are those of a layer that never had them. */
  @Test
  void withoutRetiredOutputsItTrainsAsALayerThatNeverHadThem() {
    try (HierarchicalSoftmax layer = layer()) {
      layer.retire(0, 6, 7);
      int[] left = {1, 2, 3, 4, 5, 8};
      Loss loss = Loss.mean().withSmoothing(.2f);
      Optimizer sgd = Optimizer.sgd(.1f);
      try (HierarchicalSoftmax small = without(layer, left);
          FloatTensor x = x();
          IntTensor targets = IntTensor.of(new int[] {1, 3, 5, 8}, 4);
          IntTensor ofSmall = IntTensor.of(new int[] {0, 2, 4, 5}, 4)) {
        assertEquals(small.loss(x, ofSmall, loss), layer.loss(x, targets, loss), 0);
        assertEquals(small.step(x, ofSmall, loss, sgd), layer.step(x, targets, loss, sgd), 0);
        assertArrayEquals(small.W2().toArray(), layer.W2().toArray());
        assertArrayEquals(small.b1().toArray(), layer.b1().toArray());
        double[][] logs = logProbabilities(layer);
        double[][] logsOfSmall = logProbabilities(small);
        for (int i = 0; i < left.length; i++) {
          assertEquals(logsOfSmall[3][i], logs[3][left[i]], 0);
        }
      }
    }
  }

  @ParameterizedTest
  @MethodSource("optimizers")
  void aClassWithoutOutputsIsDropped(Optimizer optimizer) {
    try (HierarchicalSoftmax layer = trained(optimizer)) {
      double[][] before = logProbabilities(layer);
      int[] left = {0, 2, 5, 6, 7, 8};
      float[][] columns = columns(layer, left);
      layer.retire(4, 1, 3);
      assertEquals(2, layer.classCount());
      assertEquals(Shape.of(FEATURES, 2), layer.W1().shape());
      assertArrayEquals(columns, columns(layer, left));
      double[][] after = logProbabilities(layer);
      for (int row = 0; row < 4; row++) {
        // Outputs of class 2, which lost none, still have the same ratios.
        for (int output : new int[] {6, 7, 8}) {
          assertEquals(
              before[row][output] - before[row][5], after[row][output] - after[row][5], 1e-5);
        }
      }
      assertSumsToOne(layer);
      train(layer, optimizer, 0, 2, 5, 8);
    }
  }

  @ParameterizedTest
  @MethodSource("optimizers")
  void numbersAreReusedWhenAsked(Optimizer optimizer) {
    try (HierarchicalSoftmax layer = trained(optimizer)) {
      layer.retire(7, 8, 0);
      assertEquals(9, layer.addOutputs(1), "a new number");
      int[] others = {1, 2, 3, 4, 5, 6, 9};
      float[][] before = columns(layer, others);
      layer.reuse(8, 0);
      layer.reuse();
      assertFalse(layer.assignment().isRetired(8));
      assertFalse(layer.assignment().isRetired(0));
      assertTrue(layer.assignment().isRetired(7));
      assertArrayEquals(before, columns(layer, others));
      assertEquals(10, layer.outputs());
      assertSumsToOne(layer);
      for (int output : new int[] {8, 0}) {
        float[] column = column(layer, output);
        for (int i = FEATURES + 1; i < column.length; i++) {
          assertEquals(0, column[i], "what the old output's optimizer state was");
        }
      }
      train(layer, optimizer, 8, 0, 9, 1);
    }
  }

  // -------------------------------------------------------------------------------- other classes

  @ParameterizedTest
  @MethodSource("optimizers")
  void classesInAnotherOrderChangeNothing(Optimizer optimizer) {
    try (HierarchicalSoftmax layer = trained(optimizer);
        HierarchicalSoftmax other = layer.copy()) {
      double[][] before = logProbabilities(layer);
      layer.reassign(CLASSES);
      assertSameParameters(other, layer);
      layer.reassign(ClassAssignment.of(2, 2, 2, 0, 0, 1, 1, 1, 1));
      for (int row = 0; row < 4; row++) {
        assertArrayEquals(before[row], logProbabilities(layer)[row], 1e-6);
      }
      // And so it stays when both are trained: the state has moved along.
      train(layer, optimizer, 1, 2, 3, 8);
      train(other, optimizer, 1, 2, 3, 8);
      for (int row = 0; row < 4; row++) {
        assertArrayEquals(logProbabilities(other)[row], logProbabilities(layer)[row], 1e-4);
      }
    }
  }

  /** But for padding, which is cleared. */
  private static void assertSameParameters(HierarchicalSoftmax wanted, HierarchicalSoftmax actual) {
    int[] all = IntStream.range(0, wanted.outputs()).toArray();
    assertEquals(wanted.assignment(), actual.assignment());
    assertArrayEquals(columns(wanted, all), columns(actual, all));
    assertArrayEquals(wanted.W1().toArray(), actual.W1().toArray());
    assertArrayEquals(wanted.b1().toArray(), actual.b1().toArray());
    assertNotSame(wanted.W2(), actual.W2());
  }

  /** Where weights do not matter, nothing is lost. */
  @Test
  void theDistributionOfZeroStaysAsItIs() {
    try (HierarchicalSoftmax layer = trained(Optimizer.adagrad(.3f));
        FloatTensor zero = FloatTensor.zeros(1, FEATURES)) {
      for (int output = 0; output < 9; output++) {
        layer.b2().set(output % 4 - 1, CLASSES.classOf(output), CLASSES.slotOf(output));
      }
      FloatTensor before = layer.logProbabilities(zero);
      layer.reassign(ClassAssignment.of(0, 1, 1, 0, 1, 0, 1, 1, 1));
      FloatTensor after = layer.logProbabilities(zero);
      assertArrayEquals(before.toArray(), after.toArray(), 1e-5f);
      assertSumsToOne(layer);
      before.close();
      after.close();
    }
  }

  /** An output keeps its logit as a whole, so that two which share a class before and after do. */
  @Test
  void outputsThatStayTogetherKeepTheirRatio() {
    try (HierarchicalSoftmax layer = trained(Optimizer.adagrad(.3f))) {
      double[][] before = logProbabilities(layer);
      layer.reassign(ClassAssignment.of(0, 1, 1, 0, 1, 0, 1, 1, 1));
      double[][] after = logProbabilities(layer);
      for (int row = 0; row < 4; row++) {
        for (int[] pair : new int[][] {{1, 2}, {6, 7}, {7, 8}}) {
          assertEquals(
              before[row][pair[0]] - before[row][pair[1]],
              after[row][pair[0]] - after[row][pair[1]],
              1e-5);
        }
      }
    }
  }

  @Test
  void whatWasLearnedIsNotLost() {
    int labels = 60;
    ClassAssignment apart =
        ClassAssignment.of(IntStream.range(0, labels).map(o -> o % 8).toArray());
    ClassAssignment together = ClassAssignment.contiguous(labels, 6);
    try (HierarchicalSoftmax layer =
            HierarchicalSoftmax.builder(8, labels).classes(apart).seed(1).build();
        HierarchicalSoftmax fresh =
            HierarchicalSoftmax.builder(8, labels).classes(together).seed(1).build();
        FloatTensor x = FloatTensor.zeros(labels, 8);
        IntTensor targets = IntTensor.of(IntStream.range(0, labels).toArray(), labels)) {
      SplittableRandom random = new SplittableRandom(2);
      for (int label = 0; label < labels; label++) {
        for (int f = 0; f < 8; f++) {
          x.set((f == label / 10 ? 2 : 0) + (float) random.nextGaussian(), label, f);
        }
      }
      Optimizer adagrad = Optimizer.adagrad(.3f);
      for (int step = 0; step < 300; step++) {
        layer.step(x, targets, adagrad);
      }
      double before = layer.loss(x, targets);
      layer.retire(5);
      layer.reassign(together);
      assertTrue(layer.assignment().isRetired(5), "it stays so");
      IntTensor left =
          IntTensor.of(IntStream.range(0, labels).map(o -> o == 5 ? 6 : o).toArray(), labels);
      double moved = layer.loss(x, left, Loss.mean());
      double anew = fresh.loss(x, targets);
      assertTrue(moved < (before + anew) / 2, before + " became " + moved + ", anew " + anew);
      for (int step = 0; step < 30; step++) {
        layer.step(x, left, adagrad);
        fresh.step(x, targets, adagrad);
      }
      assertTrue(layer.loss(x, left) < fresh.loss(x, targets), "a start that is ahead");
      left.close();
    }
  }

  // ----------------------------------------------------------------------------------------- files

  @Test
  void filesKeepWhatIsRetired() throws IOException {
    Path file = folder.resolve("model");
    Optimizer adam = Optimizer.adam(.01f);
    try (HierarchicalSoftmax layer = trained(adam)) {
      layer.addOutputs(30);
      layer.retire(IntStream.range(5, 38).toArray()); // class 2 is gone; 39 numbers in 2 x 16 slots
      layer.save(file, SaveOptions.defaults().withOptimizerState());
      for (LoadOptions options : List.of(LoadOptions.copied(), LoadOptions.copyOnWrite())) {
        try (HierarchicalSoftmax loaded = HierarchicalSoftmax.load(file, options);
            HierarchicalSoftmax again = layer.copy()) {
          assertSameLayer(layer, loaded);
          assertTrue(loaded.assignment().isRetired(7));
          train(again, adam, 0, 1, 2, 38);
          train(loaded, adam, 0, 1, 2, 38);
          assertSameLayer(again, loaded);
          assertEquals(Map.of(), loaded.metadata());
        }
      }
      assertThrows(
          IllegalStateException.class, () -> layer.assignment().write(folder.resolve("classes")));
    }
  }

  /** What may not be written is not; what is made anew may be. */
  @Test
  void mappedLayersAreNotChanged() throws IOException {
    Path file = folder.resolve("model");
    try (HierarchicalSoftmax layer = layer()) {
      layer.save(file);
    }
    try (HierarchicalSoftmax mapped = HierarchicalSoftmax.load(file, LoadOptions.mapped())) {
      assertThrows(IllegalStateException.class, () -> mapped.addOutputs(1));
      assertThrows(IllegalStateException.class, () -> mapped.retire(1));
      assertEquals(9, mapped.outputs());
      assertEquals(CLASSES, mapped.assignment());
      assertSumsToOne(mapped);
      mapped.addOutputs(9);
      mapped.retire(1);
      assertSumsToOne(mapped);
    }
  }

  @Test
  void noMemoryIsKept() {
    long before = FloatTensor.allocatedBytes();
    try (HierarchicalSoftmax layer = trained(Optimizer.adam(.01f))) {
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
