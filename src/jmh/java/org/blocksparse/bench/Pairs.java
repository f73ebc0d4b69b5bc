// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import java.nio.FloatBuffer;
import java.util.Arrays;
import java.util.stream.IntStream;
import org.blocksparse.bench.jobs.Problem;
import org.blocksparse.bench.jobs.Workload;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.openblas.global.openblas;

/**
 * The (row of h, row of out) pairs of a {@link Workload}, sorted by the block that multiplies them:
 * a peer prepares them before it is measured.
 */
final class Pairs {
  private final Workload workload;

  /** The row of h and the row of out of each pair, sorted by block. */
  final int[] hRow;

  final int[] outRow;

  /** The position of the pair of a (sample, output, input). */
  private final int[] position;

  /** Pairs [start[g], start[g + 1]) are multiplied by block number block[g]. */
  final int[] start;

  final int[] block;

  Pairs(Problem problem) {
    workload = problem.workload;
    int[] inputIdx = problem.inputIdx;
    int[] outputIdx = problem.outputIdx;
    int count = Math.toIntExact(workload.pairs());
    int perSample = workload.iWin * workload.oWin;
    long[] keyed = new long[count];
    for (int p = 0; p < count; p++) {
      int h = p / perSample * workload.iWin + p % workload.iWin;
      long key = (long) inputIdx[h] * workload.oBlocks + outputIdx[p / workload.iWin];
      keyed[p] = key << 32 | p;
    }
    Arrays.parallelSort(keyed);
    hRow = new int[count];
    outRow = new int[count];
    position = new int[count];
    for (int q = 0; q < count; q++) {
      int p = (int) keyed[q];
      hRow[q] = p / perSample * workload.iWin + p % workload.iWin;
      outRow[q] = p / workload.iWin;
      position[p] = q;
    }
    int[] starts =
        IntStream.range(0, count)
            .filter(q -> q == 0 || keyed[q] >>> 32 != keyed[q - 1] >>> 32)
            .toArray();
    block = Arrays.stream(starts).map(q -> (int) (keyed[q] >>> 32)).toArray();
    start = Arrays.copyOf(starts, starts.length + 1);
    start[starts.length] = count;
  }

  int count() {
    return hRow.length;
  }

  /** Returns the number of blocks that have any pair. */
  int groups() {
    return block.length;
  }

  /** Returns the number of pairs of a block. */
  int rows(int group) {
    return start[group + 1] - start[group];
  }

  /** Returns the number of pairs of the block with the most. */
  int mostRows() {
    return IntStream.range(0, groups()).map(this::rows).max().orElse(0);
  }

  /** Returns the pairs that a row of out sums up, in the order (row, term). */
  int[] termsOfOut() {
    return position;
  }

  /** Returns the pairs that a row of h's gradient sums up, in the order (row, term). */
  int[] termsOfH() {
    int oWin = workload.oWin;
    return IntStream.range(0, count())
        .map(
            t -> {
              int h = t / oWin;
              int out = h / workload.iWin * oWin + t % oWin;
              return position[out * workload.iWin + h % workload.iWin];
            })
        .toArray();
  }

  /** Copies the row of one pair after the other. */
  static void gather(
      FloatBuffer from, int[] rows, int begin, int end, int size, FloatBuffer to, int toRow) {
    for (int p = begin; p < end; p++) {
      to.put((toRow + p - begin) * size, from, rows[p] * size, size);
    }
  }

  /** Sets each row of {@code to} to the sum of its {@code window} terms, on all processors. */
  static void sum(FloatBuffer products, int[] terms, int window, int size, FloatBuffer to) {
    int rows = terms.length / window;
    int piece = Math.max(1, (1 << 14) / (size * window));
    IntStream.range(0, (rows + piece - 1) / piece)
        .parallel()
        .forEach(
            task -> {
              FloatPointer from = new FloatPointer(products);
              FloatPointer sums = new FloatPointer(to);
              for (int r = task * piece; r < Math.min(rows, (task + 1) * piece); r++) {
                to.put(r * size, products, terms[r * window] * size, size);
                for (int t = 1; t < window; t++) {
                  openblas.cblas_saxpy(
                      size,
                      1,
                      from.position((long) terms[r * window + t] * size),
                      1,
                      sums.position((long) r * size),
                      1);
                }
              }
            });
  }
}
