// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench.jobs;

import java.util.Arrays;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.blocksparse.ElementType;

/**
 * The shapes of block-sparse products, and the selection of blocks by samples. The indices are the
 * same in every run and every JVM.
 */
public enum Workload {
  /** The second level of h_softmax in Theano's issue 3752: about 25 rows for each block. */
  HSM_200(5000, 1, 1, 1, 200, 512, 200, Selection.UNIFORM),
  /** A softmax over a million outputs: one to three rows for each block, bound by memory. */
  HSM_1000(1024, 1, 1, 1, 1000, 256, 1000, Selection.UNIFORM),
  /** Theano's sparse_block_dot, 8 of 64 blocks on both sides. */
  WINDOW_64(128, 8, 8, 64, 64, 64, 64, Selection.UNIFORM),
  WINDOW_128(32, 8, 8, 64, 64, 128, 128, Selection.UNIFORM),
  /** Blocks that all fit the cache, and so small that handing work to a thread matters. */
  WINDOW_32(128, 4, 4, 32, 32, 32, 32, Selection.UNIFORM),
  /** Blocks of a few rows and columns: finding a block takes most of the time. */
  WINDOW_8(256, 4, 4, 64, 64, 8, 8, Selection.UNIFORM),
  /** A table of vectors, as blocks of one row. */
  EMBED_64(256, 16, 1, 30_000, 1, 1, 64, Selection.UNIFORM),
  /** A mixture of experts: two of 16 large blocks for each sample. */
  EXPERTS(1024, 1, 2, 1, 16, 512, 1024, Selection.UNIFORM),
  /** One sample: the latency of a call. */
  SINGLE(1, 8, 8, 64, 64, 64, 64, Selection.UNIFORM),
  /** HSM_200 with blocks as frequent as words of a language. */
  ZIPF(5000, 1, 1, 1, 200, 512, 200, Selection.ZIPF),
  /** HSM_200 with half of the samples selecting the same block. */
  HOT_BLOCK(5000, 1, 1, 1, 200, 512, 200, Selection.HOT_BLOCK),
  /** HSM_1000 with no two samples selecting the same block: nothing can be shared. */
  ONE_ROW(500, 1, 1, 1, 1000, 256, 1000, Selection.DISTINCT);

  private enum Selection {
    UNIFORM,
    ZIPF,
    HOT_BLOCK,
    DISTINCT
  }

  private static final long SEED = 20_261_124;

  public final int batch;
  public final int iWin;
  public final int oWin;
  public final int iBlocks;
  public final int oBlocks;
  public final int iSize;
  public final int oSize;
  private final Selection selection;

  Workload(
      int batch,
      int iWin,
      int oWin,
      int iBlocks,
      int oBlocks,
      int iSize,
      int oSize,
      Selection selection) {
    this.batch = batch;
    this.iWin = iWin;
    this.oWin = oWin;
    this.iBlocks = iBlocks;
    this.oBlocks = oBlocks;
    this.iSize = iSize;
    this.oSize = oSize;
    this.selection = selection;
  }

  /** Returns the input blocks that samples select, (batch, iWin). */
  int[] inputIdx() {
    return uniform(batch * iWin, iBlocks, new SplittableRandom(SEED));
  }

  /** Returns the output blocks that samples select, (batch, oWin). */
  int[] outputIdx() {
    int count = batch * oWin;
    SplittableRandom random = new SplittableRandom(SEED + 1);
    return switch (selection) {
      case UNIFORM -> uniform(count, oBlocks, random);
      case ZIPF -> zipf(count, oBlocks, random);
      case HOT_BLOCK -> {
        int[] idx = uniform(count, oBlocks, random);
        for (int r = 0; r < count; r += 2) {
          idx[r] = oBlocks / 2;
        }
        yield idx;
      }
      case DISTINCT -> distinct(count, oBlocks, random);
    };
  }

  private static int[] uniform(int count, int bound, SplittableRandom random) {
    return IntStream.generate(() -> random.nextInt(bound)).limit(count).toArray();
  }

  /** Returns blocks, b with a probability proportional to 1 / (b + 1). */
  private static int[] zipf(int count, int bound, SplittableRandom random) {
    double[] cumulative = new double[bound];
    double sum = 0;
    for (int b = 0; b < bound; b++) {
      sum += 1.0 / (b + 1);
      cumulative[b] = sum;
    }
    int[] idx = new int[count];
    for (int r = 0; r < count; r++) {
      int found = Arrays.binarySearch(cumulative, random.nextDouble() * sum);
      idx[r] = found < 0 ? -found - 1 : found;
    }
    return idx;
  }

  private static int[] distinct(int count, int bound, SplittableRandom random) {
    int[] all = IntStream.range(0, bound).toArray();
    for (int r = 0; r < count; r++) {
      int other = r + random.nextInt(bound - r);
      int swap = all[r];
      all[r] = all[other];
      all[other] = swap;
    }
    return Arrays.copyOf(all, count);
  }

  long[] shapeOfW() {
    return new long[] {iBlocks, oBlocks, iSize, oSize};
  }

  /** Returns the number of multiplied (sample, input block, output block). */
  public long pairs() {
    return (long) batch * iWin * oWin;
  }

  /** Returns the floating-point operations; the same for the product and for either gradient. */
  public double flops() {
    return 2.0 * pairs() * iSize * oSize;
  }

  /** Returns the bytes that must be read or written at least once. */
  public double bytes(Operation operation) {
    return bytes(operation, ElementType.FLOAT32);
  }

  /** Returns the bytes with weights of a type. */
  public double bytes(Operation operation, ElementType type) {
    int[] inputIdx = inputIdx();
    int[] outputIdx = outputIdx();
    long touched =
        IntStream.range(0, batch * iWin)
            .boxed()
            .flatMapToLong(
                x ->
                    IntStream.range(0, oWin)
                        .mapToLong(
                            j -> (long) inputIdx[x] * oBlocks + outputIdx[x / iWin * oWin + j]))
            .distinct()
            .count();
    double elements = (double) touched * iSize * oSize;
    double blocks =
        switch (type) {
          case FLOAT32 -> 4 * elements;
          case FLOAT16, BFLOAT16 -> 2 * elements;
          default -> elements + 4.0 * touched * oSize; // and scales
        };
    double rows = 4.0 * batch * ((double) iWin * iSize + (double) oWin * oSize);
    // A gradient is added to each block: it is read and written.
    return rows + (operation == Operation.GRAD_W ? 2 * blocks : blocks);
  }

  /** Returns the name, and (batch, iWin x oWin, iBlocks x oBlocks, iSize x oSize). */
  @Override
  public String toString() {
    return "%s: %d, %dx%d, %dx%d, %dx%d"
        .formatted(Names.of(this), batch, iWin, oWin, iBlocks, oBlocks, iSize, oSize);
  }
}
