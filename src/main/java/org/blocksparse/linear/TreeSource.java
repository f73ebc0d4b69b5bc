// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.linear;

import org.blocksparse.internal.kernels.Engine;
import org.blocksparse.internal.kernels.RowKernels;
import org.blocksparse.internal.memory.Scratch;
import org.blocksparse.internal.search.ClassTable;
import org.blocksparse.internal.search.ScoreSource;
import org.blocksparse.internal.sparse.Bags;
import org.blocksparse.internal.sparse.SparseChunks;

/**
 * The log probabilities of a linear label tree. Its classes are the clusters, its other nodes the
 * inner chunks. The log probability of an output is that of its chunk plus its own, which is never
 * positive in floating point either, so that of a chunk bounds those below it.
 *
 * @param model leased
 * @param x rows as the tree weighs them, leased
 */
record TreeSource(LinearModel model, Engine engine, Bags x) implements ScoreSource {
  @Override
  public ClassTable classes() {
    return model.table();
  }

  @Override
  public int[] parents() {
    return model.parents();
  }

  @Override
  public int rowsAtOnce() {
    return Integer.MAX_VALUE;
  }

  @Override
  public void prepare(int first, int count) {}

  @Override
  public Walk walk() {
    return new TreeWalk();
  }

  private final class TreeWalk implements Walk {
    private final ChunkTree tree = model.tree();
    private final Calibration labels = model.calibrations().get(tree.levels() - 1);
    private final RowKernels kernels = engine.kernels().rows();
    private final Scratch scratch = Scratch.borrow(SparseChunks.MOST_OUTPUTS);
    private final float[] margins = new float[SparseChunks.MOST_OUTPUTS];
    private int row;

    @Override
    public int begin(int ofCall, int[] nodes, float[] scores) {
      row = ofCall;
      nodes[0] = tree.node(0);
      scores[0] = 0;
      return 1;
    }

    /** Computes the margins of the outputs of a chunk, and returns how many there are. */
    private int compute(int chunk, float[] into) {
      int n = tree.size(chunk);
      int first = tree.outputBegins()[chunk];
      kernels.sparseChunk(x, row, model.weights(), chunk, first, n, scratch.storage());
      scratch.storage().getFloats(0, into, 0, n);
      return n;
    }

    @Override
    public int expand(int node, float score, Limit limit, int[] nodes, float[] scores) {
      int chunk = tree.innerChunk(node);
      Calibration calibration = model.calibrations().get(tree.levelOf(chunk));
      int n = compute(chunk, margins);
      int count = 0;
      for (int q = 0; q < n; q++) {
        int below = tree.node(tree.outputBegins()[chunk] + q + 1);
        // Most nodes cannot hold a result, as a bound without an exponential shows.
        if (!limit.excludes(below, score + calibration.bound(margins[q]))) {
          nodes[count] = below;
          scores[count++] = score + calibration.logProbability(margins[q]);
        }
      }
      return count;
    }

    @Override
    public void open(int classNumber, float score, float[] values) {
      compute(tree.firstLeaf() + classNumber, values);
    }

    @Override
    public float bound(float classScore, float margin) {
      return classScore + labels.bound(margin);
    }

    @Override
    public float score(int classNumber, int slot, float classScore, float margin) {
      return classScore + labels.logProbability(margin);
    }

    @Override
    public void scores(
        int classNumber, float classScore, Limit limit, float[] values, int begin, int end) {
      for (int slot = begin; slot < end; slot++) {
        float bound = classScore + labels.bound(values[slot]);
        values[slot] =
            limit.excludes(classNumber, bound)
                ? bound
                : classScore + labels.logProbability(values[slot]);
      }
    }

    @Override
    public void close() {
      scratch.close();
    }
  }
}
