// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench.jobs;

import java.util.Arrays;
import java.util.SplittableRandom;

/**
 * Batches of texts of {@value #ENTRIES} words each. Words have the frequencies of a text (Zipf),
 * and their rows lie anywhere in the table. Batches take turns, so that rows come from memory as in
 * training, and not from a cache that holds those of one batch.
 */
public final class BagProblem {
  public static final int VOCABULARY = 200_000;
  public static final int FEATURES = 64;
  public static final int BATCH = 1024;
  public static final int ENTRIES = 44;
  public static final int BATCHES = 64;

  public final int[][] indices = new int[BATCHES][];

  public BagProblem() {
    SplittableRandom random = new SplittableRandom(7);
    double[] cumulated = new double[VOCABULARY];
    double sum = 0;
    for (int rank = 0; rank < VOCABULARY; rank++) {
      sum += 1.0 / (rank + 1);
      cumulated[rank] = sum;
    }
    int[] rowOfRank = new int[VOCABULARY];
    for (int rank = 0; rank < VOCABULARY; rank++) {
      int other = random.nextInt(rank + 1);
      rowOfRank[rank] = rowOfRank[other];
      rowOfRank[other] = rank;
    }
    double total = sum;
    for (int batch = 0; batch < BATCHES; batch++) {
      indices[batch] =
          random
              .doubles(BATCH * ENTRIES)
              .mapToInt(p -> rowOfRank[rank(cumulated, p * total)])
              .toArray();
    }
  }

  private static int rank(double[] cumulated, double p) {
    int found = Arrays.binarySearch(cumulated, p);
    return Math.min(found < 0 ? -1 - found : found, VOCABULARY - 1);
  }

  public static int[] offsets() {
    int[] offsets = new int[BATCH + 1];
    Arrays.setAll(offsets, r -> r * ENTRIES);
    return offsets;
  }

  /** Returns the mean number of rows of the table that a batch names. */
  public double distinctRows() {
    return Arrays.stream(indices).mapToLong(b -> Arrays.stream(b).distinct().count()).sum()
        / (double) BATCHES;
  }
}
