// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.linear;

import java.util.Arrays;
import org.blocksparse.internal.kernels.Engine;
import org.blocksparse.internal.kernels.RowKernels;
import org.blocksparse.internal.memory.Scratch;
import org.blocksparse.internal.sparse.Bags;
import org.blocksparse.internal.sparse.SparseChunks;

/**
 * The probabilities of the clusters of a leased model for rows.
 *
 * <p>Not safe for use by several threads.
 */
final class ClusterProbabilities {
  private final LinearModel model;
  private final ChunkTree tree;
  private final RowKernels kernels;
  private final Bags x;
  private final float[] margins = new float[SparseChunks.MOST_OUTPUTS];

  /** The logarithm of the probability of each chunk for the current row; that of the first is 0. */
  private final float[] ofChunks;

  /** Creates the computation for checked rows. */
  ClusterProbabilities(LinearModel model, Engine engine, Bags x) {
    this.model = model;
    this.tree = model.tree();
    this.kernels = engine.kernels().rows();
    this.x = x;
    this.ofChunks = new float[tree.chunks()];
  }

  /** Computes the log probability of each cluster for a row, which becomes the current row. */
  void compute(int row, Scratch scratch) {
    for (int chunk = 0; chunk < tree.firstLeaf(); chunk++) {
      int n = tree.size(chunk);
      int firstOutput = tree.outputBegins()[chunk];
      kernels.sparseChunk(x, row, model.weights(), chunk, firstOutput, n, scratch.storage());
      scratch.storage().getFloats(0, margins, 0, n);
      Calibration calibration = model.calibrations().get(tree.levelOf(chunk));
      for (int q = 0; q < n; q++) {
        ofChunks[firstOutput + q + 1] = ofChunks[chunk] + calibration.logProbability(margins[q]);
      }
    }
  }

  /** Returns the log probability of a cluster for the current row. */
  float of(int cluster) {
    return ofChunks[tree.firstLeaf() + cluster];
  }

  /**
   * Returns the likeliest cluster with room for the rows of each new label; on ties, the one with
   * the fewest labels.
   *
   * @throws IllegalArgumentException if there is no room for all
   */
  int[] likeliest(SparseMatrix rowsOf) {
    long room = (long) SparseChunks.MOST_OUTPUTS * tree.clusters() - tree.labels().length;
    if (rowsOf.rows() > room) {
      throw new IllegalArgumentException(
          "outputs: expected at most "
              + room
              + " more than the tree has, as its clusters have room for, but was "
              + rowsOf.rows());
    }
    int[] sizes = new int[tree.clusters()];
    Arrays.setAll(sizes, cluster -> tree.size(tree.firstLeaf() + cluster));
    int[] chosen = new int[rowsOf.rows()];
    double[] sums = new double[tree.clusters()];
    for (int label = 0; label < chosen.length; label++) {
      Arrays.fill(sums, 0);
      try (Scratch scratch = Scratch.borrow(SparseChunks.MOST_OUTPUTS)) {
        for (int i = rowsOf.offsets()[label]; i < rowsOf.offsets()[label + 1]; i++) {
          compute(rowsOf.columns()[i], scratch);
          for (int cluster = 0; cluster < sums.length; cluster++) {
            sums[cluster] += Math.exp(of(cluster));
          }
        }
      }
      int best = -1;
      for (int cluster = 0; cluster < sums.length; cluster++) {
        if (sizes[cluster] < SparseChunks.MOST_OUTPUTS
            && (best < 0
                || sums[cluster] > sums[best]
                || (sums[cluster] == sums[best] && sizes[cluster] < sizes[best]))) {
          best = cluster;
        }
      }
      chosen[label] = best;
      sizes[best]++;
    }
    return chosen;
  }
}
