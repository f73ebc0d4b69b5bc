// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import java.nio.FloatBuffer;
import java.util.Arrays;
import java.util.SplittableRandom;
import java.util.function.IntToDoubleFunction;
import java.util.stream.IntStream;
import org.blocksparse.FloatTensor;
import org.blocksparse.HierarchicalSoftmax;

/** The parameters and operands of a {@link SoftmaxWorkload}, and the check of results. */
final class SoftmaxProblem implements AutoCloseable {
  private static final double TOLERANCE = 1e-4;
  private static final int SAMPLES = 24;
  private static final int SAMPLES_OF_ALL_OUTPUTS = 2;

  /** What makes logits, which are about 0.3 else, differ by about ten. */
  private static final float PEAKED = 30;

  final SoftmaxWorkload workload;
  final int[] targets;
  final FloatTensor x;
  final HierarchicalSoftmax layer;

  SoftmaxProblem(SoftmaxWorkload workload, SoftmaxOperation operation) {
    this.workload = workload;
    targets = workload.targets();
    x = Problem.random(4, workload.batch, workload.features);
    if (operation == SoftmaxOperation.TOP_K) {
      FloatBuffer values = x.asFloatBuffer();
      for (int i = 0; i < values.limit(); i++) {
        values.put(i, PEAKED * values.get(i));
      }
    }
    layer =
        HierarchicalSoftmax.builder(workload.features, workload.outputs())
            .classes(workload.classes)
            .build();
  }

  /**
   * Compares samples with double precision; parameters must be as they were when {@code result} was
   * computed, so a step is checked by {@link #loss} before it is made.
   *
   * @throws IllegalStateException if one differs
   */
  void check(SoftmaxOperation operation, FloatBuffer result) {
    SplittableRandom random = new SplittableRandom(7);
    int samples = operation == SoftmaxOperation.TOP_K ? SAMPLES_OF_ALL_OUTPUTS : SAMPLES;
    for (int sample = 0; sample < samples; sample++) {
      int row = random.nextInt(workload.batch);
      switch (operation) {
        case TARGET -> compare(operation, logProbability(row, targets[row]), result.get(row));
        case ALL -> {
          int output = random.nextInt(workload.outputs());
          compare(
              operation,
              logProbability(row, output),
              Math.log(result.get(row * workload.outputs() + output)));
        }
        case TOP_K -> {
          double[] likeliest = likeliest(row);
          for (int rank = 0; rank < Softmax.K; rank++) {
            compare(operation, likeliest[rank], result.get(row * Softmax.K + rank));
          }
        }
        case STEP, STEP_ADAGRAD ->
            throw new IllegalArgumentException("a step is checked by its loss");
      }
    }
  }

  /** The mean of the negative log probabilities of the targets. */
  double loss() {
    return IntStream.range(0, workload.batch)
        .parallel()
        .mapToDouble(row -> -logProbability(row, targets[row]))
        .average()
        .orElseThrow();
  }

  static void compare(SoftmaxOperation operation, double expected, double actual) {
    if (!(Math.abs(actual - expected) <= TOLERANCE * (1 + Math.abs(expected)))) {
      throw new IllegalStateException(
          "%s: expected %s but was %s".formatted(operation, expected, actual));
    }
  }

  private double logProbability(int row, int output) {
    int classNumber = output / workload.slots;
    return byClass(row)[classNumber] + bySlot(row, classNumber)[output % workload.slots];
  }

  /** The log probabilities of the {@link Softmax#K} likeliest outputs. */
  private double[] likeliest(int row) {
    double[] byClass = byClass(row);
    double[] ascending =
        IntStream.range(0, workload.classes)
            .parallel()
            .boxed()
            .flatMapToDouble(c -> Arrays.stream(bySlot(row, c)).map(slot -> byClass[c] + slot))
            .sorted()
            .toArray();
    return IntStream.range(0, Softmax.K)
        .mapToDouble(rank -> ascending[ascending.length - 1 - rank])
        .toArray();
  }

  private double[] byClass(int row) {
    FloatBuffer w1 = layer.W1().asFloatBuffer();
    FloatBuffer b1 = layer.b1().asFloatBuffer();
    return logSoftmax(
        workload.classes, c -> b1.get(c) + dot(row, f -> w1.get(f * workload.classes + c)));
  }

  private double[] bySlot(int row, int classNumber) {
    FloatBuffer w2 = layer.W2().asFloatBuffer();
    FloatBuffer b2 = layer.b2().asFloatBuffer();
    int first = classNumber * workload.features;
    return logSoftmax(
        workload.slots,
        s ->
            b2.get(classNumber * workload.slots + s)
                + dot(row, f -> w2.get((first + f) * workload.slots + s)));
  }

  private double dot(int row, IntToDoubleFunction weight) {
    FloatBuffer rows = x.asFloatBuffer();
    double sum = 0;
    for (int f = 0; f < workload.features; f++) {
      sum += rows.get(row * workload.features + f) * weight.applyAsDouble(f);
    }
    return sum;
  }

  private static double[] logSoftmax(int count, IntToDoubleFunction logit) {
    double[] logits = IntStream.range(0, count).mapToDouble(logit).toArray();
    double logSum = Math.log(Arrays.stream(logits).map(Math::exp).sum());
    return Arrays.stream(logits).map(value -> value - logSum).toArray();
  }

  @Override
  public void close() {
    x.close();
    layer.close();
  }
}
