// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import java.util.Arrays;
import java.util.SplittableRandom;
import java.util.stream.IntStream;

/** The targets of a step, and the classes that they are in, as the number of outputs grows. */
public enum GrowthTargets {
  /** Any output, in as many classes as a class has outputs. */
  UNIFORM,
  /** As frequent as words of a language, the most frequent in the first classes. */
  ZIPF,
  /** In ten of the classes, which have 1000 outputs each: there are more and more others. */
  TEN_CLASSES;

  static final int BATCH = 1024;
  static final int FEATURES = 256;

  private static final int OPENED = 10;
  private static final int SLOTS = 1000;

  /**
   * One step.
   *
   * @param classes of equal size, in the order of the outputs
   */
  record Step(int outputs, int classes, int[] targets) {
    private int slots() {
      return (outputs - 1) / classes + 1;
    }

    /** How many classes have a target. */
    long touched() {
      return Arrays.stream(targets).map(target -> target / slots()).distinct().count();
    }

    double flops() {
      return 6.0 * BATCH * FEATURES * (classes + slots());
    }

    /** Bytes that must be read or written at least once. */
    double bytes() {
      return 8.0 * FEATURES * (BATCH + classes + (double) touched() * slots());
    }
  }

  Step step(int outputs) {
    SplittableRandom random = new SplittableRandom(5);
    int root = (int) Math.sqrt(outputs);
    return switch (this) {
      case UNIFORM -> new Step(outputs, root, Workload.uniform(BATCH, outputs, random));
      case ZIPF -> new Step(outputs, root, Workload.zipf(BATCH, outputs, random));
      case TEN_CLASSES -> {
        int classes = outputs / SLOTS;
        int apart = classes / OPENED * SLOTS;
        yield new Step(
            outputs,
            classes,
            IntStream.generate(() -> random.nextInt(OPENED) * apart + random.nextInt(SLOTS))
                .limit(BATCH)
                .toArray());
      }
    };
  }

  @Override
  public String toString() {
    return Names.of(this);
  }
}
