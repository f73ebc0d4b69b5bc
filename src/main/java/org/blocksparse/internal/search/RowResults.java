// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.search;

import java.util.BitSet;

/** The results of rows that are searched by several threads. */
public final class RowResults {
  private final int[][] outputs;
  private final float[][] scores;
  private final int[] opened;
  private final boolean[] undefined;
  private final boolean[] filteredOut;
  private final int[] leftOut;

  public RowResults(int rows) {
    this.outputs = new int[rows][];
    this.scores = new float[rows][];
    this.opened = new int[rows];
    this.undefined = new boolean[rows];
    this.filteredOut = new boolean[rows];
    this.leftOut = new int[rows];
  }

  /** Finishes the candidates of a row. If {@code allowed} is null, all outputs are allowed. */
  public void put(int row, Candidates found, int openedClasses, AllowedSlots allowed) {
    found.finish();
    outputs[row] = found.outputs();
    scores[row] = found.logProbabilities();
    opened[row] = openedClasses;
    undefined[row] = found.isUndefined();
    filteredOut[row] = allowed != null && allowed.none();
  }

  /** Records how many outputs of a row have score 0 and are therefore not ranked. */
  void leaveOut(int row, int count) {
    leftOut[row] = count;
  }

  public SearchResult result() {
    return new SearchResult(outputs, scores, opened, bits(undefined), bits(filteredOut), leftOut);
  }

  private static BitSet bits(boolean[] flags) {
    BitSet bits = new BitSet();
    for (int i = 0; i < flags.length; i++) {
      bits.set(i, flags[i]);
    }
    return bits;
  }
}
