// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.Comparator;
import java.util.Random;
import java.util.SplittableRandom;
import java.util.random.RandomGenerator;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.blocksparse.FloatTensor;
import org.blocksparse.IntTensor;
import org.blocksparse.Shape;
import org.blocksparse.Workers;
import org.blocksparse.ranking.Filter;
import org.blocksparse.ranking.Ranking;
import org.blocksparse.testing.KernelsUnderTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Predictions of a layer, compared with its own full distribution. */
final class PredictionTest {
  private static final int FEATURES = 7;
  private static final int OUTPUTS = 101;
  private static final int BATCH = 9;

  static Stream<KernelsUnderTest> kernels() {
    return KernelsUnderTest.forBlocks(FEATURES, OUTPUTS).stream();
  }

  /** Returns a layer of unequal classes, whose order differs from that of the outputs. */
  private static HierarchicalSoftmax layer(long seed) {
    return layer(seed, Workers.common());
  }

  private static HierarchicalSoftmax layer(long seed, Workers workers) {
    Random random = new Random(seed);
    int[] classOf = IntStream.range(0, OUTPUTS).map(o -> o < 13 ? o : random.nextInt(13)).toArray();
    return HierarchicalSoftmax.builder(FEATURES, OUTPUTS)
        .classes(ClassAssignment.of(classOf))
        .workers(workers)
        .seed(seed)
        .build();
  }

  /** Returns small integers: equal logits, and so ties, are frequent. */
  private static FloatTensor integers(long seed, int range, long... dims) {
    Random random = new Random(seed);
    float[] values = new float[(int) Shape.of(dims).size()];
    for (int i = 0; i < values.length; i++) {
      values[i] = random.nextInt(2 * range + 1) - range;
    }
    return FloatTensor.of(values, dims);
  }

  private static int[] sorted(float[] logProbabilities) {
    return IntStream.range(0, logProbabilities.length)
        .boxed()
        .sorted(
            Comparator.<Integer>comparingDouble(o -> -logProbabilities[o]).thenComparingInt(o -> o))
        .mapToInt(o -> o)
        .toArray();
  }

  private static float[] row(FloatTensor tensor, int row) {
    float[] values = new float[(int) tensor.shape().dim(1)];
    tensor.get((long) row * values.length, values, 0, values.length);
    return values;
  }

  @Test
  void topK_opensFewClasses_ifTheyArePeaked_andAllIfTheyAreFlat() {
    try (HierarchicalSoftmax layer = HierarchicalSoftmax.builder(FEATURES, 100).seed(1).build();
        FloatTensor x = FloatTensor.zeros(1, FEATURES)) {
      layer.b1().set(50, 3);
      assertEquals(1, layer.topK(x, 3).openedClasses(0));
      layer.b1().set(0, 3);
      // Ten classes have the same probability: any output of any of them may be the best.
      assertEquals(10, layer.topK(x, 1).openedClasses(0));
    }
  }

  /** One of two outputs has half of the probability, though its logarithm is rounded down. */
  @ParameterizedTest
  @MethodSource("kernels")
  void whatIsExactlyAsLikelyAsAskedForIsFound(KernelsUnderTest kernels) {
    for (int n : new int[] {2, 4}) {
      for (int classes : new int[] {1, 2}) {
        ClassAssignment assignment = ClassAssignment.contiguous(n, classes);
        int slots = assignment.slots();
        try (HierarchicalSoftmax layer =
                HierarchicalSoftmax.builder(1, n)
                    .classes(assignment)
                    .workers(kernels.workers())
                    .build(
                        FloatTensor.zeros(1, classes),
                        FloatTensor.zeros(classes),
                        FloatTensor.zeros(classes, 1, slots),
                        FloatTensor.zeros(classes, slots));
            FloatTensor x = FloatTensor.zeros(1, 1)) {
          String name = "1 of " + n + " in " + classes + " classes";
          assertEquals(n, layer.atLeast(x, 1. / n).size(0), name);
          assertEquals(0, layer.atLeast(x, 1.000001 / n).size(0), name);
          assertEquals(1, layer.topP(x, 1. / n).size(0), name);
          assertEquals(n / 2, layer.topP(x, .5).size(0), name);
          assertEquals(n, layer.topP(x, 1).size(0), name);
        }
      }
    }
  }

  /**
   * An output exactly as likely as the threshold is found, and is not if the threshold is slightly
   * higher. With a class for each output, this also checks the bound of its class.
   */
  @ParameterizedTest
  @MethodSource("kernels")
  void atLeast_includesItsBoundary(KernelsUnderTest kernels) {
    for (int classes : new int[] {1, 3, 8}) {
      try (HierarchicalSoftmax layer =
              HierarchicalSoftmax.builder(1, 8)
                  .classes(classes)
                  .workers(kernels.workers())
                  .seed(5)
                  .build();
          FloatTensor x = FloatTensor.of(new float[] {0.25f}, 1, 1);
          FloatTensor all = layer.logProbabilities(x)) {
        float[] logProbabilities = all.toArray();
        for (float logProbability : logProbabilities) {
          for (float near :
              new float[] {
                Math.nextDown(logProbability), logProbability, Math.nextUp(logProbability)
              }) {
            double p = Math.exp(near);
            assertEquals(near, (float) Math.log(p));
            assertAtLeast(layer, x, logProbabilities, p);
          }
        }
      }
    }
  }

  private static void assertAtLeast(
      HierarchicalSoftmax layer, FloatTensor x, float[] logProbabilities, double p) {
    float threshold = (float) Math.log(p);
    int[] expected =
        IntStream.range(0, logProbabilities.length)
            .filter(output -> logProbabilities[output] >= threshold)
            .toArray();
    assertArrayEquals(
        expected,
        Arrays.stream(layer.atLeast(x, p).outputs(0)).sorted().toArray(),
        "at least " + p);
  }

  /** A class as likely as the tenth of the best outputs is opened, and no less likely one. */
  @Test
  void topK_opensWhatItNeeds() {
    try (HierarchicalSoftmax layer =
            HierarchicalSoftmax.builder(FEATURES, 400).classes(20).build();
        FloatTensor x = FloatTensor.zeros(1, FEATURES)) {
      for (int c = 0; c < 20; c++) {
        layer.b1().set(c < 5 ? 10 : 0, c);
      }
      // Five classes of probability 1/5, each with 20 outputs of 1/100: all of them are needed to
      // find the ten best, and the others have less than 1/100.
      assertEquals(5, layer.topK(x, 10).openedClasses(0));
      assertEquals(5, layer.atLeast(x, 0.005).openedClasses(0));
      assertEquals(100, layer.atLeast(x, 0.005).size(0));
      assertEquals(0, layer.atLeast(x, 0.3).openedClasses(0), "no class is that likely");
      assertEquals(5, layer.topP(x, 0.95).openedClasses(0));
    }
    try (HierarchicalSoftmax layer =
            HierarchicalSoftmax.builder(FEATURES, 240).classes(20).build();
        FloatTensor x = FloatTensor.zeros(1, FEATURES)) {
      for (int c = 0; c < 20; c++) {
        layer.b1().set((float) Math.log(c == 0 ? 0.9 : c == 1 ? 0.06 : 0.04 / 18), c);
      }
      // The first class has twelve outputs of 0.075: the second class, of 0.06, can stay closed.
      assertEquals(1, layer.topK(x, 10).openedClasses(0));
      assertEquals(1, layer.topP(x, 0.8).openedClasses(0));
    }
  }

  /** There are more rows than a search takes at a time, and more results than a round can hold. */
  @Test
  void topK_ofLargeBatches() {
    for (int[] sizes : new int[][] {{300, 30_000, 30_000}, {700, 60_000, 2}}) {
      int batch = sizes[0];
      ClassAssignment classes = ClassAssignment.contiguous(sizes[1], sizes[2]);
      try (HierarchicalSoftmax layer =
              HierarchicalSoftmax.builder(2, sizes[1])
                  .classes(classes)
                  .build(
                      integers(1, 2, 2, classes.classCount()),
                      integers(2, 2, classes.classCount()),
                      integers(3, 2, classes.classCount(), 2, classes.slots()),
                      integers(4, 2, classes.classCount(), classes.slots()));
          FloatTensor x = integers(5, 3, batch, 2);
          FloatTensor one = FloatTensor.zeros(1, 2)) {
        Ranking ranking = layer.topK(x, 12);
        for (int r = 0; r < batch; r += 23) {
          one.copyFrom(row(x, r));
          assertArrayEquals(
              Arrays.copyOf(sorted(row(layer.logProbabilities(one), 0)), 12), ranking.outputs(r));
        }
      }
    }
  }

  @ParameterizedTest
  @MethodSource("kernels")
  void candidates_areThoseOfTheFullDistribution(KernelsUnderTest kernels) {
    Random random = new Random(8);
    int[] wanted = random.ints((long) BATCH * 12, 0, OUTPUTS).toArray();
    try (HierarchicalSoftmax layer = layer(7, kernels.workers());
        FloatTensor x = integers(8, 3, BATCH, FEATURES);
        FloatTensor all = layer.logProbabilities(x);
        IntTensor candidates = IntTensor.of(wanted, BATCH, 12);
        FloatTensor scores = layer.logProbabilitiesOf(x, candidates)) {
      for (int r = 0; r < BATCH; r++) {
        for (int i = 0; i < 12; i++) {
          assertEquals(all.get(r, wanted[r * 12 + i]), scores.get(r, i), 1e-4);
        }
      }
    }
  }

  @Test
  void sample_takesAnyTemperature() {
    try (HierarchicalSoftmax layer = layer(9);
        FloatTensor x = integers(10, 1, 1, FEATURES)) {
      assertArrayEquals(
          layer.sample(x, 1e-30, new SplittableRandom(1), Filter.without()),
          layer.sample(x, Double.MIN_VALUE, new SplittableRandom(2), Filter.without()));
      layer.sample(x, Double.MAX_VALUE, new SplittableRandom(3), Filter.without());
    }
  }

  @Test
  void explain_tellsTheTruthOfEveryOutput() {
    try (HierarchicalSoftmax layer = layer(11);
        FloatTensor x = integers(12, 2, 1, FEATURES);
        FloatTensor all = layer.probabilities(x)) {
      ClassAssignment classes = layer.assignment();
      double[] ofClass = new double[classes.classCount()];
      for (int output = 0; output < OUTPUTS; output++) {
        ofClass[classes.classOf(output)] += all.get(0, output);
      }
      for (int output = 0; output < OUTPUTS; output++) {
        Explanation explanation = layer.explain(x, output);
        int c = classes.classOf(output);
        float p = all.get(0, output);
        assertEquals(output, explanation.output());
        assertEquals(c, explanation.classNumber());
        assertEquals(p, explanation.probability(), 1e-6);
        assertEquals(ofClass[c], explanation.classProbability(), 1e-6);
        assertEquals(
            Arrays.stream(ofClass).filter(other -> other > ofClass[c] + 1e-6).count(),
            explanation.classRank());
        int rank = 0;
        for (int slot = 0; slot < classes.size(c); slot++) {
          rank += all.get(0, classes.output(c, slot)) > p ? 1 : 0;
        }
        assertEquals(rank, explanation.rankInClass());
      }
    }
  }

  @Test
  void ranking_outputsAreACopy() {
    try (HierarchicalSoftmax layer = layer(1);
        FloatTensor x = FloatTensor.zeros(2, FEATURES)) {
      Ranking ranking = layer.topK(x, 3);
      ranking.outputs(0)[0] = -5;
      assertTrue(ranking.output(0, 0) >= 0, "a copy");
    }
  }

  /**
   * However the shares of a row are rounded, random numbers at either end select possible outputs.
   */
  @Test
  void sample_neverDrawsWhatIsImpossible() {
    int slots = 9;
    int rows = 2000;
    for (double number : new double[] {0, Math.nextDown(1.0)}) {
      RandomGenerator random =
          new RandomGenerator() {
            @Override
            public long nextLong() {
              throw new AssertionError("only nextDouble is asked");
            }

            @Override
            public double nextDouble() {
              return number;
            }
          };
      try (HierarchicalSoftmax layer =
              HierarchicalSoftmax.builder(1, slots).classes(1).seed(3).build();
          FloatTensor x = FloatTensor.zeros(rows, 1)) {
        layer.b2().set(Float.NEGATIVE_INFINITY, 0, 0);
        layer.b2().set(Float.NEGATIVE_INFINITY, 0, slots - 1);
        for (int row = 0; row < rows; row++) {
          x.set((row - rows / 2) * 0.01f, row, 0);
        }
        int[] outputs = layer.sample(x, random);
        int expected = number == 0 ? 1 : slots - 2;
        assertArrayEquals(IntStream.generate(() -> expected).limit(rows).toArray(), outputs);
      }
    }
  }
}
