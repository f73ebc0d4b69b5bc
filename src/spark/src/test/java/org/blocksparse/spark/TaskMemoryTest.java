// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.spark;

import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.management.ThreadMXBean;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.util.Arrays;
import java.util.Random;
import org.blocksparse.FloatTensor;
import org.blocksparse.IntTensor;
import org.blocksparse.Workers;
import org.blocksparse.softmax.ClassAssignment;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.blocksparse.softmax.LayerBuilder;
import org.blocksparse.softmax.LayerPart;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** A training task takes no more memory than the page's table states. */
final class TaskMemoryTest {
  private static final int FEATURES = 100;
  private static final int LABELS = 250_000;
  private static final int CLASSES = 500;

  /** The bytes of a batch of one row, and of what its step writes besides gradients. */
  private static final long OF_A_STEP = 100_000;

  @ParameterizedTest
  @CsvSource({"sgd, 1", "adagrad, 2", "adam, 3"})
  void outsideOfTheHeap_thereAreWeightsAndWhatTheOptimizerRemembers(String rule, int times)
      throws IOException {
    ClassAssignment classes = ClassAssignment.contiguous(LABELS, CLASSES);
    LayerBuilder<IntTensor, HierarchicalSoftmax> builder =
        HierarchicalSoftmax.builder(FEATURES, LABELS)
            .classes(classes)
            .workers(Workers.callingThread());
    long gradient = rule.equals("sgd") ? 0 : 4L * FEATURES * CLASSES; // as many slots as classes
    long weights = 4L * (FEATURES + 1) * CLASSES;
    assertTakesAtMost(times * weights + gradient, builder, classes, 3, rule);
    assertTakesAtMost(
        2L * times * weights + gradient, builder, classes, LayerPart.CLASS_LEVEL, rule);
  }

  private static void assertTakesAtMost(
      long bytes,
      LayerBuilder<IntTensor, HierarchicalSoftmax> builder,
      ClassAssignment classes,
      int number,
      String rule)
      throws IOException {
    RowOrder order = new RowOrder(1, 1, false);
    TrainingPlan plan =
        new TrainingPlan(
            EstimatorKind.SOFTMAX,
            FEATURES,
            2,
            order,
            new int[][] {{1}},
            new OptimizerSettings(rule, 0.1f, 0, Float.POSITIVE_INFINITY));
    long before = FloatTensor.allocatedBytes();
    try (PartRows rows = new PartRows(FEATURES);
        TrainedPart<?> part = TrainedPart.ofSoftmax(builder, number)) {
      rows.add(1, EncodedRow.of(new int[] {3 * classes.slots()}, 1, features()));
      rows.end();
      new PartTrainer(plan, classes, part, rows).train();
      long taken = FloatTensor.allocatedBytes() - before;
      assertTrue(taken <= bytes + OF_A_STEP, part + ": " + taken + " bytes, expected " + bytes);
    }
  }

  private static float[] features() {
    Random random = new Random(1);
    float[] x = new float[FEATURES];
    for (int f = 0; f < FEATURES; f++) {
      x[f] = random.nextFloat();
    }
    return x;
  }

  /** Mapped memory is not on the heap. */
  @Test
  void onTheHeap_thereAreUpTo32MiBOfRows() throws IOException {
    long allocated = allocatedBy(EncodedRow.of(new int[] {1}, 1, ones(1 << 16)), 400); // 100 MiB
    assertTrue(allocated > 27 << 20 && allocated < 33 << 20, allocated + " bytes");
  }

  @Test
  void onTheHeap_aClassOfFewRowsTakesLittle() throws IOException {
    long allocated = allocatedBy(EncodedRow.of(new int[] {1}, 1, ones(256)), 20); // 20 KiB
    assertTrue(allocated < 200 << 10, allocated + " bytes");
  }

  private static float[] ones(int count) {
    float[] ones = new float[count];
    Arrays.fill(ones, 1);
    return ones;
  }

  private static long allocatedBy(byte[] row, int count) throws IOException {
    ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    try (PartRows rows = new PartRows((row.length - 12) / 4)) {
      long before = threads.getCurrentThreadAllocatedBytes();
      for (int i = 0; i < count; i++) {
        rows.add(i, row);
      }
      rows.end();
      return threads.getCurrentThreadAllocatedBytes() - before;
    }
  }
}
