// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier;

import static java.util.Objects.requireNonNull;

import java.io.IOException;
import java.nio.file.FileSystems;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.TreeMap;
import java.util.function.BiConsumer;
import java.util.function.Consumer;
import java.util.function.IntUnaryOperator;
import java.util.stream.Stream;
import org.blocksparse.ElementType;
import org.blocksparse.IntTensor;
import org.blocksparse.MemoryUse;
import org.blocksparse.SparseRows;
import org.blocksparse.Tensor;
import org.blocksparse.bag.EmbeddingBag;
import org.blocksparse.classifier.examples.Example;
import org.blocksparse.classifier.examples.ExampleReader;
import org.blocksparse.classifier.examples.InvalidInputException;
import org.blocksparse.classifier.fasttext.FastTextDictionary;
import org.blocksparse.classifier.fasttext.FastTextModel;
import org.blocksparse.classifier.features.ExampleRows;
import org.blocksparse.classifier.features.FeatureVocabulary;
import org.blocksparse.classifier.features.InputRows;
import org.blocksparse.internal.tensors.Check;
import org.blocksparse.io.LoadOptions;
import org.blocksparse.io.NpzFile;
import org.blocksparse.io.SaveOptions;
import org.blocksparse.linear.LinearLabelTree;
import org.blocksparse.linear.SparseWeights;
import org.blocksparse.mixture.Mixture;
import org.blocksparse.mixture.MixtureExplanation;
import org.blocksparse.mixture.NearestExamples;
import org.blocksparse.ranking.Filter;
import org.blocksparse.ranking.Labels;
import org.blocksparse.ranking.Metrics;
import org.blocksparse.ranking.Ranking;
import org.blocksparse.softmax.ClassAssignment;
import org.blocksparse.softmax.LabelTree;
import org.blocksparse.softmax.TwoLevelLayer;

/**
 * Predicts the labels of texts or sparse features, out of very many labels. {@linkplain ModelHead
 * Heads} score the labels: an {@link EmbeddingBag} of features with a {@link
 * org.blocksparse.softmax.HierarchicalSoftmax} or a {@link org.blocksparse.softmax.LabelTree}, a
 * {@link LinearLabelTree}, or both.
 *
 * <pre>{@code
 * Classifier classifier = Classifier.load(Path.of("model"));
 * classifier.predict("some text", 5).get(0).label();
 * }</pre>
 *
 * <p><b>Several labels.</b> A label has the {@linkplain
 * org.blocksparse.classifier.training.TrainingOptions#withHead calibrated} probability that it
 * applies, independent of others. With the softmax, each epoch of training learns one label of an
 * example, in rotation. With a {@linkplain
 * org.blocksparse.classifier.training.TrainingOptions#withLabelTree label tree} or a linear head,
 * it learns all labels of an example.
 *
 * <p><b>Threads.</b> Any number of threads may use a classifier at the same time.
 *
 * <p><b>Lifetime.</b> The model is in native memory. {@link #close} frees it as soon as no call
 * uses it; without {@code close}, the garbage collector does. Calls after {@code close} throw
 * {@link IllegalStateException}.
 */
public final class Classifier implements AutoCloseable {
  /** The number of examples that are computed together. */
  public static final int BATCH = 256;

  /** The maximum number of unknown labels of an example that are counted. */
  private static final int MOST_UNKNOWN = 1 << 18;

  private final ExampleRows input;

  /** Null: this is no model of fastText. Else there is no other head. */
  private final FastTextModel fastText;

  /** The sum of the heads; null: this is a model of fastText. */
  private final Mixture heads;

  /** Null, as the layer: there is no embedding head. */
  private final EmbeddingBag bag;

  private final TwoLevelLayer<?> layer;

  /** The linear head, or null. */
  private final LinearLabelTree tree;

  /** Beside the linear head; or null. */
  private final NearestExamples neighbours;

  /** Texts of labels, beside the linear head; or null. */
  private final SparseWeights texts;

  private final Map<String, String> metadata;

  /**
   * A classifier.
   *
   * @param heads named as those of {@link Heads}
   * @param metadata of its file; may be changed until others see this
   */
  public Classifier(InputRows input, Mixture heads, Map<String, String> metadata) {
    this.input = input;
    this.fastText = null;
    this.heads = heads;
    this.bag = Heads.partOrNull(heads, Heads.EMBEDDING, EmbeddingBag.class);
    this.layer = Heads.partOrNull(heads, Heads.EMBEDDING, TwoLevelLayer.class);
    this.tree = Heads.partOrNull(heads, Heads.LINEAR, LinearLabelTree.class);
    this.neighbours = Heads.partOrNull(heads, Heads.NEIGHBOURS, NearestExamples.class);
    this.texts = Heads.partOrNull(heads, Heads.TEXTS, SparseWeights.class);
    this.metadata = metadata;
  }

  /** A classifier of a model of fastText, which it closes. */
  public Classifier(FastTextModel model) {
    this.input = model.rows();
    this.fastText = model;
    this.heads = null;
    this.neighbours = null;
    this.texts = null;
    this.bag = null;
    this.layer = null;
    this.tree = null;
    this.metadata = Map.of();
  }

  /** The same model with other heads, which have the same input. */
  public Classifier with(Mixture others) {
    return new Classifier(input(), others, metadata);
  }

  /**
   * Maps a model with common workers; see {@link #load(Path, LoadOptions)}. A file outside of the
   * default file system, for example in an archive, is copied into memory.
   */
  public static Classifier load(Path file) throws IOException {
    boolean canBeMapped = file.getFileSystem() == FileSystems.getDefault();
    return load(file, canBeMapped ? LoadOptions.mapped() : LoadOptions.copied());
  }

  /**
   * Loads a model that {@link #save} has written, or a supervised model of fastText, {@code .bin}
   * or {@code .ftz}. It is safe to load untrusted files.
   *
   * <p><b>fastText.</b> Labels and probabilities are those of fastText. Its files do not align
   * their numbers, so they are always copied into memory. Such a model is not saved, exported or
   * trained.
   *
   * <p>A {@linkplain LoadOptions#mapped mapped} model reads its file when predictions need it, and
   * all processes share the memory. Do not change the file in place: replace it by rename, as
   * {@link #save} does, then load it again. If the file was cut nevertheless, predictions throw
   * {@link java.io.UncheckedIOException}. Names of labels are checked when they are used: one that
   * is not UTF-8 throws {@link IllegalStateException}.
   *
   * @param options {@link LoadOptions#mapped}, or {@link LoadOptions#copied} for a model that does
   *     not depend on its file; and the workers, {@link org.blocksparse.Workers#callingThread} if
   *     many threads predict
   * @throws org.blocksparse.FileFormatException if the file is damaged or not a classifier; the
   *     message names the part that is wrong
   * @throws IOException if the file cannot be read
   * @throws UnsupportedOperationException if it is mapped and not in the default file system
   */
  public static Classifier load(Path file, LoadOptions options) throws IOException {
    return ClassifierFile.load(requireNonNull(file, "file"), requireNonNull(options, "options"));
  }

  /**
   * Saves the model as one file. The write is atomic: even after a crash, the file is the old one
   * or the new one.
   *
   * @throws InvalidInputException if weights of the model are not finite
   * @throws IOException if the file cannot be written; an old one is unchanged
   */
  public void save(Path file) throws IOException {
    save(file, weightType());
  }

  /**
   * As {@link #save(Path)}, with weights in fewer bits: the model is smaller, and predicts nearly
   * as well. Saving needs memory for a copy of the weights in this type.
   *
   * @throws IllegalArgumentException if a weight is not finite, or too large for the type
   * @throws InvalidInputException if the weights have been rounded before, to another type, or if
   *     biases are not finite
   */
  public void save(Path file, ElementType weights) throws IOException {
    requireOwn();
    if (layer == null && weights == ElementType.INT8) {
      throw new InvalidInputException(
          "weights: expected FLOAT16 or BFLOAT16 for a linear head, which has no INT8, but was INT8"
              + (weightType() == ElementType.FLOAT32
                  ? ""
                  : "; this model is " + weightType() + " already"));
    }
    if (weights != weightType() && weightType() != ElementType.FLOAT32) {
      throw new InvalidInputException(
          "weights: those of this model are "
              + weightType()
              + " already; make "
              + weights
              + " of the model that was trained");
    }
    if (weights == weightType()) {
      save(file, heads, layer);
      return;
    }
    // Weights of a linear tree have 16 bits at least.
    ElementType ofTree = weights == ElementType.INT8 ? ElementType.FLOAT16 : weights;
    try (EmbeddingBag narrowBag = layer == null ? null : bag.withWeights(weights);
        TwoLevelLayer<?> narrowLayer = layer == null ? null : layer.withWeights(weights);
        LinearLabelTree narrowTree = tree == null ? null : tree.withWeights(ofTree);
        SparseWeights examples =
            neighbours == null ? null : neighbours.examples().withWeights(ofTree);
        SparseWeights labels =
            neighbours == null ? null : neighbours.outputs().withWeights(ofTree);
        SparseWeights narrowTexts = texts == null ? null : texts.withWeights(ofTree)) {
      NearestExamples narrow =
          neighbours == null ? null : new NearestExamples(examples, labels, neighbours.k());
      save(
          file,
          Heads.of(narrowBag, narrowLayer, narrowTree, narrow, narrowTexts, heads),
          narrowLayer);
    }
  }

  private void save(Path file, Mixture of, TwoLevelLayer<?> ofLayer) throws IOException {
    try {
      of.save(file, SaveOptions.defaults().withMetadata(metadata));
    } catch (IllegalStateException e) {
      throw ofLayer == null || ofLayer.b1().isClosed() ? e : notFinite();
    }
  }

  /** Requires that this is no model of fastText. */
  public void requireOwn() {
    if (fastText != null) {
      throw new InvalidInputException(
          "model: is of fastText, which is only read; expected one that train wrote");
    }
  }

  public static InvalidInputException notFinite() {
    return new InvalidInputException("model: its weights are not finite");
  }

  /** The k most probable labels of a text, best first; see {@link #predict(Example, int)}. */
  public List<Prediction> predict(String text, int k) {
    return predict(Example.ofText(text), k);
  }

  /**
   * The k most probable labels of an example, best first. Its own labels do not matter.
   *
   * @throws IllegalArgumentException if k is less than 1, or if the example is a text and the model
   *     was trained on features, or the other way round
   * @throws InvalidInputException if weights of the model that this needs are not finite
   */
  public List<Prediction> predict(Example example, int k) {
    return predict(example, PredictionOptions.top(k));
  }

  /** The labels of an example; see {@link #predict(List, PredictionOptions)}. */
  public List<Prediction> predict(Example example, PredictionOptions options) {
    return predict(List.of(requireNonNull(example, "example")), options).get(0);
  }

  /** The k most probable labels of each example; see {@link #predict(List, PredictionOptions)}. */
  public List<List<Prediction>> predict(List<Example> examples, int k) {
    return predict(examples, PredictionOptions.top(k));
  }

  /**
   * The most probable labels of each example, best first, with a threshold, a filter or both. One
   * call for many examples is faster than many calls. Errors as {@link #predict(Example, int)}.
   *
   * @throws IllegalArgumentException if the filter allows only labels that the model does not know
   */
  public List<List<Prediction>> predict(List<Example> examples, PredictionOptions options) {
    Check.noNulls("examples", examples);
    Filter allowed = options.filter().outputs(names());
    List<List<Prediction>> all = new ArrayList<>(examples.size());
    for (int begin = 0; begin < examples.size(); begin += BATCH) {
      int end = Math.min(examples.size(), begin + BATCH);
      List<Example> batch = examples.subList(begin, end);
      try (SparseRows features = input.of(batch)) {
        reportUnknown(batch, features, options.unknown());
        Ranking ranking =
            fastText == null
                ? rank(features, options, allowed)
                : requireDefined(topKOfFastText(features, options.top(), options.filter()));
        for (int row = 0; row < ranking.batch(); row++) {
          all.add(predictions(ranking, row, options.threshold()));
        }
      }
    }
    return all;
  }

  /**
   * Explains why an example has a label: the share of each head, and the features behind it. Heads
   * of weight 0 and features that add nothing are left out. The probability is 0 if nothing speaks
   * for or against the label.
   *
   * @throws InvalidInputException if the model is of fastText, or weights that this needs are not
   *     finite
   * @throws IllegalArgumentException if the model does not know the label; also as {@link
   *     #predict(Example, int)}
   */
  public Explanation explain(Example example, String label) {
    InputRows rows = input();
    int output = names().output(label);
    if (output < 0) {
      throw new IllegalArgumentException("label: the model does not know '" + label + "'");
    }
    Map<Integer, String> names = rows.names(example);
    Prediction prediction;
    MixtureExplanation all;
    try (SparseRows row = rows.of(List.of(example));
        HeadRows x = rows(row)) {
      prediction =
          predictions(rank(row, 1, Filter.only(output)), 0, 0).stream()
              .findFirst()
              .orElse(new Prediction(label, Float.NEGATIVE_INFINITY));
      all = heads.explain(x.rows(), output);
    }
    List<Explanation.Share> shares =
        all.shares().stream()
            .filter(share -> share.weight() > 0)
            .map(share -> named(share, names, rowOf(share.scorer())))
            .toList();
    double added = shares.stream().mapToDouble(Explanation.Share::score).sum();
    return new Explanation(prediction, all.score(), all.score() - added, shares);
  }

  /** The row of a feature of a head. */
  private IntUnaryOperator rowOf(String head) {
    FeatureVocabulary all = input().vocabulary();
    return head.equals(Heads.EMBEDDING) && bag.vocabulary() < all.rows()
        ? all::rowOfOther
        : row -> row;
  }

  private static Explanation.Share named(
      MixtureExplanation.Share share, Map<Integer, String> names, IntUnaryOperator rowOf) {
    List<Explanation.Feature> features =
        share.terms().stream()
            .filter(term -> term.contribution() != 0)
            .map(
                term ->
                    new Explanation.Feature(
                        names.get(rowOf.applyAsInt(term.feature())),
                        share.weight() * term.contribution()))
            .toList();
    return new Explanation.Share(
        share.scorer(), share.weight() * (share.score() - share.constant()), features);
  }

  private static void reportUnknown(
      List<Example> examples, SparseRows features, Consumer<Example> unknown) {
    for (int row = 0; row < examples.size(); row++) {
      if (features.size(row) == 0) {
        unknown.accept(examples.get(row));
      }
    }
  }

  private static List<Prediction> predictions(Ranking ranking, int row, double threshold) {
    List<Prediction> found = new ArrayList<>(ranking.size(row));
    for (int rank = 0; rank < ranking.size(row); rank++) {
      Prediction prediction =
          new Prediction(ranking.label(row, rank), ranking.logProbability(row, rank));
      if (!prediction.isAtLeast(threshold)) {
        break; // so are all others
      }
      found.add(prediction);
    }
    return found;
  }

  private Ranking rank(SparseRows features, int k, Filter allowed) {
    try (HeadRows x = rows(features)) {
      return requireDefined(heads.topK(x.rows(), k, allowed));
    }
  }

  /** A search for all labels above a threshold ends earlier than one for all labels. */
  private Ranking rank(SparseRows features, PredictionOptions options, Filter allowed) {
    return options.top() >= names().size() && options.threshold() > 0
        ? atLeast(features, options.threshold(), allowed)
        : rank(features, options.top(), allowed);
  }

  private HeadRows rows(SparseRows features) {
    return HeadRows.of(heads, features, input().vocabulary());
  }

  private Ranking atLeast(SparseRows features, double probability, Filter allowed) {
    try (HeadRows x = rows(features)) {
      return requireDefined(
          heads.calibration().isPresent()
              ? heads.atLeast(x.rows(), probability, allowed)
              : heads.atLeastScore(x.rows(), Prediction.logThreshold(probability), allowed));
    }
  }

  private Ranking topKOfFastText(SparseRows features, int k, LabelFilter filter) {
    Labels labels = fastText.labels();
    return fastText.topK(features, k, filter.outputs(labels), () -> filter.allowed(labels));
  }

  /**
   * All rows have a ranking.
   *
   * @throws InvalidInputException if weights of the model are not finite
   */
  public static Ranking requireDefined(Ranking ranking) {
    for (int row = 0; row < ranking.batch(); row++) {
      if (!ranking.isDefined(row)) {
        throw notFinite();
      }
    }
    return ranking;
  }

  /**
   * Measures the ranking of the first labels on examples with labels. Labels that the model does
   * not know count as missed; examples without labels do not count. The stream may be parallel.
   *
   * @param upTo the largest k of the metrics
   * @throws InvalidInputException if weights of the model are not finite
   */
  public Metrics evaluate(Stream<Example> examples, int upTo) {
    Metrics metrics = metrics(upTo);
    forBatches(examples, (batch, numbered) -> measure(numbered, upTo, metrics));
    return metrics;
  }

  /**
   * Measures the ranking, and the decisions by a threshold.
   *
   * @param threshold the minimum probability of a predicted label, in [{@link
   *     Decisions#LEAST_THRESHOLD}, 1]
   * @param unknown receives each example for which {@link #knowsFeatureOf} is false
   * @throws IllegalArgumentException also if the threshold is outside
   */
  public Evaluation evaluate(
      Stream<Example> examples, int upTo, double threshold, Consumer<Example> unknown) {
    Metrics metrics = metrics(upTo);
    Decisions decisions = decisions(threshold);
    forBatches(
        examples,
        (batch, numbered) -> {
          reportUnknown(batch, numbered.features(), unknown);
          batch.forEach(example -> addUnknownLabels(example, decisions));
          measure(numbered, upTo, metrics);
          decide(numbered, decisions);
        });
    return new Evaluation(metrics, decisions);
  }

  private void addUnknownLabels(Example example, Decisions decisions) {
    example.labels().stream()
        .distinct()
        .filter(label -> !knows(label))
        .forEach(decisions::addUnknown);
  }

  private Metrics metrics(int upTo) {
    return hasPropensities()
        ? Metrics.upTo(upTo, labelCounts().propensities(MOST_UNKNOWN))
        : Metrics.upTo(upTo);
  }

  /** Calls a function with each batch, one at a time, also for a parallel stream. */
  private void forBatches(
      Stream<Example> examples, BiConsumer<List<Example>, NumberedExamples> use) {
    List<Example> batch = new ArrayList<>(BATCH);
    examples.forEachOrdered(
        example -> {
          batch.add(example);
          if (batch.size() == BATCH) {
            use(batch, use);
            batch.clear();
          }
        });
    if (!batch.isEmpty()) {
      use(batch, use);
    }
  }

  private void use(List<Example> batch, BiConsumer<List<Example>, NumberedExamples> use) {
    try (NumberedExamples numbered = numbered(batch)) {
      use.accept(batch, numbered);
    }
  }

  /** Examples with labels as this has them. */
  public NumberedExamples numbered(List<Example> examples) {
    SparseRows features = input.of(examples);
    try {
      List<int[]> labels = examples.stream().map(this::numbers).toList();
      return new NumberedExamples(features, SparseRows.of(labels));
    } catch (Throwable e) {
      features.close();
      throw e;
    }
  }

  /** Adds to metrics how good the ranking is on examples; see {@link #evaluate}. */
  public void measure(NumberedExamples examples, int upTo, Metrics metrics) {
    Ranking ranking =
        fastText == null
            ? rank(examples.features(), upTo, Filter.without())
            : requireDefined(
                topKOfFastText(examples.features(), upTo, LabelFilter.without(List.of())));
    metrics.add(ranking, examples.labels());
  }

  /**
   * The logarithm of the probability of the likeliest right label of each example that has labels;
   * negative infinity if the model knows none of these.
   */
  public float[] rightLogProbabilities(NumberedExamples examples) {
    List<int[]> known = new ArrayList<>();
    for (int row = 0; row < examples.size(); row++) {
      known.add(
          Arrays.stream(examples.labels().indices(row))
              .filter(label -> label < names().size())
              .toArray());
    }
    float[] right = new float[examples.size()];
    int count = 0;
    try (SparseRows allowed = SparseRows.of(known)) {
      Ranking ranking = rank(examples.features(), 1, Filter.only(allowed));
      for (int row = 0; row < right.length; row++) {
        if (examples.labels().size(row) > 0) {
          right[count++] =
              ranking.size(row) == 0
                  ? Float.NEGATIVE_INFINITY
                  : Math.min(0, ranking.logProbability(row, 0));
        }
      }
    }
    return Arrays.copyOf(right, count);
  }

  /**
   * Counts the labels that reach a threshold as a set; see {@link #thresholdOfSets}.
   *
   * @param examples those without labels do not count
   * @param threshold the minimum probability of a label of a set, in [0, 1]
   * @throws InvalidInputException if weights of the model are not finite
   */
  public SetCounts evaluateSets(Stream<Example> examples, double threshold) {
    requireOwn();
    SetCounts counts = new SetCounts(labelCountsOrNull());
    forBatches(
        examples,
        (batch, numbered) -> {
          Ranking sets =
              threshold > 0
                  ? atLeast(numbered.features(), threshold, Filter.without())
                  : rank(numbered.features(), names().size(), Filter.without());
          counts.add(sets, numbered.labels());
        });
    return counts;
  }

  /** Decisions of this model, none so far. */
  public Decisions decisions(double threshold) {
    return new Decisions(names(), threshold);
  }

  /** Adds the decisions on examples. */
  public void decide(NumberedExamples examples, Decisions decisions) {
    Ranking all =
        fastText == null
            ? atLeast(examples.features(), Decisions.LEAST_THRESHOLD, Filter.without())
            : requireDefined(fastText.atLeast(examples.features(), Decisions.LEAST_THRESHOLD));
    decisions.add(all, examples.labels());
  }

  /**
   * The labels of an example; those that are not known get numbers that no output has, {@link
   * #MOST_UNKNOWN} at most.
   */
  private int[] numbers(Example example) {
    List<String> names = example.labels().stream().distinct().toList();
    int[] numbers = new int[names.size()];
    int unknown = 0;
    for (int i = 0; i < numbers.length; i++) {
      int output = names().output(names.get(i));
      numbers[i] = output >= 0 ? output : names().size() + Math.min(unknown++, MOST_UNKNOWN - 1);
    }
    return numbers;
  }

  /**
   * Whether the model has the label counts of a training with at least three examples. Then {@link
   * #evaluate} measures propensity-scored precision.
   */
  public boolean hasPropensities() {
    return metadata.containsKey(ClassifierFile.LABEL_COUNTS) && labelCounts().havePropensities();
  }

  /** As {@link #labelCounts}; null if the model has none. */
  public LabelCounts labelCountsOrNull() {
    return metadata.containsKey(ClassifierFile.LABEL_COUNTS) ? labelCounts() : null;
  }

  private LabelCounts labelCounts() {
    return LabelCounts.decode(metadata.get(ClassifierFile.LABEL_COUNTS), names().size());
  }

  /**
   * The threshold of a label's probability with the highest micro F1 on the validation examples of
   * the training, or else on those that it held out; empty if there were none.
   */
  public OptionalDouble threshold() {
    return ClassifierFile.threshold(metadata);
  }

  /**
   * The minimum probability of the labels of a set that holds a right label in a share of future
   * texts, if these are like those that the training held out: {@code
   * PredictionOptions.top(labels().size()).withThreshold(thresholdOfSets(0.9).getAsDouble())} finds
   * the sets. A set holds many labels where a text leaves many open, and may hold none. See {@link
   * PredictionSets}.
   *
   * @return empty if the training held out no examples; 0, the threshold of all labels, if it held
   *     out too few for this coverage
   * @throws IllegalArgumentException unless the coverage is above 0 and below 1
   */
  public OptionalDouble thresholdOfSets(double coverage) {
    if (!(coverage > 0 && coverage < 1)) {
      throw new IllegalArgumentException(
          "coverage: expected a number above 0 and below 1 but was " + coverage);
    }
    PredictionSets sets = ClassifierFile.predictionSetsOrNull(metadata);
    return sets == null ? OptionalDouble.empty() : OptionalDouble.of(sets.threshold(coverage));
  }

  /**
   * The type of the stored weights: FLOAT32 after training, or fewer bits; with two heads, the type
   * of the embedding head.
   */
  public ElementType weightType() {
    if (fastText != null) {
      return ElementType.FLOAT32;
    }
    return layer == null ? tree.weightType() : layer.weightType();
  }

  /** The heads of the model. */
  public ModelHead head() {
    return tree == null ? ModelHead.EMBEDDING : layer == null ? ModelHead.LINEAR : ModelHead.BOTH;
  }

  private Labels names() {
    if (fastText != null) {
      return fastText.labels();
    }
    return layer == null ? tree.labels() : layer.labels();
  }

  /**
   * Whether the model {@linkplain org.blocksparse.classifier.training.TrainingOptions#withLabelTree
   * learns each label by itself}.
   */
  public boolean hasLabelTree() {
    return fastText == null ? layer instanceof LabelTree : fastText.isOneVsAll();
  }

  /** Whether the model was trained on texts; if not, on features. */
  public boolean takesText() {
    return input.text();
  }

  /**
   * The prefix of labels in files of examples, which {@link
   * org.blocksparse.classifier.training.TrainingOptions#withLabelPrefix} has set; pass it to {@link
   * ExampleReader#open}.
   */
  public String labelPrefix() {
    return fastText == null
        ? ClassifierFile.labelPrefix(metadata)
        : FastTextDictionary.LABEL_PREFIX;
  }

  /** Whether the training had a label. */
  public boolean knows(String label) {
    return names().output(label) >= 0;
  }

  /**
   * Whether the training kept a feature of an example. If it kept none, the prediction is that for
   * an empty text: it shows only the frequency of labels. With {@link
   * org.blocksparse.classifier.training.TrainingOptions#withSharedRows}, every feature counts as
   * known.
   *
   * @throws IllegalArgumentException if the example is a text and the model was trained on
   *     features, or the other way round
   */
  public boolean knowsFeatureOf(Example example) {
    return input.hasRow(example);
  }

  /** All labels, by number. */
  public List<String> labels() {
    return names().names();
  }

  /**
   * The labels in each class of the layer.
   *
   * @throws InvalidInputException if the model has no {@linkplain ModelHead#EMBEDDING embedding
   *     head}
   */
  public List<List<String>> classes() {
    requireOwn();
    if (layer == null) {
      throw new InvalidInputException(
          "model: has no classes, as its head is linear; train with ModelHead.EMBEDDING or"
              + " ModelHead.BOTH");
    }
    ClassAssignment assignment = layer.assignment();
    List<List<String>> classes = new ArrayList<>();
    for (int c = 0; c < assignment.classCount(); c++) {
      List<String> members = new ArrayList<>();
      for (int slot = 0; slot < assignment.size(c); slot++) {
        members.add(layer.labels().name(assignment.output(c, slot)));
      }
      classes.add(members);
    }
    return classes;
  }

  /** The off-heap memory of the model: mapped bytes and private bytes. */
  public MemoryUse memoryUse() {
    return fastText == null ? heads.memoryUse() : fastText.memoryUse();
  }

  /** The model card: sizes, memory and facts on the training, in the order of their names. */
  public Map<String, String> info() {
    Map<String, String> info = card().facts();
    info.put("input", input.text() ? "text" : "features");
    info.put("head", head().name().toLowerCase(Locale.ROOT));
    info.put("labels", Integer.toString(names().size()));
    info.put("weights", weightType().toString());
    if (fastText != null) {
      info.putAll(fastText.info());
    }
    if (layer != null) {
      info.put("rows of the table", Integer.toString(bag.vocabulary()));
      info.put("dimension", Integer.toString(bag.features()));
      info.put("layer", layer.getClass().getSimpleName());
      info.put("classes", layer.assignment().toString());
    }
    if (tree != null) {
      info.put("linear features", Integer.toString(tree.features()));
      info.put("linear clusters", Integer.toString(tree.clusterCount()));
      info.put("linear weights", tree.weightCount() + " of " + tree.weightType());
    }
    MemoryUse memory = memoryUse();
    info.put("mapped bytes", Long.toString(memory.mappedBytes()));
    if (neighbours != null) {
      info.put("neighbours", neighbours.k() + " of " + neighbours.examples().outputs());
    }
    if (texts != null) {
      float[] weights = heads.weights();
      info.put("weight of label texts", ModelCard.decimals(weights[1] / (weights[0] + weights[1])));
    }
    info.put("private bytes", Long.toString(memory.privateBytes()));
    return info;
  }

  /**
   * Writes all parameters as a NumPy archive: {@code table, W1, b1, W2, b2, classOf, slotOf}, and
   * {@code keys}, the key of each row's feature in two halves. Weights in fewer bits are written as
   * float32.
   *
   * @throws InvalidInputException if the model has a {@linkplain ModelHead#LINEAR linear head}
   * @throws IOException if the file cannot be written; an old one is unchanged
   */
  public void export(Path npz) throws IOException {
    requireNonNull(npz, "npz");
    requireOwn();
    if (tree != null) {
      throw new InvalidInputException(
          "model: has a linear head, which is not exported; train with ModelHead.EMBEDDING");
    }
    if (weightType() == ElementType.FLOAT32) {
      writeFloats(npz);
      return;
    }
    try (EmbeddingBag wideBag = bag.withWeights(ElementType.FLOAT32);
        TwoLevelLayer<?> wideLayer = layer.withWeights(ElementType.FLOAT32)) {
      with(Heads.of(wideBag, wideLayer, null)).writeFloats(npz);
    }
  }

  private void writeFloats(Path npz) throws IOException {
    ClassAssignment assignment = layer.assignment();
    int outputs = assignment.outputs();
    int[] classOf = new int[outputs];
    int[] slotOf = new int[outputs];
    for (int output = 0; output < outputs; output++) {
      classOf[output] = assignment.classOf(output);
      slotOf[output] = assignment.slotOf(output);
    }
    try (IntTensor classes = IntTensor.of(classOf, outputs);
        IntTensor slots = IntTensor.of(slotOf, outputs);
        IntTensor keys = input().vocabulary().keys()) {
      Map<String, Tensor> tensors = new TreeMap<>();
      tensors.put("table", bag.table());
      tensors.put("W1", layer.W1());
      tensors.put("b1", layer.b1());
      tensors.put("W2", layer.W2());
      tensors.put("b2", layer.b2());
      tensors.put("classOf", classes);
      tensors.put("slotOf", slots);
      tensors.put("keys", keys);
      NpzFile.write(npz, tensors);
    }
  }

  /** Facts on the training; may be changed until others see this. */
  public ModelCard card() {
    return new ModelCard(metadata);
  }

  public Map<String, String> metadata() {
    return metadata;
  }

  /**
   * The rows of a model that train wrote.
   *
   * @throws InvalidInputException if it is of fastText
   */
  public InputRows input() {
    requireOwn();
    return (InputRows) input;
  }

  public EmbeddingBag bag() {
    return bag;
  }

  public TwoLevelLayer<?> layer() {
    return layer;
  }

  /** The linear head, or null. */
  public LinearLabelTree tree() {
    return tree;
  }

  /** Beside the linear head; or null. */
  public NearestExamples neighbours() {
    return neighbours;
  }

  /** Texts of labels, beside the linear head; or null. */
  public SparseWeights texts() {
    return texts;
  }

  /** The sum of the heads; null if this is a model of fastText. */
  public Mixture heads() {
    return heads;
  }

  @Override
  public void close() {
    if (fastText != null) {
      fastText.close();
    }
    if (heads != null) {
      heads.close();
    }
  }

  @Override
  public String toString() {
    if (fastText != null) {
      return "Classifier(" + fastText + ")";
    }
    String embedding = layer == null ? "" : bag + ", " + layer;
    String both = layer == null || tree == null ? "" : ", ";
    return "Classifier(" + embedding + both + (tree == null ? "" : tree) + ")";
  }
}
