// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import static java.util.Objects.requireNonNull;

import org.blocksparse.FloatTensor;
import org.blocksparse.Optimizer;
import org.blocksparse.Workers;
import org.blocksparse.internal.kernels.Engine;
import org.blocksparse.internal.kernels.Link;
import org.blocksparse.internal.tensors.Check;
import org.blocksparse.internal.training.Parameter;

/**
 * A part of a {@link TwoLevelLayer} that is trained by itself: its class level, or one of its
 * classes. Given x, the parts are independent, so each may be trained on a machine of its own.
 *
 * <pre>{@code
 * log P(output | x) = log P(class | x) + log P(output | class, x)
 * }</pre>
 *
 * <p>Parts get the bits of the layer. They begin with the same weights, made by the layer's builder
 * ({@link LayerBuilder#buildPart}) or with those of a layer ({@link #of}); make the steps of the
 * layer's batches, each part with the rows that are its own in the order of the batch and weights
 * that stand for the whole batch; and are put together by {@link LayerBuilder#saveParts}.
 *
 * <p>A layer's step on the mean of a batch is one of each part on the {@linkplain Loss#sum sum},
 * with these weights of rows:
 *
 * <table>
 *   <caption>Parts</caption>
 *   <tr><th></th><th>{@link HierarchicalSoftmax}</th><th>{@link LabelTree}</th></tr>
 *   <tr><td>weights of rows</td><td>{@code w * (1f / rows)}, where rows are those of the whole
 *     batch whose target is not ignored, also those of weight 0</td><td>{@code w / rows}, where
 *     rows are all those of the whole batch, also those of weight 0</td></tr>
 *   <tr><td>rows of the class level</td><td>all</td><td>all, those without targets too</td></tr>
 *   <tr><td>their targets</td><td>classes, in [0, classes)</td><td>the classes of the row's
 *     targets, in [0, classes)</td></tr>
 *   <tr><td>rows of a class</td><td>those whose target is in the class</td><td>those that have a
 *     target in the class</td></tr>
 *   <tr><td>their targets</td><td>slots, in [0, size of the class)</td><td>the slots of those in
 *     the class, in [0, size of the class)</td></tr>
 * </table>
 *
 * <p>A class of a label tree learns nothing of rows without targets; x has to be finite there as
 * well.
 *
 * <p>A class without rows in a batch needs no step, unless the optimizer is of another kind than in
 * the step before. The layer then resets the state of all classes, so the class must run a step
 * without rows. A batch in which each row has weight 0 or an ignored target changes nothing, and
 * needs no step of any class.
 *
 * <table>
 *   <caption>Shapes</caption>
 *   <tr><th></th><th>the class level</th><th>a class</th></tr>
 *   <tr><td>weights</td><td>W1, (features, classes)</td><td>W2[c], (features, slots)</td></tr>
 *   <tr><td>biases</td><td>b1, (classes)</td><td>b2[c], (slots)</td></tr>
 * </table>
 *
 * <p>A step must not run at the same time as anything else on the same part.
 *
 * @param <T> the targets
 */
public final class LayerPart<T> implements AutoCloseable {
  /** The number of the class level; classes have numbers from 0 on. */
  public static final int CLASS_LEVEL = PartMemory.CLASS_LEVEL;

  private final PartMemory memory;
  private final SoftmaxTraining<T> training;
  private long steps;

  LayerPart(PartMemory memory, TargetBatch.Checker<T> targets) {
    this.memory = memory;
    this.training = new SoftmaxTraining<>(memory.layer(), targets);
  }

  /**
   * Returns a copy of a part of a layer, with its optimizer state.
   *
   * @param number the number of a class, or {@link #CLASS_LEVEL}
   * @param workers the threads that will work on its steps
   * @throws IndexOutOfBoundsException if there is no such class
   * @throws IllegalStateException if the layer is closed or has weights that are only read
   * @throws OutOfMemoryError if there is not enough native memory; the message names the bytes
   */
  public static <T> LayerPart<T> of(TwoLevelLayer<T> layer, int number, Workers workers) {
    requireNonNull(workers, "workers");
    LayerMemory from = requireNonNull(layer, "layer").memory();
    from.requireTrainable("part");
    requireNumber(number, layer.assignment());
    return new LayerPart<>(PartMemory.copyOf(from, number, Engine.from(workers)), layer.targets());
  }

  static ClassAssignment requireNumber(int number, ClassAssignment classes) {
    if (number != CLASS_LEVEL) {
      Check.index("number", number, "classes", classes.classCount());
    }
    return classes;
  }

  /** Returns the number of the class, or {@link #CLASS_LEVEL}. */
  public int number() {
    return memory.number();
  }

  /** Returns the weights, W1 or (1, features, slots): the part's own, not a copy. */
  public FloatTensor W() {
    return tensor(memory.weights());
  }

  /** Returns the biases, b1 or (1, slots): the part's own, not a copy. */
  public FloatTensor b() {
    return tensor(memory.biases());
  }

  private FloatTensor tensor(Parameter parameter) {
    LayerMemory layer = memory.layer();
    return layer.sizes().tensor(parameter, layer.parameters().of(parameter));
  }

  /**
   * Makes a training step of this part alone. If no row of a class has a weight other than 0 and a
   * target that is not ignored, the class keeps its weights, but drops the state of an optimizer of
   * another kind.
   *
   * @param x (batch, features) the rows of a batch that are this part's
   * @param targets the targets of these rows: classes, or slots of this class
   * @param loss without smoothing; for a label tree also without an ignored target
   * @param optimizer the rule; its state is kept as by a layer
   * @return what this part adds to the loss before the step
   * @throws IllegalArgumentException if a shape or a number of rows does not fit, or if the loss
   *     has what it must not have
   * @throws IndexOutOfBoundsException if a target is not one of this part
   * @throws IllegalStateException if this part, a tensor or the targets are closed
   * @throws ArithmeticException if the loss is not finite; nothing has been changed
   */
  public double step(FloatTensor x, T targets, Loss loss, Optimizer optimizer) {
    if (memory.layer().link() == Link.SOFTMAX && requireNonNull(loss, "loss").smoothing() != 0) {
      throw new IllegalArgumentException(
          "loss: expected no smoothing, which is of a whole layer, but was " + loss);
    }
    double value = training.step(x, targets, loss, optimizer, null, memory::run, steps + 1);
    steps++;
    return value;
  }

  /**
   * Returns the part with its optimizer state, for {@link LayerBuilder#saveParts} of the same
   * version of this library.
   *
   * @throws IllegalStateException if it is closed, a number is not finite, or the bytes are more
   *     than an array can hold
   */
  public byte[] toBytes() {
    return memory.toBytes();
  }

  /** Frees the part as soon as no call uses it. */
  @Override
  public void close() {
    memory.close();
  }

  /** Returns a name of the part: {@code class 7}, for instance. */
  @Override
  public String toString() {
    return memory.toString();
  }
}
