// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.weights;

import org.blocksparse.internal.memory.Storage;

/**
 * A grid of {@code inBlocks x outBlocks} blocks of {@code inSize x outSize} elements. Element (p,
 * q) of block (i, j) is at {@code i * inBlockStride + j * outBlockStride}, plus {@code p *
 * rowStride + q}, or plus {@code q * rowStride + p} if the blocks are transposed.
 *
 * <p>Elements may be of a type that is only read. Strides are in elements of it. Where that is
 * packed, the grid is dense and not transposed, and elements lie as {@link Panels} says.
 *
 * @param scales of INT8, packed or not; null for other types
 */
public record Blocks(
    Storage storage,
    int inBlocks,
    int outBlocks,
    int inSize,
    int outSize,
    long inBlockStride,
    long outBlockStride,
    long rowStride,
    boolean transposed,
    WeightType type,
    Scales scales) {

  /**
   * The scales of a block: one factor for each of the elements that lie together. The factor of
   * column q of block (i, j) is at {@code i * inBlockStride + j * outBlockStride + q}.
   */
  public record Scales(Storage storage, long inBlockStride, long outBlockStride) {
    private Scales transpose() {
      return new Scales(storage, outBlockStride, inBlockStride);
    }

    public float get(int i, int j, long q) {
      return storage.getFloat(i * inBlockStride + j * outBlockStride + q);
    }
  }

  /** A grid of floats. */
  public Blocks(
      Storage storage,
      int inBlocks,
      int outBlocks,
      int inSize,
      int outSize,
      long inBlockStride,
      long outBlockStride,
      long rowStride,
      boolean transposed) {
    this(
        storage,
        inBlocks,
        outBlocks,
        inSize,
        outSize,
        inBlockStride,
        outBlockStride,
        rowStride,
        transposed,
        WeightType.FLOAT32,
        null);
  }

  /** Where the first element lies, as native code sees it. */
  public long address() {
    return storage.address(0);
  }

  /**
   * A dense grid whose elements are of another type.
   *
   * @param ofColumns for each block a row of scales, or null
   */
  public Blocks as(WeightType other, Storage ofColumns) {
    Scales dense =
        ofColumns == null ? null : new Scales(ofColumns, (long) outBlocks * outSize, outSize);
    return new Blocks(
        storage,
        inBlocks,
        outBlocks,
        inSize,
        outSize,
        inBlockStride,
        outBlockStride,
        rowStride,
        transposed,
        other,
        dense);
  }

  /** A grid that lies densely, from the start of the storage on. */
  public static Blocks dense(
      Storage storage, int inBlocks, int outBlocks, int inSize, int outSize) {
    // Of a grid without elements, sizes may be anything, and strides larger than any memory.
    long blockSize = inBlocks == 0 || outBlocks == 0 ? 0 : (long) inSize * outSize;
    return new Blocks(
        storage,
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
    return new Blocks(storage, inBlocks, outBlocks, inSize, outSize, 0, 0, outSize, false);
  }

  /** The same elements with the two sides exchanged. */
  public Blocks transpose() {
    return new Blocks(
        storage,
        outBlocks,
        inBlocks,
        outSize,
        inSize,
        outBlockStride,
        inBlockStride,
        rowStride,
        !transposed,
        type,
        scales == null ? null : scales.transpose());
  }

  /** The same grid with each block transposed where it stands. */
  public Blocks transposeEach() {
    return new Blocks(
        storage,
        inBlocks,
        outBlocks,
        outSize,
        inSize,
        inBlockStride,
        outBlockStride,
        rowStride,
        !transposed,
        type,
        scales);
  }

  /** Where the weights of a packed type lie. */
  public Panels panels() {
    return new Panels(type, inSize, outSize);
  }

  /** The number of a block of a packed type. */
  public long number(int i, int j) {
    return (long) i * outBlocks + j;
  }

  /** Where element (p, q) of block (i, j) lies. */
  public long index(int i, int j, long p, long q) {
    long block = i * inBlockStride + j * outBlockStride;
    return transposed ? block + q * rowStride + p : block + p * rowStride + q;
  }

  /** Element (p, q) of block (i, j), as a float. */
  public float get(int i, int j, long p, long q) {
    float value =
        type.isPacked()
            ? panels().get(storage, number(i, j), p, q)
            : type.get(storage, index(i, j, p, q));
    return scales == null ? value : value * scales.get(i, j, transposed ? p : q);
  }
}
