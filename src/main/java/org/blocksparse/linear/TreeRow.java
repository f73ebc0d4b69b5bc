// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.linear;

import java.util.Arrays;
import org.blocksparse.internal.kernels.Engine;
import org.blocksparse.internal.memory.Scratch;
import org.blocksparse.internal.search.Addends;
import org.blocksparse.internal.search.Candidates;
import org.blocksparse.internal.search.ClassTable;
import org.blocksparse.internal.search.LongHeap;
import org.blocksparse.internal.sparse.Bags;
import org.blocksparse.internal.sparse.SparseChunks;

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

  /** The log probability of each chunk; NaN if it was not computed. */
  private final float[] ofChunks;

  /** The margins of the labels of each open cluster, by slot. */
  private final float[][] ofLabels;

  /** For each class of the layer, an upper bound of its labels in open clusters. */
  private final float[] ofClasses;

  /** Chunks that are not open, the likeliest on top; some were opened for one of their labels. */
  private final LongHeap closed = new LongHeap();

  private final Calibration ofLabel;
  private final float[] margins = new float[SparseChunks.MOST_OUTPUTS];

  /**
   * A row.
   *
   * @param classes of the layer, which has as many outputs
   * @param first how many of the likeliest labels are computed first
   */
  TreeRow(LinearModel model, Engine engine, Bags x, int row, ClassTable classes, int first) {
    this.model = model;
    this.tree = model.tree();
    this.ofLabel = model.calibrations().get(tree.levels() - 1);
    this.engine = engine;
    this.x = x;
    this.row = row;
    this.classes = classes;
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
        open(chunk);
        offer(chunk, found);
      }
    }
  }

  private void offer(int chunk, Candidates found) {
    float[] ofCluster = ofLabels[chunk - tree.firstLeaf()];
    float[] scores = new float[ofCluster.length];
    int[] labels = new int[scores.length];
    int first = tree.outputBegins()[chunk] - (tree.chunks() - 1);
    int count = 0;
    for (int q = 0; q < scores.length; q++) {
      if (!found.isDone(ofChunks[chunk] + ofLabel.bound(ofCluster[q]))) {
        labels[count] = tree.labels()[first + q];
        scores[count++] = ofChunks[chunk] + ofLabel.logProbability(ofCluster[q]);
      }
    }
    found.offer(labels, scores, scores, 0, count);
  }

  /** An upper bound of labels in closed clusters. */
  private float closedBound() {
    while (!closed.isEmpty() && isOpen((int) closed.min())) {
      closed.removeMin();
    }
    return closed.isEmpty() ? Float.NEGATIVE_INFINITY : Candidates.logProbability(closed.min());
  }

  private boolean isOpen(int chunk) {
    return chunk < tree.firstLeaf()
        ? !Float.isNaN(ofChunks[tree.outputBegins()[chunk] + 1])
        : ofLabels[chunk - tree.firstLeaf()] != null;
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

  private void open(int chunk) {
    float[] ofCluster = Arrays.copyOf(margins, compute(chunk));
    int first = tree.outputBegins()[chunk] - (tree.chunks() - 1);
    for (int q = 0; q < ofCluster.length; q++) {
      int c = classes.classOf()[tree.labels()[first + q]];
      if (c >= 0) { // else it is retired
        ofClasses[c] = Math.max(ofClasses[c], ofChunks[chunk] + ofLabel.bound(ofCluster[q]));
      }
    }
    ofLabels[chunk - tree.firstLeaf()] = ofCluster;
  }

  @Override
  public float boundOfClass(int classNumber) {
    return Math.max(ofClasses[classNumber], closedBound());
  }

  @Override
  public boolean advance(int classNumber) {
    if (closed.isEmpty() || !(closedBound() > ofClasses[classNumber])) {
      return false;
    }
    int chunk = (int) closed.removeMin();
    if (chunk < tree.firstLeaf()) {
      descend(chunk);
    } else {
      open(chunk);
    }
    return true;
  }

  @Override
  public float bound(int output) {
    int cluster = model.table().classOf()[output];
    float ofCluster = ofChunks[tree.firstLeaf() + cluster];
    if (ofLabels[cluster] != null) {
      return ofCluster + ofLabel.bound(margin(cluster, output));
    }
    return Float.isNaN(ofCluster) ? closedBound() : ofCluster;
  }

  private float margin(int cluster, int output) {
    return ofLabels[cluster][model.table().slotOf()[output]];
  }

  @Override
  public boolean isKnown(int output) {
    return ofLabels[model.table().classOf()[output]] != null;
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
    return ofChunks[tree.firstLeaf() + cluster] + ofLabel.logProbability(margin(cluster, output));
  }

  /** Computes the log probability of a chunk. */
  private void reach(int chunk) {
    if (Float.isNaN(ofChunks[chunk])) {
      int parent = tree.parent(chunk);
      reach(parent);
      if (Float.isNaN(ofChunks[chunk])) {
        descend(parent);
      }
    }
  }
}
