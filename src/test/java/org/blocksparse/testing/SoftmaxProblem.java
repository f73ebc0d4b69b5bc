// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.testing;

import org.blocksparse.FloatTensor;
import org.blocksparse.IntTensor;
import org.blocksparse.Workers;
import org.blocksparse.softmax.ClassAssignment;
import org.blocksparse.softmax.LayerBuilder;
import org.blocksparse.softmax.TheanoSoftmax;
import org.blocksparse.softmax.TwoLevelLayer;

/** Operands of a two-level softmax, in row-major order; shapes as in HierarchicalSoftmax. */
@SuppressWarnings("ArrayRecordComponent")
public record SoftmaxProblem(
    int batch,
    int features,
    int classes,
    int slots,
    int[] classOf,
    float[] x,
    float[] W1,
    float[] b1,
    float[] W2,
    float[] b2,
    int[] targets) {

  public int outputs() {
    return classOf.length;
  }

  /** Returns the number of outputs in each class. */
  public int[] sizes() {
    int[] sizes = new int[classes];
    for (int c : classOf) {
      sizes[c]++;
    }
    return sizes;
  }

  /** Returns the slot of each output: within a class, outputs keep their order. */
  public int[] slotOf() {
    int[] sizes = new int[classes];
    int[] slotOf = new int[classOf.length];
    for (int output = 0; output < slotOf.length; output++) {
      slotOf[output] = sizes[classOf[output]]++;
    }
    return slotOf;
  }

  /** The logits of a level, and the sum of the magnitudes of the terms of each. */
  @SuppressWarnings("ArrayRecordComponent")
  public record Logits(double[] values, double[] magnitudes) {
    /** Returns the error bound of one as a sum of floats. */
    public double bound(int q, int features) {
      return (features + 1) * Bounded.U * magnitudes[q];
    }
  }

  /** Returns the logits of all classes. */
  public Logits classLogits(int row) {
    return logits(row, W1, 0, classes, b1, 0, classes);
  }

  /** Returns the logits of the first {@code count} slots of a class. */
  public Logits slotLogits(int row, int c, int count) {
    return logits(row, W2, c * features * slots, slots, b2, c * slots, count);
  }

  private Logits logits(
      int row, float[] weights, int at, int stride, float[] biases, int biasAt, int count) {
    Logits logits = new Logits(new double[count], new double[count]);
    for (int q = 0; q < count; q++) {
      logits.values[q] = biases[biasAt + q];
      logits.magnitudes[q] = Math.abs(logits.values[q]);
      for (int f = 0; f < features; f++) {
        double product = (double) x[row * features + f] * weights[at + f * stride + q];
        logits.values[q] += product;
        logits.magnitudes[q] += Math.abs(product);
      }
    }
    return logits;
  }

  /** Returns a problem of another batch for the current parameters of a layer. */
  public SoftmaxProblem with(float[] newX, int[] newTargets, TwoLevelLayer<?> layer) {
    return new SoftmaxProblem(
        batch,
        features,
        classes,
        slots,
        classOf,
        newX,
        layer.W1().toArray(),
        layer.b1().toArray(),
        layer.W2().toArray(),
        layer.b2().toArray(),
        newTargets);
  }

  /** Returns a layer with copies of the parameters. */
  public <L extends TwoLevelLayer<?>> L layer(LayerBuilder<?, L> builder) {
    return builder
        .classes(ClassAssignment.of(classOf))
        .build(
            FloatTensor.of(W1, features, classes),
            FloatTensor.of(b1, classes),
            FloatTensor.of(W2, classes, features, slots),
            FloatTensor.of(b2, classes, slots));
  }

  /** Returns the probabilities of Theano's function: of all outputs, or of targets. */
  public FloatTensor theano(
      FloatTensor x, TwoLevelLayer<?> layer, IntTensor targets, Workers workers) {
    return TheanoSoftmax.apply(
        x,
        batch,
        outputs(),
        classes,
        slots,
        layer.W1(),
        layer.b1(),
        layer.W2(),
        layer.b2(),
        targets,
        workers);
  }
}
