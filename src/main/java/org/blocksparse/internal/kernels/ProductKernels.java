// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.kernels;

import org.blocksparse.internal.memory.Storage;

/**
 * Kernels that multiply rows with blocks, and rows with rows; see {@link Kernels}. A new type of
 * weights is one more {@link WeightType} of {@link Blocks}.
 */
public interface ProductKernels {
  /**
   * Whether {@link #blockGemm} may run on OpenBLAS, whose bits depend on how columns are cut.
   *
   * @param w not looked into
   */
  boolean mayUseBlas(Blocks w);

  /**
   * The rows of c that the chunks write become (or get added, with {@code accumulate}) the sums of
   * their rows of a times blocks of w, whose elements may be of any type.
   *
   * @param roundsA whether elements of a are rounded to bfloat16; w is of that type then, and not
   *     transposed
   * @param bias rows, one for each written block, that the sum starts from, or null
   */
  void blockGemm(
      GemmSchedule schedule,
      int chunkBegin,
      int chunkEnd,
      int columnBegin,
      int columnEnd,
      Rows a,
      boolean roundsA,
      Blocks w,
      Rows bias,
      boolean accumulate,
      Rows c);

  /** Rounds rows [firstRow, endRow) of a, which are as many as the rounded ones. */
  void roundRows(int firstRow, int endRow, Rows a, RoundedRows rounded);

  /** As {@link #blockGemm}, of rounded rows and a packed w; columns are cut between panels. */
  void packedGemm(
      GemmSchedule schedule,
      int chunkBegin,
      int chunkEnd,
      int columnBegin,
      int columnEnd,
      RoundedRows rounded,
      Blocks w,
      Rows bias,
      boolean accumulate,
      Rows c);

  /**
   * As {@link #packedGemm}, {@link RowKernels#activation} and {@link #roundRows} one after the
   * other, without memory for sums; columns are those of {@code to}, cut between groups.
   *
   * @param gate a factor for each row of {@code to}, or null
   */
  void packedActivation(
      GemmSchedule schedule,
      int chunkBegin,
      int chunkEnd,
      int columnBegin,
      int columnEnd,
      RoundedRows rounded,
      Blocks w,
      Rows bias,
      ActivationFunction function,
      Storage gate,
      RoundedRows to);

  /** Rows [rowBegin, rowEnd) of the blocks of o get alpha times the outer products of x and y. */
  void blockOuter(
      OuterSchedule schedule,
      int blockBegin,
      int blockEnd,
      int rowBegin,
      int rowEnd,
      float alpha,
      Rows x,
      Rows y,
      boolean accumulate,
      Blocks o);

  /** Row j of o gets alpha times the sum of the rows of y that the chunks of block j name. */
  void blockSum(
      GemmSchedule schedule, int chunkBegin, int chunkEnd, int n, float alpha, Rows y, Rows o);
}
