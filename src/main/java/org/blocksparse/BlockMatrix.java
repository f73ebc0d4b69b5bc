// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

/**
 * The weights W of {@link org.blocksparse.products.SparseBlockDot} and {@link
 * org.blocksparse.products.SparseBlockGemv} where they are only read: a matrix of iBlocks x oBlocks
 * blocks of iSize x oSize elements. {@link FloatTensor} holds floats and can be written and
 * transposed; {@link Weights} holds any {@link ElementType} and is read-only.
 */
public sealed interface BlockMatrix extends AutoCloseable permits FloatTensor, Weights {
  /**
   * Returns the shape (iBlocks, oBlocks, iSize, oSize); a {@link FloatTensor} of another rank is no
   * block matrix.
   */
  Shape shape();

  /** Returns whether the memory was closed. */
  boolean isClosed();

  /** Closes the memory; see {@link Tensor}. Idempotent. */
  @Override
  void close();
}
