// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import static java.util.Objects.requireNonNull;

import org.blocksparse.FloatTensor;

/**
 * The loss function: the negative log likelihood of the targets, in natural logarithms. For a
 * {@link LabelTree} it is the sum over all its decisions, without label smoothing and ignored
 * targets.
 *
 * <p>With weights w, the loss is the sum (or the mean over the rows that count) of w[r] * -log
 * P(target of row r); {@link HierarchicalSoftmax#losses} returns the share of each row. Rows whose
 * target is {@link #withIgnored ignored} do not count: they have no loss and no gradient, and what
 * x holds there does not matter.
 *
 * <p>With {@link #withSmoothing}, a share of the target's probability goes to other outputs: among
 * the classes by their sizes, and evenly among the outputs of the target's own class. So the loss
 * still needs no class but that of the target.
 *
 * <p>With {@link #withDropout}, a step drops a random share of the elements of x.
 *
 * <p>Immutable.
 */
public final class Loss {
  private final boolean mean;
  private final Integer ignored;
  private final float smoothing;
  private final FloatTensor rowWeights;
  private final Dropout dropout;

  private Loss(
      boolean mean, Integer ignored, float smoothing, FloatTensor rowWeights, Dropout dropout) {
    this.mean = mean;
    this.ignored = ignored;
    this.smoothing = smoothing;
    this.rowWeights = rowWeights;
    this.dropout = dropout;
  }

  /** Returns the mean over the rows that count; 0 if none does. */
  public static Loss mean() {
    return new Loss(true, null, 0, null, Dropout.NONE);
  }

  /** Returns the sum over the rows that count. */
  public static Loss sum() {
    return new Loss(false, null, 0, null, Dropout.NONE);
  }

  /**
   * Returns the same loss without the rows whose target is {@code target}, -100 or -1 for instance.
   */
  public Loss withIgnored(int target) {
    return new Loss(mean, target, smoothing, rowWeights, dropout);
  }

  /**
   * Returns the same loss with a share of each target's probability spread over other outputs.
   *
   * @param share in [0, 1)
   * @throws IllegalArgumentException if it is not
   */
  public Loss withSmoothing(float share) {
    if (!(share >= 0 && share < 1)) {
      throw new IllegalArgumentException("smoothing: expected a number in [0, 1) but was " + share);
    }
    return new Loss(mean, ignored, share, rowWeights, dropout);
  }

  /**
   * Returns the same loss with a weight for each row.
   *
   * @param weights (batch), all finite; stays the caller's, and must be open when the loss is used.
   *     The mean divides by the number of rows that count, not by the sum of their weights
   */
  public Loss withRowWeights(FloatTensor weights) {
    FloatTensor given = requireNonNull(weights, "rowWeights");
    return new Loss(mean, ignored, smoothing, given, dropout);
  }

  /**
   * Returns the same loss with dropout of x in steps: each element becomes 0 with probability
   * {@code share}, and is multiplied by {@code 1 / (1 - share)} otherwise, in x as in gradX. The
   * caller's x does not change. Only steps drop elements; losses and gradients without a step do
   * not.
   *
   * @param share in [0, 1)
   * @param seed equal seeds drop the same elements: give each step another one, its number for
   *     instance
   * @throws IllegalArgumentException if the share is not in its range
   */
  public Loss withDropout(float share, long seed) {
    if (!(share >= 0 && share < 1)) {
      throw new IllegalArgumentException("dropout: expected a number in [0, 1) but was " + share);
    }
    return new Loss(mean, ignored, smoothing, rowWeights, new Dropout(share, seed));
  }

  boolean isMean() {
    return mean;
  }

  boolean ignores(int target) {
    return ignored != null && ignored == target;
  }

  float smoothing() {
    return smoothing;
  }

  /** Requires that nothing is asked for that only single targets have. */
  void requireForSets() {
    if (smoothing != 0 || ignored != null) {
      throw new IllegalArgumentException(
          "loss: expected no smoothing and no ignored target, which a LabelTree does not have, but"
              + " was "
              + this);
    }
  }

  FloatTensor rowWeights() {
    return rowWeights;
  }

  Dropout dropout() {
    return dropout;
  }

  @Override
  public String toString() {
    return (mean ? "mean" : "sum")
        + " of -log P(target)"
        + (ignored == null ? "" : ", ignored = " + ignored)
        + (smoothing == 0 ? "" : ", smoothing = " + smoothing)
        + (rowWeights == null ? "" : ", rowWeights = " + rowWeights.shape())
        + (dropout.isNone() ? "" : ", dropout = " + dropout.share());
  }
}
