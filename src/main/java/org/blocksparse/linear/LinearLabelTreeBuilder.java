// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.linear;

import static java.util.Objects.requireNonNull;

import java.util.Map;
import org.blocksparse.FloatTensor;
import org.blocksparse.Progress;
import org.blocksparse.SparseRows;
import org.blocksparse.Workers;
import org.blocksparse.internal.files.NameTable;
import org.blocksparse.internal.kernels.Engine;
import org.blocksparse.internal.sparse.SparseChunks;
import org.blocksparse.internal.tensors.Check;
import org.blocksparse.internal.tensors.CsrRows;
import org.blocksparse.internal.tensors.OperandLease;
import org.blocksparse.ranking.Labels;

/** Trains a {@link LinearLabelTree}. */
public final class LinearLabelTreeBuilder {
  private static final String WEIGHTS = "(rows)";

  private final int features;
  private final int outputs;
  private int clusterSize = 96;
  private float cost = 1;
  private float threshold = 0.1f;
  private long seed;

  /** The groups of counted features; null if rows have values. */
  private FeatureGroups counted;

  private Labels labels;
  private Workers workers = Workers.common();
  private Progress progress = (done, total) -> {};

  LinearLabelTreeBuilder(int features, int outputs) {
    this.features = Check.dimension("features", features);
    this.outputs = Check.dimension("outputs", outputs);
  }

  /**
   * Returns the maximum number of labels in a cluster; 96 by default. Smaller clusters train
   * faster, but searches open more of them.
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
   * Sets the cost of an error, C in LIBLINEAR; 1 by default. Smaller values regularize more. With
   * large values, or rows much longer than 1, training takes longer. If a model is still more than
   * 10 percent above the minimum after 1,000 passes, training goes on with the next one and logs a
   * warning at its end.
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
   * Sets the magnitude below which weights are dropped; 0.1 by default. Smaller thresholds make
   * larger models that rank hardly better; with 0, only weights that are exactly 0 are dropped.
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
   * Makes rows count features, in training and in searches: entries have no values, and a feature
   * that occurs n times is listed n times. The tree weights counts by TF-IDF, (1 + log count) (1 +
   * log((1 + rows) / (1 + rows with the feature))), and scales each row to length 1. By default,
   * the tree uses the values of rows unchanged.
   */
  public LinearLabelTreeBuilder tfIdf() {
    this.counted = FeatureGroups.ONE;
    return this;
  }

  /**
   * Weighs features by TF-IDF, in groups: the part of a row in each group is scaled separately to a
   * length. So a group of few features, such as the words of a text, counts beside one of many,
   * such as the parts of its words.
   *
   * @param groups the group of each feature, from 0 on
   * @param lengths the lengths of each group, finite and positive; 1 to 127
   * @throws IllegalArgumentException if there is not a group for each feature or not a length for
   *     each group, or if a length is not positive and finite
   */
  public LinearLabelTreeBuilder tfIdf(byte[] groups, float... lengths) {
    this.counted =
        FeatureGroups.of(
            requireNonNull(groups, "groups"), features, requireNonNull(lengths, "lengths"));
    return this;
  }

  /**
   * Sets the seed of the clusters, of the order of rows, and of the choice of calibration rows; 0
   * by default.
   */
  public LinearLabelTreeBuilder seed(long value) {
    this.seed = value;
    return this;
  }

  /**
   * Returns the names of the labels; none by default.
   *
   * @throws IllegalArgumentException unless there is one name per label
   */
  public LinearLabelTreeBuilder labels(Labels names) {
    this.labels = NameTable.from(requireNonNull(names, "labels")).forAll(outputs);
    return this;
  }

  /** Returns the threads that train, and later predict; by default {@link Workers#common}. */
  public LinearLabelTreeBuilder workers(Workers all) {
    this.workers = requireNonNull(all, "workers");
    return this;
  }

  /**
   * Returns a listener that training calls with the work done and the total, in units of about
   * equal time: {@code elapsed} seconds after the call of {@link #train}, about {@code elapsed *
   * (total - done) / done} seconds are left. The training threads call it, one at a time.
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
   * Trains a tree. Besides copies of x and targets, training needs about twice the memory of the
   * model, and for each worker the rows of one cluster.
   *
   * @param x rows of features, finite; scale each row to length 1 for best results, as {@link
   *     #tfIdf} does. Values of a feature that a row lists several times are added
   * @param targets the labels of each row, any number, in any order; repeats count once, and values
   *     of entries are ignored
   * @param weights (rows), the weight of each row in the loss, finite and not negative; rows of
   *     weight 0 are left out
   * @throws IllegalArgumentException if x, targets and weights have different numbers of rows; if a
   *     value or weight is not finite; if a weight is negative; if x has values with {@link
   *     #tfIdf}; or if the rows of all clusters together have more than 2<sup>31</sup> - 9 entries
   * @throws IndexOutOfBoundsException if an index is outside [0, features), or a target outside [0,
   *     outputs)
   * @throws IllegalStateException if an argument is closed, or if there are more than
   *     2<sup>31</sup> - 9 weights
   * @throws ArithmeticException if a trained weight is infinite; the message names a row
   * @throws OutOfMemoryError if there is not enough memory
   */
  public LinearLabelTree train(SparseRows x, SparseRows targets, FloatTensor weights) {
    return trained(x, targets, ofRows(x, weights));
  }

  private LinearLabelTree trained(SparseRows x, SparseRows targets, float[] weights) {
    LinearModel model = training(x, targets, weights).train();
    return new LinearLabelTree(model, Engine.from(workers), Map.of(), labels);
  }

  /**
   * Divides the training on rows of equal weight; see {@link #parts(SparseRows, SparseRows,
   * FloatTensor)}.
   */
  public LinearLabelTreeParts parts(SparseRows x, SparseRows targets) {
    return divided(x, targets, null);
  }

  /**
   * Divides the training of a tree into parts that other processes can solve. This call makes the
   * clusters, and copies x and targets. {@link #progress} is not called.
   *
   * <p>Arguments and errors as in {@link #train(SparseRows, SparseRows, FloatTensor)}, except that
   * an infinite weight is found by {@link LinearLabelTreeParts#solve}.
   */
  public LinearLabelTreeParts parts(SparseRows x, SparseRows targets, FloatTensor weights) {
    return divided(x, targets, ofRows(x, weights));
  }

  private LinearLabelTreeParts divided(SparseRows x, SparseRows targets, float[] weights) {
    return new LinearLabelTreeParts(
        training(x, targets, weights), features, Engine.from(workers), labels);
  }

  /** Returns the weights of rows, checked. */
  private static float[] ofRows(SparseRows x, FloatTensor weights) {
    requireNonNull(x, "x");
    Check.shape("weights", weights, WEIGHTS, x.rows());
    float[] ofRows = weights.toArray();
    for (int row = 0; row < ofRows.length; row++) {
      if (!(ofRows[row] >= 0 && ofRows[row] <= Float.MAX_VALUE)) {
        throw new IllegalArgumentException(
            "weights[" + row + "]: expected a finite number >= 0 but was " + ofRows[row]);
      }
    }
    return ofRows;
  }

  private LinearTraining training(SparseRows x, SparseRows targets, float[] weights) {
    if (counted != null) {
      LinearLabelTree.requireCounts(requireNonNull(x, "x"));
    }
    try (OperandLease lease = LinearLabelTree.leased(x, features, targets, outputs)) {
      return new LinearTraining(
          Engine.from(workers),
          settings(),
          CsrRows.from(x).bags(),
          features,
          CsrRows.from(targets).bags(),
          outputs,
          weights,
          progress);
    }
  }

  /**
   * Builds a larger tree without training all of it again. Labels from {@code tree.outputs()} on
   * are new. Each new label is put into the most probable cluster for its rows, and only its own
   * weights are trained. The other weights, the calibration and the metadata are copied from the
   * tree, which does not change.
   *
   * <p>New labels are trained against rows with other labels of the cluster. So pass rows of old
   * labels, too: best all rows that the tree was trained on. The weights of old labels and of
   * clusters were trained without the new rows: where many of these are unlike the old ones, train
   * a new tree.
   *
   * @param tree has no more features than this builder, and no more outputs; further features count
   *     as much as the rarest of the tree, if it {@linkplain LinearLabelTree#countsFeatures counts
   *     features}. If it has them in groups, further ones are in those of this builder, or in the
   *     first
   * @param x rows of features, finite, as in {@link #train(SparseRows, SparseRows, FloatTensor)};
   *     counts if the tree {@linkplain LinearLabelTree#countsFeatures counts features}, independent
   *     of {@link #tfIdf}
   * @param targets the labels of each row, old and new
   * @return an independent tree with weights of FLOAT32; it has the names of this builder if set,
   *     else those of the tree
   * @throws IllegalArgumentException also if the tree has more features or more outputs, or if its
   *     clusters, of up to 256 labels each, have no room for the new labels
   * @throws IllegalStateException also if the tree is mapped from a file that is damaged
   */
  public LinearLabelTree extend(LinearLabelTree tree, SparseRows x, SparseRows targets) {
    if (requireNonNull(tree, "tree").features() > features) {
      throw new IllegalArgumentException(
          "tree: expected at most " + features + " features but was " + tree.features());
    }
    if (tree.outputs() > outputs) {
      throw new IllegalArgumentException(
          "tree: expected at most " + outputs + " outputs but was " + tree.outputs());
    }
    LinearModel model;
    try (OperandLease lease = LinearLabelTree.leased(x, features, targets, outputs);
        LinearLabelTree wide = tree.withFeatures(features, counted)) {
      model =
          wide.withWeighted(
              x,
              rows ->
                  new LinearTraining(
                          Engine.from(workers),
                          settings(),
                          rows,
                          CsrRows.from(targets).bags(),
                          wide.model(),
                          outputs,
                          progress)
                      .train());
    }
    Labels names = labels != null || !tree.hasLabels() ? labels : tree.labels();
    return new LinearLabelTree(model, Engine.from(workers), tree.metadata(), names);
  }

  private LinearTraining.Settings settings() {
    return new LinearTraining.Settings(clusterSize, cost, threshold, seed, counted);
  }
}
