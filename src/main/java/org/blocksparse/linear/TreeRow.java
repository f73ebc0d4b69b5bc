// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.linear;

import java.util.Arrays;
import org.blocksparse.internal.kernels.Bags;
import org.blocksparse.internal.kernels.Engine;
import org.blocksparse.internal.kernels.SparseChunks;
import org.blocksparse.internal.memory.Scratch;
import org.blocksparse.internal.search.Addends;
import org.blocksparse.internal.search.Candidates;
import org.blocksparse.internal.search.ClassTable;
import org.blocksparse.internal.search.LongHeap;

/**
 * The log probabilities of a tree for one row, beside the search of another layer. The likeliest
 * labels are computed first, as by a search for them: then those of a class of the layer are known,
 * or are bounded by the likeliest chunk that is closed. Further clusters are opened when one of
 * their labels is needed. The model is leased.
 */
final class TreeRow implements Addends.Late {
  private final LinearModel model;
  private final ChunkTree tree;
  private final Engine engine;
  private final Bags x;
  private final int row;
  private final ClassTable classes;
  private final int[] parents;

  /** The log probability of each chunk; NaN if it was not computed. */
  private final float[] ofChunks;

  /** The log probabilities of the outputs of each open cluster, by slot. */
  private final float[][] ofLabels;

  /** For each class of the layer, the maximum of its labels in open clusters. */
  private final float[] ofClasses;

  /** Chunks that are not open, the likeliest on top; some were opened for one of their labels. */
  private final LongHeap closed = new LongHeap();

  private final float[] margins = new float[SparseChunks.MOST_OUTPUTS];

  /**
   * A row.
   *
   * @param classes of the layer, which has as many outputs
   * @param parents of the chunks
   * @param first how many of the likeliest labels are computed first
   */
  TreeRow(
      LinearModel model,
      Engine engine,
      Bags x,
      int row,
      ClassTable classes,
      int[] parents,
      int first) {
    this.model = model;
    this.tree = model.tree();
    this.engine = engine;
    this.x = x;
    this.row = row;
    this.classes = classes;
    this.parents = parents;
    this.ofChunks = new float[tree.chunks()];
    this.ofLabels = new float[tree.clusters()][];
    this.ofClasses = new float[classes.classes()];
    Arrays.fill(ofChunks, Float.NaN);
    Arrays.fill(ofClasses, Float.NEGATIVE_INFINITY);
    ofChunks[0] = 0;
    closed.reset(new long[64], 0, 0);
    closed.add(Candidates.encode(0, 0));
    Candidates found = Candidates.best(first, 0);
    while (!closed.isEmpty() && !found.isUndefined() && !found.isDone(closedBound())) {
      int chunk = (int) closed.removeMin();
      if (chunk < tree.firstLeaf()) {
        descend(chunk);
      } else {
        float[] scores = open(chunk);
        int begin = tree.outputBegins()[chunk] - (tree.chunks() - 1);
        int[] labels = Arrays.copyOfRange(tree.labels(), begin, begin + scores.length);
        found.offer(labels, scores, scores, 0, scores.length);
      }
    }
  }

  /** An upper bound of labels in closed clusters. */
  private float closedBound() {
    return closed.isEmpty() ? Float.NEGATIVE_INFINITY : Candidates.logProbability(closed.min());
  }

  /** Computes the margins of a chunk's outputs; returns how many there are. */
  private int compute(int chunk) {
    int n = tree.size(chunk);
    try (Scratch scratch = Scratch.borrow(n)) {
      int first = tree.outputBegins()[chunk];
      engine
          .kernels()
          .rows()
          .sparseChunk(x, row, model.weights(), chunk, first, n, scratch.storage());
      scratch.storage().getFloats(0, margins, 0, n);
    }
    return n;
  }

  /** Computes and closes the chunks below one. */
  private void descend(int chunk) {
    int n = compute(chunk);
    Calibration calibration = model.calibrations().get(tree.levelOf(chunk));
    for (int q = 0; q < n; q++) {
      int below = tree.outputBegins()[chunk] + q + 1;
      ofChunks[below] = ofChunks[chunk] + calibration.logProbability(margins[q]);
      // NaN is above all others: what is below it is computed at once.
      closed.add(Candidates.encode(below, ofChunks[below]));
    }
  }

  private float[] open(int chunk) {
    int cluster = chunk - tree.firstLeaf();
    if (ofLabels[cluster] == null) {
      float[] scores = new float[compute(chunk)];
      Calibration calibration = model.calibrations().get(tree.levels() - 1);
      int firstLabel = tree.outputBegins()[chunk] - (tree.chunks() - 1);
      for (int q = 0; q < scores.length; q++) {
        scores[q] = ofChunks[chunk] + calibration.logProbability(margins[q]);
        int ofLabel = classes.classOf()[tree.labels()[firstLabel + q]];
        if (ofLabel >= 0) { // else it is retired
          ofClasses[ofLabel] = Math.max(ofClasses[ofLabel], scores[q]);
        }
      }
      ofLabels[cluster] = scores;
    }
    return ofLabels[cluster];
  }

  @Override
  public float boundOfClass(int classNumber) {
    return Math.max(ofClasses[classNumber], closedBound());
  }

  @Override
  public float bound(int output) {
    int cluster = model.table().classOf()[output];
    if (ofLabels[cluster] != null) {
      return score(output);
    }
    float ofCluster = ofChunks[tree.firstLeaf() + cluster];
    return Float.isNaN(ofCluster) ? closedBound() : ofCluster;
  }

  @Override
  public float closerBound(int output) {
    int cluster = model.table().classOf()[output];
    reach(tree.firstLeaf() + cluster);
    return bound(output);
  }

  @Override
  public float score(int output) {
    int cluster = model.table().classOf()[output];
    if (ofLabels[cluster] == null) {
      reach(tree.firstLeaf() + cluster);
      open(tree.firstLeaf() + cluster);
    }
    return ofLabels[cluster][model.table().slotOf()[output]];
  }

  /** Computes the log probability of a chunk. */
  private void reach(int chunk) {
    if (Float.isNaN(ofChunks[chunk])) {
      reach(parents[chunk]);
      if (Float.isNaN(ofChunks[chunk])) {
        descend(parents[chunk]);
      }
    }
  }
}
