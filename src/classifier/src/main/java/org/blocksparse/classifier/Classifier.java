// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier;

import static java.util.Objects.requireNonNull;

import java.io.IOException;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.function.BiConsumer;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.stream.Stream;
import org.blocksparse.ElementType;
import org.blocksparse.MemoryUse;
import org.blocksparse.SparseRows;
import org.blocksparse.bag.EmbeddingBag;
import org.blocksparse.classifier.examples.Example;
import org.blocksparse.classifier.examples.ExampleReader;
import org.blocksparse.classifier.examples.InvalidInputException;
import org.blocksparse.classifier.fasttext.FastTextModel;
import org.blocksparse.classifier.features.ExampleRows;
import org.blocksparse.internal.files.WholeFile;
import org.blocksparse.internal.tensors.Check;
import org.blocksparse.io.LoadOptions;
import org.blocksparse.linear.LinearLabelTree;
import org.blocksparse.ranking.Labels;
import org.blocksparse.ranking.Metrics;
import org.blocksparse.ranking.Ranking;

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
public abstract sealed class Classifier implements AutoCloseable
    permits TrainedClassifier, FastTextClassifier {
  /** The maximum number of unknown labels of an example that are counted. */
  private static final int MOST_UNKNOWN = 1 << 18;

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
   * their numbers, so they are always copied into memory. Such a model is not saved or trained.
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
    requireNonNull(file, "file");
    requireNonNull(options, "options");
    return WholeFile.load(file, () -> loadParts(file, options), Classifier::close);
  }

  private static Classifier loadParts(Path file, LoadOptions options) throws IOException {
    return Files.isRegularFile(file) && FastTextModel.isIn(file) // a pipe is not opened
        ? new FastTextClassifier(FastTextModel.load(file, options.workers()))
        : ClassifierFile.load(file, options);
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
   * Saves as {@link #save(Path)} does, with weights in fewer bits: the model is smaller, and
   * predicts nearly as well. Saving needs memory for a copy of the weights in this type.
   *
   * @throws IllegalArgumentException if a weight is not finite, or too large for the type
   * @throws InvalidInputException if the weights have been rounded before, to another type, or if
   *     biases are not finite
   */
  public abstract void save(Path file, ElementType weights) throws IOException;

  /**
   * Returns the k most probable labels of a text, best first; see {@link #predict(Example, int)}.
   */
  public List<Prediction> predict(String text, int k) {
    return predict(Example.ofText(text), k);
  }

  /**
   * Returns the k most probable labels of an example, best first. Its own labels do not matter.
   *
   * @throws IllegalArgumentException if k is less than 1, or if the example is a text and the model
   *     was trained on features, or the other way round
   * @throws InvalidInputException if weights of the model that this needs are not finite
   */
  public List<Prediction> predict(Example example, int k) {
    return predict(example, PredictionOptions.top(k));
  }

  /** Returns the labels of an example; see {@link #predict(List, PredictionOptions)}. */
  public List<Prediction> predict(Example example, PredictionOptions options) {
    return predict(List.of(requireNonNull(example, "example")), options).get(0);
  }

  /**
   * Returns the k most probable labels of each example; see {@link #predict(List,
   * PredictionOptions)}.
   */
  public List<List<Prediction>> predict(List<Example> examples, int k) {
    return predict(examples, PredictionOptions.top(k));
  }

  /**
   * Returns the most probable labels of each example, best first, with a threshold, a filter or
   * both. One call for many examples is faster than many calls. Errors as {@link #predict(Example,
   * int)}.
   *
   * @throws IllegalArgumentException if the filter allows only labels that the model does not know,
   *     or if {@linkplain PredictionOptions#withNone none} is asked for and the model has no odds
   *     of it, or has a label {@link Prediction#NONE}
   */
  public List<List<Prediction>> predict(List<Example> examples, PredictionOptions options) {
    Check.noNulls("examples", examples);
    if (options.none().isPresent()) {
      return noneOdds()
          .orElseThrow(Classifier::withoutNone)
          .predict(TrainedClassifier.require(this), examples, options);
    }
    Function<SparseRows, Ranking> search = search(options);
    List<List<Prediction>> all = new ArrayList<>(examples.size());
    for (int begin = 0; begin < examples.size(); begin += NumberedExamples.BATCH) {
      int end = Math.min(examples.size(), begin + NumberedExamples.BATCH);
      List<Example> batch = examples.subList(begin, end);
      try (SparseRows features = rows().of(batch)) {
        reportUnknown(batch, features, options.unknown());
        Ranking ranking = Heads.requireDefined(search.apply(features));
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
  public abstract Explanation explain(Example example, String label);

  private static void reportUnknown(
      List<Example> examples, SparseRows features, Consumer<Example> unknown) {
    for (int row = 0; row < examples.size(); row++) {
      if (features.size(row) == 0) {
        unknown.accept(examples.get(row));
      }
    }
  }

  static List<Prediction> predictions(Ranking ranking, int row, double threshold) {
    List<Prediction> found = new ArrayList<>(ranking.size(row));
    for (int rank = 0; rank < ranking.size(row); rank++) {
      Prediction prediction =
          new Prediction(ranking.label(row, rank), ranking.logProbability(row, rank));
      if (!prediction.isAtLeast(threshold)) {
        break; // all others exist, too
      }
      found.add(prediction);
    }
    return found;
  }

  /** Returns the rows of examples. */
  abstract ExampleRows rows();

  /** Returns the names of the outputs. */
  abstract Labels names();

  /**
   * Returns the search for the best labels of rows, before the threshold: a row is undefined if
   * weights that it needs are not finite.
   *
   * @throws IllegalArgumentException if the filter allows only labels that the model does not know
   */
  abstract Function<SparseRows, Ranking> search(PredictionOptions options);

  /** Returns all labels of rows with at least some probability; rows may be undefined as above. */
  abstract Ranking atLeast(SparseRows features, double probability);

  /** Returns the label counts of the training; empty if the model has none. */
  abstract Optional<LabelCounts> labelCounts();

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
        ? Metrics.upTo(upTo, labelCounts().orElseThrow().propensities(MOST_UNKNOWN))
        : Metrics.upTo(upTo);
  }

  /** Calls a function with each batch, one at a time, also for a parallel stream. */
  final void forBatches(Stream<Example> examples, BiConsumer<List<Example>, NumberedExamples> use) {
    forBatches(examples, batch -> use(batch, use));
  }

  private static void forBatches(Stream<Example> examples, Consumer<List<Example>> use) {
    List<Example> batch = new ArrayList<>(NumberedExamples.BATCH);
    examples.forEachOrdered(
        example -> {
          batch.add(example);
          if (batch.size() == NumberedExamples.BATCH) {
            use.accept(batch);
            batch.clear();
          }
        });
    if (!batch.isEmpty()) {
      use.accept(batch);
    }
  }

  private void use(List<Example> batch, BiConsumer<List<Example>, NumberedExamples> use) {
    try (NumberedExamples numbered = numbered(batch)) {
      use.accept(batch, numbered);
    }
  }

  /** Returns examples with the label numbers of this model. */
  NumberedExamples numbered(List<Example> examples) {
    SparseRows features = rows().of(examples);
    try {
      List<int[]> labels = examples.stream().map(this::numbers).toList();
      return new NumberedExamples(features, SparseRows.of(labels));
    } catch (Throwable e) {
      features.close();
      throw e;
    }
  }

  /** Adds to metrics how good the ranking is on examples; see {@link #evaluate}. */
  void measure(NumberedExamples examples, int upTo, Metrics metrics) {
    Ranking ranking = search(PredictionOptions.top(upTo)).apply(examples.features());
    metrics.add(Heads.requireDefined(ranking), examples.labels());
  }

  /**
   * Counts the labels that reach a threshold as a set; see {@link #thresholdOfSets}.
   *
   * @param examples the examples; those without labels do not count
   * @param threshold the minimum probability of a label of a set, in [0, 1]
   * @throws InvalidInputException if weights of the model are not finite
   */
  public abstract SetCounts evaluateSets(Stream<Example> examples, double threshold);

  /**
   * Measures predictions of {@link Prediction#NONE} on examples some of which have no label that
   * the model knows.
   *
   * @param share see {@link PredictionOptions#withNone}
   */
  public NoneMetrics evaluateNone(Stream<Example> examples, double share) {
    NoneMetrics metrics = new NoneMetrics();
    PredictionOptions first = PredictionOptions.top(1);
    PredictionOptions withNone = first.withNone(share);
    forBatches(
        examples,
        batch -> {
          List<List<Prediction>> answers = predict(batch, withNone);
          List<List<Prediction>> alone = predict(batch, first);
          for (int e = 0; e < batch.size(); e++) {
            List<String> labels = batch.get(e).labels();
            boolean isNone = labels.stream().noneMatch(this::knows);
            metrics.add(answers.get(e), alone.get(e).get(0), labels, isNone);
          }
        });
    return metrics;
  }

  /** Returns whether the model predicts {@link Prediction#NONE}. */
  public boolean hasNone() {
    return noneOdds().isPresent();
  }

  /** Returns the odds that no label applies; empty if the training was not asked for them. */
  abstract Optional<NoneOdds> noneOdds();

  private static IllegalArgumentException withoutNone() {
    return new IllegalArgumentException(
        "none: expected a model that was trained with TrainingOptions.withNone");
  }

  /** Returns decisions of this model, none so far. */
  Decisions decisions(double threshold) {
    return new Decisions(names(), threshold);
  }

  /** Adds the decisions on examples. */
  void decide(NumberedExamples examples, Decisions decisions) {
    Ranking all = atLeast(examples.features(), Decisions.LEAST_THRESHOLD);
    decisions.add(Heads.requireDefined(all), examples.labels());
  }

  /**
   * Returns the labels of an example; those that are not known get numbers that no output has,
   * {@link #MOST_UNKNOWN} at most.
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
   * Returns whether the model has the label counts of a training with at least three examples. Then
   * {@link #evaluate} measures propensity-scored precision.
   */
  public boolean hasPropensities() {
    return labelCounts().filter(LabelCounts::havePropensities).isPresent();
  }

  /**
   * Returns the threshold of a label's probability with the highest micro F1 on the validation
   * examples of the training, or else on those that it held out; empty if there were none.
   */
  public abstract OptionalDouble threshold();

  /**
   * Returns whether more than a tenth of the examples of the training had several labels. Then
   * {@link #threshold} is where the command {@code predict} ends by default. Models of earlier
   * versions, which do not store it, return false.
   */
  public abstract boolean hasSeveralLabels();

  /**
   * Returns the minimum probability of the labels of a set that holds a right label in a share of
   * future texts, if these are like those that the training held out: {@code
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
    return predictionSets().stream().mapToDouble(sets -> sets.threshold(coverage)).findFirst();
  }

  /** Returns the prediction sets of the training; empty if it held out no examples. */
  abstract Optional<PredictionSets> predictionSets();

  /**
   * Returns the type of the stored weights: FLOAT32 after training, or fewer bits; with two heads,
   * the type of the embedding head.
   */
  public abstract ElementType weightType();

  /** Returns the heads of the model. */
  public abstract ModelHead head();

  /**
   * Returns whether the model {@linkplain
   * org.blocksparse.classifier.training.TrainingOptions#withLabelTree learns each label by itself}.
   */
  public abstract boolean hasLabelTree();

  /** Returns whether the model was trained on texts; if not, on features. */
  public boolean takesText() {
    return rows().text();
  }

  /**
   * Returns the prefix of labels in files of examples, which {@link
   * org.blocksparse.classifier.training.TrainingOptions#withLabelPrefix} has set; pass it to {@link
   * ExampleReader#open}.
   */
  public abstract String labelPrefix();

  /** Returns whether the training had a label. */
  public boolean knows(String label) {
    return names().output(label) >= 0;
  }

  /**
   * Returns whether the training kept a feature of an example. If it kept none, the prediction is
   * that for an empty text: it shows only the frequency of labels.
   *
   * @throws IllegalArgumentException if the example is a text and the model was trained on
   *     features, or the other way round
   */
  public boolean knowsFeatureOf(Example example) {
    return rows().hasRow(example);
  }

  /** Returns all labels, by number. */
  public List<String> labels() {
    return names().names();
  }

  /**
   * Returns the labels in each class of the layer.
   *
   * @throws InvalidInputException if the model has no {@linkplain ModelHead#EMBEDDING embedding
   *     head}
   */
  public abstract List<List<String>> classes();

  /** Returns the off-heap memory of the model: mapped bytes and private bytes. */
  public abstract MemoryUse memoryUse();

  /**
   * Returns the model card: sizes, memory and facts on the training, in the order of their names.
   */
  public Map<String, String> info() {
    Map<String, String> info = facts();
    info.put("input", rows().text() ? "text" : "features");
    info.put("head", head().name().toLowerCase(Locale.ROOT));
    info.put("labels", Integer.toString(names().size()));
    info.put("weights", weightType().toString());
    MemoryUse memory = memoryUse();
    info.put("mapped bytes", Long.toString(memory.mappedBytes()));
    info.put("private bytes", Long.toString(memory.privateBytes()));
    return info;
  }

  /**
   * Returns the facts that only models of this kind have, sorted by name; the caller adds others.
   */
  abstract Map<String, String> facts();

  @Override
  public abstract void close();
}
