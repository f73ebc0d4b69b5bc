// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

/**
 * Finds the number of classes by the cost of a training step as a function of it: the model behind
 * the default.
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
record ClassCount(double nanosPerProduct, double nanosPerWeight) {
  /** The batch size of the default. */
  public static final int BATCH = 1024;

  /**
   * The costs on two cores of an AMD EPYC (Zen 5), 2026-11. They are constant, so that a layer has
   * the same classes wherever it is built: only the ratio of the two matters, and the optimum is
   * flat.
   */
  public static final ClassCount REFERENCE = new ClassCount(0.0105, 0.16);

  /** Returns the time of a step for each feature, in nanoseconds. */
  double nanos(int outputs, int classes, int batch) {
    double slots = Math.ceil((double) outputs / classes);
    double occurring = classes * -Math.expm1(batch * Math.log1p(-1.0 / Math.max(2, classes)));
    return 3.0 * batch * (classes + slots) * nanosPerProduct + occurring * slots * nanosPerWeight;
  }

  /** Returns the number of classes with which a step is fastest. */
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
