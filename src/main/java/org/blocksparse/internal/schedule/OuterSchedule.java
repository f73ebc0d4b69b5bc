// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.schedule;

import org.blocksparse.internal.memory.Storage;

/**
 * Which blocks are written, and which outer products of rows they are the sum of: the pairs (row of
 * x, row of y) of every sample, sorted by the block that they belong to. A block is written by one
 * chunk, or by several that own different rows of it.
 *
 * <p>Only blocks that have a pair appear, so the cost depends on the pairs and not on how many
 * blocks there are. The packed layout is that of the C header.
 */
public final class OuterSchedule implements AutoCloseable {
  private static final int MAGIC = 0x42534F31;
  private static final int HEADER = 3;

  private final Storage packed;
  private final int length;
  private final int blocks;
  private final int pairs;
  private final int maxPairs;

  private OuterSchedule(int[] packed) {
    this.packed = Storage.allocate(packed.length);
    this.packed.putInts(0, packed, 0, packed.length);
    this.length = packed.length;
    this.blocks = packed[1];
    this.pairs = packed[2];
    int most = 0;
    for (int block = 0; block < blocks; block++) {
      most = Math.max(most, pairStart(block + 1) - pairStart(block));
    }
    this.maxPairs = most;
  }

  /**
   * The schedule of the outer products of every row of x with every row of y of the same sample.
   *
   * @param batch samples
   * @param xIdx (batch, xWindow): the block of each row of x, in [0, xBlocks)
   * @param yIdx (batch, yWindow): the block of each row of y, in [0, yBlocks)
   */
  public static OuterSchedule of(int batch, int[] xIdx, int xBlocks, int[] yIdx, int yBlocks) {
    int xWindow = batch == 0 ? 0 : xIdx.length / batch;
    int yWindow = batch == 0 ? 0 : yIdx.length / batch;
    int pairs = Math.multiplyExact(xIdx.length, yWindow);
    int[] xKey = new int[pairs];
    int[] yKey = new int[pairs];
    int[] order = new int[pairs];
    for (int p = 0; p < pairs; p++) {
      xKey[p] = xIdx[xRow(p, yWindow)];
      yKey[p] = yIdx[yRow(p, xWindow, yWindow)];
      order[p] = p;
    }
    order = RadixSort.sort(yKey, yBlocks, order);
    order = RadixSort.sort(xKey, xBlocks, order);

    int blocks = 0;
    for (int p = 0; p < pairs; p++) {
      if (p == 0 || differ(xKey, yKey, order[p - 1], order[p])) {
        blocks++;
      }
    }
    int[] packed = new int[Math.toIntExact(HEADER + 3L * blocks + 1 + 2L * pairs)];
    packed[0] = MAGIC;
    packed[1] = blocks;
    packed[2] = pairs;
    int pairStartAt = HEADER + 2 * blocks;
    int pairXAt = pairStartAt + blocks + 1;
    int block = 0;
    for (int p = 0; p < pairs; p++) {
      int pair = order[p];
      if (p == 0 || differ(xKey, yKey, order[p - 1], pair)) {
        packed[HEADER + block] = xKey[pair];
        packed[HEADER + blocks + block] = yKey[pair];
        packed[pairStartAt + block] = p;
        block++;
      }
      packed[pairXAt + p] = xRow(pair, yWindow);
      packed[pairXAt + pairs + p] = yRow(pair, xWindow, yWindow);
    }
    packed[pairStartAt + blocks] = pairs;
    return new OuterSchedule(packed);
  }

  /**
   * The schedule that gives to each block that {@code rows} writes for, as block (0, it), the outer
   * products of every row with itself: row r of x with row r of y. Blocks are in the order of the
   * chunks.
   */
  public static OuterSchedule ofRows(GemmSchedule rows) {
    int blocks = 0;
    for (int c = 0; c < rows.chunks(); c = rows.sameBlockEnd(c)) {
      blocks++;
    }
    int pairs = rows.rows();
    int[] packed = new int[Math.toIntExact(HEADER + 3L * blocks + 1 + 2L * pairs)];
    packed[0] = MAGIC;
    packed[1] = blocks;
    packed[2] = pairs;
    int block = 0;
    for (int c = 0; c < rows.chunks(); c = rows.sameBlockEnd(c)) {
      packed[HEADER + blocks + block] = rows.writeBlock(c);
      packed[HEADER + 2 * blocks + block] = rows.rowStart(c);
      block++;
    }
    packed[HEADER + 3 * blocks] = pairs;
    for (int p = 0; p < pairs; p++) {
      packed[HEADER + 3 * blocks + 1 + p] = rows.row(p);
      packed[HEADER + 3 * blocks + 1 + pairs + p] = rows.row(p);
    }
    return new OuterSchedule(packed);
  }

  /** The schedule of a dense layer's gradient: all samples share the only block there is. */
  public static OuterSchedule dense(int batch) {
    int[] zeros = new int[batch];
    return of(batch, zeros, 1, zeros, 1);
  }

  private static int xRow(int pair, int yWindow) {
    return pair / yWindow;
  }

  private static int yRow(int pair, int xWindow, int yWindow) {
    return pair / (xWindow * yWindow) * yWindow + pair % yWindow;
  }

  private static boolean differ(int[] xKey, int[] yKey, int pair1, int pair2) {
    return xKey[pair1] != xKey[pair2] || yKey[pair1] != yKey[pair2];
  }

  /** Frees the memory as soon as nobody holds a lease on it. */
  @Override
  public void close() {
    packed.close();
  }

  /** The packed array; its owner is the schedule. */
  public Storage packed() {
    return packed;
  }

  /** The elements of {@link #packed} that are in use. */
  public int length() {
    return length;
  }

  /** The blocks written. */
  public int blocks() {
    return blocks;
  }

  public int pairs() {
    return pairs;
  }

  /** The pairs of the block that has the most. */
  public int maxPairs() {
    return maxPairs;
  }

  public int xBlock(int block) {
    return packed.getInt(HEADER + (long) block);
  }

  public int yBlock(int block) {
    return packed.getInt(HEADER + (long) blocks + block);
  }

  /** The first pair of a block. */
  public int pairStart(int block) {
    return packed.getInt(HEADER + 2L * blocks + block);
  }

  /** The row of x of a pair. */
  public int pairX(int pair) {
    return packed.getInt(HEADER + 3L * blocks + 1 + pair);
  }

  /** The row of y of a pair. */
  public int pairY(int pair) {
    return packed.getInt(HEADER + 3L * blocks + 1 + pairs + pair);
  }
}
