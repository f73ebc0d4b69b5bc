// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static java.util.Objects.requireNonNull;

import java.util.Map;
import org.blocksparse.internal.SparseChunks;
import org.blocksparse.internal.linear.LinearModel;
import org.blocksparse.internal.linear.LinearTraining;

/** Trains a {@link LinearLabelTree}. */
public final class LinearLabelTreeBuilder {
  private static final String WEIGHTS = "(rows)";

  private final int features;
  private final int outputs;
  private int clusterSize = 96;
  private float cost = 1;
  private float threshold = 0.1f;
  private long seed;
  private Labels labels;
  private Workers workers = Workers.common();
  private Progress progress = (done, total) -> {};

  LinearLabelTreeBuilder(int features, int outputs) {
    this.features = Check.dimension("features", features);
    this.outputs = Check.dimension("outputs", outputs);
  }

  /**
   * The most labels that a cluster holds; 96 by default. Smaller clusters train faster, and make
   * rows open more of them.
   *
   * @throws IllegalArgumentException unless it is in [2, 256]
   */
  public LinearLabelTreeBuilder clusterSize(int labelsOfCluster) {
    if (Check.atLeast(2, "clusterSize", labelsOfCluster) > SparseChunks.MOST_OUTPUTS) {
      throw new IllegalArgumentException(
          "clusterSize: expected at most "
              + SparseChunks.MOST_OUTPUTS
              + " but was "
              + labelsOfCluster);
    }
    this.clusterSize = labelsOfCluster;
    return this;
  }

  /**
   * The cost of an error, C in LIBLINEAR; 1 by default. Less regularizes more.
   *
   * @throws IllegalArgumentException unless it is finite and positive
   */
  public LinearLabelTreeBuilder cost(float value) {
    if (!(Check.finite("cost", value) > 0)) {
      throw new IllegalArgumentException("cost: expected a number > 0 but was " + value);
    }
    this.cost = value;
    return this;
  }

  /**
   * Weights nearer to 0 are dropped; 0.1 by default. Less makes larger models that rank hardly
   * better; with 0 only weights that are exactly 0 are dropped.
   *
   * @throws IllegalArgumentException unless it is finite and not negative
   */
  public LinearLabelTreeBuilder threshold(float value) {
    if (!(Check.finite("threshold", value) >= 0)) {
      throw new IllegalArgumentException("threshold: expected a number >= 0 but was " + value);
    }
    this.threshold = value;
    return this;
  }

  /** Seed of clusters, of the order of rows, and of the rows for calibration; 0 by default. */
  public LinearLabelTreeBuilder seed(long value) {
    this.seed = value;
    return this;
  }

  /**
   * The names of the labels; none by default.
   *
   * @throws IllegalArgumentException unless there are as many as labels
   */
  public LinearLabelTreeBuilder labels(Labels names) {
    if (requireNonNull(names, "labels").size() != outputs) {
      throw new IllegalArgumentException(
          "labels: expected " + outputs + " names but was " + names.size());
    }
    this.labels = names;
    return this;
  }

  /** The threads that train, and later predict; by default {@link Workers#common}. */
  public LinearLabelTreeBuilder workers(Workers all) {
    this.workers = requireNonNull(all, "workers");
    return this;
  }

  /**
   * Called during training with the work that is done and the total, in units that take about the
   * same time each: with {@code elapsed} seconds since the first call of {@link #train}, about
   * {@code elapsed * (total - done) / done} are left. Calls come from the threads that train, one
   * at a time.
   */
  public LinearLabelTreeBuilder progress(Progress listener) {
    this.progress = requireNonNull(listener, "progress");
    return this;
  }

  /**
   * Trains a tree on rows of equal weight; see {@link #train(SparseRows, SparseRows, FloatTensor)}.
   */
  public LinearLabelTree train(SparseRows x, SparseRows targets) {
    return trained(x, targets, null);
  }

  /**
   * Trains a tree. It takes, besides the copies of x and targets, the memory of the model about
   * twice, and for each worker the rows of a cluster.
   *
   * @param x rows of features, finite; each is best scaled to length 1
   * @param targets for each row its labels, any number, in any order; repeats count once, and
   *     values of entries do not matter
   * @param weights (rows), how much each row counts, finite and not negative; rows of weight 0 are
   *     left out
   * @throws IllegalArgumentException if there are not as many targets or weights as rows, if a
   *     value or weight is not finite, if a weight is negative, or if the rows of the clusters have
   *     more than 2<sup>31</sup> - 9 entries together
   * @throws IndexOutOfBoundsException if an index is outside [0, features), or a target outside [0,
   *     outputs)
   * @throws IllegalStateException if an argument is closed, or if there are more than
   *     2<sup>31</sup> - 9 weights
   * @throws OutOfMemoryError if there is not enough memory
   */
  public LinearLabelTree train(SparseRows x, SparseRows targets, FloatTensor weights) {
    requireNonNull(x, "x");
    Check.shape("weights", weights, WEIGHTS, x.rows());
    float[] ofRows = weights.toArray();
    for (int row = 0; row < ofRows.length; row++) {
      if (!(ofRows[row] >= 0 && ofRows[row] <= Float.MAX_VALUE)) {
        throw new IllegalArgumentException(
            "weights[" + row + "]: expected a finite number >= 0 but was " + ofRows[row]);
      }
    }
    return trained(x, targets, ofRows);
  }

  private LinearLabelTree trained(SparseRows x, SparseRows targets, float[] weights) {
    requireNonNull(x, "x").requireIndices("x", "features", features);
    if (requireNonNull(targets, "targets").rows() != x.rows()) {
      throw new IllegalArgumentException(
          "targets: expected " + x.rows() + " rows, as x has, but was " + targets.rows());
    }
    targets.requireIndices("targets", "outputs", outputs);
    LinearTraining training;
    try (Lease lease = targets.lease(x.lease(new Lease(), "x"), "targets")) {
      x.requireFinite("x");
      training =
          new LinearTraining(
              workers.engine(),
              new LinearTraining.Settings(clusterSize, cost, threshold, seed),
              x.bags(),
              features,
              targets.bags(),
              outputs,
              weights,
              progress::update);
    }
    LinearModel model = training.train();
    return new LinearLabelTree(model, workers.engine(), Map.of(), labels);
  }
}
