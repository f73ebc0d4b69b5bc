// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.schedule;

import java.util.Arrays;
import java.util.Locale;
import java.util.function.Supplier;
import org.blocksparse.internal.binding.Blocksparse;
import org.blocksparse.internal.memory.Storage;

/**
 * The plan of a product: the rows that are written, their order, and the rows and blocks whose
 * products each one sums.
 *
 * <p>Theano ran one vector-matrix product for each (sample, output, input) and read the block anew
 * each time. Here the rows written are sorted by their block and cut into chunks of up to {@value
 * #MAX_CHUNK_ROWS} or {@value #MAX_SORTED_CHUNK_ROWS}, and the pairs (row read, row written) of
 * each chunk are sorted by the block of the row read. A run of equal blocks is a segment: all its
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
   * The rows of a chunk: enough that reading a block is cheap beside using it, and few enough that
   * a block that half of the samples select is shared among the workers. It is the number that
   * kernels take at once.
   */
  static final int MAX_CHUNK_ROWS = Blocksparse.BLOCKSPARSE_CHUNK_ROWS;

  /**
   * The rows of a chunk if many rows are written for a block and read for many. A chunk reads each
   * of those blocks, which more rows compensate.
   */
  static final int MAX_SORTED_CHUNK_ROWS = Blocksparse.BLOCKSPARSE_SORTED_CHUNK_ROWS;

  private static final int MAGIC = Blocksparse.BLOCKSPARSE_GEMM_SCHEDULE;

  /** The length of the largest array that a JVM makes. */
  static final int MOST_ELEMENTS = Integer.MAX_VALUE - 8;

  /** The parts of the packed array, in the order of the C header. */
  record Layout(int chunks, int segments, int rows, int pairs) {
    private static final int HEADER = 5;

    static Layout of(int[] packed) {
      return new Layout(packed[1], packed[2], packed[3], packed[4]);
    }

    /** Returns an array of this layout with its header. */
    int[] newArray() {
      int[] packed = new int[arrayLength()];
      writeHeader(packed);
      return packed;
    }

    void writeHeader(int[] packed) {
      packed[0] = MAGIC;
      packed[1] = chunks;
      packed[2] = segments;
      packed[3] = rows;
      packed[4] = pairs;
    }

    long writeBlock() {
      return HEADER;
    }

    long rowStart() {
      return writeBlock() + chunks;
    }

    long segmentStart() {
      return rowStart() + chunks + 1;
    }

    long readBlock() {
      return segmentStart() + chunks + 1;
    }

    long pairStart() {
      return readBlock() + segments;
    }

    long row() {
      return pairStart() + segments + 1;
    }

    long pairRead() {
      return row() + rows;
    }

    long pairWrite() {
      return pairRead() + pairs;
    }

    long length() {
      return pairWrite() + pairs;
    }

    /**
     * Returns the length of the packed array.
     *
     * @throws IllegalArgumentException if it is too long for one
     */
    public int arrayLength() {
      return GemmSchedule.arrayLength(
          length(),
          () ->
              String.format(Locale.ROOT, "%d rows and %d pairs in %d chunks", rows, pairs, chunks));
    }
  }

  /**
   * Returns the length of a schedule of this content, as that of an array.
   *
   * @throws IllegalArgumentException if it is too long for one
   */
  public static int arrayLength(long length, Supplier<String> content) {
    if (length > MOST_ELEMENTS) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "%s need more than the %d numbers of one schedule; split the batch",
              content.get(),
              MOST_ELEMENTS));
    }
    return (int) length;
  }

  private final Storage packed;
  private final Layout layout;

  private GemmSchedule(int[] packed) {
    this(Storage.allocate(packed.length), Layout.of(packed));
    this.packed.putInts(0, packed, 0, packed.length);
  }

  /** Wraps packed memory as a schedule. */
  GemmSchedule(Storage packed, Layout layout) {
    this.packed = packed;
    this.layout = layout;
  }

  /**
   * Returns the schedule that writes a row for each element of {@code write} and sums over the
   * elements of {@code read} of the same sample.
   *
   * @param write the block of each row written, in [0, writeBlocks)
   * @param read the block of each row read, in [0, readBlocks), for as many samples
   */
  public static GemmSchedule of(
      SampleWindows write, int writeBlocks, SampleWindows read, int readBlocks) {
    return new GemmSchedule(new Builder(write, writeBlocks, read, readBlocks).pack());
  }

  /**
   * Plans the product of samples that all select the same number of blocks.
   *
   * @param batch samples
   * @param writeIdx (batch, writeWindow): the block of each row written, in [0, writeBlocks)
   * @param readIdx (batch, readWindow): the block of each row read, in [0, readBlocks)
   */
  public static GemmSchedule of(
      int batch, int[] writeIdx, int writeBlocks, int[] readIdx, int readBlocks) {
    return of(
        SampleWindows.equal(batch, writeIdx),
        writeBlocks,
        SampleWindows.equal(batch, readIdx),
        readBlocks);
  }

  /**
   * Returns the schedule of rows that are given one by one, all read for block 0: row {@code
   * writeRow[r]} is row {@code readRow[r]} times block {@code (0, writeBlock[r])}.
   */
  public static GemmSchedule ofRows(
      int[] writeRow, int[] readRow, int[] writeBlock, int writeBlocks) {
    return new RowSchedules().gemm(writeBlock.length, writeRow, readRow, writeBlock, writeBlocks);
  }

  /** Returns the schedule of a dense layer: row r is row r times the only block there is. */
  public static GemmSchedule dense(int batch) {
    int[] zeros = new int[batch];
    return of(batch, zeros, 1, zeros, 1);
  }

  /** The steps from indices to the packed array. */
  private static final class Builder {
    private final SampleWindows write;
    private final SampleWindows read;
    private final int readBlocks;

    /** The rows written, by block, and the first row of each chunk. */
    private final int[] row;

    private final int[] rowStart;
    private final int chunks;

    /** The chunk of each row, and its place in it. */
    private final int[] chunkOf;

    private final int[] positionInChunk;

    /** The first pair of each chunk, then the row read and the row written of each pair. */
    private final int[] chunkPairs;

    private final int[] pairRead;
    private final int[] pairWrite;

    Builder(SampleWindows write, int writeBlocks, SampleWindows read, int readBlocks) {
      this.write = write;
      this.read = read;
      this.readBlocks = readBlocks;
      // If a block has more rows than a chunk (one input block that all samples share), samples are
      // sorted by the first block that they read: otherwise each chunk would read every block, for
      // a row or two.
      boolean sorted =
          readBlocks > 1
              && read.elements() > 0
              && write.elements() > (long) MAX_CHUNK_ROWS * writeBlocks;
      int[] sample = sorted ? read.samplesByFirst(readBlocks) : write.samplesInOrder();
      row = RadixSort.sort(write.blocks(), writeBlocks, write.elementsOf(sample));
      rowStart = cut(sorted ? MAX_SORTED_CHUNK_ROWS : MAX_CHUNK_ROWS);
      chunks = rowStart.length - 1;
      chunkOf = new int[row.length];
      positionInChunk = new int[row.length];
      chunkPairs = new int[chunks + 1];
      assignRows();
      pairRead = new int[chunkPairs[chunks]];
      pairWrite = new int[chunkPairs[chunks]];
      assignPairs(sample);
    }

    /** Cuts the rows of each block into chunks of nearly equal size. */
    private int[] cut(int maxChunkRows) {
      int rows = row.length;
      int[] starts = new int[rows + 1];
      int count = 0;
      for (int begin = 0, end; begin < rows; begin = end) {
        end = sameBlockEnd(write.blocks(), row, begin, rows);
        int ofBlock = chunksOf(end - begin, maxChunkRows);
        for (int i = 0; i < ofBlock; i++) {
          starts[count++] = chunkBegin(begin, end, i, ofBlock);
        }
      }
      starts[count] = rows;
      return Arrays.copyOf(starts, count + 1);
    }

    /** Assigns rows to chunks, each with room for the pairs of its rows. */
    private void assignRows() {
      int pairs = 0;
      for (int c = 0; c < chunks; c++) {
        chunkPairs[c] = pairs;
        for (int r = rowStart[c]; r < rowStart[c + 1]; r++) {
          chunkOf[row[r]] = c;
          positionInChunk[row[r]] = r - rowStart[c];
          pairs = Math.addExact(pairs, write.partners(row[r], read));
        }
      }
      chunkPairs[chunks] = pairs;
    }

    /**
     * Assigns pairs to chunks; rows read are taken by block, so that the pairs of a chunk are
     * sorted by it.
     */
    private void assignPairs(int[] sample) {
      int[] byBlock = RadixSort.sort(read.blocks(), readBlocks, read.elementsOf(sample));
      int[] next = Arrays.copyOf(chunkPairs, chunks);
      for (int q = 0, runEnd; q < byBlock.length; q = runEnd) {
        int reading = read.sampleOf(byBlock[q]);
        runEnd = q + 1;
        while (runEnd < byBlock.length
            && read.sampleOf(byBlock[runEnd]) == reading
            && read.block(byBlock[runEnd]) == read.block(byBlock[q])) {
          runEnd++;
        }
        // A run is a block that the sample selects more than once. The outer loop takes the rows
        // written, which keeps the repeats of each next to each other, as kernels require.
        for (int written = write.begin(reading); written < write.end(reading); written++) {
          int c = chunkOf[written];
          for (int i = q; i < runEnd; i++) {
            pairRead[next[c]] = byBlock[i];
            pairWrite[next[c]] = positionInChunk[written];
            next[c]++;
          }
        }
      }
    }

    /** Returns whether a pair is the first of a run of the same block within a chunk. */
    private boolean beginsSegment(int chunk, int pair) {
      return pair == chunkPairs[chunk]
          || read.block(pairRead[pair]) != read.block(pairRead[pair - 1]);
    }

    private int segments() {
      int segments = 0;
      for (int c = 0; c < chunks; c++) {
        for (int p = chunkPairs[c]; p < chunkPairs[c + 1]; p++) {
          segments += beginsSegment(c, p) ? 1 : 0;
        }
      }
      return segments;
    }

    int[] pack() {
      Layout layout = new Layout(chunks, segments(), row.length, pairRead.length);
      int[] packed = layout.newArray();
      copy(rowStart, packed, layout.rowStart());
      copy(row, packed, layout.row());
      copy(pairRead, packed, layout.pairRead());
      copy(pairWrite, packed, layout.pairWrite());
      int writeBlock = (int) layout.writeBlock();
      int segmentStart = (int) layout.segmentStart();
      int readBlock = (int) layout.readBlock();
      int pairStart = (int) layout.pairStart();
      int segment = 0;
      for (int c = 0; c < chunks; c++) {
        packed[writeBlock + c] = write.block(row[rowStart[c]]);
        packed[segmentStart + c] = segment;
        for (int p = chunkPairs[c]; p < chunkPairs[c + 1]; p++) {
          if (beginsSegment(c, p)) {
            packed[readBlock + segment] = read.block(pairRead[p]);
            packed[pairStart + segment] = p;
            segment++;
          }
        }
      }
      packed[segmentStart + chunks] = segment;
      packed[pairStart + segment] = pairRead.length;
      return packed;
    }

    private static void copy(int[] from, int[] to, long at) {
      System.arraycopy(from, 0, to, (int) at, from.length);
    }
  }

  /**
   * Returns the end of the rows of one block, from position {@code begin} of an order by block on.
   */
  static int sameBlockEnd(int[] blocks, int[] order, int begin, int limit) {
    int end = begin + 1;
    while (end < limit && blocks[order[end]] == blocks[order[begin]]) {
      end++;
    }
    return end;
  }

  /** Returns how many chunks the rows of a block become. */
  static int chunksOf(int rows, int maxChunkRows) {
    return (rows - 1) / maxChunkRows + 1;
  }

  /**
   * Returns the begin of the i-th of the chunks, of nearly equal sizes, into which rows [begin,
   * end) are cut.
   */
  static int chunkBegin(int begin, int end, int i, int chunks) {
    return begin + (int) ((long) (end - begin) * i / chunks);
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
    return (int) layout.length();
  }

  public int chunks() {
    return layout.chunks;
  }

  public int rows() {
    return layout.rows;
  }

  /** Returns the runs of pairs of a chunk that read the same block. */
  public int segments() {
    return layout.segments;
  }

  public int pairs() {
    return layout.pairs;
  }

  /** Returns the block that all rows of the chunk are written for. */
  public int writeBlock(int chunk) {
    return packed.getInt(layout.writeBlock() + chunk);
  }

  /**
   * Returns the first row of the chunk, as an argument of {@link #row}; of the end, if it is the
   * last.
   */
  public int rowStart(int chunk) {
    return packed.getInt(layout.rowStart() + chunk);
  }

  /** Returns the first segment of the chunk. */
  public int segmentStart(int chunk) {
    return packed.getInt(layout.segmentStart() + chunk);
  }

  /** Returns the block that all rows of the segment are read for. */
  public int readBlock(int segment) {
    return packed.getInt(layout.readBlock() + segment);
  }

  /** Returns the first pair of the segment. */
  public int pairStart(int segment) {
    return packed.getInt(layout.pairStart() + segment);
  }

  /** Returns the index of a row written. */
  public int row(int position) {
    return packed.getInt(layout.row() + position);
  }

  /** Returns the index of the row that a pair reads. */
  public int pairRead(int pair) {
    return packed.getInt(layout.pairRead() + pair);
  }

  /** Returns the row that a pair writes, as a position within its chunk. */
  public int pairWrite(int pair) {
    return packed.getInt(layout.pairWrite() + pair);
  }

  /** Returns the end of the chunks, from {@code chunk} on, that write for the same block. */
  public int sameBlockEnd(int chunk) {
    int end = chunk + 1;
    while (end < layout.chunks && writeBlock(end) == writeBlock(chunk)) {
      end++;
    }
    return end;
  }
}
