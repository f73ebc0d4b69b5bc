// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.schedule;

import java.util.Arrays;
import org.blocksparse.internal.memory.Storage;

/**
 * Which rows are written, in which order, and which rows times which blocks they are the sum of.
 *
 * <p>Theano ran one vector-matrix product for each (sample, output, input) and read the block anew
 * each time. Here the rows written are sorted by their block and cut into chunks of up to {@value
 * #MAX_CHUNK_ROWS} or {@value #MAX_SORTED_CHUNK_ROWS}, and the pairs (row read, row written) of
 * each chunk are sorted by the block of the row read. What lies together then is a segment: all its
 * pairs are multiplied by the same block of W, as one matrix product, and the block is read once.
 *
 * <p>A chunk owns the rows that it writes, so chunks need no locks and no atomics; and since their
 * boundaries depend on the indices alone, the same bits come out however many threads run them.
 *
 * <p>Cost: linear in the pairs; the sorts are radix sorts over as many digits as the number of
 * blocks has. The packed layout is that of the C header.
 */
public final class GemmSchedule implements AutoCloseable {
  /**
   * Rows of a chunk. Large enough that reading a block is cheap against using it, small enough that
   * a block that half of the samples select is shared among the workers. As many as the kernels
   * take at once.
   */
  static final int MAX_CHUNK_ROWS = 192;

  /**
   * Rows of a chunk where many rows are written for a block and read for many. A chunk reads each
   * of those, so that more rows are needed to make up for it.
   */
  static final int MAX_SORTED_CHUNK_ROWS = 512;

  private static final int MAGIC = 0x42534731;
  private static final int HEADER = 5;

  private final Storage packed;
  private final int length;
  private final int chunks;
  private final int segments;
  private final int rows;
  private final int pairs;

  private GemmSchedule(int[] packed) {
    this.packed = Storage.allocate(packed.length);
    this.packed.putInts(0, packed, 0, packed.length);
    this.length = packed.length;
    this.chunks = packed[1];
    this.segments = packed[2];
    this.rows = packed[3];
    this.pairs = packed[4];
  }

  /**
   * The schedule that writes a row for each element of {@code writeIdx} and sums over the elements
   * of {@code readIdx} of the same sample.
   *
   * @param batch samples
   * @param writeIdx (batch, writeWindow): the block of each row written, in [0, writeBlocks)
   * @param readIdx (batch, readWindow): the block of each row read, in [0, readBlocks)
   */
  public static GemmSchedule of(
      int batch, int[] writeIdx, int writeBlocks, int[] readIdx, int readBlocks) {
    return of(batch, writeIdx, writeBlocks, null, readIdx, readBlocks, null);
  }

  /**
   * The schedule of rows that are given one by one, all read for block 0: row {@code writeRow[r]}
   * is row {@code readRow[r]} times block {@code (0, writeBlock[r])}.
   */
  public static GemmSchedule ofRows(
      int[] writeRow, int[] readRow, int[] writeBlock, int writeBlocks) {
    int rows = writeBlock.length;
    return of(rows, writeBlock, writeBlocks, writeRow, new int[rows], 1, readRow);
  }

  /**
   * As above; {@code writeRow} and {@code readRow} are the numbers of the rows, or null: in order.
   */
  private static GemmSchedule of(
      int batch,
      int[] writeIdx,
      int writeBlocks,
      int[] writeRow,
      int[] readIdx,
      int readBlocks,
      int[] readRow) {
    int rows = writeIdx.length;
    int writeWindow = batch == 0 ? 0 : rows / batch;
    int readWindow = batch == 0 ? 0 : readIdx.length / batch;
    int pairs = Math.multiplyExact(rows, readWindow);

    // Where a block has more rows than a chunk (one input block that all samples share), samples
    // are taken by what they read first: each chunk would else read every block, for a row or two.
    int[] sample = identity(batch);
    int maxChunkRows = MAX_CHUNK_ROWS;
    if (readBlocks > 1 && readWindow > 0 && rows > (long) MAX_CHUNK_ROWS * writeBlocks) {
      sample = RadixSort.sort(firstOfEach(readIdx, readWindow), readBlocks, sample);
      maxChunkRows = MAX_SORTED_CHUNK_ROWS;
    }

    // Rows by block, cut into chunks of nearly equal size.
    int[] row = RadixSort.sort(writeIdx, writeBlocks, windows(sample, writeWindow));
    int[] chunkOf = new int[rows];
    int[] positionInChunk = new int[rows];
    int[] starts = new int[rows + 1];
    int chunks = 0;
    for (int begin = 0, end; begin < rows; begin = end) {
      end = begin + 1;
      while (end < rows && writeIdx[row[end]] == writeIdx[row[begin]]) {
        end++;
      }
      int ofBlock = (end - begin - 1) / maxChunkRows + 1;
      for (int i = 0; i < ofBlock; i++) {
        starts[chunks++] = begin + (int) ((long) (end - begin) * i / ofBlock);
      }
    }
    starts[chunks] = rows;
    int[] rowStart = Arrays.copyOf(starts, chunks + 1);
    for (int c = 0; c < chunks; c++) {
      for (int r = rowStart[c]; r < rowStart[c + 1]; r++) {
        chunkOf[row[r]] = c;
        positionInChunk[row[r]] = r - rowStart[c];
      }
    }

    // Pairs: each chunk has room for its rows times the window; rows read are taken by block.
    int[] read = RadixSort.sort(readIdx, readBlocks, windows(sample, readWindow));
    int[] pairRead = new int[pairs];
    int[] pairWrite = new int[pairs];
    int[] next = new int[chunks];
    for (int c = 0; c < chunks; c++) {
      next[c] = rowStart[c] * readWindow;
    }
    for (int q = 0; q < read.length; ) {
      int reading = read[q] / readWindow;
      int runEnd = q + 1;
      while (runEnd < read.length
          && read[runEnd] / readWindow == reading
          && readIdx[read[runEnd]] == readIdx[read[q]]) {
        runEnd++;
      }
      // A run is a block that the sample selects more than once. Taking the rows written in the
      // outer loop keeps the repeats of each next to each other, as kernels require.
      for (int j = 0; j < writeWindow; j++) {
        int written = reading * writeWindow + j;
        int c = chunkOf[written];
        for (int i = q; i < runEnd; i++) {
          pairRead[next[c]] = read[i];
          pairWrite[next[c]] = positionInChunk[written];
          next[c]++;
        }
      }
      q = runEnd;
    }

    // Segments: runs of the same block within a chunk.
    int segments = 0;
    for (int c = 0; c < chunks; c++) {
      for (int p = rowStart[c] * readWindow; p < rowStart[c + 1] * readWindow; p++) {
        if (p == rowStart[c] * readWindow || readIdx[pairRead[p]] != readIdx[pairRead[p - 1]]) {
          segments++;
        }
      }
    }

    int[] packed =
        new int[Math.toIntExact(HEADER + 3L * chunks + 2 + 2L * segments + 1 + rows + 2L * pairs)];
    packed[0] = MAGIC;
    packed[1] = chunks;
    packed[2] = segments;
    packed[3] = rows;
    packed[4] = pairs;
    int writeBlockAt = HEADER;
    int rowStartAt = writeBlockAt + chunks;
    int segmentStartAt = rowStartAt + chunks + 1;
    int readBlockAt = segmentStartAt + chunks + 1;
    int pairStartAt = readBlockAt + segments;
    int rowAt = pairStartAt + segments + 1;
    System.arraycopy(rowStart, 0, packed, rowStartAt, chunks + 1);
    copy(row, writeRow, packed, rowAt);
    copy(pairRead, readRow, packed, rowAt + rows);
    System.arraycopy(pairWrite, 0, packed, rowAt + rows + pairs, pairs);
    int segment = 0;
    for (int c = 0; c < chunks; c++) {
      packed[writeBlockAt + c] = writeIdx[row[rowStart[c]]];
      packed[segmentStartAt + c] = segment;
      for (int p = rowStart[c] * readWindow; p < rowStart[c + 1] * readWindow; p++) {
        int block = readIdx[pairRead[p]];
        if (p == rowStart[c] * readWindow || block != readIdx[pairRead[p - 1]]) {
          packed[readBlockAt + segment] = block;
          packed[pairStartAt + segment] = p;
          segment++;
        }
      }
    }
    packed[segmentStartAt + chunks] = segments;
    packed[pairStartAt + segments] = pairs;
    return new GemmSchedule(packed);
  }

  /** The schedule of a dense layer: row r is row r times the only block there is. */
  public static GemmSchedule dense(int batch) {
    int[] zeros = new int[batch];
    return of(batch, zeros, 1, zeros, 1);
  }

  /** Copies {@code from}, looked up in {@code numbers} if there are any. */
  private static void copy(int[] from, int[] numbers, int[] to, int at) {
    if (numbers == null) {
      System.arraycopy(from, 0, to, at, from.length);
    } else {
      for (int i = 0; i < from.length; i++) {
        to[at + i] = numbers[from[i]];
      }
    }
  }

  private static int[] firstOfEach(int[] idx, int window) {
    int[] first = new int[idx.length / window];
    for (int sample = 0; sample < first.length; sample++) {
      first[sample] = idx[sample * window];
    }
    return first;
  }

  /** The numbers of the elements of each sample's window. */
  private static int[] windows(int[] sample, int window) {
    if (window == 1) {
      return sample.clone();
    }
    int[] elements = new int[sample.length * window];
    int next = 0;
    for (int each : sample) {
      for (int i = 0; i < window; i++) {
        elements[next++] = each * window + i;
      }
    }
    return elements;
  }

  private static int[] identity(int length) {
    int[] identity = new int[length];
    for (int i = 0; i < length; i++) {
      identity[i] = i;
    }
    return identity;
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

  public int chunks() {
    return chunks;
  }

  public int rows() {
    return rows;
  }

  public int pairs() {
    return pairs;
  }

  private long rowStartAt() {
    return HEADER + (long) chunks;
  }

  private long readBlockAt() {
    return rowStartAt() + 2L * (chunks + 1);
  }

  private long rowAt() {
    return readBlockAt() + 2L * segments + 1;
  }

  /** The block that all rows of the chunk are written for. */
  public int writeBlock(int chunk) {
    return packed.getInt(HEADER + (long) chunk);
  }

  /** The first row of the chunk, as an argument of {@link #row}; of the end, if it is the last. */
  public int rowStart(int chunk) {
    return packed.getInt(rowStartAt() + chunk);
  }

  /** The first segment of the chunk. */
  public int segmentStart(int chunk) {
    return packed.getInt(rowStartAt() + chunks + 1 + chunk);
  }

  /** The block that all rows of the segment are read for. */
  public int readBlock(int segment) {
    return packed.getInt(readBlockAt() + segment);
  }

  /** The first pair of the segment. */
  public int pairStart(int segment) {
    return packed.getInt(readBlockAt() + segments + segment);
  }

  /** The index of a row written. */
  public int row(int position) {
    return packed.getInt(rowAt() + position);
  }

  /** The index of the row that a pair reads. */
  public int pairRead(int pair) {
    return packed.getInt(rowAt() + rows + pair);
  }

  /** The row that a pair writes, as a position within its chunk. */
  public int pairWrite(int pair) {
    return packed.getInt(rowAt() + rows + pairs + pair);
  }

  /** The end of the chunks, from {@code chunk} on, that write for the same block. */
  public int sameBlockEnd(int chunk) {
    int end = chunk + 1;
    while (end < chunks && writeBlock(end) == writeBlock(chunk)) {
      end++;
    }
    return end;
  }
}
