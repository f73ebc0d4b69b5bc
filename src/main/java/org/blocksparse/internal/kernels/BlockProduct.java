// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.kernels;

/**
 * A product of rows with blocks; see {@link ProductKernels#blockGemm}.
 *
 * @param roundsA whether a is rounded to bfloat16; to int8 it is if w is packed
 * @param bias rows, one for each written block, that the sums begin with, or null
 * @param inputBias what is added for each row that is read, or null
 * @param accumulate whether c is added to
 */
public record BlockProduct(
    GemmSchedule schedule,
    Rows a,
    boolean roundsA,
    Blocks w,
    Rows bias,
    ReadBias inputBias,
    boolean accumulate,
    Rows c) {

  /**
   * A bias for each block that is read, times a factor for each row that is: a product of rows of
   * one element with blocks of one row, by the schedule of the product itself.
   *
   * @param gate a row of one element for each row of a
   * @param bias a grid of blocks of one row, the same for each written block
   */
  public record ReadBias(Rows gate, Blocks bias) {}

  /**
   * The sums of these columns and chunks.
   *
   * @param rounded the rows of a, if w is packed; else null
   */
  void run(ProductKernels kernels, RoundedRows rounded, RowSelection rows) {
    if (inputBias == null) {
      multiply(kernels, rounded, rows, bias, accumulate);
    } else {
      kernels.blockGemm(
          schedule,
          rows.begin(),
          rows.end(),
          rows.columnBegin(),
          rows.columnEnd(),
          inputBias.gate,
          false,
          inputBias.bias,
          bias,
          accumulate,
          c);
      multiply(kernels, rounded, rows, null, true);
    }
  }

  private void multiply(
      ProductKernels kernels, RoundedRows rounded, RowSelection rows, Rows start, boolean adds) {
    if (rounded != null) {
      kernels.packedGemm(
          schedule,
          rows.begin(),
          rows.end(),
          rows.columnBegin(),
          rows.columnEnd(),
          rounded,
          w,
          start,
          adds,
          c);
      return;
    }
    kernels.blockGemm(
        schedule,
        rows.begin(),
        rows.end(),
        rows.columnBegin(),
        rows.columnEnd(),
        a,
        roundsA,
        w,
        start,
        adds,
        c);
  }
}
