// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.schedule;

import org.blocksparse.internal.memory.Scratch;

/**
 * The schedules of both products of a mixture of experts, for pairs of samples and experts, sorted
 * by expert. Between the products, row i belongs to pair i: the rows of an expert follow each
 * other. The memory is borrowed, so that in steady state nothing is allocated off the heap.
 */
public final class ExpertSchedules implements AutoCloseable {
  private final int pairs;
  private final Scratch ofUp;
  private final GemmSchedule up;
  private final Scratch ofDown;
  private final GemmSchedule down;

  /**
   * Makes the schedules of pairs [begin, end).
   *
   * @param batch how many samples there are
   * @param chosen (batch, k): the expert of each pair
   * @param sorted pairs, by expert and then by sample
   * @param gathered whether the first product reads a copy of its row for each pair
   */
  public ExpertSchedules(
      int batch, int k, int[] chosen, int[] sorted, int begin, int end, boolean gathered) {
    this.pairs = end - begin;
    int experts = 0;
    int chunks = 0;
    for (int i = begin, next; i < end; i = next) {
      next = GemmSchedule.sameBlockEnd(chosen, sorted, i, end);
      experts++;
      chunks += GemmSchedule.chunksOf(next - i, GemmSchedule.MAX_CHUNK_ROWS);
    }
    GemmSchedule.Layout layout = new GemmSchedule.Layout(chunks, chunks, pairs, pairs);
    int[] packed = new int[layout.arrayLength()];
    layout.writeHeader(packed);
    int chunk = 0;
    for (int i = begin, next; i < end; i = next) {
      next = GemmSchedule.sameBlockEnd(chosen, sorted, i, end);
      int ofExpert = GemmSchedule.chunksOf(next - i, GemmSchedule.MAX_CHUNK_ROWS);
      for (int part = 0; part < ofExpert; part++, chunk++) {
        int first = GemmSchedule.chunkBegin(i, next, part, ofExpert) - begin;
        int last = GemmSchedule.chunkBegin(i, next, part + 1, ofExpert) - begin;
        packed[(int) layout.writeBlock() + chunk] = chosen[sorted[i]];
        packed[(int) layout.rowStart() + chunk] = first;
        packed[(int) layout.segmentStart() + chunk] = chunk;
        packed[(int) layout.pairStart() + chunk] = first;
        for (int r = first; r < last; r++) {
          packed[(int) layout.row() + r] = r;
          packed[(int) layout.pairRead() + r] = gathered ? r : sorted[begin + r] / k;
          packed[(int) layout.pairWrite() + r] = r - first;
        }
      }
    }
    packed[(int) layout.rowStart() + chunks] = pairs;
    packed[(int) layout.segmentStart() + chunks] = chunks;
    packed[(int) layout.pairStart() + chunks] = pairs;
    this.ofUp = stored(packed);
    this.up = new GemmSchedule(ofUp.storage(), layout);
    try {
      GemmSchedule.Layout all = new GemmSchedule.Layout(1, experts, batch, pairs);
      this.ofDown = stored(sums(all, k, chosen, sorted, begin, end));
      this.down = new GemmSchedule(ofDown.storage(), all);
    } catch (Throwable e) {
      ofUp.close();
      throw e;
    }
  }

  /** Returns whether experts have at least that many rows, on average. */
  public static boolean haveRows(int least, int[] chosen, int[] sorted, int begin, int end) {
    int experts = 0;
    for (int i = begin; i < end; i = GemmSchedule.sameBlockEnd(chosen, sorted, i, end)) {
      experts++;
    }
    return end - begin >= (long) least * experts;
  }

  /** Plans one chunk of all samples, with a segment for each expert. */
  private static int[] sums(
      GemmSchedule.Layout layout, int k, int[] chosen, int[] sorted, int begin, int end) {
    int[] packed = new int[layout.arrayLength()];
    layout.writeHeader(packed);
    packed[(int) layout.rowStart() + 1] = layout.rows();
    packed[(int) layout.segmentStart() + 1] = layout.segments();
    for (int sample = 0; sample < layout.rows(); sample++) {
      packed[(int) layout.row() + sample] = sample;
    }
    int segment = 0;
    for (int i = begin; i < end; i++) {
      if (i == begin || chosen[sorted[i]] != chosen[sorted[i - 1]]) {
        packed[(int) layout.readBlock() + segment] = chosen[sorted[i]];
        packed[(int) layout.pairStart() + segment] = i - begin;
        segment++;
      }
      packed[(int) layout.pairRead() + i - begin] = i - begin;
      packed[(int) layout.pairWrite() + i - begin] = sorted[i] / k;
    }
    packed[(int) layout.pairStart() + segment] = layout.pairs();
    return packed;
  }

  private static Scratch stored(int[] packed) {
    Scratch memory = Scratch.borrow(packed.length);
    memory.storage().putInts(0, packed, 0, packed.length);
    return memory;
  }

  /** Returns how many pairs there are. */
  public int pairs() {
    return pairs;
  }

  /**
   * Returns the first schedule: row i is the sample of pair i times the block of its expert; a
   * chunk has one expert.
   */
  public GemmSchedule up() {
    return up;
  }

  /**
   * Returns the second schedule: each sample is the sum of the rows of its pairs times the blocks
   * of their experts.
   */
  public GemmSchedule down() {
    return down;
  }

  /** Releases the memory. */
  @Override
  public void close() {
    ofUp.close();
    ofDown.close();
  }
}
