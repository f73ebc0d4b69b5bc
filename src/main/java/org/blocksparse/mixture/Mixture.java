// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.mixture;

import static java.util.Objects.requireNonNull;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import org.blocksparse.FileFormatException;
import org.blocksparse.MemoryUse;
import org.blocksparse.SparseRows;
import org.blocksparse.internal.events.Recorder;
import org.blocksparse.internal.events.SearchEvent;
import org.blocksparse.internal.files.NameTable;
import org.blocksparse.internal.files.SaveSettings;
import org.blocksparse.internal.search.Candidates;
import org.blocksparse.internal.search.FilterLists;
import org.blocksparse.internal.search.RankedRows;
import org.blocksparse.internal.search.SearchResult;
import org.blocksparse.internal.tensors.Check;
import org.blocksparse.io.LoadOptions;
import org.blocksparse.io.SaveOptions;
import org.blocksparse.ranking.Filter;
import org.blocksparse.ranking.Labels;
import org.blocksparse.ranking.Ranking;

/**
 * A weighted sum of the scores of several layers over the same outputs: any number of {@link
 * org.blocksparse.softmax.TwoLevelLayer} or {@link org.blocksparse.linear.DenseHead} over an {@link
 * org.blocksparse.bag.EmbeddingBag}, {@link org.blocksparse.linear.LinearLabelTree}, {@link
 * org.blocksparse.linear.SparseWeights} and {@link NearestExamples}.
 *
 * <pre>{@code
 * score(output | x) = sum over the scorers of weight * score of the scorer
 *
 * Mixture mixture = Mixture.builder()
 *     .layer("embedding", bag, softmax)
 *     .weights("transitions", transitions)
 *     .build();
 * Mixture fitted = mixture.fit(heldOutRows, heldOutTargets);
 * fitted.topK(x, 10);
 * }</pre>
 *
 * <p><b>Scores.</b> The score of a layer or a tree is the log probability of the output; a mixture
 * can {@linkplain MixtureBuilder#addProbabilities add probabilities} instead. The score of a head
 * is its own. The score of sparse weights is their sum, 0 for most outputs.
 *
 * <p><b>Search.</b> Searches are exact. Sums of sparse weights are computed first, for the outputs
 * that share a feature with the row. The first layer, or else the first tree or head, then opens
 * its classes in order of the upper bound of the sum: that of the class's scores, of its highest
 * sparse score, and of the other scorers for its outputs. The search stops when no class can change
 * the result; {@link Ranking#openedClasses} counts the opened ones. Without a layer, a tree and a
 * head, outputs with score 0 are not in a ranking. Scorers with weight 0 are not computed; if all
 * weights are 0, every output has score 0 and is ranked by its number.
 *
 * <p><b>Rows.</b> Each scorer reads rows of its own, such as the recent items of a user with their
 * weights, or the words of a text. A list of one {@link SparseRows} is for all scorers.
 *
 * <p><b>Calibration.</b> {@link #fit} finds weights, and a {@link ScoreCalibration}, which turns
 * scores into probabilities. A ranking then has log probabilities; without calibration it has
 * scores. Where probabilities depend on the two best outputs of a row, these are those of all
 * outputs: a filter leaves probabilities as they are, and costs another search for these two.
 * {@link #atLeast} then always searches twice.
 *
 * <p><b>Lifetime.</b> A mixture uses its scorers as they are, and they may still learn or grow.
 * {@link #close} closes them. Mixtures made by {@link #fit} or {@link #withWeights} share them.
 *
 * <p><b>Threads.</b> Immutable but for its scorers; any number of threads may search at the same
 * time. Results do not depend on the workers.
 *
 * <p><b>Errors.</b> Every method throws {@link NullPointerException} if a required argument is
 * null. It throws {@link IndexOutOfBoundsException} if an index of a row is not a feature of its
 * scorer, {@link IllegalArgumentException} if there are not as many rows for each scorer, or if
 * rows have values where a scorer {@linkplain org.blocksparse.linear.SparseWeights#countsFeatures
 * counts features}, and {@link IllegalStateException} if a scorer or an argument is closed, or if
 * layers and trees have different numbers of outputs.
 */
public final class Mixture implements AutoCloseable {
  static final String KIND = "mixture";

  /** The estimated number of outputs above a threshold. */
  private static final int LIKELY = 8;

  private final List<Scorer> scorers;
  private final float[] weights;
  private final boolean addsProbabilities;

  /** The calibration, or null. */
  private final ScoreCalibration calibration;

  private final Map<String, String> metadata;
  private final MixtureSearch search;

  Mixture(
      List<Scorer> scorers,
      float[] weights,
      boolean addsProbabilities,
      ScoreCalibration calibration,
      Map<String, String> metadata) {
    this.scorers = scorers;
    this.weights = weights;
    this.addsProbabilities = addsProbabilities;
    this.calibration = calibration;
    this.metadata = Collections.unmodifiableMap(metadata);
    this.search = new MixtureSearch(scorers, weights, addsProbabilities);
  }

  /** Returns a builder of a mixture. */
  public static MixtureBuilder builder() {
    return new MixtureBuilder();
  }

  // -------------------------------------------------------------------------------- what it is

  /** Returns the names of the scorers, in their order. */
  public List<String> scorers() {
    return scorers.stream().map(Scorer::name).toList();
  }

  /** Returns the weights of the scorers, in their order. */
  public float[] weights() {
    return weights.clone();
  }

  /** Returns how many outputs there are now. */
  public int outputs() {
    return search.outputs();
  }

  /** Returns the map from scores to probabilities; empty if rankings have scores. */
  public Optional<ScoreCalibration> calibration() {
    return Optional.ofNullable(calibration);
  }

  /** Returns the strings of the file that the mixture was loaded from, by key. */
  public Map<String, String> metadata() {
    return metadata;
  }

  /** Returns the off-heap memory of the scorers: mapped bytes and private bytes. */
  public MemoryUse memoryUse() {
    return scorers.stream().map(Scorer::memoryUse).reduce(new MemoryUse(0, 0), MemoryUse::plus);
  }

  /**
   * Returns the same scorers with other weights, without calibration.
   *
   * @param of the scorers, in their order; each at least 0 and at most 1e6, and one positive
   * @throws IllegalArgumentException if there is another number of weights, or one is outside
   */
  public Mixture withWeights(float... of) {
    Check.length("weights", scorers.size(), requireNonNull(of, "weights").length);
    return with(requireWeights(of.clone(), null), null);
  }

  /**
   * Returns the same scorers with other weights, and a calibration of their sum; see {@link
   * #withWeights(float...)}. All weights may be 0: then all outputs have score 0, and are ranked by
   * their number.
   */
  public Mixture withWeights(float[] of, ScoreCalibration by) {
    Check.length("weights", scorers.size(), requireNonNull(of, "weights").length);
    requireNonNull(by, "calibration");
    return with(requireWeights(of.clone(), by), by);
  }

  /**
   * Requires weights in bounds, and a positive one unless the mixture is calibrated.
   *
   * @throws IllegalArgumentException if they are not
   */
  static float[] requireWeights(float[] of, ScoreCalibration by) {
    float max = 0;
    for (int i = 0; i < of.length; i++) {
      if (!(of[i] >= 0 && of[i] <= ScoreCalibration.LARGEST)) {
        throw new IllegalArgumentException(
            "weights: element " + i + " = " + of[i] + " is outside [0, 1e6]");
      }
      max = Math.max(max, of[i]);
    }
    if (max == 0 && by == null) {
      throw new IllegalArgumentException(
          "weights: expected a positive one, or a calibration, but all were 0");
    }
    return of;
  }

  /** Returns a mixture of the same scorers with weights and a calibration or null. */
  Mixture with(float[] of, ScoreCalibration by) {
    return new Mixture(scorers, of, addsProbabilities, by, metadata);
  }

  /** Closes all scorers. */
  @Override
  public void close() {
    scorers.forEach(Scorer::close);
  }

  @Override
  public String toString() {
    StringBuilder text = new StringBuilder("Mixture(");
    for (int i = 0; i < weights.length; i++) {
      text.append(i == 0 ? "" : " + ").append(weights[i]).append(" ").append(scorers.get(i).name());
    }
    return text.append(calibration == null ? ")" : ", calibrated)").toString();
  }

  // ------------------------------------------------------------------------------------ fitting

  /**
   * Some rows that the scorers of a mixture have not been trained on.
   *
   * @param like scores the rows: the mixture that is fitted; for a cross-validation, one that was
   *     trained without this fold
   * @param x rows for each scorer, or one for all scorers
   * @param targets the right outputs of each row; others than the mixture has are ignored
   */
  public record Fold(Mixture like, List<SparseRows> x, SparseRows targets) {
    public Fold {
      requireNonNull(like, "like");
      requireNonNull(x, "x");
      requireNonNull(targets, "targets");
    }
  }

  /**
   * Returns the mixture with weights and calibration for rows; see {@link #fit(List)}.
   *
   * @param x rows for each scorer, which it has not been trained on
   * @param targets the right outputs of each row
   */
  public Mixture fit(List<SparseRows> x, SparseRows targets) {
    return fit(List.of(new Fold(this, x, targets)));
  }

  /**
   * Returns the mixture with weights and calibration for rows, or for the folds of a
   * cross-validation.
   *
   * <p>The samples are the first answers of each scorer to each row, with the scores of all
   * scorers, and whether they are right. The weights are the likeliest of a logistic regression, at
   * least 0: a bound of a score would not bound the sum otherwise. The {@link ScoreCalibration} is
   * isotonic, and then in view of the two best outputs of a row.
   *
   * <p>The regression sees scores less their mean, divided by their standard deviation: the unit of
   * scores does not matter. If no scorer helps, all weights are 0, and every output has the
   * probability of being right of all outputs together.
   *
   * @param folds each scored by the scorers of its own mixture, which have the names and classes of
   *     those here in the same order, as many outputs, and also add probabilities or not; its
   *     weights and calibration do not matter
   * @throws IllegalArgumentException if a mixture differs, or if a score is NaN; as {@link
   *     #topK(List, int)}
   */
  public Mixture fit(List<Fold> folds) {
    MixtureFit fit = new MixtureFit(this);
    Check.noNulls("folds", folds).forEach(fit::add);
    return fit.fit();
  }

  MixtureSearch search() {
    return search;
  }

  // --------------------------------------------------------------------------------- prediction

  /** Returns the k best outputs of each row; see {@link #topK(List, int, Filter)}. */
  public Ranking topK(List<SparseRows> x, int k) {
    return topK(x, k, FilterLists.NONE);
  }

  /**
   * Returns the k outputs of each row with the highest sums among those that a filter allows, or
   * all of them if it allows fewer; ties by ascending number.
   *
   * @param x (batch) rows for each scorer, or one for all scorers
   * @param k at least 1
   * @throws IllegalArgumentException also if k is less than 1, or if the filter is renormalized, or
   *     has lists for another number of rows
   * @throws IndexOutOfBoundsException also if the filter lists an output that does not exist
   */
  public Ranking topK(List<SparseRows> x, int k, Filter filter) {
    int limit = Math.min(Check.atLeast(1, "k", k), outputs());
    SearchEvent event = Recorder.search();
    boolean areTopTwo =
        hasTopTwo() && FilterLists.from(requireNonNull(filter, "filter")).allowsAll();
    SearchResult found =
        best(x, areTopTwo ? Math.max(Math.min(2, outputs()), limit) : limit, filter);
    double[] offsets = areTopTwo ? calibration.offsets(found) : offsets(x);
    return ranking("topK", found, event, offsets, limit, Double.NEGATIVE_INFINITY);
  }

  private boolean hasTopTwo() {
    return calibration != null && calibration.topTwoOrNull() != null;
  }

  private SearchResult best(List<SparseRows> x, int k, Filter filter) {
    return search.search(x, filter, k, logAllowed -> Candidates.best(k, logAllowed));
  }

  /** Returns what the two best outputs of each row add to log odds; nothing without that step. */
  private double[] offsets(List<SparseRows> x) {
    return hasTopTwo()
        ? calibration.offsets(best(x, Math.min(2, outputs()), FilterLists.NONE))
        : new double[0];
  }

  /**
   * Returns all outputs of each row whose probability is at least {@code probability}, of a
   * calibrated mixture.
   *
   * @param probability in (0, 1]
   * @throws IllegalArgumentException also if the probability is outside; errors as {@link
   *     #topK(List, int, Filter)}
   * @throws IllegalStateException also if the mixture is not calibrated
   */
  public Ranking atLeast(List<SparseRows> x, double probability, Filter filter) {
    double least = Math.log(Check.inUnitInterval("probability", probability));
    if (calibration == null) {
      throw new IllegalStateException("mixture: has no probabilities, as it is not calibrated");
    }
    SearchEvent event = Recorder.search();
    double[] offsets = offsets(x);
    float threshold = (float) calibration.leastScore(probability, offsets);
    // The next float below, as sums are rounded.
    float rounded = Math.nextDown(threshold);
    SearchResult found =
        search.search(x, filter, LIKELY, logAllowed -> Candidates.atLeast(rounded, logAllowed));
    return ranking("atLeast", found, event, offsets, Integer.MAX_VALUE, (float) least);
  }

  /**
   * Returns all outputs of each row whose sum is at least {@code score}, of a mixture without
   * calibration; errors as {@link #topK(List, int, Filter)}.
   *
   * @throws IllegalArgumentException also if score is NaN
   * @throws IllegalStateException also if the mixture is calibrated
   */
  public Ranking atLeastScore(List<SparseRows> x, float score, Filter filter) {
    if (Float.isNaN(score)) {
      throw new IllegalArgumentException("score: expected a number but was NaN");
    }
    if (calibration != null) {
      throw new IllegalStateException("mixture: has probabilities, as it is calibrated");
    }
    SearchEvent event = Recorder.search();
    SearchResult found =
        search.search(x, filter, LIKELY, logAllowed -> Candidates.atLeast(score, logAllowed));
    return ranking("atLeastScore", found, event, null, Integer.MAX_VALUE, 0);
  }

  /** Returns the ranking of the results of a search; see {@link ScoreCalibration#calibrated}. */
  private Ranking ranking(
      String query, SearchResult found, SearchEvent event, double[] offsets, int k, double least) {
    if (event != null) {
      event.record(query, KIND, found.openedClasses(), search.classes());
    }
    return new RankedRows(
        calibration == null ? found : calibration.calibrated(found, offsets, k, least),
        labelsOrNull());
  }

  /**
   * Returns the names of the outputs.
   *
   * @throws IllegalStateException if the outputs have no names
   */
  public Labels labels() {
    return NameTable.orThrow(labelsOrNull());
  }

  /**
   * Returns a scorer as it was added, to train it further or to put it into another mixture: a
   * {@link org.blocksparse.softmax.TwoLevelLayer}, a {@link
   * org.blocksparse.linear.LinearLabelTree}, {@link org.blocksparse.linear.SparseWeights} or {@link
   * NearestExamples}; or the {@link org.blocksparse.bag.EmbeddingBag} of a layer.
   *
   * @param name the name of the scorer
   * @param type the type of the result
   * @throws IllegalArgumentException if no scorer of this name has one of this type
   */
  public <T> T scorer(String name, Class<T> type) {
    requireNonNull(name, "name");
    requireNonNull(type, "type");
    return scorers.stream()
        .filter(scorer -> scorer.name().equals(name))
        .flatMap(Scorer::parts)
        .filter(type::isInstance)
        .map(type::cast)
        .findFirst()
        .orElseThrow(
            () -> new IllegalArgumentException("name: no " + type.getSimpleName() + " is " + name));
  }

  /** Returns the names of the outputs, by the first scorer that has all; null if there are none. */
  Labels labelsOrNull() {
    int outputs = Scorer.outputs(scorers);
    return scorers.stream()
        .filter(scorer -> scorer.outputs() == outputs)
        .map(Scorer::labelsOrNull)
        .filter(Objects::nonNull)
        .findFirst()
        .orElse(null);
  }

  /**
   * Returns the shares that the scorers have in the score of an output, before calibration, in
   * their order. Their contributions add up to the score.
   *
   * @param x (1) row for each scorer, or one for all scorers
   * @param output in [0, outputs)
   * @throws IllegalArgumentException also if x does not have one row, or if the row has no nearest
   *     examples since a score of these is NaN
   * @throws IndexOutOfBoundsException also if there is no such output
   */
  public List<Share> explain(List<SparseRows> x, int output) {
    return search.explain(x, Check.index("output", output, "outputs", outputs()));
  }

  // -------------------------------------------------------------------------------------- files

  /** Saves the mixture; see {@link #save(Path, SaveOptions)}. */
  public void save(Path file) throws IOException {
    save(file, SaveOptions.defaults());
  }

  /**
   * Saves the scorers, their weights and the calibration as one safetensors file, with the names of
   * the outputs. {@code load} of a layer's, bag's or tree's class loads the first one from this
   * file alone. The write is atomic: even after a crash, the file is the old one or the new one.
   *
   * @throws IllegalArgumentException if the options have a part or optimizer state, or if the
   *     metadata is too large for a file
   * @throws IllegalStateException also if a parameter is not finite
   * @throws UnsupportedOperationException if a scorer is a dense head, which does not own its rows
   * @throws IOException if the file cannot be written; an old one is unchanged
   */
  public void save(Path file, SaveOptions options) throws IOException {
    requireNonNull(file, "file");
    new MixtureFile(scorers, weights, addsProbabilities, calibration, metadata)
        .save(file, SaveSettings.from(requireNonNull(options, "options")), labelsOrNull());
  }

  /** Loads a mixture into memory; see {@link #load(Path, LoadOptions)}. */
  public static Mixture load(Path file) throws IOException {
    return load(file, LoadOptions.copied());
  }

  /**
   * Loads a mixture. It is safe to load untrusted files.
   *
   * @throws FileFormatException if the file does not hold a mixture; it names the tensor
   * @throws IOException if the file cannot be read, or is replaced again and again
   */
  public static Mixture load(Path file, LoadOptions options) throws IOException {
    return MixtureFile.load(requireNonNull(file, "file"), requireNonNull(options, "options"));
  }
}
