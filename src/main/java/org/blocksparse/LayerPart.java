// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

/**
 * A part of a {@link TwoLevelLayer} that is trained by itself: its class level, or one of its
 * classes. Given x, none of them needs to know of the others, so that each may be trained on a
 * machine of its own. This is what a {@link SoftmaxPart} and a {@link LabelTreePart} have in
 * common: all but what targets are, and training.
 *
 * <pre>{@code
 * log P(output | x) = log P(class | x) + log P(output | class, x)
 * }</pre>
 *
 * <p>Parts get the bits of the layer. They begin with the same weights, made by the layer's builder
 * ({@code buildPart}) or with those of a layer ({@code of}); make the steps of the layer's batches,
 * each part with the rows that are its own in the order of the batch and weights that stand for the
 * whole batch; and are put together by the builder ({@code saveParts}).
 *
 * <p>A class without rows in a batch needs no step, unless the optimizer is of another kind than in
 * the step before. The layer then forgets what it has kept for all classes, and a class that goes
 * on without it has to be told, by a step with none of the batch's rows. A batch of which no row
 * has a weight other than 0 and a target that is not ignored changes nothing in the layer: no class
 * is told.
 *
 * <table>
 *   <caption>Shapes</caption>
 *   <tr><th></th><th>the class level</th><th>a class</th></tr>
 *   <tr><td>weights</td><td>W1, (features, classes)</td><td>W2[c], (features, slots)</td></tr>
 *   <tr><td>biases</td><td>b1, (classes)</td><td>b2[c], (slots)</td></tr>
 * </table>
 *
 * <p>A step must not run at the same time as anything else on the same part.
 */
public abstract sealed class LayerPart implements AutoCloseable permits SoftmaxPart, LabelTreePart {
  /** The number of the class level, beside those of the classes. */
  public static final int CLASS_LEVEL = -1;

  private final PartMemory memory;
  private long steps;

  LayerPart(PartMemory memory) {
    this.memory = memory;
  }

  final Training training() {
    return memory.training();
  }

  /** The number of the step that comes next. */
  final long nextStep() {
    return steps + 1;
  }

  final void countStep() {
    steps++;
  }

  /** The number of the class, or {@link #CLASS_LEVEL}. */
  public int number() {
    return memory.number();
  }

  /** The weights, W1 or (1, features, slots): the part's own, not a copy. */
  public FloatTensor W() {
    return memory.W();
  }

  /** The biases, b1 or (1, slots): the part's own, not a copy. */
  public FloatTensor b() {
    return memory.b();
  }

  /**
   * The part with its optimizer state, for the builder's {@code saveParts} of the same version of
   * this library.
   *
   * @throws IllegalStateException if it is closed, a number is not finite, or the bytes are more
   *     than an array can hold
   */
  public byte[] toBytes() {
    return memory.toBytes();
  }

  /** Frees it as soon as no call uses it. */
  @Override
  public void close() {
    memory.close();
  }

  /** Which part it is: {@code class 7}, for instance. */
  @Override
  public String toString() {
    return memory.toString();
  }
}
