// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.linear;

import static java.util.Objects.requireNonNull;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.blocksparse.ElementType;
import org.blocksparse.FileFormatException;
import org.blocksparse.SparseRows;
import org.blocksparse.Workers;
import org.blocksparse.internal.events.Recorder;
import org.blocksparse.internal.events.SearchEvent;
import org.blocksparse.internal.files.LoadSettings;
import org.blocksparse.internal.files.Reading;
import org.blocksparse.internal.kernels.Engine;
import org.blocksparse.internal.layers.SavedLayer;
import org.blocksparse.internal.search.Candidates;
import org.blocksparse.internal.search.FilterLists;
import org.blocksparse.internal.search.RankedRows;
import org.blocksparse.internal.search.SearchResult;
import org.blocksparse.internal.search.SparseSearch;
import org.blocksparse.internal.search.SparseTerm;
import org.blocksparse.internal.sparse.SparseChunks;
import org.blocksparse.internal.tensors.Check;
import org.blocksparse.internal.tensors.CsrRows;
import org.blocksparse.internal.tensors.OperandLease;
import org.blocksparse.internal.weights.WeightType;
import org.blocksparse.io.LoadOptions;
import org.blocksparse.ranking.Filter;
import org.blocksparse.ranking.Labels;
import org.blocksparse.ranking.Ranking;

/**
 * A sparse matrix of weights (features, outputs), whatever they were made by: counts of items that
 * follow each other, words of names, training rows and their labels. It lies by feature, as an
 * inverted index does.
 *
 * <pre>{@code
 * score(output | x) = sum over the features f of x of x[f] * weight[f, output]
 * }</pre>
 *
 * <p><b>Search.</b> {@link #topK} and {@link #atLeast} are exact, and read only blocks of 256
 * outputs that have a weight for a feature of the row; {@link Ranking#openedClasses} counts them.
 * Outputs with score 0 are not in a ranking: most outputs have no weight for any feature of a row.
 * Ties are broken by ascending number. {@link Ranking#score} is the score; it is no log
 * probability, unless the weights make it one.
 *
 * <p><b>Numbers.</b> Scores are summed in double, with exact products, and rounded once. A feature
 * that a row lists several times counts as often. If a score is NaN, the row is not {@linkplain
 * Ranking#isDefined defined}.
 *
 * <p><b>Similarity.</b> {@link #ofRows} makes weights whose score of output r is the similarity of
 * x and a row r: a training example, for instance, or the text of a label.
 *
 * <p><b>Threads.</b> Immutable but for its {@linkplain #setLabels names}; any number of threads may
 * search at the same time. Results do not depend on the workers.
 *
 * <p><b>Errors.</b> Every method throws {@link NullPointerException} if a required argument is
 * null. It throws {@link IndexOutOfBoundsException} if an index of x is outside [0, features), and
 * {@link IllegalStateException} if the weights or an argument are closed.
 */
@SuppressWarnings("exports") // the superclass has nothing that users see
public final class SparseWeights extends SparseLayer<SparseTerm> {
  private final SparseModel model;

  private SparseWeights(
      SparseModel model, Engine engine, Map<String, String> metadata, Labels labels) {
    super(new HeldWeights(model, engine), model.weights(), engine, metadata, labels);
    this.model = model;
  }

  /** Returns weights with the default workers; see {@link #of(SparseRows, int, Workers)}. */
  public static SparseWeights of(SparseRows weights, int outputs) {
    return of(weights, outputs, Workers.common());
  }

  /**
   * Returns weights of float32. The rows are copied.
   *
   * @param weights (features) rows: row f has the outputs with a weight for feature f, in any
   *     order. Without values, weights are 1. Weights of an output that is listed several times in
   *     a row are added up, and weights of 0 are left out.
   * @param outputs how many outputs there are
   * @throws IllegalArgumentException if there are no rows; if a weight is not finite; or unless
   *     outputs is at least 1 and no more than an array can hold, 2<sup>31</sup> - 9
   * @throws IndexOutOfBoundsException if an index is outside [0, outputs)
   */
  public static SparseWeights of(SparseRows weights, int outputs, Workers workers) {
    Engine engine = Engine.from(requireNonNull(workers, "workers"));
    SparseModel.requireOutputs(outputs);
    CsrRows.from(requireNonNull(weights, "weights")).requireIndices("weights", "outputs", outputs);
    requireRows("weights", weights);
    try (OperandLease lease = CsrRows.from(weights).lease(new OperandLease(), "weights")) {
      CsrRows.from(weights).requireFinite("weights");
      SparseModel model = SparseModel.of(CsrRows.from(weights).bags(), outputs);
      return new SparseWeights(model, engine, Map.of(), null);
    }
  }

  /**
   * Returns weights for similarities with the default workers; see {@link #ofRows(SparseRows, int,
   * Workers)}.
   */
  public static SparseWeights ofRows(SparseRows rows, int features) {
    return ofRows(rows, features, Workers.common());
  }

  /**
   * Returns weights of float32 whose score of output r is the similarity of x and row r. Rows
   * without values count features: a feature that occurs n times is listed n times. Such rows, and
   * those of later searches, are weighted by TF-IDF, (1 + log count) (1 + log((1 + rows) / (1 +
   * rows with the feature))), and scaled to length 1: the score is their cosine. Features that no
   * row has are ignored. If the rows have values, the score is the product of the rows as they are.
   *
   * @param rows at least one; the weights are a copy
   * @param features how many features there are
   * @throws IllegalArgumentException if there are no rows, or more than 2<sup>31</sup> - 9; if
   *     features is less than 1; or if a value is not finite
   * @throws IndexOutOfBoundsException if an index is outside [0, features)
   */
  public static SparseWeights ofRows(SparseRows rows, int features, Workers workers) {
    Engine engine = Engine.from(requireNonNull(workers, "workers"));
    Check.dimension("features", features);
    CsrRows.from(requireNonNull(rows, "rows")).requireIndices("rows", "features", features);
    requireRows("rows", rows);
    SparseModel.requireOutputs(rows.rows());
    try (OperandLease lease = CsrRows.from(rows).lease(new OperandLease(), "rows")) {
      CsrRows.from(rows).requireFinite("rows");
      SparseMatrix matrix =
          SparseMatrix.of(CsrRows.from(rows).bags(), "rows: the values of feature");
      TfIdf tfIdf =
          rows.isWeighted() ? null : TfIdf.of(matrix, features, FeatureGroups.ONE).only(matrix);
      SparseMatrix weighted = tfIdf == null ? matrix : tfIdf.weighted(matrix);
      SparseModel model = SparseModel.of(weighted.transposed(features), rows.rows(), tfIdf);
      return new SparseWeights(model, engine, Map.of(), null);
    }
  }

  private static void requireRows(String name, SparseRows rows) {
    if (rows.rows() == 0) {
      throw new IllegalArgumentException(name + ": expected at least 1 row but was 0");
    }
  }

  // -------------------------------------------------------------------------------- what it is

  @Override
  public int outputs() {
    return model.outputs();
  }

  /**
   * Returns whether these are {@linkplain #ofRows similarities} to rows that count features. Rows
   * of searches then have no values: a feature that occurs n times is listed n times.
   */
  public boolean countsFeatures() {
    return model.tfIdf() != null;
  }

  @Override
  String groups() {
    return "";
  }

  /**
   * Returns a copy with weights of a type: FLOAT32, FLOAT16 or BFLOAT16.
   *
   * @throws IllegalArgumentException if the type is not one of these, or if a weight is too large
   *     for it
   * @throws IllegalStateException if the weights would be rounded that have been rounded before
   */
  public SparseWeights withWeights(ElementType type) {
    try (OperandLease lease = model.lease(new OperandLease())) {
      return new SparseWeights(
          model.copy(WeightType.of(requireNonNull(type, "type")), engine()),
          engine(),
          metadata(),
          labelsOrNull());
    }
  }

  // ------------------------------------------------------------------------------------- files

  @Override
  SparseChunksFile.Format format() {
    return SparseModelFile.FORMAT;
  }

  /** Loads weights into memory; see {@link #load(Path, LoadOptions)}. */
  public static SparseWeights load(Path file) throws IOException {
    return load(file, LoadOptions.copied());
  }

  /**
   * Loads weights. It is safe to load untrusted files. With {@link LoadOptions#mapped}, weights and
   * outputs are not copied, and are checked only when they are used. Sizes, and numbers of groups
   * of outputs if all are below 65,536, are copied, and checked by loading.
   *
   * @throws FileFormatException if the file does not hold sparse weights; it names the tensor
   * @throws IOException if the file cannot be read
   */
  public static SparseWeights load(Path file, LoadOptions options) throws IOException {
    requireNonNull(file, "file");
    LoadSettings settings = LoadSettings.from(requireNonNull(options, "options"));
    SparseChunksFile.Content<SparseModel> content =
        Reading.of(file, () -> SparseModelFile.load(file, settings));
    return new SparseWeights(
        content.model(), settings.engine(), content.metadata(), content.labels());
  }

  // -------------------------------------------------------------------------------- prediction

  /**
   * Returns the k outputs of each row with the highest scores among those that a filter allows, or
   * fewer if fewer have a score other than 0.
   *
   * @param x (batch) rows of features
   * @param k at least 1
   * @throws IllegalArgumentException if k is less than 1; if x has values, and the weights
   *     {@linkplain #countsFeatures count features}; or if the filter is renormalized, or has lists
   *     for another number of rows
   * @throws IndexOutOfBoundsException also if the filter lists an output that does not exist
   */
  @Override
  public Ranking topK(SparseRows x, int k, Filter filter) {
    int limit = Math.min(Check.atLeast(1, "k", k), outputs());
    return search("topK", x, filter, logAllowed -> Candidates.best(limit, logAllowed));
  }

  /** Returns all outputs with at least a score; see {@link #atLeast(SparseRows, float, Filter)}. */
  public Ranking atLeast(SparseRows x, float score) {
    return atLeast(x, score, FilterLists.NONE);
  }

  /**
   * Returns all outputs of each row whose score is at least {@code score}, and not 0, among those
   * that a filter allows. Errors as {@link #topK(SparseRows, int, Filter)}.
   *
   * @throws IllegalArgumentException also if score is NaN
   */
  public Ranking atLeast(SparseRows x, float score, Filter filter) {
    if (Float.isNaN(score)) {
      throw new IllegalArgumentException("score: expected a number but was NaN");
    }
    return search("atLeast", x, filter, logAllowed -> Candidates.atLeast(score, logAllowed));
  }

  /**
   * Returns the features of a row that have a weight for an output, the largest contribution first.
   * The contributions add up to the score, but for its rounding.
   *
   * @param x (1) row of features
   * @param output in [0, outputs)
   * @throws IllegalArgumentException if x does not have one row; or if it has values, and the
   *     weights {@linkplain #countsFeatures count features}
   * @throws IndexOutOfBoundsException also if there is no such output
   */
  public List<Term> explain(SparseRows x, int output) {
    CsrRows.from(requireNonNull(x, "x")).requireIndices("x", "features", features());
    CsrRows.from(x).requireRows("x", 1);
    Check.index("output", output, "outputs", outputs());
    try (OperandLease lease = new OperandLease()) {
      int chunk = output / SparseChunks.MOST_OUTPUTS;
      int column = output % SparseChunks.MOST_OUTPUTS;
      return Terms.of(
          SavedLayer.of(this).scores(x, "x", lease).x(),
          feature -> LabelWeights.weight(model.weights(), feature, chunk, column));
    }
  }

  private Ranking search(String query, SparseRows x, Filter filter, Candidates.Maker candidates) {
    FilterLists lists = FilterLists.from(requireNonNull(filter, "filter"));
    lists.requireNotRenormalized();
    SearchEvent event = Recorder.search();
    SearchResult found;
    try (OperandLease lease = new OperandLease()) {
      SparseTerm term = SavedLayer.of(this).scores(x, "x", lease);
      found = SparseSearch.search(term, lists, lease, candidates);
    }
    if (event != null) {
      event.record(query, format().kind(), found.openedClasses(), SparseSearch.chunks(outputs()));
    }
    return new RankedRows(found, labelsOrNull());
  }
}
