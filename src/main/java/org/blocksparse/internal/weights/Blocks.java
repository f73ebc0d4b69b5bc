// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.weights;

import org.blocksparse.internal.memory.Storage;

/**
 * A grid of {@code inBlocks x outBlocks} blocks of {@code inSize x outSize} elements. Element (p,
 * q) of block (i, j) is at {@code i * inBlockStride + j * outBlockStride}, plus {@code p *
 * rowStride + q}, or plus {@code q * rowStride + p} if the blocks are transposed.
 *
 * <p>Elements may have a read-only type; strides count elements of that type. A grid of a packed
 * type is dense and not transposed, and {@link Panels} describes the layout of its elements.
 *
 * @param scales the scales of INT8, packed or not; null for other types
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
   * The scales of the blocks: one factor for each column of the stored block. The factor of column
   * q of block (i, j) is at {@code i * inBlockStride + j * outBlockStride + q}.
   */
  public record Scales(Storage storage, long inBlockStride, long outBlockStride) {
    private Scales transpose() {
      return new Scales(storage, outBlockStride, inBlockStride);
    }

    public float get(int i, int j, long q) {
      return storage.getFloat(i * inBlockStride + j * outBlockStride + q);
    }
  }

  /** Describes a grid of floats. */
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

  /** Returns the native address of the first element. */
  public long address() {
    return storage.address(0);
  }

  /**
   * Returns this dense grid with elements of another type.
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

  /** Returns a grid whose blocks follow each other without gaps from the start of the storage. */
  public static Blocks dense(
      Storage storage, int inBlocks, int outBlocks, int inSize, int outSize) {
    // A grid without elements may have any sizes, so that the product of its sizes can overflow.
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

  /**
   * Returns a grid whose blocks all share one place, for a caller that uses one block at a time.
   */
  public static Blocks shared(
      Storage storage, int inBlocks, int outBlocks, int inSize, int outSize) {
    return new Blocks(storage, inBlocks, outBlocks, inSize, outSize, 0, 0, outSize, false);
  }

  /** Returns the transpose of the grid over the same elements. */
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

  /** Returns the grid over the same elements with each block transposed in its place. */
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

  /** Returns the layout of a packed type. */
  public Panels panels() {
    return new Panels(type, inSize, outSize);
  }

  /** Returns the number of block (i, j) of a packed type. */
  public long number(int i, int j) {
    return (long) i * outBlocks + j;
  }

  /** Returns the index of element (p, q) of block (i, j) in the storage. */
  public long index(int i, int j, long p, long q) {
    long block = i * inBlockStride + j * outBlockStride;
    return transposed ? block + q * rowStride + p : block + p * rowStride + q;
  }

  /** Returns element (p, q) of block (i, j) as a float. */
  public float get(int i, int j, long p, long q) {
    float value =
        type.isPacked()
            ? panels().get(storage, number(i, j), p, q)
            : type.get(storage, index(i, j, p, q));
    return scales == null ? value : value * scales.get(i, j, transposed ? p : q);
  }
}
