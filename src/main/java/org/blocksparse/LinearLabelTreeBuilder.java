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
  private boolean tfIdf;
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

  /**
   * Rows count features, in training and in searches: their entries have no values, and a feature
   * is there as often as it occurs. The tree weighs them by TF-IDF, (1 + log count) (1 + log((1 +
   * rows) / (1 + rows with the feature))), and scales each row to length 1. By default, rows are
   * taken as they are.
   */
  public LinearLabelTreeBuilder tfIdf() {
    this.tfIdf = true;
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
   * @param x rows of features, finite; each is best scaled to length 1, as {@link #tfIdf} does
   * @param targets for each row its labels, any number, in any order; repeats count once, and
   *     values of entries do not matter
   * @param weights (rows), how much each row counts, finite and not negative; rows of weight 0 are
   *     left out
   * @throws IllegalArgumentException if there are not as many targets or weights as rows, if a
   *     value or weight is not finite, if a weight is negative, if x has values with {@link
   *     #tfIdf}, or if the rows of the clusters have more than 2<sup>31</sup> - 9 entries together
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
    if (tfIdf) {
      LinearLabelTree.requireCounts(requireNonNull(x, "x"));
    }
    LinearTraining training;
    try (Lease lease = LinearLabelTree.leased(x, features, targets, outputs)) {
      training =
          new LinearTraining(
              workers.engine(),
              settings(),
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

  /**
   * Makes a larger tree without training all of it again. The labels from {@code tree.outputs()} on
   * are new. Each is put into the cluster that is likeliest for its rows, and trained alone. All
   * other weights, the calibration and the metadata are those of the tree, which is unchanged.
   *
   * <p>New labels are trained against rows that have other labels of the cluster, so pass rows of
   * old labels, too: best all that the tree was trained on. The old labels and what leads to their
   * clusters have not seen the new rows. {@link LinearLabelTree#clustersToRetrain} returns the
   * clusters that suffer from it; pass them to train their labels, and what leads to them, anew.
   *
   * @param tree with as many features and no more outputs than this builder
   * @param x rows of features, finite, as in {@link #train(SparseRows, SparseRows, FloatTensor)};
   *     counts if the tree {@linkplain LinearLabelTree#countsFeatures counts}, whatever {@link
   *     #tfIdf} says
   * @param targets for each row its labels, old and new
   * @param clusters of the tree that are trained anew, in [0, clusterCount); repeats count once
   * @return a tree of its own, with weights of FLOAT32; its names are those of this builder, or if
   *     it has none those of the tree
   * @throws IllegalArgumentException also if the tree has other features or more outputs, or if its
   *     clusters, of up to 256 labels each, have no room for so many
   * @throws IndexOutOfBoundsException also if there is no such cluster
   * @throws IllegalStateException also if the tree is mapped from a file that is damaged
   */
  public LinearLabelTree extend(
      LinearLabelTree tree, SparseRows x, SparseRows targets, int... clusters) {
    if (requireNonNull(tree, "tree").features() != features) {
      throw new IllegalArgumentException(
          "tree: expected " + features + " features but was " + tree.features());
    }
    if (tree.outputs() > outputs) {
      throw new IllegalArgumentException(
          "tree: expected at most " + outputs + " outputs but was " + tree.outputs());
    }
    Check.indices(
        "clusters", requireNonNull(clusters, "clusters"), 0, "clusterCount", tree.clusterCount());
    LinearModel model;
    try (Lease lease = LinearLabelTree.leased(x, features, targets, outputs);
        LinearLabelTree wide = tree.withWeights(ElementType.FLOAT32)) {
      model =
          wide.withWeighted(
              x,
              rows ->
                  new LinearTraining(
                          workers.engine(),
                          settings(),
                          rows,
                          targets.bags(),
                          wide.model(),
                          outputs,
                          clusters,
                          progress::update)
                      .train());
    }
    Labels names = labels != null || !tree.hasLabels() ? labels : tree.labels();
    return new LinearLabelTree(model, workers.engine(), tree.metadata(), names);
  }

  private LinearTraining.Settings settings() {
    return new LinearTraining.Settings(clusterSize, cost, threshold, seed, tfIdf);
  }
}
