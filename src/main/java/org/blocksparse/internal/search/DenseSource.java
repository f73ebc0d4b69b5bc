// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.search;

import java.util.List;
import org.blocksparse.internal.kernels.Engine;
import org.blocksparse.internal.memory.Rows;

/**
 * The scores of a dense layer. Its classes are runs of outputs, whose upper bounds are those of the
 * rows in four bits; an output that they do not exclude is scored by its row.
 */
public final class DenseSource implements ScoreSource {
  /** The maximum number of bounds in memory at the same time, unless one row has more. */
  private static final int MOST_BOUNDS = 1 << 22;

  private final DenseSearch search;
  private final ClassTable table;
  private final Engine engine;
  private final Rows x;
  private List<DenseSearch.Query> prepared;
  private int first;

  /** Creates the scores of rows of x; the caller leases everything. */
  public DenseSource(DenseSearch search, ClassTable table, Engine engine, Rows x) {
    this.search = search;
    this.table = table;
    this.engine = engine;
    this.x = x;
  }

  @Override
  public Engine engine() {
    return engine;
  }

  @Override
  public ClassTable classes() {
    return table;
  }

  @Override
  public int rowsAtOnce() {
    return Math.min(DenseSearch.MOST_QUERIES, Math.max(1, MOST_BOUNDS / table.outputs()));
  }

  @Override
  public void prepare(int begin, int count) {
    first = begin;
    prepared = search.bounded(x, begin, count);
  }

  @Override
  public Walk walk() {
    return new DenseWalk();
  }

  private final class DenseWalk implements Walk {
    private final float[] row = new float[search.features()];
    private DenseSearch.Query query;

    @Override
    public int begin(int ofCall, int[] nodes, float[] scores) {
      query = prepared.get(ofCall - first);
      for (int c = 0; c < table.classes(); c++) {
        nodes[c] = c;
        scores[c] = Float.NEGATIVE_INFINITY;
        for (int output : table.members()[c]) {
          scores[c] = Math.max(scores[c], query.bound(output));
        }
      }
      return table.classes();
    }

    @Override
    public void open(int classNumber, float score, float[] values) {
      int[] members = table.members()[classNumber];
      for (int slot = 0; slot < members.length; slot++) {
        values[slot] = query.bound(members[slot]);
      }
    }

    @Override
    public float bound(float classScore, float value) {
      return value;
    }

    @Override
    public float score(int classNumber, int slot, float classScore, float value) {
      return query.scoreByRow(table.members()[classNumber][slot], row);
    }

    @Override
    public void scores(
        int classNumber, float classScore, Limit limit, float[] values, int begin, int end) {
      for (int slot = begin; slot < end; slot++) {
        if (!limit.excludes(classNumber, values[slot])) {
          values[slot] = score(classNumber, slot, classScore, values[slot]);
        }
      }
    }
  }
}
