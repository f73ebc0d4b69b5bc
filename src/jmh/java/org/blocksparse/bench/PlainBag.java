// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import java.util.Arrays;
import java.util.stream.IntStream;
import org.blocksparse.bench.jobs.Bag;
import org.blocksparse.bench.jobs.BagProblem;
import org.blocksparse.bench.jobs.BlocksparseBag;

/** A user's own loops over arrays, samples in parallel. */
final class PlainBag implements Bag {
  private final int[][] indices;
  private final float[] table;
  private final float[] squares = new float[BagProblem.VOCABULARY * BagProblem.FEATURES];
  private final float[] out = new float[BagProblem.BATCH * BagProblem.FEATURES];
  private final float[] gradOut = new float[BagProblem.BATCH * BagProblem.FEATURES];

  /** The position of the gradient of a row of the table, plus one; 0: none yet. */
  private final int[] slotOf = new int[BagProblem.VOCABULARY];

  private final int[] rowOf = new int[BagProblem.BATCH * BagProblem.ENTRIES];
  private final float[] gradients = new float[rowOf.length * BagProblem.FEATURES];

  PlainBag(BagProblem problem) {
    indices = problem.indices;
    Arrays.fill(gradOut, GRADIENT);
    table = BlocksparseBag.table();
  }

  @Override
  public void forward(int batch) {
    int[] entries = indices[batch];
    IntStream.range(0, BagProblem.BATCH).parallel().forEach(r -> sum(entries, r));
  }

  private void sum(int[] entries, int r) {
    int to = r * BagProblem.FEATURES;
    Arrays.fill(out, to, to + BagProblem.FEATURES, 0);
    for (int e = r * BagProblem.ENTRIES; e < (r + 1) * BagProblem.ENTRIES; e++) {
      int from = entries[e] * BagProblem.FEATURES;
      for (int q = 0; q < BagProblem.FEATURES; q++) {
        out[to + q] += table[from + q];
      }
    }
    for (int q = 0; q < BagProblem.FEATURES; q++) {
      out[to + q] *= 1f / BagProblem.ENTRIES;
    }
  }

  @Override
  public void step(int batch) {
    int slots = 0;
    for (int e = 0; e < indices[batch].length; e++) {
      int row = indices[batch][e];
      if (slotOf[row] == 0) {
        rowOf[slots] = row;
        slotOf[row] = ++slots;
        int begin = (slots - 1) * BagProblem.FEATURES;
        Arrays.fill(gradients, begin, begin + BagProblem.FEATURES, 0);
      }
      int to = (slotOf[row] - 1) * BagProblem.FEATURES;
      int from = e / BagProblem.ENTRIES * BagProblem.FEATURES;
      for (int q = 0; q < BagProblem.FEATURES; q++) {
        gradients[to + q] += gradOut[from + q] * (1f / BagProblem.ENTRIES);
      }
    }
    IntStream.range(0, slots).parallel().forEach(this::update);
  }

  private void update(int slot) {
    int row = rowOf[slot];
    slotOf[row] = 0;
    for (int q = 0; q < BagProblem.FEATURES; q++) {
      int i = row * BagProblem.FEATURES + q;
      float gradient = gradients[slot * BagProblem.FEATURES + q];
      squares[i] += gradient * gradient;
      table[i] -= RATE * gradient / ((float) Math.sqrt(squares[i]) + 1e-8f);
    }
  }

  @Override
  public float[] means() {
    return out;
  }
}
