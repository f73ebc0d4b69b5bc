// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench.jobs;

import java.util.Arrays;
import java.util.SplittableRandom;
import java.util.stream.IntStream;

/** Sizes of two-level softmaxes with classes of equal size and uniform targets. */
public enum SoftmaxWorkload {
  OUTPUTS_20000(1024, 128, 142, 141),
  /** The sizes of Theano's issue 3752. */
  OUTPUTS_40000(5000, 512, 200, 200),
  OUTPUTS_100000(1024, 256, 317, 316),
  OUTPUTS_1000000(1024, 256, 1000, 1000);

  public final int batch;
  public final int features;
  final int classes;
  final int slots;

  SoftmaxWorkload(int batch, int features, int classes, int slots) {
    this.batch = batch;
    this.features = features;
    this.classes = classes;
    this.slots = slots;
  }

  public int outputs() {
    return classes * slots;
  }

  int[] targets() {
    SplittableRandom random = new SplittableRandom(11);
    return IntStream.generate(() -> random.nextInt(outputs())).limit(batch).toArray();
  }

  private double openedClasses() {
    return Arrays.stream(targets()).map(target -> target / slots).distinct().count();
  }

  public double flops(SoftmaxOperation operation) {
    double target = 2.0 * batch * features * (classes + slots);
    return switch (operation) {
      // At least one class must be opened for each row.
      case TARGET, TOP_K -> target;
      case ALL -> 2.0 * batch * features * (classes + (double) outputs());
      case STEP, STEP_ADAGRAD -> 3 * target;
    };
  }

  /** Returns the bytes that must be read or written at least once. */
  public double bytes(SoftmaxOperation operation) {
    double x = 4.0 * batch * features;
    double w1 = 4.0 * features * classes;
    double opened = 4.0 * openedClasses() * features * slots;
    return switch (operation) {
      case TARGET, TOP_K -> x + w1 + opened;
      case ALL -> x + w1 + 4.0 * features * outputs() + bytesOfAll();
      case STEP -> 2 * (x + w1 + opened);
      case STEP_ADAGRAD -> 2 * x + 4 * (w1 + opened);
    };
  }

  /** Returns the bytes of the probabilities of all outputs. */
  public double bytesOfAll() {
    return 4.0 * batch * outputs();
  }

  /** Returns the name, batch x features, and classes x slots. */
  @Override
  public String toString() {
    return "%s: %d x %d, %dx%d".formatted(Names.of(this), batch, features, classes, slots);
  }
}
