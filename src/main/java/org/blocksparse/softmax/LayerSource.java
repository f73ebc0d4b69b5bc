// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import java.util.Arrays;
import org.blocksparse.FloatTensor;
import org.blocksparse.internal.kernels.Engine;
import org.blocksparse.internal.memory.Rows;
import org.blocksparse.internal.search.ClassTable;
import org.blocksparse.internal.search.ScoreSource;
import org.blocksparse.internal.tensors.KernelOperands;

/**
 * The log probabilities of a two-level layer. Those of the classes are computed for all prepared
 * rows; no output is more probable than its class.
 */
final class LayerSource implements ScoreSource, ScoreSource.SharedReads {
  private final TwoLevelSoftmax softmax;
  private final ClassTable table;
  private final FloatTensor x;
  private final Workspace workspace;

  /** The prepared rows, and the log probabilities of their classes. */
  private Rows rows;

  private Rows classScores;
  private int first;

  /** The log probabilities of the classes that were opened together. */
  private Rows opened;

  /** Creates scores of vectors; these and the memory are leased. */
  LayerSource(LayerMemory memory, FloatTensor x) {
    this.softmax = memory.softmax();
    this.table = memory.table();
    this.x = x;
    this.workspace = softmax.borrowWorkspace();
  }

  @Override
  public Engine engine() {
    return softmax.engine();
  }

  @Override
  public ClassTable classes() {
    return table;
  }

  @Override
  public int rowsAtOnce() {
    return softmax.rowsAtOnce();
  }

  @Override
  public void prepare(int begin, int count) {
    first = begin;
    rows = KernelOperands.rows(x).slice(begin, count);
    classScores = softmax.classes(rows, true, workspace);
  }

  @Override
  public SharedReads sharedReads() {
    return this;
  }

  @Override
  public int mostClasses() {
    return Math.toIntExact(Math.max(1, softmax.maxRound() / table.slots()));
  }

  @Override
  public void open(int requests, int[] requestRows, int[] classes) {
    int[] prepared = new int[requests];
    Arrays.setAll(prepared, i -> requestRows[i] - first);
    opened = softmax.open(rows, classScores, requests, prepared, classes, true, workspace);
  }

  @Override
  public void get(int request, float[] values) {
    opened.get(request, 0, values, table.slots());
  }

  @Override
  public Walk walk() {
    return new LayerWalk();
  }

  @Override
  public void close() {
    workspace.close();
  }

  private final class LayerWalk implements Walk {
    private int row;

    @Override
    public int begin(int ofCall, int[] nodes, float[] scores) {
      row = ofCall - first;
      classScores.get(row, 0, scores, table.classes());
      for (int c = 0; c < table.classes(); c++) {
        nodes[c] = c;
      }
      return table.classes();
    }

    @Override
    public void open(int classNumber, float score, float[] values) {
      int[] readRow = {row};
      int[] classOf = {classNumber};
      try (Workspace own = softmax.borrowWorkspace()) {
        softmax
            .open(rows, classScores, 1, readRow, classOf, true, own)
            .get(0, 0, values, table.slots());
      }
    }

    @Override
    public float bound(float classScore, float value) {
      return value;
    }

    @Override
    public float score(int classNumber, int slot, float classScore, float value) {
      return value;
    }

    @Override
    public void scores(
        int classNumber, float classScore, Limit limit, float[] values, int begin, int end) {}
  }
}
