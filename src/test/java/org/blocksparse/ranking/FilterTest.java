// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.ranking;

import static org.blocksparse.testing.Failures.assertFails;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.blocksparse.FloatTensor;
import org.blocksparse.SparseRows;
import org.blocksparse.Workers;
import org.blocksparse.softmax.ClassAssignment;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.blocksparse.testing.KernelsUnderTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Filters, case by case; {@link FilterProperties} compares them with a full sort. */
final class FilterTest {
  /** The probabilities for x = 1: outputs 0 to 2 in class 0, 3 to 6 in class 1, 7 in class 2. */
  private static final double[] PROBABILITIES = {.3, .15, .05, .2, .12, .06, .02, .1};

  private static final double[] OF_CLASS = {.5, .4, .1};

  static Stream<KernelsUnderTest> kernels() {
    return KernelsUnderTest.all().stream();
  }

  private static HierarchicalSoftmax layer(Workers workers) {
    float[] b1 = new float[3];
    float[] b2 = new float[12];
    ClassAssignment classes = ClassAssignment.of(0, 0, 0, 1, 1, 1, 1, 2);
    for (int output = 0; output < 8; output++) {
      int c = classes.classOf(output);
      b1[c] = (float) Math.log(OF_CLASS[c]);
      b2[4 * c + classes.slotOf(output)] = (float) Math.log(PROBABILITIES[output] / OF_CLASS[c]);
    }
    return HierarchicalSoftmax.builder(1, 8)
        .classes(classes)
        .workers(workers)
        .build(
            FloatTensor.zeros(1, 3),
            FloatTensor.of(b1, 3),
            FloatTensor.zeros(3, 1, 4),
            FloatTensor.of(b2, 3, 4));
  }

  @Test
  void bitsAreOutputs() {
    try (HierarchicalSoftmax layer = layer(Workers.callingThread());
        FloatTensor x = FloatTensor.zeros(1, 1)) {
      BitSet bits = BitSet.valueOf(new long[] {0b10001001}); // 0, 3 and 7
      Filter without = Filter.without(bits);
      bits.clear();
      assertArrayEquals(new int[] {1, 4, 5, 2, 6}, layer.topK(x, 8, without).outputs(0));
      bits.set(1);
      bits.set(5);
      assertArrayEquals(new int[] {1, 5}, layer.topK(x, 8, Filter.only(bits)).outputs(0));
      bits.set(8);
      assertThrows(IndexOutOfBoundsException.class, () -> layer.topK(x, 8, Filter.without(bits)));
      assertThrows(NullPointerException.class, () -> Filter.only((BitSet) null));
    }
  }

  @ParameterizedTest
  @MethodSource("kernels")
  void eachRowHasItsOwn(KernelsUnderTest kernels) {
    try (HierarchicalSoftmax layer = layer(kernels.workers());
        FloatTensor x = FloatTensor.zeros(4, 1);
        SparseRows seen =
            SparseRows.of(
                List.of(
                    new int[] {0, 3},
                    new int[0],
                    new int[] {2, 1, 0, 1},
                    IntStream.range(0, 8).toArray()))) {
      Ranking ranking = layer.topK(x, 3, Filter.without(seen));
      assertArrayEquals(new int[] {1, 4, 7}, ranking.outputs(0));
      assertArrayEquals(new int[] {0, 3, 1}, ranking.outputs(1));
      assertArrayEquals(new int[] {3, 4, 7}, ranking.outputs(2));
      assertArrayEquals(new int[0], ranking.outputs(3));
      assertEquals(.15, ranking.probability(0, 0), 1e-6);
      // Class 0 has no allowed output: it is not among the opened classes.
      assertEquals(2, ranking.openedClasses(2));
      assertEquals(0, ranking.openedClasses(3));
      assertFalse(ranking.isFilteredOut(2));
      assertTrue(ranking.isFilteredOut(3));
      assertTrue(ranking.isDefined(3));
      assertFails(
          IndexOutOfBoundsException.class,
          "rank 0: row 3 has no outputs, since the filter leaves none",
          () -> ranking.output(3, 0));
      Ranking only = layer.topK(x, 3, Filter.only(seen));
      assertArrayEquals(new int[] {0, 3}, only.outputs(0));
      assertTrue(only.isFilteredOut(1));
      assertTrue(only.toString().contains("; 1: filtered out; 2:"), only.toString());
      assertArrayEquals(new int[] {0, 1, 2}, only.outputs(2));
      assertArrayEquals(new int[] {0, 3, 1}, only.outputs(3));
    }
  }

  @ParameterizedTest
  @MethodSource("kernels")
  void whatBothAllow(KernelsUnderTest kernels) {
    try (HierarchicalSoftmax layer = layer(kernels.workers());
        FloatTensor x = FloatTensor.zeros(2, 1);
        SparseRows seen = SparseRows.of(List.of(new int[] {0, 3}, new int[] {1, 4, 5}));
        SparseRows liked = SparseRows.of(List.of(new int[] {1, 2}, new int[] {3, 6, 7}))) {
      Filter inStock = Filter.only(0, 1, 3, 5, 6);
      Filter unseen = Filter.without(seen);
      for (Filter both : List.of(inStock.and(unseen), unseen.and(inStock))) {
        Ranking ranking = layer.topK(x, 8, both);
        assertArrayEquals(new int[] {1, 5, 6}, ranking.outputs(0));
        assertArrayEquals(new int[] {0, 3, 6}, ranking.outputs(1));
        assertEquals(.3, ranking.probability(1, 0), 1e-6);
        assertEquals(2, ranking.openedClasses(0)); // no output of class 2 is in stock
      }
      // The filters that it was made of are unchanged.
      assertEquals(5, layer.topK(x, 8, inStock).size(0));
      assertEquals(6, layer.topK(x, 8, unseen).size(0));
      Ranking three = layer.topK(x, 8, inStock.and(unseen).and(Filter.only(liked)));
      assertArrayEquals(new int[] {1}, three.outputs(0));
      assertArrayEquals(new int[] {3, 6}, three.outputs(1));
      // Both allow outputs of the classes 0 and 1, but not the same ones.
      Ranking nothing = layer.topK(x, 8, Filter.only(0, 3).and(Filter.only(1, 4)));
      assertTrue(nothing.isFilteredOut(0));
      assertEquals(0, nothing.openedClasses(0));
      assertTrue(layer.topK(x, 8, Filter.only(0, 3).and(unseen)).isFilteredOut(0));
      assertFalse(layer.topK(x, 8, Filter.only(0, 3).and(unseen)).isFilteredOut(1));
    }
  }

  @Test
  void bothAreRenormalizedTogether() {
    try (HierarchicalSoftmax layer = layer(Workers.common());
        FloatTensor x = FloatTensor.zeros(1, 1)) {
      Filter some = Filter.only(0, 1, 3, 4);
      for (Filter both :
          List.of(
              some.withRenormalization().and(Filter.without(3)),
              some.and(Filter.without(3).withRenormalization()),
              some.and(Filter.without(3)).withRenormalization())) {
        Ranking ranking = layer.topK(x, 8, both);
        assertArrayEquals(new int[] {0, 1, 4}, ranking.outputs(0));
        assertEquals(.3 / (.3 + .15 + .12), ranking.probability(0, 0), 1e-6);
      }
    }
  }

  @ParameterizedTest
  @MethodSource("kernels")
  void renormalizedProbabilitiesSumToOne(KernelsUnderTest kernels) {
    try (HierarchicalSoftmax layer = layer(kernels.workers());
        FloatTensor x = FloatTensor.zeros(1, 1)) {
      Filter filter = Filter.without(0, 3, 7, 3).withRenormalization();
      double allowed = .15 + .05 + .12 + .06 + .02;
      Ranking all = layer.topK(x, 100, filter);
      assertArrayEquals(new int[] {1, 4, 5, 2, 6}, all.outputs(0));
      double sum = 0;
      for (int rank = 0; rank < all.size(0); rank++) {
        assertEquals(PROBABILITIES[all.output(0, rank)] / allowed, all.probability(0, rank), 1e-6);
        sum += all.probability(0, rank);
      }
      assertEquals(1, sum, 1e-6);
      // .375 .3 .15 .125 .05
      assertArrayEquals(new int[] {1, 4}, layer.topP(x, .6, filter).outputs(0));
      assertArrayEquals(new int[] {1, 4, 5}, layer.topP(x, .7, filter).outputs(0));
      assertArrayEquals(new int[] {1, 4, 5, 2}, layer.atLeast(x, .1, filter).outputs(0));
      // With the model's own probabilities, 40 percent are allowed: a mass of 60 percent is out of
      // reach, and all are returned.
      Filter plain = Filter.without(0, 3, 7, 3);
      assertArrayEquals(new int[] {1, 4, 5, 2, 6}, layer.topP(x, .6, plain).outputs(0));
      assertArrayEquals(new int[] {1, 4}, layer.atLeast(x, .1, plain).outputs(0));
      // A nearly impossible output is certain if it is the only one.
      layer.b1().set(-300, 2);
      Ranking certain = layer.topK(x, 1, Filter.only(7).withRenormalization());
      assertEquals(1, certain.probability(0, 0));
      assertEquals(-300, layer.topK(x, 1, Filter.only(7)).logProbability(0, 0), 1);
    }
  }

  private static HierarchicalSoftmax ofBiases(Workers workers, float[] b1, float[] b2) {
    int classes = b1.length;
    int slots = b2.length / classes;
    return HierarchicalSoftmax.builder(1, b2.length)
        .classes(classes)
        .workers(workers)
        .build(
            FloatTensor.zeros(1, classes),
            FloatTensor.of(b1, classes),
            FloatTensor.zeros(classes, 1, slots),
            FloatTensor.of(b2, classes, slots));
  }

  private static float[] biases(SplittableRandom random, int count) {
    float[] biases = new float[count];
    for (int i = 0; i < count; i++) {
      biases[i] = (float) random.nextDouble(-9, 9);
    }
    return biases;
  }

  /** The outputs are equally likely, in one class or in several equal classes. */
  @ParameterizedTest
  @MethodSource("kernels")
  void equallyLikelyOutputsHaveEqualShares(KernelsUnderTest kernels) {
    SplittableRandom random = new SplittableRandom(3);
    int classes = 4;
    int slots = 60;
    for (int n = 1; n <= slots; n++) {
      boolean inOneClass = n % 2 == 0;
      float[] b1 = biases(random, classes);
      float[] b2 = biases(random, classes * slots);
      int[] equal = new int[n];
      for (int i = 0; i < n; i++) {
        equal[i] = inOneClass ? slots + 2 * i % slots + 2 * i / slots : i % 3 * slots + i / 3;
      }
      if (!inOneClass) {
        Arrays.fill(b1, 1, 3, b1[0]);
        for (int c = 1; c < 3; c++) {
          System.arraycopy(b2, 0, b2, c * slots, slots);
        }
      }
      float bias = b2[equal[0]];
      for (int output : equal) {
        for (int c = 0; c < 3; c++) {
          b2[c * slots + output % slots] = bias;
        }
      }
      try (HierarchicalSoftmax layer = ofBiases(kernels.workers(), b1, b2);
          FloatTensor x = FloatTensor.zeros(1, 1)) {
        Filter filter = Filter.only(equal).withRenormalization();
        assertEquals(n, layer.atLeast(x, 1.0 / n, filter).size(0), "at least 1 / " + n);
        if (n > 1) {
          double mass = (n - 1.0) / n;
          assertEquals(n - 1, layer.topP(x, mass, filter).size(0), "top p of 1 - 1 / " + n);
        }
      }
    }
  }

  /** Each log probability is rounded once, and the total is right to 2^-29. */
  @ParameterizedTest
  @MethodSource("kernels")
  void renormalizedProbabilitiesAreRight(KernelsUnderTest kernels) {
    SplittableRandom random = new SplittableRandom(4);
    int classes = 7;
    int slots = 30;
    int outputs = classes * slots;
    for (int round = 0; round < 20; round++) {
      float[] b1 = biases(random, classes);
      float[] b2 = biases(random, outputs);
      double[] p = new double[outputs];
      double ofClasses = sumOfExponentials(b1, 0, classes);
      for (int output = 0; output < outputs; output++) {
        int c = output / slots;
        p[output] = Math.exp(b1[c]) / ofClasses;
        p[output] *= Math.exp(b2[output]) / sumOfExponentials(b2, c * slots, slots);
      }
      int[] listed = random.ints(1 + random.nextInt(outputs), 0, outputs).distinct().toArray();
      try (HierarchicalSoftmax layer = ofBiases(kernels.workers(), b1, b2);
          FloatTensor x = FloatTensor.zeros(1, 1)) {
        Filter filter = Filter.only(listed).withRenormalization();
        Ranking all = layer.topK(x, outputs, filter);
        double allowed = Arrays.stream(listed).mapToDouble(output -> p[output]).sum();
        double sum = 0;
        double entropy = 0;
        for (int rank = 0; rank < listed.length; rank++) {
          double exact = Math.log(p[all.output(0, rank)] / allowed);
          double rounding = 0x1p-24 * Math.abs(exact);
          assertEquals(exact, all.logProbability(0, rank), rounding + 0x1p-29, "rank " + rank);
          sum += all.probability(0, rank);
          entropy -= Math.exp(exact) * exact;
        }
        assertEquals(1, sum, 1.01 * 0x1p-24 * entropy + 0x1p-29, listed.length + " outputs");
      }
    }
  }

  private static double sumOfExponentials(float[] logits, int begin, int count) {
    return IntStream.range(begin, begin + count).mapToDouble(i -> Math.exp(logits[i])).sum();
  }

  /** Many rows and few outputs: the draws show how likely each is. */
  @ParameterizedTest
  @ValueSource(doubles = {1, .5, 2})
  void drawnFromTheDistributionOfWhatIsAllowed(double temperature) {
    int batch = 200_000;
    List<int[]> listed = List.of(new int[] {0, 4, 5}, new int[] {7, 2, 3, 2});
    try (HierarchicalSoftmax layer = layer(Workers.common());
        FloatTensor x = FloatTensor.zeros(batch, 1);
        SparseRows rows =
            SparseRows.of(
                IntStream.range(0, batch).mapToObj(row -> listed.get(row % 2)).toList())) {
      int[][] same = {{1, 2, 3, 6, 7}};
      assertDrawn(layer, x, temperature, Filter.without(0, 4, 5), same);
      assertDrawn(layer, x, temperature, Filter.only(BitSet.valueOf(new long[] {0xCE})), same);
      int[][] left = {{1, 2, 3, 6, 7}, {0, 1, 4, 5, 6}};
      assertDrawn(layer, x, temperature, Filter.without(rows), left);
      assertDrawn(layer, x, temperature, Filter.only(rows), new int[][] {{0, 4, 5}, {2, 3, 7}});
      Filter both = Filter.only(1, 2, 4, 7).and(Filter.without(rows));
      assertDrawn(layer, x, temperature, both, new int[][] {{1, 2, 7}, {1, 4}});
    }
  }

  /** Asserts the draws where rows are allowed these outputs in turns, and nothing else. */
  private static void assertDrawn(
      HierarchicalSoftmax layer,
      FloatTensor x,
      double temperature,
      Filter filter,
      int[][] allowedInTurns) {
    int turns = allowedInTurns.length;
    int[] drawn = layer.sample(x, temperature, new SplittableRandom(5), filter);
    int[][] counts = new int[turns][8];
    for (int row = 0; row < drawn.length; row++) {
      counts[row % turns][drawn[row]]++;
    }
    double[] heated = heated(temperature);
    for (int turn = 0; turn < turns; turn++) {
      int[] outputs = allowedInTurns[turn];
      double allowed = Arrays.stream(outputs).mapToDouble(output -> heated[output]).sum();
      int rows = drawn.length / turns;
      for (int output : outputs) {
        double p = heated[output] / allowed;
        double deviation = Math.sqrt(rows * p * (1 - p));
        assertEquals(rows * p, counts[turn][output], 5 * deviation, filter + " " + output);
      }
      int[] ofTurn = counts[turn];
      assertEquals(rows, Arrays.stream(outputs).map(output -> ofTurn[output]).sum());
    }
  }

  private static double[] heated(double temperature) {
    ClassAssignment classes = ClassAssignment.of(0, 0, 0, 1, 1, 1, 1, 2);
    double[] ofClass = new double[3];
    double sum = 0;
    for (int c = 0; c < 3; c++) {
      ofClass[c] = Math.pow(OF_CLASS[c], 1 / temperature);
      sum += ofClass[c];
    }
    double[] heated = new double[8];
    double[] within = new double[3];
    for (int output = 0; output < 8; output++) {
      int c = classes.classOf(output);
      heated[output] = Math.pow(PROBABILITIES[output] / OF_CLASS[c], 1 / temperature);
      within[c] += heated[output];
    }
    for (int output = 0; output < 8; output++) {
      int c = classes.classOf(output);
      heated[output] *= ofClass[c] / sum / within[c];
    }
    return heated;
  }

  @Test
  void withoutAFilterTheSameIsDrawn() {
    try (HierarchicalSoftmax layer = layer(Workers.common());
        FloatTensor x = FloatTensor.zeros(1000, 1)) {
      assertArrayEquals(
          layer.sample(x, new SplittableRandom(5)),
          layer.sample(x, 1, new SplittableRandom(5), Filter.without()));
    }
  }

  @ParameterizedTest
  @MethodSource("kernels")
  void whatIsNotAllowedMayBeNaN(KernelsUnderTest kernels) {
    try (HierarchicalSoftmax layer = layer(kernels.workers());
        FloatTensor x = FloatTensor.zeros(1, 1)) {
      layer.W2().set(Float.NaN, 0, 0, 1);
      assertFalse(layer.topK(x, 2).isDefined(0));
      // Class 0 is undefined as a whole.
      assertFalse(layer.topK(x, 2, Filter.without(1)).isDefined(0));
      assertFalse(layer.topK(x, 2, Filter.without(1).withRenormalization()).isDefined(0));
      Filter others = Filter.without(0, 1, 2);
      for (Filter filter : List.of(others, others.withRenormalization())) {
        assertArrayEquals(new int[] {3, 4}, layer.topK(x, 2, filter).outputs(0));
        assertEquals(7, layer.sample(x, 1, new SplittableRandom(1), Filter.only(7))[0]);
      }
      layer.b1().set(Float.NaN, 2);
      assertFalse(layer.topK(x, 2, others).isDefined(0));
      Ranking nothing = layer.topK(x, 2, Filter.only());
      assertTrue(nothing.isFilteredOut(0));
    }
  }

  @ParameterizedTest
  @MethodSource("kernels")
  void whatHasNoProbabilityCannotBeDividedOrDrawn(KernelsUnderTest kernels) {
    try (HierarchicalSoftmax layer = layer(kernels.workers());
        FloatTensor x = FloatTensor.zeros(1, 1)) {
      layer.b1().set(Float.NEGATIVE_INFINITY, 2);
      assertEquals(0, layer.topK(x, 1, Filter.only(7)).probability(0, 0));
      assertFalse(layer.topK(x, 1, Filter.only(7).withRenormalization()).isDefined(0));
      assertFails(
          ArithmeticException.class,
          "row 0: what the filter allows has no probability",
          () -> layer.sample(x, 1, new SplittableRandom(1), Filter.only(7)));
    }
  }

  @Test
  void bitsDoNotDependOnTheWorkers() {
    int batch = 300;
    int outputs = 3000;
    ExecutorService four = Executors.newFixedThreadPool(4);
    SplittableRandom random = new SplittableRandom(2);
    float[] values = new float[batch * 8];
    for (int i = 0; i < values.length; i++) {
      values[i] = 10 * random.nextFloat() - 5;
    }
    List<int[]> lists =
        IntStream.range(0, batch).mapToObj(row -> random.ints(200, 0, outputs).toArray()).toList();
    try (HierarchicalSoftmax one =
            HierarchicalSoftmax.builder(8, outputs).workers(Workers.callingThread()).build();
        HierarchicalSoftmax many =
            HierarchicalSoftmax.builder(8, outputs).workers(Workers.of(four, 4)).build();
        FloatTensor x = FloatTensor.of(values, batch, 8);
        SparseRows rows = SparseRows.of(lists)) {
      for (Filter filter : List.of(Filter.without(rows), Filter.only(rows))) {
        Ranking wanted = one.topP(x, .5, filter.withRenormalization());
        Ranking actual = many.topP(x, .5, filter.withRenormalization());
        for (int row = 0; row < batch; row++) {
          assertArrayEquals(wanted.outputs(row), actual.outputs(row));
          assertArrayEquals(wanted.logProbabilities(row), actual.logProbabilities(row), 0);
          assertEquals(wanted.openedClasses(row), actual.openedClasses(row));
        }
        assertArrayEquals(
            one.sample(x, 1, new SplittableRandom(1), filter),
            many.sample(x, 1, new SplittableRandom(1), filter));
      }
    } finally {
      four.shutdown();
    }
  }

  /** One filter, before and after all changes that move outputs to other places. */
  @Test
  void itIsThatOfTheClassesThereAreNow() {
    Filter filter = Filter.only(0, 3, 4, 7);
    Filter both = filter.and(Filter.without(0, 0));
    try (HierarchicalSoftmax layer = layer(Workers.common());
        HierarchicalSoftmax other =
            HierarchicalSoftmax.builder(1, 9)
                .classes(ClassAssignment.of(2, 2, 1, 0, 1, 0, 0, 1, 2))
                .build();
        FloatTensor x = FloatTensor.zeros(1, 1)) {
      assertAllows(filter, layer, x, 0, 3, 4, 7);
      assertAllows(both, layer, x, 3, 4, 7);
      assertAllows(filter, other, x, 0, 3, 4, 7);
      layer.reassign(ClassAssignment.of(2, 0, 1, 2, 0, 1, 0, 0));
      assertAllows(filter, layer, x, 0, 3, 4, 7);
      layer.retire(3, 1); // others move to their places
      assertAllows(filter, layer, x, 0, 4, 7);
      layer.addOutputs(5);
      assertAllows(filter, layer, x, 0, 4, 7);
      layer.reuse(3);
      assertAllows(filter, layer, x, 0, 3, 4, 7);
      assertAllows(both, layer, x, 3, 4, 7);
      // Each call checks the number of outputs, too.
      try (HierarchicalSoftmax small = HierarchicalSoftmax.builder(1, 7).build()) {
        assertThrows(IndexOutOfBoundsException.class, () -> small.topK(x, 1, both));
      }
    }
  }

  private static void assertAllows(
      Filter filter, HierarchicalSoftmax layer, FloatTensor x, int... outputs) {
    int[] found = layer.topK(x, layer.outputs(), filter).outputs(0);
    assertArrayEquals(outputs, IntStream.of(found).sorted().toArray());
  }

  @Test
  void threadsShareAFilter() throws Exception {
    int outputs = 3000;
    int[] thirds = IntStream.range(0, outputs).filter(output -> output % 3 == 0).toArray();
    Filter filter = Filter.only(thirds);
    ExecutorService four = Executors.newFixedThreadPool(4);
    try (HierarchicalSoftmax one = HierarchicalSoftmax.builder(8, outputs).classes(10).build();
        HierarchicalSoftmax two = HierarchicalSoftmax.builder(8, outputs).classes(70).build();
        FloatTensor x = FloatTensor.of(new float[] {1, -2, 3, -4, 5, -6, 7, -8}, 1, 8)) {
      int[] ofOne = one.topK(x, 50, Filter.only(thirds)).outputs(0);
      int[] ofTwo = two.topK(x, 50, Filter.only(thirds)).outputs(0);
      List<Callable<Void>> calls =
          IntStream.range(0, 400)
              .<Callable<Void>>mapToObj(
                  i ->
                      () -> {
                        HierarchicalSoftmax layer = i % 2 == 0 ? one : two;
                        int[] wanted = i % 2 == 0 ? ofOne : ofTwo;
                        assertArrayEquals(wanted, layer.topK(x, 50, filter).outputs(0));
                        return null;
                      })
              .toList();
      for (Future<Void> done : four.invokeAll(calls)) {
        done.get();
      }
    } finally {
      four.shutdown();
    }
  }

  @Test
  void nothingForNoRows() {
    try (HierarchicalSoftmax layer = layer(Workers.common());
        FloatTensor x = FloatTensor.zeros(0, 1);
        SparseRows none = SparseRows.of(List.of())) {
      assertEquals(0, layer.topK(x, 1, Filter.without(none).withRenormalization()).batch());
      assertEquals(0, layer.topK(x, 1, Filter.only()).batch());
      assertEquals(0, layer.sample(x, 1, new SplittableRandom(1), Filter.only()).length);
    }
  }

  @Test
  void itTellsWhatItIs() {
    try (SparseRows rows = SparseRows.of(List.of(new int[] {1, 2}))) {
      assertEquals("Filter(without 2 outputs)", Filter.without(1, 1).toString());
      assertEquals(
          "Filter(only 0 outputs, renormalized)", Filter.only().withRenormalization().toString());
      assertEquals(
          "Filter(without SparseRows(1 rows, 2 entries))", Filter.without(rows).toString());
      assertEquals(
          "Filter(without SparseRows(1 rows, 2 entries) and only 1 outputs, renormalized)",
          Filter.without(rows).and(Filter.only(1).withRenormalization()).toString());
    }
  }

  /** The caller's array is copied. */
  @Test
  void itDoesNotChange() {
    try (HierarchicalSoftmax layer = layer(Workers.common());
        FloatTensor x = FloatTensor.zeros(1, 1)) {
      int[] outputs = {0};
      Filter filter = Filter.without(outputs);
      outputs[0] = 3;
      assertArrayEquals(new int[] {3}, layer.topK(x, 1, filter).outputs(0));
    }
  }
}
