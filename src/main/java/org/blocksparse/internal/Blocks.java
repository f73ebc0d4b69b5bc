// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal;

import org.blocksparse.internal.memory.Storage;

/**
 * A grid of {@code inBlocks x outBlocks} blocks of {@code inSize x outSize} elements. Element (p,
 * q) of block (i, j) is at {@code offset + i * inBlockStride + j * outBlockStride}, plus {@code p *
 * rowStride + q}, or plus {@code q * rowStride + p} if the blocks are transposed.
 */
public record Blocks(
    Storage storage,
    long offset,
    int inBlocks,
    int outBlocks,
    int inSize,
    int outSize,
    long inBlockStride,
    long outBlockStride,
    long rowStride,
    boolean transposed) {

  /** Where the first element lies, as native code sees it. */
  long address() {
    return storage.address(offset);
  }

  /** A grid that lies densely, from the start of the storage on. */
  public static Blocks dense(
      Storage storage, int inBlocks, int outBlocks, int inSize, int outSize) {
    long blockSize = (long) inSize * outSize;
    return new Blocks(
        storage,
        0,
        inBlocks,
        outBlocks,
        inSize,
        outSize,
        outBlocks * blockSize,
        blockSize,
        outSize,
        false);
  }

  /** One place for all blocks of a grid: for a caller that takes them one at a time. */
  public static Blocks shared(
      Storage storage, int inBlocks, int outBlocks, int inSize, int outSize) {
    return new Blocks(storage, 0, inBlocks, outBlocks, inSize, outSize, 0, 0, outSize, false);
  }

  /** The same elements with the two sides exchanged. */
  public Blocks transpose() {
    return new Blocks(
        storage,
        offset,
        outBlocks,
        inBlocks,
        outSize,
        inSize,
        outBlockStride,
        inBlockStride,
        rowStride,
        !transposed);
  }

  /** The same grid with each block transposed where it stands. */
  public Blocks transposeEach() {
    return new Blocks(
        storage,
        offset,
        inBlocks,
        outBlocks,
        outSize,
        inSize,
        inBlockStride,
        outBlockStride,
        rowStride,
        !transposed);
  }

  /** Where element (p, q) of block (i, j) lies. */
  long index(int i, int j, long p, long q) {
    long block = offset + i * inBlockStride + j * outBlockStride;
    return transposed ? block + q * rowStride + p : block + p * rowStride + q;
  }
}
