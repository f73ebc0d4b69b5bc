// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

/**
 * What a step of training costs, as a function of the number of classes: the model behind the
 * default number of classes.
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
record StepCost(double nanosPerProduct, double nanosPerWeight) {
  /** Batch that the default is for. */
  static final int BATCH = 1024;

  /**
   * Two cores of an AMD EPYC (Zen 5), 2026-11. A constant, so that a layer has the same classes
   * wherever it is built: only the ratio of the two matters, and the optimum is flat.
   */
  static final StepCost REFERENCE = new StepCost(0.0105, 0.16);

  private static final int MEASURED_FEATURES = 256;
  private static final int MEASURED_SLOTS = 1024;
  private static final int MEASURED_CLASSES = 128;
  private static final int REPEATS = 3;

  /**
   * Measures this machine, in a few hundredths of a second.
   *
   * @param workers who will train
   */
  static StepCost measure(Workers workers) {
    double product = Double.POSITIVE_INFINITY;
    double weight = Double.POSITIVE_INFINITY;
    long products = (long) BATCH * MEASURED_FEATURES * MEASURED_SLOTS;
    long weights = (long) MEASURED_CLASSES * MEASURED_FEATURES * MEASURED_SLOTS;
    int[] oneOfEach = new int[MEASURED_CLASSES];
    for (int c = 0; c < MEASURED_CLASSES; c++) {
      oneOfEach[c] = c;
    }
    try (FloatTensor W = FloatTensor.zeros(1, MEASURED_CLASSES, MEASURED_FEATURES, MEASURED_SLOTS);
        FloatTensor block = FloatTensor.zeros(1, 1, MEASURED_FEATURES, MEASURED_SLOTS);
        FloatTensor bias = FloatTensor.zeros(1, MEASURED_SLOTS);
        FloatTensor x = FloatTensor.zeros(BATCH, 1, MEASURED_FEATURES);
        FloatTensor y = FloatTensor.zeros(BATCH, 1, MEASURED_SLOTS);
        FloatTensor few = FloatTensor.zeros(MEASURED_CLASSES, 1, MEASURED_FEATURES);
        FloatTensor fewGradients = FloatTensor.zeros(MEASURED_CLASSES, 1, MEASURED_SLOTS);
        IntTensor zeros = IntTensor.zeros(BATCH, 1);
        IntTensor fewZeros = IntTensor.zeros(MEASURED_CLASSES, 1);
        IntTensor each = IntTensor.of(oneOfEach, MEASURED_CLASSES, 1);
        BlockPlan dense = BlockPlan.of(zeros, zeros, 1, 1).on(workers);
        BlockPlan sparse = BlockPlan.of(fewZeros, each, 1, MEASURED_CLASSES).on(workers)) {
      for (int repeat = 0; repeat < REPEATS; repeat++) {
        long start = System.nanoTime();
        SparseBlockDot.apply(block, x, bias, dense, y);
        long middle = System.nanoTime();
        SparseBlockOuter.applyInPlace(W, few, fewGradients, sparse, -1);
        long end = System.nanoTime();
        product = Math.min(product, (double) (middle - start) / products);
        weight = Math.min(weight, (double) (end - middle) / weights);
      }
    }
    return new StepCost(product, weight);
  }

  /** Time of a step, in nanoseconds and for each feature. */
  double nanos(int outputs, int classes, int batch) {
    double slots = Math.ceil((double) outputs / classes);
    double occurring = classes * -Math.expm1(batch * Math.log1p(-1.0 / Math.max(2, classes)));
    return 3 * batch * (classes + slots) * nanosPerProduct + occurring * slots * nanosPerWeight;
  }

  /** The number of classes with which a step is fastest. */
  int fastestClasses(int outputs, int batch) {
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
