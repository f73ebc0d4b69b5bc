// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.linear;

import static java.util.Objects.requireNonNull;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import org.blocksparse.ElementType;
import org.blocksparse.FileFormatException;
import org.blocksparse.SparseRows;
import org.blocksparse.internal.events.Recorder;
import org.blocksparse.internal.events.SearchEvent;
import org.blocksparse.internal.files.LoadSettings;
import org.blocksparse.internal.files.Reading;
import org.blocksparse.internal.kernels.Engine;
import org.blocksparse.internal.search.Candidates;
import org.blocksparse.internal.search.FilterLists;
import org.blocksparse.internal.search.OutputFilter;
import org.blocksparse.internal.search.RankedRows;
import org.blocksparse.internal.search.ScoreSource;
import org.blocksparse.internal.search.SearchResult;
import org.blocksparse.internal.search.SumSearch;
import org.blocksparse.internal.sparse.Bags;
import org.blocksparse.internal.tensors.Check;
import org.blocksparse.internal.tensors.CsrRows;
import org.blocksparse.internal.tensors.OperandLease;
import org.blocksparse.internal.weights.WeightType;
import org.blocksparse.io.LoadOptions;
import org.blocksparse.io.ModelPart;
import org.blocksparse.ranking.Filter;
import org.blocksparse.ranking.Labels;
import org.blocksparse.ranking.Ranking;

/**
 * Extreme multi-label classification from sparse features: each row has any number of labels, out
 * of very many. Each label has its own sparse linear weights over all features, which suits labels
 * with few examples. For dense features, use {@link org.blocksparse.softmax.LabelTree}.
 *
 * <pre>{@code
 * P(label | x) = product over the clusters that hold the label, and the label itself,
 *                of sigmoid(slope * (w . x + b) + intercept)
 * }</pre>
 *
 * <p><b>Clusters.</b> Labels with similar features are put into clusters of equal size by balanced
 * spherical 2-means, as in Parabel (Prabhu et al., 2018) and PECOS (Yu et al., 2022). Clusters form
 * a tree with at most 64 children per node.
 *
 * <p><b>Training.</b> Each cluster and each label has a linear support vector machine with squared
 * hinge loss. It minimizes
 *
 * <pre>{@code
 * (|w|^2 + b^2) / 2 + cost * sum over rows of weight * max(0, 1 - y (w . x + b))^2,  y = +1 or -1
 * }</pre>
 *
 * <p>by dual coordinate descent (Hsieh et al., 2008), as LIBLINEAR does (Fan et al., 2008), to
 * within 10 percent of the minimum; see {@link LinearLabelTreeBuilder#cost}. Each cluster or label
 * trains on the rows that have a label of its parent cluster. Weights nearer to 0 than a threshold
 * are dropped, as in DiSMEC (Babbar and Schoelkopf, 2017). If you pass TF-IDF values, scale each
 * row to length 1.
 *
 * <p><b>Probabilities.</b> Slope and intercept of each level come from Platt scaling (Platt, 1999).
 * They are fitted to a random tenth of the rows, with models that were trained without it. With
 * fewer than about 5,000 rows, they are fitted to up to ten tenths, each with models that were
 * trained without it. A row counts by its weight relative to the mean weight. Probabilities are too
 * high for rows that differ much from the training rows.
 *
 * <p><b>Prediction.</b> Searches are exact: the probability of a cluster bounds that of its labels,
 * so only clusters that may hold a result are opened. Weights are stored by feature, so the weights
 * that a row needs lie close together in memory.
 *
 * <p><b>Growth.</b> The weights and the number of labels of a tree never change. To add labels,
 * {@link LinearLabelTreeBuilder#extend} builds a new tree, without training the existing labels
 * again.
 *
 * <p><b>Threads.</b> Any number of threads may predict at the same time. Results and trained
 * weights do not depend on the workers.
 *
 * <p><b>Errors.</b> Every method throws {@link NullPointerException} if a required argument is
 * null. It throws {@link IndexOutOfBoundsException} if an index of x is outside [0, features), and
 * {@link IllegalStateException} if the tree or an argument is closed.
 */
@SuppressWarnings("exports") // the superclass has nothing that users see
public final class LinearLabelTree extends SparseLayer<ScoreSource> implements ModelPart {
  private final LinearModel model;

  LinearLabelTree(LinearModel model, Engine engine, Map<String, String> metadata, Labels labels) {
    super(new HeldTree(model, engine), model.weights(), engine, metadata, labels);
    this.model = model;
  }

  /**
   * Returns a builder that trains a tree; all other settings have defaults.
   *
   * @param features how many features there are
   * @param outputs how many labels there are
   * @throws IllegalArgumentException unless both are at least 1 and no more than an array can hold,
   *     2<sup>31</sup> - 9
   */
  public static LinearLabelTreeBuilder builder(int features, int outputs) {
    return new LinearLabelTreeBuilder(features, outputs);
  }

  // -------------------------------------------------------------------------------- what it is

  /** Returns how many labels there are. */
  @Override
  public int outputs() {
    return model.tree().labels().length;
  }

  /** Returns the number of leaf clusters, which hold the labels. */
  public int clusterCount() {
    return model.tree().clusters();
  }

  /**
   * Returns whether the tree was built with {@link LinearLabelTreeBuilder#tfIdf}. Rows then have no
   * values: a feature that occurs n times is listed n times.
   */
  public boolean countsFeatures() {
    return model.tfIdf() != null;
  }

  @Override
  String groups() {
    return " in " + clusterCount() + " clusters";
  }

  // ------------------------------------------------------------------------------------ copies

  /**
   * Returns an independent in-memory copy, with the same weights, names and metadata.
   *
   * @throws OutOfMemoryError if there is not enough native memory; the message names the bytes
   */
  public LinearLabelTree copy() {
    return withWeights(weightType());
  }

  /**
   * Returns a copy with weights of a type: FLOAT32, FLOAT16 or BFLOAT16.
   *
   * @throws IllegalArgumentException if the type is not one of these, or if a weight is too large
   *     for it
   * @throws IllegalStateException if the weights would be rounded that have been rounded before
   */
  public LinearLabelTree withWeights(ElementType type) {
    try (OperandLease lease = model.lease(new OperandLease())) {
      return new LinearLabelTree(
          model.copy(WeightType.of(requireNonNull(type, "type")), engine()),
          engine(),
          metadata(),
          labelsOrNull());
    }
  }

  /**
   * Returns a copy with weights of FLOAT32, and more features or as many; see {@link
   * TfIdf#withFeatures}.
   */
  LinearLabelTree withFeatures(int features, FeatureGroups all) {
    try (OperandLease lease = model.lease(new OperandLease())) {
      return new LinearLabelTree(
          model.withFeatures(features, all, engine()), engine(), metadata(), labelsOrNull());
    }
  }

  // ------------------------------------------------------------------------------------- files

  @Override
  SparseChunksFile.Format format() {
    return LinearModelFile.FORMAT;
  }

  /**
   * Returns whether a file holds a tree, alone or beside another layer. Only its header is read.
   *
   * @throws FileFormatException if the file is no safetensors file
   * @throws IOException if the file cannot be read
   */
  public static boolean isIn(Path file) throws IOException {
    requireNonNull(file, "file");
    return Reading.of(file, () -> LinearModelFile.isIn(file));
  }

  /** Loads a tree into memory; see {@link #load(Path, LoadOptions)}. */
  public static LinearLabelTree load(Path file) throws IOException {
    return load(file, LoadOptions.copied());
  }

  /**
   * Loads a tree from its own file, or from the file of a two-level layer that {@link
   * org.blocksparse.softmax.TwoLevelLayer#save(Path, SaveOptions)} wrote with a linear tree. It is
   * safe to load untrusted files. With {@link LoadOptions#mapped}, weights and the outputs that
   * they are of are not copied, and are checked only when they are used. Sizes, and numbers of
   * clusters if all are below 65,536, are copied, and checked by loading.
   *
   * @throws FileFormatException if the file does not hold a linear label tree; it names the tensor
   * @throws IOException if the file cannot be read
   */
  public static LinearLabelTree load(Path file, LoadOptions options) throws IOException {
    requireNonNull(file, "file");
    LoadSettings settings = LoadSettings.from(requireNonNull(options, "options"));
    SparseChunksFile.Content<LinearModel> content =
        Reading.of(file, () -> LinearModelFile.load(file, settings));
    return new LinearLabelTree(
        content.model(), settings.engine(), content.metadata(), content.labels());
  }

  // -------------------------------------------------------------------------------- prediction

  /**
   * Returns the k most probable labels of each row among those that a filter allows, or all of them
   * if fewer than k are allowed. {@link Ranking#openedClasses} counts the clusters that were
   * opened.
   *
   * @param x (batch) rows of features
   * @param k at least 1
   * @throws IllegalArgumentException if k is less than 1; if x has values and the tree was built
   *     with {@link LinearLabelTreeBuilder#tfIdf}; or if the filter is renormalized, or has lists
   *     for another number of rows
   * @throws IndexOutOfBoundsException also if the filter lists a label that does not exist
   */
  @Override
  public Ranking topK(SparseRows x, int k, Filter filter) {
    int limit = Math.min(Check.atLeast(1, "k", k), outputs());
    return search("topK", x, filter, logAllowed -> Candidates.best(limit, logAllowed));
  }

  /**
   * Returns all labels of each row whose probability is at least {@code probability}; see {@link
   * #atLeast(SparseRows, double, Filter)}.
   */
  public Ranking atLeast(SparseRows x, double probability) {
    return atLeast(x, probability, FilterLists.NONE);
  }

  /**
   * Returns all labels of each row whose probability is at least {@code probability}, among those
   * that a filter allows. Errors as {@link #topK(SparseRows, int, Filter)}.
   *
   * @param probability in (0, 1]
   */
  public Ranking atLeast(SparseRows x, double probability, Filter filter) {
    float threshold = (float) Math.log(Check.inUnitInterval("probability", probability));
    return search("atLeast", x, filter, logAllowed -> Candidates.atLeast(threshold, logAllowed));
  }

  /**
   * Returns the features of a row that have a weight for a label, the largest contribution first.
   * The contributions add up to the log probability of the label less that for a row without
   * features.
   *
   * <p>The log probability adds up those of the label and of the clusters above it. Each of these
   * changes from the row without features to the row, and the features share the change in
   * proportion to what they add to the log odds there: these are the integrated gradients
   * (Sundararajan, Taly and Yan, 2017).
   *
   * @param x (1) row of features. If x or the weights are not finite, terms may be NaN
   * @param output in [0, outputs)
   * @throws IllegalArgumentException if x does not have one row, or has values and the tree was
   *     built with {@link LinearLabelTreeBuilder#tfIdf}
   * @throws IndexOutOfBoundsException also if there is no such output
   */
  public List<Term> explain(SparseRows x, int output) {
    CsrRows.from(requireNonNull(x, "x")).requireIndices("x", "features", features());
    if (x.rows() != 1) {
      throw new IllegalArgumentException("x: expected 1 row but was " + x.rows());
    }
    Check.index("output", output, "outputs", outputs());
    try (OperandLease lease = model.lease(CsrRows.from(x).lease(new OperandLease(), "x"))) {
      return withWeighted(x, row -> Terms.of(row, new LabelWeights(model, output, row)::weight));
    }
  }

  /** Checks x and targets, then leases them. */
  static OperandLease leased(SparseRows x, int features, SparseRows targets, int outputs) {
    CsrRows.from(requireNonNull(x, "x")).requireIndices("x", "features", features);
    if (requireNonNull(targets, "targets").rows() != x.rows()) {
      throw new IllegalArgumentException(
          "targets: expected " + x.rows() + " rows, as x has, but was " + targets.rows());
    }
    CsrRows.from(targets).requireIndices("targets", "outputs", outputs);
    OperandLease lease =
        CsrRows.from(targets).lease(CsrRows.from(x).lease(new OperandLease(), "x"), "targets");
    try {
      CsrRows.from(x).requireFinite("x");
    } catch (Throwable e) {
      lease.close();
      throw e;
    }
    return lease;
  }

  LinearModel model() {
    return model;
  }

  private Ranking search(String query, SparseRows x, Filter filter, Candidates.Maker candidates) {
    requireNonNull(x, "x");
    FilterLists.from(requireNonNull(filter, "filter")).requireNotRenormalized();
    SearchEvent event = Recorder.search();
    SearchResult found =
        with(
            x,
            "x",
            rows -> {
              OutputFilter allowed = FilterLists.from(filter).check(x.rows(), outputs());
              try (OperandLease lease = FilterLists.from(filter).lease(new OperandLease())) {
                return search(rows).search(rows.count(), allowed, candidates);
              }
            });
    if (event != null) {
      event.record(query, format().kind(), found.openedClasses(), clusterCount());
    }
    return new RankedRows(found, labelsOrNull());
  }

  private SumSearch search(Bags rows) {
    return new SumSearch(new TreeSource(model, engine(), rows));
  }

  /** Checks and leases rows, and calls a function with them as the tree weighs them. */
  <T> T with(SparseRows x, String name, Function<Bags, T> use) {
    CsrRows.from(x).requireIndices(name, "features", features());
    try (OperandLease lease = model.lease(CsrRows.from(x).lease(new OperandLease(), name))) {
      return withWeighted(x, use);
    }
  }

  /** Applies TF-IDF weighting if the tree uses it, then calls a function; x must be leased. */
  <T> T withWeighted(SparseRows x, Function<Bags, T> use) {
    if (model.tfIdf() == null) {
      return use.apply(CsrRows.from(x).bags());
    }
    requireCounts(x);
    try (SparseRows weighted = model.tfIdf().weightedRows(x)) {
      return use.apply(CsrRows.from(weighted).bags());
    }
  }

  /**
   * Requires rows without values, which count features.
   *
   * @throws IllegalArgumentException if they have values
   */
  static void requireCounts(SparseRows x) {
    if (x.isWeighted()) {
      throw new IllegalArgumentException(
          "x: expected rows without values, as the tree counts features (tfIdf)");
    }
  }
}
