// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench.jobs;

import java.nio.FloatBuffer;
import java.util.Arrays;
import java.util.BitSet;
import java.util.SplittableRandom;
import java.util.function.IntToDoubleFunction;
import java.util.stream.IntStream;
import org.blocksparse.FloatTensor;
import org.blocksparse.SparseRows;
import org.blocksparse.softmax.ClassAssignment;
import org.blocksparse.softmax.HierarchicalSoftmax;

/** A layer and a batch for it, and the check of results. */
public final class SoftmaxProblem implements AutoCloseable {
  private static final double TOLERANCE = 1e-4;
  private static final int SAMPLES = 24;
  private static final int SAMPLES_OF_ALL_OUTPUTS = 2;

  /** The factor of weights that makes logits differ by about 10 instead of 0.3. */
  private static final float PEAKED = 30;

  final int[] targets;
  public final FloatTensor x;
  public final HierarchicalSoftmax layer;
  public final int batch;

  /** The filter of searches, or null. */
  final SparseRows seen;

  /** The outputs that searches may return for any row; null: all of them. */
  final BitSet inStock;

  private final ClassAssignment classes;

  /** Takes ownership of its arguments. */
  SoftmaxProblem(HierarchicalSoftmax layer, FloatTensor x, int[] targets) {
    this(layer, x, targets, null, null);
  }

  SoftmaxProblem(
      HierarchicalSoftmax layer, FloatTensor x, int[] targets, SparseRows seen, BitSet inStock) {
    this.layer = layer;
    this.x = x;
    this.targets = targets;
    this.seen = seen;
    this.inStock = inStock;
    this.batch = (int) x.shape().dim(0);
    this.classes = layer.assignment();
  }

  /** Returns the problem with another layer, which it owns; the previous one is closed. */
  public SoftmaxProblem with(HierarchicalSoftmax other) {
    layer.close();
    return new SoftmaxProblem(other, x, targets, seen, inStock);
  }

  /** Returns random parameters and operands of the sizes of a workload. */
  public static SoftmaxProblem of(SoftmaxWorkload workload, SoftmaxOperation operation) {
    HierarchicalSoftmax layer =
        HierarchicalSoftmax.builder(workload.features, workload.outputs())
            .classes(workload.classes)
            .build();
    FloatTensor x = random(workload.batch, workload.features, operation == SoftmaxOperation.TOP_K);
    return new SoftmaxProblem(layer, x, workload.targets());
  }

  /**
   * Returns features with which classes and outputs are about equally likely, or very unequally.
   */
  public static FloatTensor random(int batch, int features, boolean peaked) {
    FloatTensor x = Problem.random(4, batch, features);
    if (peaked) {
      FloatBuffer values = x.asFloatBuffer();
      for (int i = 0; i < values.limit(); i++) {
        values.put(i, PEAKED * values.get(i));
      }
    }
    return x;
  }

  /**
   * Compares samples with double precision; parameters must be those with which {@code result} was
   * computed, so a step is checked by {@link #loss} before it is made.
   *
   * @throws IllegalStateException if one differs
   */
  public void check(SoftmaxOperation operation, FloatBuffer result) {
    SplittableRandom random = new SplittableRandom(7);
    int samples = operation == SoftmaxOperation.TOP_K ? SAMPLES_OF_ALL_OUTPUTS : SAMPLES;
    for (int sample = 0; sample < samples; sample++) {
      int row = random.nextInt(batch);
      switch (operation) {
        case TARGET -> compare(operation, logProbability(row, targets[row]), result.get(row));
        case ALL -> {
          int output = random.nextInt(layer.outputs());
          compare(
              operation,
              logProbability(row, output),
              Math.log(result.get(row * layer.outputs() + output)));
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

  /** Returns the mean of the negative log probabilities of the targets. */
  public double loss() {
    return IntStream.range(0, batch)
        .parallel()
        .mapToDouble(row -> -logProbability(row, targets[row]))
        .average()
        .orElseThrow();
  }

  public static void compare(SoftmaxOperation operation, double expected, double actual) {
    if (!(Math.abs(actual - expected) <= TOLERANCE * (1 + Math.abs(expected)))) {
      throw new IllegalStateException(
          "%s: expected %s but was %s".formatted(operation, expected, actual));
    }
  }

  private double logProbability(int row, int output) {
    int classNumber = classes.classOf(output);
    return byClass(row)[classNumber] + bySlot(row, classNumber)[classes.slotOf(output)];
  }

  /** Returns the log probabilities of the {@link Softmax#K} likeliest outputs. */
  private double[] likeliest(int row) {
    double[] byClass = byClass(row);
    BitSet left = new BitSet();
    left.set(0, layer.outputs());
    if (inStock != null) {
      left.and(inStock);
    }
    if (seen != null) {
      Arrays.stream(seen.indices(row)).forEach(left::clear);
    }
    double[] ascending =
        IntStream.range(0, byClass.length)
            .parallel()
            .boxed()
            .flatMapToDouble(
                c -> {
                  double[] bySlot = bySlot(row, c);
                  return IntStream.range(0, bySlot.length)
                      .filter(slot -> left.get(classes.output(c, slot)))
                      .mapToDouble(slot -> byClass[c] + bySlot[slot]);
                })
            .sorted()
            .toArray();
    return IntStream.range(0, Softmax.K)
        .mapToDouble(rank -> ascending[ascending.length - 1 - rank])
        .toArray();
  }

  private double[] byClass(int row) {
    FloatBuffer w1 = layer.W1().asFloatBuffer();
    FloatBuffer b1 = layer.b1().asFloatBuffer();
    int count = classes.classCount();
    return logSoftmax(count, c -> b1.get(c) + dot(row, f -> w1.get(f * count + c)));
  }

  private double[] bySlot(int row, int classNumber) {
    FloatBuffer w2 = layer.W2().asFloatBuffer();
    FloatBuffer b2 = layer.b2().asFloatBuffer();
    int slots = classes.slots();
    int first = classNumber * layer.features();
    return logSoftmax(
        classes.size(classNumber),
        s -> b2.get(classNumber * slots + s) + dot(row, f -> w2.get((first + f) * slots + s)));
  }

  private double dot(int row, IntToDoubleFunction weight) {
    FloatBuffer rows = x.asFloatBuffer();
    int features = layer.features();
    double sum = 0;
    for (int f = 0; f < features; f++) {
      sum += rows.get(row * features + f) * weight.applyAsDouble(f);
    }
    return sum;
  }

  private static double[] logSoftmax(int count, IntToDoubleFunction logit) {
    double[] logits = IntStream.range(0, count).mapToDouble(logit).toArray();
    double max = Arrays.stream(logits).max().orElseThrow();
    double logSum = max + Math.log(Arrays.stream(logits).map(l -> Math.exp(l - max)).sum());
    return Arrays.stream(logits).map(value -> value - logSum).toArray();
  }

  @Override
  public void close() {
    x.close();
    layer.close();
    if (seen != null) {
      seen.close();
    }
  }
}
