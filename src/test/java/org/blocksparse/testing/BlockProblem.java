// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.testing;

import org.blocksparse.IntTensor;
import org.blocksparse.Workers;
import org.blocksparse.products.BlockPlan;

/** Operands of a sparse block product, in row-major order; shapes as in SparseBlockDot. */
@SuppressWarnings("ArrayRecordComponent")
public record BlockProblem(
    Sizes sizes,
    float[] W,
    float[] h,
    float[] b,
    float[] o,
    float[] gradOut,
    int[] inputIdx,
    int[] outputIdx) {

  /** All dimensions. */
  public record Sizes(
      int batch, int iBlocks, int oBlocks, int iSize, int oSize, int iWin, int oWin) {
    public long[] W() {
      return new long[] {iBlocks, oBlocks, iSize, oSize};
    }

    public long[] h() {
      return new long[] {batch, iWin, iSize};
    }

    public long[] b() {
      return new long[] {oBlocks, oSize};
    }

    public long[] o() {
      return new long[] {batch, oWin, oSize};
    }

    public long[] inputIdx() {
      return new long[] {batch, iWin};
    }

    public long[] outputIdx() {
      return new long[] {batch, oWin};
    }
  }

  /** Returns a plan of its indices. */
  public BlockPlan plan(Workers workers) {
    try (IntTensor inputs = IntTensor.of(inputIdx, sizes.inputIdx());
        IntTensor outputs = IntTensor.of(outputIdx, sizes.outputIdx())) {
      return BlockPlan.of(inputs, outputs, sizes.iBlocks, sizes.oBlocks).withWorkers(workers);
    }
  }

  /** Returns the same problem with other weights and another bias. */
  public BlockProblem with(float[] otherW, float[] otherB) {
    return new BlockProblem(sizes, otherW, h, otherB, o, gradOut, inputIdx, outputIdx);
  }

  /** Returns W as (oBlocks, iBlocks, oSize, iSize): its transposed view is W. */
  public float[] transposedW() {
    Sizes s = sizes;
    float[] transposed = new float[W.length];
    int to = 0;
    for (int j = 0; j < s.oBlocks; j++) {
      for (int i = 0; i < s.iBlocks; i++) {
        for (int q = 0; q < s.oSize; q++) {
          for (int p = 0; p < s.iSize; p++) {
            transposed[to++] = W[at(i, j, p, q)];
          }
        }
      }
    }
    return transposed;
  }

  /** Returns the shape of {@link #transposedW}. */
  public long[] transposedShape() {
    return new long[] {sizes.oBlocks, sizes.iBlocks, sizes.oSize, sizes.iSize};
  }

  /** Returns the position of W[i, j, p, q]. */
  public int at(int i, int j, int p, int q) {
    return ((i * sizes.oBlocks + j) * sizes.iSize + p) * sizes.oSize + q;
  }
}
