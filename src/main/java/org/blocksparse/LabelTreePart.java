// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

/**
 * The decisions of a {@link LabelTree} that are trained together, by themselves: at its class
 * level, which classes are there; or in one class, which of its outputs are, given that the class
 * is. {@link LayerPart} has what it shares with a part of a softmax: how parts are trained and put
 * together.
 *
 * <p>A layer's step on the mean of a batch is one of each part on the {@linkplain Loss#sum sum},
 * with the weights {@code w / rows}, where rows are all those of the whole batch, also those of
 * weight 0.
 *
 * <table>
 *   <caption>Parts</caption>
 *   <tr><th></th><th>the class level</th><th>a class</th></tr>
 *   <tr><td>its rows</td><td>all, those without targets too</td><td>those that have a target in the
 *     class</td></tr>
 *   <tr><td>their targets</td><td>the classes of the row's targets, in [0, classes)</td><td>the
 *     slots of those in the class, in [0, size of the class)</td></tr>
 * </table>
 *
 * <p>A class does not look at rows without targets, of which it learns nothing, except that x has
 * to be finite there as well.
 */
public final class LabelTreePart extends LayerPart {
  LabelTreePart(PartMemory memory) {
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
  public static LabelTreePart of(LabelTree layer, int number, Workers workers) {
    return new LabelTreePart(PartMemory.copyOf(layer, number, workers));
  }

  /**
   * A step of training of this part alone. A class of which no row has a weight other than 0 and a
   * target keeps its weights, but not what an optimizer of another kind has kept.
   *
   * @param x (batch, features) the rows of a batch that are this part's
   * @param targets (batch) rows: the classes that are there, or the slots of this class; in any
   *     order, and repeats count once
   * @param loss without smoothing and without an ignored target
   * @param optimizer the rule; its state is kept as by a layer
   * @return what this part adds to the loss before the step
   * @throws IllegalArgumentException if a shape or a number of rows does not fit, or if the loss
   *     has what is only for single targets
   * @throws IndexOutOfBoundsException if a target is not one of this part
   * @throws IllegalStateException if this part, a tensor or the targets are closed
   * @throws ArithmeticException if the loss is not finite; nothing has been changed
   */
  public double step(FloatTensor x, SparseRows targets, Loss loss, Optimizer optimizer) {
    double value = training().step(x, targets, loss, optimizer, null, nextStep());
    countStep();
    return value;
  }
}
