// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.testing;

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

  /** The number of outputs in each class. */
  public int[] sizes() {
    int[] sizes = new int[classes];
    for (int c : classOf) {
      sizes[c]++;
    }
    return sizes;
  }

  /** The slot of each output: within a class, outputs keep their order. */
  public int[] slotOf() {
    int[] sizes = new int[classes];
    int[] slotOf = new int[classOf.length];
    for (int output = 0; output < slotOf.length; output++) {
      slotOf[output] = sizes[classOf[output]]++;
    }
    return slotOf;
  }

  /** The same problem with other parameters. */
  public SoftmaxProblem with(float[] newW1, float[] newB1, float[] newW2, float[] newB2) {
    return new SoftmaxProblem(
        batch, features, classes, slots, classOf, x, newW1, newB1, newW2, newB2, targets);
  }
}
