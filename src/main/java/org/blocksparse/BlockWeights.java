// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static java.util.Objects.requireNonNull;

import org.blocksparse.internal.Blocks;

/**
 * The weights of a product, floats or such that are only read, with the plan that selects blocks of
 * them: what products are computed of, whichever kind they were given.
 *
 * @param floats null if the others are there
 * @param narrow null if there are floats
 */
record BlockWeights(FloatTensor floats, Weights narrow, BlockPlan plan) {
  /** Weights that may be a transposed view and fit the plan. */
  static BlockWeights of(FloatTensor W, BlockPlan plan) {
    requireNonNull(plan, "plan").requireFits(W);
    return new BlockWeights(W, null, plan);
  }

  /** As above, of weights that are only read. */
  static BlockWeights of(Weights W, BlockPlan plan) {
    requireNonNull(plan, "plan").requireFits(W);
    return new BlockWeights(null, W, plan);
  }

  private Shape shape() {
    return floats != null ? floats.shape() : narrow.shape();
  }

  int iSize() {
    return (int) shape().dim(2);
  }

  int oSize() {
    return (int) shape().dim(3);
  }

  /**
   * Products of h can be computed of them as the plan says.
   *
   * @throws IllegalArgumentException if it rounds h, and they are not of the type that h gets
   */
  void requireForward() {
    if (plan.roundsInputs() && (narrow == null || narrow.type() != ElementType.BFLOAT16)) {
      throw new IllegalArgumentException(
          "W: expected Weights of BFLOAT16, as the plan rounds inputs, but was "
              + (narrow == null ? "a FloatTensor" + floats.shape() : narrow)
              + "; make them with Weights.of(W, ElementType.BFLOAT16), or take the plan without"
              + " withRoundedInputs()");
    }
  }

  /**
   * A tensor that is written shares no memory with them. Those that are only read own theirs, or
   * lie in a file that is mapped, of which there may be tensors as well.
   */
  void requireApart(String outName, FloatTensor out) {
    if (floats != null) {
      Check.noOverlap(outName, out, "W", floats);
    } else {
      Check.noOverlap(outName, out, "W", narrow.elements());
    }
  }

  /** A lease on them. */
  Lease lease() {
    return new Lease().of("W", floats).of("W", narrow);
  }

  /** As the kernels see them. */
  Blocks blocks() {
    return floats != null ? KernelOperands.blocks(floats) : narrow.blocks();
  }
}
