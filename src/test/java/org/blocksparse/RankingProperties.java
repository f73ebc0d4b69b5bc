// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.stream.IntStream;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.constraints.IntRange;
import org.blocksparse.testing.Data;
import org.blocksparse.testing.Data.Numbers;
import org.blocksparse.testing.KernelsUnderTest;

/**
 * Rankings of random layers are the full sort of all log probabilities. Parameters are small
 * integers: products are exact whatever their shape, so the full sort has the same bits, and ties
 * are everywhere.
 */
final class RankingProperties {
  private static final List<KernelsUnderTest> KERNELS = KernelsUnderTest.all();

  @Provide
  Arbitrary<KernelsUnderTest> kernels() {
    return Arbitraries.of(KERNELS);
  }

  /** A layer with a batch, and everything that is asked of it. */
  private static final class Problem implements AutoCloseable {
    final HierarchicalSoftmax layer;
    final FloatTensor x;
    final float[][] logProbabilities;

    Problem(int batch, int classes, int more, int peak, Data data) {
      int features = 1 + data.below(5);
      int[] classOf = new int[classes + more];
      for (int output = 0; output < classOf.length; output++) {
        classOf[output] = output < classes ? output : data.below(classes);
      }
      ClassAssignment assignment = ClassAssignment.of(classOf);
      int slots = assignment.slots();
      float[] b1 = data.floats(Numbers.SMALL_INTEGERS, classes);
      for (int c = 0; c < classes; c++) {
        b1[c] *= peak; // 0: classes are equally likely
      }
      float[] W1 = new float[features * classes];
      if (peak > 0) {
        W1 = data.floats(Numbers.SMALL_INTEGERS, W1.length);
      }
      layer =
          HierarchicalSoftmax.builder(features, classOf.length)
              .classes(assignment)
              .build(
                  FloatTensor.of(W1, features, classes),
                  FloatTensor.of(b1, classes),
                  FloatTensor.of(
                      data.floats(Numbers.SMALL_INTEGERS, (long) classes * features * slots),
                      classes,
                      features,
                      slots),
                  FloatTensor.of(
                      data.floats(Numbers.SMALL_INTEGERS, (long) classes * slots), classes, slots));
      x =
          FloatTensor.of(
              data.floats(Numbers.SMALL_INTEGERS, (long) batch * features), batch, features);
      logProbabilities = new float[batch][classOf.length];
      try (FloatTensor all = layer.logProbabilities(x)) {
        for (int row = 0; row < batch; row++) {
          all.get((long) row * classOf.length, logProbabilities[row], 0, classOf.length);
        }
      }
    }

    /** All outputs of a row, best first. */
    int[] sorted(int row) {
      float[] values = logProbabilities[row];
      return IntStream.range(0, values.length)
          .boxed()
          .sorted(Comparator.<Integer>comparingDouble(o -> -values[o]).thenComparingInt(o -> o))
          .mapToInt(o -> o)
          .toArray();
    }

    /** The row's ranking is the first {@code size} of all outputs, and its certificate is right. */
    void check(Ranking ranking, int row, int size) {
      assertArrayEquals(Arrays.copyOf(sorted(row), size), ranking.outputs(row), "row " + row);
      for (int rank = 0; rank < size; rank++) {
        float expected = logProbabilities[row][ranking.output(row, rank)];
        assertEquals(expected, ranking.logProbability(row, rank), 0, "rank " + rank);
      }
      // Whatever was found is in a class that was opened: among the likeliest so many.
      double[] ofClass = new double[layer.classCount()];
      for (int output = 0; output < layer.outputs(); output++) {
        ofClass[layer.assignment().classOf(output)] += Math.exp(logProbabilities[row][output]);
      }
      int opened = ranking.openedClasses(row);
      assertTrue(1 <= opened && opened <= ofClass.length, "opened: " + opened);
      double[] ascending = Arrays.stream(ofClass).sorted().toArray();
      double least = ascending[ascending.length - opened];
      for (int output : ranking.outputs(row)) {
        double itsClass = ofClass[layer.assignment().classOf(output)];
        assertTrue(itsClass >= least * (1 - 1e-5), opened + " opened, but not that of " + output);
      }
    }

    @Override
    public void close() {
      layer.close();
      x.close();
    }
  }

  @Property(tries = 300)
  void topK(
      @ForAll("kernels") KernelsUnderTest kernels,
      @ForAll @IntRange(max = 20) int batch,
      @ForAll @IntRange(min = 1, max = 40) int classes,
      @ForAll @IntRange(max = 80) int more,
      @ForAll @IntRange(max = 3) int peak,
      @ForAll @IntRange(min = 1, max = 130) int k,
      @ForAll long seed) {
    kernels.run(
        () -> {
          try (Problem problem = new Problem(batch, classes, more, peak, new Data(seed))) {
            Ranking ranking = problem.layer.topK(problem.x, k);
            assertEquals(batch, ranking.batch());
            for (int row = 0; row < batch; row++) {
              problem.check(ranking, row, Math.min(k, classes + more));
            }
          }
        });
  }

  @Property(tries = 300)
  void atLeastAndTopP(
      @ForAll("kernels") KernelsUnderTest kernels,
      @ForAll @IntRange(max = 20) int batch,
      @ForAll @IntRange(min = 1, max = 40) int classes,
      @ForAll @IntRange(max = 80) int more,
      @ForAll @IntRange(max = 3) int peak,
      @ForAll long seed) {
    Data data = new Data(seed);
    kernels.run(
        () -> {
          try (Problem problem = new Problem(batch, classes, more, peak, data)) {
            double p = Math.exp(data.between(-12, 0));
            Ranking likely = problem.layer.atLeast(problem.x, p);
            double mass = data.below(9) == 0 ? 1 : data.between(0.001f, 1);
            Ranking nucleus = problem.layer.topP(problem.x, mass);
            for (int row = 0; row < batch; row++) {
              int above = 0;
              for (float logProbability : problem.logProbabilities[row]) {
                above += logProbability >= Math.log(p) ? 1 : 0;
              }
              assertArrayEquals(
                  Arrays.copyOf(problem.sorted(row), above), likely.outputs(row), "row " + row);
              int fewest = 0;
              double sum = 0;
              for (int output : problem.sorted(row)) {
                if (sum < mass) {
                  sum += Math.exp(problem.logProbabilities[row][output]);
                  fewest++;
                }
              }
              problem.check(nucleus, row, fewest);
            }
          }
        });
  }
}
