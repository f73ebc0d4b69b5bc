// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static java.util.Objects.requireNonNull;

/**
 * One of the softmaxes that a {@link HierarchicalSoftmax} is made of, trained by itself: its class
 * level, or one of its classes. {@link LayerPart} has what it shares with a part of a label tree:
 * how parts are trained and put together.
 *
 * <p>A layer's step on the mean of a batch is one of each part on the {@linkplain Loss#sum sum},
 * with the weights {@code w * (1f / rows)}, where rows are those of the whole batch whose target is
 * not ignored, also those of weight 0.
 *
 * <table>
 *   <caption>Parts</caption>
 *   <tr><th></th><th>the class level</th><th>a class</th></tr>
 *   <tr><td>its rows</td><td>all</td><td>those whose target is in the class</td></tr>
 *   <tr><td>their targets</td><td>classes, in [0, classes)</td><td>slots, in [0, size of the class)
 *     </td></tr>
 * </table>
 */
public final class SoftmaxPart extends LayerPart {
  SoftmaxPart(PartMemory memory) {
    super(memory);
  }

  /**
   * A copy of a part of a layer, with its optimizer state.
   *
   * @param number of a class, or {@link #CLASS_LEVEL}
   * @param workers the threads that will work on its steps
   * @throws IndexOutOfBoundsException if there is no such class
   * @throws IllegalStateException if the layer is closed or has weights that are only read
   * @throws OutOfMemoryError if there is not enough memory, naming the bytes
   */
  public static SoftmaxPart of(HierarchicalSoftmax layer, int number, Workers workers) {
    return new SoftmaxPart(PartMemory.copyOf(layer, number, workers));
  }

  /**
   * A step of training of this part alone. A class of which no row has a weight other than 0 and a
   * target that is not ignored keeps its weights, but not what an optimizer of another kind has
   * kept.
   *
   * @param x (batch, features) the rows of a batch that are this part's
   * @param targets (batch) the class of each row, or its slot in this class
   * @param loss without smoothing
   * @param optimizer the rule; its state is kept as by a layer
   * @return what this part adds to the loss before the step
   * @throws IllegalArgumentException if a shape does not fit, or if the loss has smoothing
   * @throws IndexOutOfBoundsException if a target is not one of this part
   * @throws IllegalStateException if this part or a tensor is closed
   * @throws ArithmeticException if the loss is not finite; nothing has been changed
   */
  public double step(FloatTensor x, IntTensor targets, Loss loss, Optimizer optimizer) {
    if (requireNonNull(loss, "loss").smoothing() != 0) {
      throw new IllegalArgumentException(
          "loss: expected no smoothing, which is of a whole layer, but was " + loss);
    }
    double value = training().step(x, targets, loss, optimizer, null, nextStep());
    countStep();
    return value;
  }
}
