// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.softmax;

import java.util.Arrays;
import java.util.function.LongSupplier;
import org.blocksparse.internal.Blocks;
import org.blocksparse.internal.Engine;
import org.blocksparse.internal.Rows;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.schedule.GemmSchedule;
import org.blocksparse.internal.schedule.OuterSchedule;

/**
 * The number of classes, chosen by what a step of training costs as a function of it: the model
 * behind the default.
 *
 * <p>For N outputs in C classes, and B rows with F features, in units of one weight:
 *
 * <pre>{@code
 * products:  3 B F (C + N/C)       forward, gradient of x, gradient of the weights, at both levels
 * memory:    D F N/C               weights of the D classes that occur, read and written once
 *            D = C (1 - (1 - 1/C)^B)
 * }</pre>
 *
 * <p>Were products all there is, sqrt(N) classes would be best. But with few rows for each class
 * the memory counts more, and more, smaller classes are better.
 *
 * @param nanosPerProduct time of one multiply-add
 * @param nanosPerWeight time to bring one weight from memory and back
 */
public record ClassCount(double nanosPerProduct, double nanosPerWeight) {
  /** Batch that the default is for. */
  public static final int BATCH = 1024;

  /**
   * Two cores of an AMD EPYC (Zen 5), 2026-11. A constant, so that a layer has the same classes
   * wherever it is built: only the ratio of the two matters, and the optimum is flat.
   */
  public static final ClassCount REFERENCE = new ClassCount(0.0105, 0.16);

  private static final int MEASURED_FEATURES = 256;
  private static final int MEASURED_SLOTS = 1024;
  private static final int MEASURED_CLASSES = 128;
  private static final int REPEATS = 3;

  /**
   * Measures this machine, in a few hundredths of a second.
   *
   * @param engine what will train
   */
  public static ClassCount measure(Engine engine) {
    return measure(engine, System::nanoTime);
  }

  static ClassCount measure(Engine engine, LongSupplier nanoTime) {
    double product = Double.POSITIVE_INFINITY;
    double weight = Double.POSITIVE_INFINITY;
    SoftmaxSizes measured = new SoftmaxSizes(MEASURED_FEATURES, MEASURED_CLASSES, MEASURED_SLOTS);
    int[] oneOfEach = new int[MEASURED_CLASSES];
    Arrays.setAll(oneOfEach, c -> c);
    Storage[] memory =
        Storage.allocateAll(
            MEASURED_CLASSES * measured.classWeights(),
            (long) BATCH * MEASURED_FEATURES,
            (long) BATCH * MEASURED_SLOTS);
    Blocks weights = measured.w2(memory[0]);
    Blocks block = Blocks.dense(memory[0], 1, 1, MEASURED_FEATURES, MEASURED_SLOTS);
    Rows x = new Rows(memory[1], BATCH, MEASURED_FEATURES);
    Rows y = new Rows(memory[2], BATCH, MEASURED_SLOTS);
    try (GemmSchedule dense = GemmSchedule.dense(BATCH);
        GemmSchedule sparse =
            GemmSchedule.ofRows(oneOfEach, oneOfEach, oneOfEach, MEASURED_CLASSES);
        OuterSchedule outer = OuterSchedule.ofRows(sparse)) {
      for (int repeat = 0; repeat < REPEATS; repeat++) {
        long start = nanoTime.getAsLong();
        engine.gemm(dense, x, block, null, false, y);
        long middle = nanoTime.getAsLong();
        engine.outer(outer, -1, x, y, true, weights);
        long end = nanoTime.getAsLong();
        product = Math.min(product, (double) (middle - start) / (BATCH * measured.classWeights()));
        weight =
            Math.min(
                weight, (double) (end - middle) / (MEASURED_CLASSES * measured.classWeights()));
      }
    } finally {
      Storage.closeAll(memory);
    }
    return new ClassCount(product, weight);
  }

  /** Time of a step, in nanoseconds and for each feature. */
  double nanos(int outputs, int classes, int batch) {
    double slots = Math.ceil((double) outputs / classes);
    double occurring = classes * -Math.expm1(batch * Math.log1p(-1.0 / Math.max(2, classes)));
    return 3.0 * batch * (classes + slots) * nanosPerProduct + occurring * slots * nanosPerWeight;
  }

  /** The number of classes with which a step is fastest. */
  public int fastest(int outputs, int batch) {
    double root = Math.sqrt(outputs);
    int least = (int) Math.max(1, root / 8);
    int most = (int) Math.min(outputs, Math.ceil(8 * root));
    int best = least;
    for (int classes = least + 1; classes <= most; classes++) {
      if (nanos(outputs, classes, batch) < nanos(outputs, best, batch)) {
        best = classes;
      }
    }
    return best;
  }
}
