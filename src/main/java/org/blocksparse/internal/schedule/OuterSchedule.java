// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.schedule;

import java.util.Locale;
import org.blocksparse.internal.binding.Blocksparse;
import org.blocksparse.internal.memory.Storage;

/**
 * The plan of outer products: the blocks that are written, and the pairs (row of x, row of y) of
 * every sample that each one sums, sorted by block. A block is written by one chunk, or by several
 * that own different rows of it.
 *
 * <p>Only blocks that have a pair appear. Pairs are sorted by {@link RadixSort}, so the cost is
 * linear in the pairs and does not depend on how many blocks there are. The packed layout is that
 * of the C header.
 */
public final class OuterSchedule implements AutoCloseable {
  private static final int MAGIC = Blocksparse.BLOCKSPARSE_OUTER_SCHEDULE;
  private static final int HEADER = 3;

  /**
   * The sizes of a packed array.
   *
   * @param maxPairs the pairs of the block that has the most
   */
  record Sizes(int blocks, int pairs, int maxPairs) {
    int length() {
      return OuterSchedule.length(blocks, pairs);
    }
  }

  private final Storage packed;
  private final Sizes sizes;

  /** Wraps packed memory as a schedule. */
  OuterSchedule(Storage packed, Sizes sizes) {
    this.packed = packed;
    this.sizes = sizes;
  }

  /**
   * Returns the elements of a packed array.
   *
   * @throws IllegalArgumentException if it is too long for one
   */
  private static int length(int blocks, int pairs) {
    return GemmSchedule.arrayLength(
        HEADER + 3L * blocks + 1 + 2L * pairs,
        () -> String.format(Locale.ROOT, "%d pairs in %d blocks", pairs, blocks));
  }

  private static int maxPairs(int[] head, int blocks) {
    int most = 0;
    for (int start = HEADER + 2 * blocks, block = 0; block < blocks; block++) {
      most = Math.max(most, head[start + block + 1] - head[start + block]);
    }
    return most;
  }

  private static void writeHeader(int blocks, int pairs, int[] packed) {
    packed[0] = MAGIC;
    packed[1] = blocks;
    packed[2] = pairs;
    packed[HEADER + 3 * blocks] = pairs; // the end of those of the last block
  }

  /**
   * Returns the schedule of the outer products of every row of x with every row of y of the same
   * sample.
   *
   * @param x the block of each row of x, in [0, xBlocks)
   * @param y the block of each row of y, in [0, yBlocks), for as many samples
   */
  public static OuterSchedule of(SampleWindows x, int xBlocks, SampleWindows y, int yBlocks) {
    // The blocks of x that have rows are numbered in their order: the pairs of each are contiguous.
    int[] number = new int[x.elements()];
    int[] next = new int[x.elements()];
    int numbers = 0;
    int before = -1;
    int pairs = 0;
    for (int row : RadixSort.sort(x.blocks(), xBlocks, x.elementsInOrder())) {
      if (x.block(row) != before) {
        before = x.block(row);
        next[numbers++] = pairs;
      }
      number[row] = numbers - 1;
      pairs = Math.addExact(pairs, x.partners(row, y));
    }
    // Rows of y are taken by block, so that the pairs of a block of x are sorted by it.
    int[] pairX = new int[pairs];
    int[] pairY = new int[pairs];
    for (int row : RadixSort.sort(y.blocks(), yBlocks, y.elementsInOrder())) {
      int sample = y.sampleOf(row);
      for (int other = x.begin(sample); other < x.end(sample); other++) {
        int p = next[number[other]]++;
        pairX[p] = other;
        pairY[p] = row;
      }
    }
    int[] head = headOf(x, y, pairX, pairY);
    int blocks = head[1];
    OuterSchedule schedule =
        new OuterSchedule(
            Storage.allocate(head.length + 2L * pairs),
            new Sizes(blocks, pairs, maxPairs(head, blocks)));
    schedule.packed.putInts(0, head, 0, head.length);
    schedule.packed.putInts(head.length, pairX, 0, pairs);
    schedule.packed.putInts((long) head.length + pairs, pairY, 0, pairs);
    return schedule;
  }

  /** Returns the head of a schedule with these pairs, which are sorted by block. */
  private static int[] headOf(SampleWindows x, SampleWindows y, int[] pairX, int[] pairY) {
    int pairs = pairX.length;
    int blocks = 0;
    for (int p = 0; p < pairs; p++) {
      blocks += beginsBlock(x, y, pairX, pairY, p) ? 1 : 0;
    }
    int[] head = new int[length(blocks, pairs) - 2 * pairs];
    writeHeader(blocks, pairs, head);
    int block = HEADER;
    for (int p = 0; p < pairs; p++) {
      if (beginsBlock(x, y, pairX, pairY, p)) {
        head[block] = x.block(pairX[p]);
        head[blocks + block] = y.block(pairY[p]);
        head[2 * blocks + block] = p;
        block++;
      }
    }
    return head;
  }

  private static boolean beginsBlock(
      SampleWindows x, SampleWindows y, int[] pairX, int[] pairY, int pair) {
    return pair == 0
        || y.block(pairY[pair]) != y.block(pairY[pair - 1])
        || x.block(pairX[pair]) != x.block(pairX[pair - 1]);
  }

  /**
   * Plans the products of samples that all have the same number of rows.
   *
   * @param batch samples
   * @param xIdx (batch, xWindow): the block of each row of x, in [0, xBlocks)
   * @param yIdx (batch, yWindow): the block of each row of y, in [0, yBlocks)
   */
  public static OuterSchedule of(int batch, int[] xIdx, int xBlocks, int[] yIdx, int yBlocks) {
    return of(SampleWindows.equal(batch, xIdx), xBlocks, SampleWindows.equal(batch, yIdx), yBlocks);
  }

  /**
   * Returns the schedule that gives to each block that {@code rows} writes for, as block (0, it),
   * the outer products of every row read, of x, with the row that is written, of y. Blocks are in
   * the order of the chunks.
   *
   * @param rows a schedule of {@link GemmSchedule#ofRows}
   */
  public static OuterSchedule ofRows(GemmSchedule rows) {
    return new RowSchedules().outer(rows);
  }

  /** Returns the sizes of the parts that {@link #ofRows} packs. */
  static Sizes sizesOfRows(GemmSchedule rows) {
    int blocks = 0;
    int most = 0;
    for (int c = 0, end; c < rows.chunks(); c = end) {
      end = rows.sameBlockEnd(c);
      most = Math.max(most, rows.rowStart(end) - rows.rowStart(c));
      blocks++;
    }
    return new Sizes(blocks, rows.rows(), most);
  }

  /** Packs the schedule of {@link #ofRows}. */
  static void packRows(GemmSchedule rows, Sizes sizes, int[] packed) {
    int blocks = sizes.blocks();
    writeHeader(blocks, rows.rows(), packed);
    int block = HEADER;
    for (int c = 0; c < rows.chunks(); c = rows.sameBlockEnd(c)) {
      packed[block] = 0;
      packed[blocks + block] = rows.writeBlock(c);
      packed[2 * blocks + block] = rows.rowStart(c);
      block++;
    }
    // Each row has one pair, and they have the same order.
    int pairX = HEADER + 3 * blocks + 1;
    int pairY = pairX + rows.rows();
    for (int p = 0; p < rows.rows(); p++) {
      packed[pairX + p] = rows.pairRead(p);
      packed[pairY + p] = rows.row(p);
    }
  }

  /**
   * Returns the schedule of a dense layer's gradient: all samples share the only block there is.
   */
  public static OuterSchedule dense(int batch) {
    int[] zeros = new int[batch];
    return of(batch, zeros, 1, zeros, 1);
  }

  /** Frees the memory as soon as nobody holds a lease on it. */
  @Override
  public void close() {
    packed.close();
  }

  /** Returns the packed array; its owner is the schedule. */
  public Storage packed() {
    return packed;
  }

  /** Returns the elements of {@link #packed} that are in use. */
  public int length() {
    return sizes.length();
  }

  /** Returns the blocks written. */
  public int blocks() {
    return sizes.blocks();
  }

  public int pairs() {
    return sizes.pairs();
  }

  /** Returns the pairs of the block that has the most. */
  public int maxPairs() {
    return sizes.maxPairs();
  }

  public int xBlock(int block) {
    return packed.getInt(HEADER + (long) block);
  }

  public int yBlock(int block) {
    return packed.getInt(HEADER + (long) sizes.blocks() + block);
  }

  /** Returns the first pair of a block. */
  public int pairStart(int block) {
    return packed.getInt(HEADER + 2L * sizes.blocks() + block);
  }

  /** Returns the row of x of a pair. */
  public int pairX(int pair) {
    return packed.getInt(HEADER + 3L * sizes.blocks() + 1 + pair);
  }

  /** Returns the row of y of a pair. */
  public int pairY(int pair) {
    return packed.getInt(HEADER + 3L * sizes.blocks() + 1 + sizes.pairs() + pair);
  }
}
