// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.kernels;

import org.blocksparse.internal.memory.Rows;
import org.blocksparse.internal.weights.Blocks;
import org.blocksparse.internal.weights.WeightType;

/**
 * Kernels that multiply rows with blocks, and rows with rows; see {@link Kernels}. Each takes the
 * operands of an operation and the part of it that it runs. A new type of weights is one more
 * {@link WeightType} of {@link Blocks}.
 */
public interface ProductKernels {
  /**
   * Returns whether {@link #blockGemm} may run on OpenBLAS, whose bits depend on how columns are
   * cut.
   *
   * @param w not looked into
   */
  boolean mayUseBlas(Blocks w);

  /**
   * Returns whether products of many rows that are rounded as a whole are faster if these rows
   * follow each other: tiles of AMX read nothing else.
   */
  boolean readsRowsInOrder();

  /** Computes columns [columnBegin, columnEnd) of the rows of c that chunks [begin, end) write. */
  void blockGemm(BlockProduct product, int begin, int end, int columnBegin, int columnEnd);

  /** Rounds rows [begin, end) of a, which has as many rows as the result. */
  void roundRows(int begin, int end, Rows a, RoundedRows rounded);

  /** Computes the product as {@link #blockGemm} does; columns are cut between panels. */
  void packedGemm(PackedProduct product, int begin, int end, int columnBegin, int columnEnd);

  /**
   * Computes what {@link #packedGemm}, {@link RowKernels#activation} and {@link #roundRows} do one
   * after the other, without memory for sums; columns are those of the rows written, cut between
   * groups. Rows that are rounded as a whole are written as floats, for {@link #roundRows}.
   */
  void packedActivation(
      PackedActivation activation, int begin, int end, int columnBegin, int columnEnd);

  /** Computes rows [rowBegin, rowEnd) of the blocks of o at places [begin, end) of the schedule. */
  void blockOuter(OuterProduct product, int begin, int end, int rowBegin, int rowEnd);

  /**
   * Makes a step of gradient descent of a block, and computes the gradient of the rows that were
   * multiplied by it: {@link #blockGemm} of all columns, then {@link #blockOuter}, with the same
   * bits.
   *
   * @param gradient the gradient of the rows y of the step, with its blocks transposed
   * @param begin the first chunk of the block; end is that after the last
   * @param step adds to blocks that are not transposed
   * @param block the place of the block in the schedule of the step
   */
  default void descend(BlockProduct gradient, int begin, int end, OuterProduct step, int block) {
    blockGemm(gradient, begin, end, 0, gradient.w().outSize());
    blockOuter(step, block, block + 1, 0, step.o().inSize());
  }

  /** Adds to row j of o alpha times the sum of the rows of y that its chunks name. */
  void blockSum(RowSums sums, int begin, int end);
}
