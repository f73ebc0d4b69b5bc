// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.linear;

import java.util.Arrays;
import java.util.function.IntToDoubleFunction;
import java.util.stream.IntStream;
import org.blocksparse.internal.kernels.Bags;
import org.blocksparse.internal.kernels.Engine;
import org.blocksparse.internal.kernels.RowKernels;
import org.blocksparse.internal.kernels.SparseChunks;
import org.blocksparse.internal.memory.Scratch;

/**
 * The probabilities of the clusters of a model for rows, by a model that is leased. Chunks are
 * opened when a cluster below them is first asked for.
 *
 * <p>Not safe for use by several threads.
 */
final class ClusterProbabilities {
  private final LinearModel model;
  private final ChunkTree tree;
  private final int[] parents;
  private final RowKernels kernels;
  private final Bags x;
  private final float[] margins = new float[SparseChunks.MOST_OUTPUTS];

  /** Of each chunk the logarithm of its probability for the current row; positive if unknown. */
  private final float[] ofChunks;

  /** Rows that were checked. */
  public ClusterProbabilities(LinearModel model, Engine engine, Bags x) {
    this.model = model;
    this.tree = model.tree();
    this.parents = tree.parents();
    this.kernels = engine.kernels().rows();
    this.x = x;
    this.ofChunks = new float[tree.chunks()];
  }

  private void open(int chunk, int row, float ofChunk, Scratch scratch) {
    int n = tree.size(chunk);
    int firstOutput = tree.outputBegins()[chunk];
    kernels.sparseChunk(x, row, model.weights(), chunk, firstOutput, n, scratch.storage());
    scratch.storage().getFloats(0, margins, 0, n);
    Calibration calibration = model.calibrations().get(tree.levelOf(chunk));
    for (int q = 0; q < n; q++) {
      ofChunks[firstOutput + q + 1] = ofChunk + calibration.logProbability(margins[q]);
    }
  }

  private float logProbability(int chunk, int row, Scratch scratch) {
    if (ofChunks[chunk] > 0) {
      open(parents[chunk], row, logProbability(parents[chunk], row, scratch), scratch);
    }
    return ofChunks[chunk];
  }

  /** Takes the probabilities of clusters for a row. */
  private interface Taker {
    void take(int row, IntToDoubleFunction ofClusters);
  }

  private void forEach(IntStream rows, Taker taker) {
    try (Scratch scratch = Scratch.borrow(SparseChunks.MOST_OUTPUTS)) {
      rows.forEach(
          row -> {
            Arrays.fill(ofChunks, 1);
            ofChunks[0] = 0;
            taker.take(
                row, cluster -> Math.exp(logProbability(tree.firstLeaf() + cluster, row, scratch)));
          });
    }
  }

  /**
   * The likeliest cluster for the rows of each new label, of those that have room when it is its
   * turn; of several the one with the fewest labels.
   *
   * @throws IllegalArgumentException if there is no room for all
   */
  int[] likeliest(RowLists rowsOf) {
    long room = (long) SparseChunks.MOST_OUTPUTS * tree.clusters() - tree.labels().length;
    if (rowsOf.count() > room) {
      throw new IllegalArgumentException(
          "outputs: expected at most "
              + room
              + " more than the tree has, as its clusters have room for, but was "
              + rowsOf.count());
    }
    int[] sizes = new int[tree.clusters()];
    Arrays.setAll(sizes, cluster -> tree.size(tree.firstLeaf() + cluster));
    int[] chosen = new int[rowsOf.count()];
    double[] sums = new double[tree.clusters()];
    for (int label = 0; label < chosen.length; label++) {
      Arrays.fill(sums, 0);
      forEach(
          IntStream.range(rowsOf.begin(label), rowsOf.begin(label + 1)).map(rowsOf::row),
          (row, ofClusters) ->
              Arrays.setAll(sums, cluster -> sums[cluster] + ofClusters.applyAsDouble(cluster)));
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

  /**
   * The clusters whose mean probability, over the rows that have a label of them, is below a bound;
   * ascending.
   */
  public int[] below(double bound, Bags labels) {
    int[] clusterOf = tree.clusterOfLabels();
    double[] sums = new double[tree.clusters()];
    int[] counts = new int[tree.clusters()];
    forEach(
        IntStream.range(0, x.count()),
        (row, ofClusters) ->
            IntStream.range(labels.offsets().getInt(row), labels.offsets().getInt(row + 1L))
                .map(entry -> clusterOf[labels.indices().getInt(entry)])
                .distinct()
                .forEach(
                    cluster -> {
                      sums[cluster] += ofClusters.applyAsDouble(cluster);
                      counts[cluster]++;
                    }));
    return IntStream.range(0, sums.length)
        .filter(cluster -> sums[cluster] < bound * counts[cluster])
        .toArray();
  }
}
