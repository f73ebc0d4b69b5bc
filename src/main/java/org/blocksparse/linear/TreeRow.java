// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.linear;

import java.util.Arrays;
import org.blocksparse.internal.kernels.Bags;
import org.blocksparse.internal.kernels.Engine;
import org.blocksparse.internal.kernels.SparseChunks;
import org.blocksparse.internal.memory.Scratch;
import org.blocksparse.internal.search.Addends;
import org.blocksparse.internal.search.ClassTable;

/**
 * The log probabilities of a tree for one row, beside the search of another layer. All clusters are
 * computed at once, labels by cluster where they are needed. The model is leased.
 */
final class TreeRow implements Addends.Late {
  private final LinearModel model;
  private final ChunkTree tree;
  private final Engine engine;
  private final Bags x;
  private final int row;
  private final int[][] clustersOfClasses;
  private final ClusterProbabilities clusters;

  /** The log probabilities of the labels of each cluster that was opened, by slot. */
  private final float[][] ofLabels;

  /**
   * A row.
   *
   * @param clustersOfClasses see {@link #clustersOfClasses(ClassTable, LinearModel)}
   */
  TreeRow(LinearModel model, Engine engine, Bags x, int row, int[][] clustersOfClasses) {
    this.model = model;
    this.tree = model.tree();
    this.engine = engine;
    this.x = x;
    this.row = row;
    this.clustersOfClasses = clustersOfClasses;
    this.clusters = new ClusterProbabilities(model, engine, x);
    this.ofLabels = new float[tree.clusters()][];
    try (Scratch scratch = Scratch.borrow(SparseChunks.MOST_OUTPUTS)) {
      clusters.compute(row, scratch);
    }
  }

  /** The clusters that share a label with each class, each once. */
  static int[][] clustersOfClasses(ClassTable table, LinearModel model) {
    int[] classSeen = new int[model.tree().clusters()]; // the last class that had it, plus 1
    int[] found = new int[model.tree().clusters()];
    int[][] all = new int[table.classes()][];
    for (int c = 0; c < all.length; c++) {
      int count = 0;
      for (int output : table.members()[c]) {
        int cluster = model.table().classOf()[output];
        if (classSeen[cluster] != c + 1) {
          classSeen[cluster] = c + 1;
          found[count++] = cluster;
        }
      }
      all[c] = Arrays.copyOf(found, count);
    }
    return all;
  }

  @Override
  public float boundOfClass(int classNumber) {
    float max = Float.NEGATIVE_INFINITY;
    for (int cluster : clustersOfClasses[classNumber]) {
      max = Math.max(max, clusters.of(cluster));
    }
    return max;
  }

  @Override
  public float bound(int output) {
    int cluster = model.table().classOf()[output];
    return ofLabels[cluster] == null ? clusters.of(cluster) : score(output);
  }

  @Override
  public float score(int output) {
    int cluster = model.table().classOf()[output];
    if (ofLabels[cluster] == null) {
      ofLabels[cluster] = opened(cluster);
    }
    return ofLabels[cluster][model.table().slotOf()[output]];
  }

  private float[] opened(int cluster) {
    int chunk = tree.firstLeaf() + cluster;
    int n = tree.size(chunk);
    float[] scores = new float[n];
    try (Scratch scratch = Scratch.borrow(SparseChunks.MOST_OUTPUTS)) {
      engine
          .kernels()
          .rows()
          .sparseChunk(
              x, row, model.weights(), chunk, tree.outputBegins()[chunk], n, scratch.storage());
      scratch.storage().getFloats(0, scores, 0, n);
    }
    Calibration calibration = model.calibrations().get(tree.levels() - 1);
    for (int q = 0; q < n; q++) {
      scores[q] = clusters.of(cluster) + calibration.logProbability(scores[q]);
    }
    return scores;
  }
}
