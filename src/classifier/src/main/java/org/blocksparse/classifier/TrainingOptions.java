// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier;

import static java.util.Objects.requireNonNull;

import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.function.BooleanSupplier;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.blocksparse.ElementType;
import org.blocksparse.Workers;
import org.blocksparse.softmax.ClassAssignment;
import org.blocksparse.softmax.LabelTree;

/**
 * Options of training a {@link Classifier}. The defaults suit most texts. Immutable: {@code
 * TrainingOptions.defaults().withEpochs(10).withSeed(7)}.
 */
public final class TrainingOptions {
  /** More rows than these cannot be named in the header of a model file. */
  static final int MOST_FEATURES = 1_000_000;

  /** Fewer examples make a small model with all words in a row, and need them: most occur once. */
  private static final int EXAMPLES_OF_LARGE_MODELS = 20_000;

  /** Defaults of epochs and batches, by the number of examples. */
  private static final int EXAMPLES_TO_SEE = 750_000;

  private static final int FEWEST_EPOCHS = 3;

  /** An epoch learns one label of each example: so many for each let nearly all have their turn. */
  private static final double FEWEST_EPOCHS_OF_A_LABEL = 1.5;

  /**
   * More than these for each label of an example is to learn by heart, unless there are few
   * examples: of these it takes so many epochs that so many are seen.
   */
  private static final int EPOCHS_OF_A_LABEL = 5;

  private static final int FEW_EXAMPLES_TO_SEE = 20_000;

  /** No example has its turn more often, however many labels it has. */
  static final int MOST_EPOCHS = 40;

  private static final int WORD_NGRAMS = 2;

  private static final int DIMENSION = 64;

  private static final int DIMENSION_OF_MANY_LABELS = 128;

  /**
   * From so many labels on, of examples that have several, rare ones gain from that; quality.md.
   */
  private static final int MANY_LABELS = 4096;

  private static final double RATE = 0.2;
  private static final double RATE_FROM_A_MODEL = 0.01;
  private static final double SMOOTHING_OF_A_SOFTMAX = 0.1;

  private static final int STEPS_OF_AN_EPOCH = 256;
  private static final int SMALLEST_BATCH = 16;
  private static final int LARGEST_BATCH = 1024;

  /**
   * So few labels are in one class, where classes are not asked for: two levels know less, above
   * all of few examples. So are more labels, if there are not many of them to score in all steps
   * together, which takes some seconds.
   */
  private static final int FEW_LABELS = 1024;

  private static final long FEW_SCORES = 1_000_000_000;

  /** So large a part of the examples may have several labels where one is the rule. */
  private static final double MOST_WITH_SEVERAL_LABELS = 0.1;

  /** The default of the patience. */
  private static final int LEAST_PATIENCE = 3;

  /**
   * Of all epochs. The steps get smaller until the end, and the small ones make a model better that
   * has been the same for long.
   */
  private static final int PART_OF_PATIENCE = 4;

  private static final TrainingOptions DEFAULTS = new TrainingOptions();

  /** Null: training begins anew. */
  private Classifier initialModel;

  /** 0: the default. */
  private int dimension;

  /** 0: by the number of examples and labels. */
  private int epochs;

  /** Null: by whether there is an initial model. */
  private Double rate;

  /** Null: by the layer. */
  private Double smoothing;

  private boolean labelTree;

  /** Null: by the examples. */
  private ModelHead head;

  private int batch;

  /** 0: the default. */
  private int wordNgrams;

  private boolean plainWords;
  private String labelPrefix = ExampleReader.DEFAULT_LABEL_PREFIX;

  /** 0: once for words, twice for words in a row. */
  private int minCount;

  private int maxFeatures = MOST_FEATURES;
  private int sharedRows;
  private int classes;
  private long seed;
  private List<Example> validation = List.of();

  /** Null: by the labels of the validation examples. */
  private ValidationMetric validationMetric;

  /** 0: by the number of epochs. */
  private int patience;

  /** Zero: no search. */
  private Duration tuning = Duration.ZERO;

  /** Null: that of the system. */
  private Path temporaryFolder;

  private Supplier<Map<String, String>> card = Map::of;
  private Workers workers = Workers.common();
  private TrainingListener listener = new TrainingListener() {};
  private BooleanSupplier stop = () -> false;

  private TrainingOptions() {}

  private TrainingOptions(TrainingOptions that) {
    this.initialModel = that.initialModel;
    this.dimension = that.dimension;
    this.epochs = that.epochs;
    this.rate = that.rate;
    this.smoothing = that.smoothing;
    this.labelTree = that.labelTree;
    this.head = that.head;
    this.batch = that.batch;
    this.wordNgrams = that.wordNgrams;
    this.plainWords = that.plainWords;
    this.labelPrefix = that.labelPrefix;
    this.minCount = that.minCount;
    this.maxFeatures = that.maxFeatures;
    this.sharedRows = that.sharedRows;
    this.classes = that.classes;
    this.seed = that.seed;
    this.validation = that.validation;
    this.validationMetric = that.validationMetric;
    this.patience = that.patience;
    this.tuning = that.tuning;
    this.temporaryFolder = that.temporaryFolder;
    this.card = that.card;
    this.workers = that.workers;
    this.listener = that.listener;
    this.stop = that.stop;
  }

  /** The defaults, which suit most data. */
  public static TrainingOptions defaults() {
    return DEFAULTS;
  }

  private static int inRange(String name, int value, int least, int most) {
    if (value < least || value > most) {
      throw new IllegalArgumentException(
          name + ": expected a number in [" + least + ", " + most + "] but was " + value);
    }
    return value;
  }

  /**
   * A model that training goes on from, with new examples: a copy of it, so that it stays as it is,
   * and the caller's to close. It keeps its features and labels, and those of the examples that it
   * does not know are added: new labels begin in the class that fits their examples best. It
   * forgets some of what the new examples lack: mix some of the old ones in.
   *
   * <p>The model determines dimension, classes, label tree, word n-grams, plain words and shared
   * rows: the methods that set these throw {@link IllegalArgumentException} with an initial model,
   * before or after this one. The default of the {@linkplain #withRate rate} is lower.
   *
   * @throws IllegalArgumentException if its weights are not of FLOAT32, if an option is set that
   *     the model determines, or if it is a label tree and there is smoothing
   */
  public TrainingOptions withInitialModel(Classifier model) {
    if (model.head() != ModelHead.EMBEDDING) {
      throw new IllegalArgumentException(
          "initialModel: expected a model with the head embedding but was "
              + model.head()
              + "; a linear head is trained anew, on old and new examples");
    }
    if (model.weightType() != ElementType.FLOAT32) {
      throw new IllegalArgumentException(
          "initialModel: expected weights of FLOAT32 but was "
              + model.weightType()
              + "; take the model that these were rounded from");
    }
    TrainingOptions changed = new TrainingOptions(this);
    changed.initialModel = model;
    return changed.requireNoConflict();
  }

  /**
   * The size of the vectors between features and labels; by default 64, and 128 for 4,096 labels or
   * more if more than a tenth of the examples have several and there is no linear head. Larger ones
   * learn more and take more time and memory.
   *
   * @throws IllegalArgumentException unless it is in [1, 4096], or with an {@linkplain
   *     #withInitialModel initial model}
   */
  public TrainingOptions withDimension(int value) {
    TrainingOptions changed = new TrainingOptions(this);
    changed.dimension = inRange("dimension", value, 1, 4096);
    return changed.requireNoConflict();
  }

  /**
   * How often each example is learned from, by one of its labels each time. By default as often as
   * makes 750,000, but at least 3 times and 1.5 times for each label that an example has in the
   * mean, and at most 5 times for each; of fewer than 4,000 examples, as often as makes 20,000 for
   * each label. Never more than 40 times; of an example, 40 labels count for the mean at most. With
   * a {@linkplain #withLabelTree label tree}, each time by all of its labels, which count as one.
   *
   * @throws IllegalArgumentException unless it is in [1, 10000]
   */
  public TrainingOptions withEpochs(int value) {
    TrainingOptions changed = new TrainingOptions(this);
    changed.epochs = inRange("epochs", value, 1, 10_000);
    return changed;
  }

  /**
   * How large the first steps are; they get smaller until the end. By default 0.2, and with an
   * {@linkplain #withInitialModel initial model} 0.01, since large steps forget what it knows.
   *
   * @throws IllegalArgumentException unless it is in [1e-20, 100]
   */
  public TrainingOptions withRate(double value) {
    if (!(value >= 1e-20 && value <= 100)) { // of less, floats would not keep the last steps
      throw new IllegalArgumentException(
          "rate: expected a number in [1e-20, 100] but was " + value);
    }
    TrainingOptions changed = new TrainingOptions(this);
    changed.rate = value;
    return changed;
  }

  /**
   * Which share of each example's label is taken to be any label ({@link
   * org.blocksparse.softmax.Loss#withSmoothing}), by default 0.1: what is learned by heart from few
   * examples counts less then. Probabilities are lower by about that share. A {@linkplain
   * #withLabelTree label tree} has none.
   *
   * @param value in [0, 1); 0 is none
   * @throws IllegalArgumentException if it is not, or if it is more than 0 for a label tree
   */
  public TrainingOptions withSmoothing(double value) {
    if (!(value >= 0 && (float) value < 1)) {
      throw new IllegalArgumentException("smoothing: expected a number in [0, 1) but was " + value);
    }
    TrainingOptions changed = new TrainingOptions(this);
    changed.smoothing = value;
    return changed.requireNoConflict();
  }

  /**
   * Each label is there or not, whatever others are: the probability of each is that it is there,
   * and those of all do not sum to one. A {@link LabelTree} then takes the place of the softmax,
   * which finds one right label. It learns from examples without a label, too: that none is there.
   *
   * @throws IllegalArgumentException if there is {@linkplain #withSmoothing smoothing} or an
   *     {@linkplain #withInitialModel initial model}
   */
  public TrainingOptions withLabelTree() {
    TrainingOptions changed = new TrainingOptions(this);
    changed.labelTree = true;
    return changed.requireNoConflict();
  }

  /**
   * The scores of labels that the model is made of. By default {@link ModelHead#BOTH} for 20,000
   * examples or more if more than a tenth of them have several labels, or {@link ModelHead#LINEAR}
   * if there are more labels than examples and no option of an embedding is set; else {@link
   * ModelHead#EMBEDDING}, which it also is for a {@linkplain #withLabelTree label tree}, an
   * {@linkplain #withInitialModel initial model}, {@linkplain #withSharedRows shared rows}, and
   * with {@linkplain #withTuning tuning}.
   *
   * <p>With a linear head, a part of the examples is held out: a tenth, at most 1,000. The scores
   * are calibrated by them, so that a probability of at least one half is right about that often.
   *
   * @throws IllegalArgumentException from {@link Classifier#train} if there is a linear head and an
   *     {@linkplain #withInitialModel initial model}, or if the head is linear alone and options of
   *     an embedding are {@linkplain #withTuning tuned}
   */
  public TrainingOptions withHead(ModelHead value) {
    TrainingOptions changed = new TrainingOptions(this);
    changed.head = requireNonNull(value, "head");
    return changed;
  }

  /** Smoothing is refused with a label tree, and the shape of a new model with an initial one. */
  private TrainingOptions requireNoConflict() {
    if (initialModel != null) {
      requireUnset("dimension", dimension == 0);
      requireUnset("classes", classes == 0);
      requireUnset("labelTree", !labelTree);
      requireUnset("wordNgrams", wordNgrams == 0);
      requireUnset("plainWords", !plainWords);
      requireUnset("sharedRows", sharedRows == 0);
    }
    if (labelTree() && smoothing() > 0) {
      throw new IllegalArgumentException(
          "smoothing: expected 0 for a label tree but was " + smoothing);
    }
    return this;
  }

  private static void requireUnset(String name, boolean isUnset) {
    if (!isUnset) {
      throw new IllegalArgumentException(name + ": expected no initialModel as well, which has it");
    }
  }

  /**
   * How many examples make a step. More are faster, but learn less in an epoch. By default a 256th
   * of the examples, but at least 16 and at most 1024.
   *
   * @throws IllegalArgumentException unless it is in [1, 65536]
   */
  public TrainingOptions withBatch(int value) {
    TrainingOptions changed = new TrainingOptions(this);
    changed.batch = inRange("batch", value, 1, 1 << 16);
    return changed;
  }

  /**
   * How many words that follow each other make a feature: 1 is each word alone, 2, the default,
   * also all pairs of neighbors.
   *
   * @throws IllegalArgumentException unless it is in [1, 5], or with an {@linkplain
   *     #withInitialModel initial model}
   */
  public TrainingOptions withWordNgrams(int value) {
    TrainingOptions changed = new TrainingOptions(this);
    changed.wordNgrams = inRange("wordNgrams", value, 1, 5);
    return changed.requireNoConflict();
  }

  /**
   * Words are what white space separates, and nothing else is made of a text, as in fastText. By
   * default, texts are in lower case, and words are the runs of letters and digits; a piece between
   * white space that has several words counts as a whole, too.
   *
   * @throws IllegalArgumentException if there is an {@linkplain #withInitialModel initial model}
   */
  public TrainingOptions withPlainWords() {
    TrainingOptions changed = new TrainingOptions(this);
    changed.plainWords = true;
    return changed.requireNoConflict();
  }

  /**
   * The prefix of labels in the file of the examples, for those who {@linkplain
   * Classifier#labelPrefix read} others like it; by default {@link
   * ExampleReader#DEFAULT_LABEL_PREFIX}. It is not part of the names of labels.
   *
   * @throws IllegalArgumentException if it is empty, longer than 1000 characters, or holds white
   *     space or half of a pair of surrogates
   */
  public TrainingOptions withLabelPrefix(String value) {
    TrainingOptions changed = new TrainingOptions(this);
    changed.labelPrefix = LineParser.requireLabelPrefix(value);
    return changed;
  }

  /**
   * How often a feature has to occur to be kept; by default once; from 20,000 examples on twice for
   * several words in a row, which are most of all features. Of what is kept then, {@link
   * #withMaxFeatures} is the most.
   *
   * @throws IllegalArgumentException if it is less than 1
   */
  public TrainingOptions withMinCount(int value) {
    TrainingOptions changed = new TrainingOptions(this);
    changed.minCount = inRange("minCount", value, 1, Integer.MAX_VALUE);
    return changed;
  }

  /**
   * How many features are kept; by default a million, which is also the most. If there are more,
   * the most frequent ones are kept: words alone for one half, and for the other whatever else is
   * frequent. For more, features have to share rows.
   *
   * @throws IllegalArgumentException unless it is in [1, 1000000]
   */
  public TrainingOptions withMaxFeatures(int value) {
    TrainingOptions changed = new TrainingOptions(this);
    changed.maxFeatures = inRange("maxFeatures", value, 1, MOST_FEATURES);
    return changed;
  }

  /**
   * All features share so many rows, by their hashes: nothing is counted and nothing is left out,
   * and features that training has never seen get the row of others. For more kinds of features
   * than a vocabulary can hold.
   *
   * @param rows 0, the default: each feature that is kept has a row of its own
   * @throws IllegalArgumentException unless it is in [0, 100000000], or if it is not 0 with an
   *     {@linkplain #withInitialModel initial model}
   */
  public TrainingOptions withSharedRows(int rows) {
    TrainingOptions changed = new TrainingOptions(this);
    changed.sharedRows = inRange("sharedRows", rows, 0, 100_000_000);
    return changed.requireNoConflict();
  }

  /**
   * How many classes the labels are put into.
   *
   * @param value 0, the default, is 1, which is a plain softmax, for up to 1024 labels, or if nine
   *     of ten examples have one label and labels times examples times epochs are at most a
   *     billion, and {@link ClassAssignment#defaultCount} otherwise; more than there are labels are
   *     as many as there are labels
   * @throws IllegalArgumentException if it is negative, or not 0 with an {@linkplain
   *     #withInitialModel initial model}
   */
  public TrainingOptions withClasses(int value) {
    TrainingOptions changed = new TrainingOptions(this);
    changed.classes = inRange("classes", value, 0, Integer.MAX_VALUE);
    return changed.requireNoConflict();
  }

  /** Equal seeds, options and examples give equal models, with any workers. By default 0. */
  public TrainingOptions withSeed(long value) {
    TrainingOptions changed = new TrainingOptions(this);
    changed.seed = value;
    return changed;
  }

  /**
   * Held-out examples, which training does not learn from. After each epoch, the model is measured
   * on them by the {@linkplain #withValidationMetric metric}. The best model is kept, the first of
   * equals; training ends early if the {@linkplain #withPatience patience} runs out. At the end,
   * the {@linkplain Classifier#threshold threshold} with the highest F1 on them becomes part of the
   * model.
   *
   * @param examples of the same kind as the training examples; read to the end here. Those without
   *     a label are not measured
   * @throws IllegalArgumentException if no example has a label
   */
  public TrainingOptions withValidation(Stream<Example> examples) {
    TrainingOptions changed = new TrainingOptions(this);
    changed.validation = examples.toList();
    if (changed.validation.stream().allMatch(example -> example.labels().isEmpty())) {
      throw new IllegalArgumentException("validation: none has a label");
    }
    return changed;
  }

  /**
   * The number of epochs without a better model on the {@linkplain #withValidation validation
   * examples} after which training ends; by default a quarter of all epochs, but at least 3. Steps
   * get smaller until the last epoch, and the last steps usually improve a model: a small patience
   * misses them.
   *
   * @throws IllegalArgumentException if it is less than 1
   */
  public TrainingOptions withPatience(int epochsWithoutProgress) {
    TrainingOptions changed = new TrainingOptions(this);
    changed.patience = inRange("patience", epochsWithoutProgress, 1, Integer.MAX_VALUE);
    return changed;
  }

  /**
   * By what the best model on the {@linkplain #withValidation validation examples} is found. By
   * default nDCG at 5 if more than a tenth of them have several labels, and else precision at 1: of
   * several labels, that measures only one.
   */
  public TrainingOptions withValidationMetric(ValidationMetric value) {
    TrainingOptions changed = new TrainingOptions(this);
    changed.validationMetric = requireNonNull(value, "validationMetric");
    return changed;
  }

  /**
   * Before the training, those of rate, epochs and dimension that are not set are searched for that
   * long: options are tried whole, and those that are best by the {@linkplain #withValidationMetric
   * metric} train the model. How many can be tried depends on the machine; the model is the one
   * that equal options make without a search.
   *
   * @throws IllegalArgumentException unless it is positive
   */
  public TrainingOptions withTuning(Duration time) {
    if (time.isNegative() || time.isZero()) {
      throw new IllegalArgumentException("tuning: expected a positive time but was " + time);
    }
    TrainingOptions changed = new TrainingOptions(this);
    changed.tuning = time;
    return changed;
  }

  /**
   * Where the best model so far is kept while training with {@link #withValidation validation} goes
   * on; by default the folder of the system for temporary files. It needs room for a model. If that
   * cannot be written, {@link TrainingListener#warning} is called, and the last model is the
   * result.
   */
  public TrainingOptions withTemporaryFolder(Path folder) {
    TrainingOptions changed = new TrainingOptions(this);
    changed.temporaryFolder = requireNonNull(folder, "folder");
    return changed;
  }

  /**
   * More entries of the model's card, which {@link Classifier#info} returns: the day and the data,
   * for instance. Training adds the version, the options and the scores of validation.
   *
   * @param value is asked once, when all examples have been read; its names are the caller's own
   */
  public TrainingOptions withCard(Supplier<Map<String, String>> value) {
    TrainingOptions changed = new TrainingOptions(this);
    changed.card = requireNonNull(value, "card");
    return changed;
  }

  /** The threads that train, and that the trained model predicts with; by default common ones. */
  public TrainingOptions withWorkers(Workers value) {
    TrainingOptions changed = new TrainingOptions(this);
    changed.workers = requireNonNull(value, "workers");
    return changed;
  }

  /** Receives the progress of training. */
  public TrainingOptions withListener(TrainingListener value) {
    TrainingOptions changed = new TrainingOptions(this);
    changed.listener = requireNonNull(value, "listener");
    return changed;
  }

  /**
   * Is asked before each example is read and before each step; when it says yes, training ends as
   * if it were done, or before the first step with a {@link
   * java.util.concurrent.CancellationException}.
   */
  public TrainingOptions withStop(BooleanSupplier value) {
    TrainingOptions changed = new TrainingOptions(this);
    changed.stop = requireNonNull(value, "stop");
    return changed;
  }

  /** Null: training begins anew. */
  Classifier initialModel() {
    return initialModel;
  }

  /**
   * The size of the vectors for so many labels.
   *
   * @param haveOneLabel whether {@linkplain #haveOneLabel one label is the rule}
   */
  int dimension(int labels, boolean haveOneLabel) {
    if (initialModel != null) {
      return initialModel.bag().features();
    }
    int wanted = haveOneLabel || labels < MANY_LABELS ? DIMENSION : DIMENSION_OF_MANY_LABELS;
    return dimension > 0 ? dimension : wanted;
  }

  boolean hasDimension() {
    return initialModel != null || dimension > 0;
  }

  /**
   * How often each of so many examples is learned from.
   *
   * @param labels of all of them together, at most {@link #MOST_EPOCHS} of each
   */
  int epochs(int examples, int labels) {
    double ofLabel = Math.max(EPOCHS_OF_A_LABEL, (double) FEW_EXAMPLES_TO_SEE / examples);
    long most = Math.min(MOST_EPOCHS, Math.round(ofLabel * labels / examples));
    double ofEachLabel = Math.ceil(FEWEST_EPOCHS_OF_A_LABEL * labels / examples);
    double least = Math.min(MOST_EPOCHS, Math.max(FEWEST_EPOCHS, ofEachLabel));
    int wanted = (int) Math.max(least, Math.min(most, EXAMPLES_TO_SEE / examples));
    return epochs > 0 ? epochs : wanted;
  }

  boolean hasEpochs() {
    return epochs > 0;
  }

  boolean hasRate() {
    return rate != null;
  }

  double rate() {
    double wanted = initialModel != null ? RATE_FROM_A_MODEL : RATE;
    return rate != null ? rate : wanted;
  }

  double smoothing() {
    double wanted = labelTree() ? 0 : SMOOTHING_OF_A_SOFTMAX;
    return smoothing != null ? smoothing : wanted;
  }

  boolean labelTree() {
    return initialModel != null ? initialModel.layer() instanceof LabelTree : labelTree;
  }

  /** The head for examples. */
  ModelHead head(TrainingSet set) {
    if (head != null) {
      return head;
    }
    boolean isOfAnEmbedding =
        initialModel != null || labelTree || sharedRows > 0 || !tuning.isZero();
    if (isOfAnEmbedding
        || set.size() < EXAMPLES_OF_LARGE_MODELS
        || haveOneLabel(set.size(), set.withSeveralLabels())) {
      return ModelHead.EMBEDDING;
    }
    boolean areRare = set.labelNames().size() > set.size();
    return areRare && !hasOptionOfAnEmbedding() ? ModelHead.LINEAR : ModelHead.BOTH;
  }

  private boolean hasOptionOfAnEmbedding() {
    return hasDimension()
        || hasEpochs()
        || hasRate()
        || smoothing != null
        || batch > 0
        || classes > 0
        || patience > 0;
  }

  /** The same for an embedding beside a linear head, which knows rare labels better. */
  TrainingOptions besideLinearHead() {
    return hasDimension() ? this : withDimension(DIMENSION);
  }

  /**
   * The head does what other options ask for.
   *
   * @throws IllegalArgumentException if not
   */
  void requireHead() {
    if (head == null || head == ModelHead.EMBEDDING) {
      return;
    }
    if (initialModel != null) {
      throw new IllegalArgumentException(
          "head: expected embedding for training from a model but was "
              + head
              + "; train anew, on"
              + " old and new examples");
    }
    if (head == ModelHead.LINEAR && (labelTree || !tuning.isZero())) {
      throw new IllegalArgumentException(
          "head: expected embedding or both with "
              + (labelTree ? "a label tree" : "tuning")
              + " but was linear");
    }
  }

  /** How many of so many examples make a step. */
  int batch(int examples) {
    int wanted = examples / STEPS_OF_AN_EPOCH;
    return batch > 0 ? batch : Math.max(SMALLEST_BATCH, Math.min(LARGEST_BATCH, wanted));
  }

  String labelPrefix() {
    return labelPrefix;
  }

  FeatureHasher textFeatures() {
    return initialModel != null
        ? initialModel.input().textFeatures()
        : new FeatureHasher(wordNgrams > 0 ? wordNgrams : WORD_NGRAMS, plainWords);
  }

  /** 1 or more for all features; 0: once for words, twice for several in a row. */
  int minCount(int examples) {
    return minCount > 0 || examples >= EXAMPLES_OF_LARGE_MODELS ? minCount : 1;
  }

  int maxFeatures() {
    return maxFeatures;
  }

  /** The vocabulary of features that share rows; null if each has a row of its own. */
  FeatureVocabulary sharedRowsOrNull() {
    FeatureVocabulary before = vocabularyBeforeOrNull();
    if (before != null) {
      return before.isShared() ? before : null;
    }
    return sharedRows > 0 ? FeatureVocabulary.shared(sharedRows) : null;
  }

  /** The vocabulary of the initial model; null if there is none. */
  FeatureVocabulary vocabularyBeforeOrNull() {
    return initialModel == null ? null : initialModel.input().vocabulary();
  }

  /** Whether one label is the rule, if so many of the examples have several. */
  static boolean haveOneLabel(int examples, int withSeveralLabels) {
    return withSeveralLabels <= MOST_WITH_SEVERAL_LABELS * examples;
  }

  /**
   * How many classes so many labels are put into.
   *
   * @param examples that are learned from in each epoch
   * @param withSeveralLabels how many of them have more than one
   */
  int classes(int labels, int examples, int withSeveralLabels, int ofEpochs) {
    boolean haveOneLabel = haveOneLabel(examples, withSeveralLabels);
    long scores = (long) labels * examples * ofEpochs;
    boolean isPlain = !labelTree() && haveOneLabel && scores <= FEW_SCORES;
    boolean isOne = labels <= FEW_LABELS || isPlain;
    int wanted = isOne ? 1 : ClassAssignment.defaultCount(labels);
    return classes > 0 ? Math.min(classes, labels) : wanted;
  }

  long seed() {
    return seed;
  }

  List<Example> validation() {
    return validation;
  }

  ValidationMetric validationMetric() {
    int several = (int) validation.stream().filter(example -> example.labels().size() > 1).count();
    ValidationMetric wanted =
        haveOneLabel(validation.size(), several)
            ? ValidationMetric.PRECISION_AT_1
            : ValidationMetric.NDCG_AT_5;
    return validationMetric != null ? validationMetric : wanted;
  }

  /** After how many epochs of so many training ends that have made the model no better. */
  int patience(int ofEpochs) {
    return patience > 0 ? patience : Math.max(LEAST_PATIENCE, ofEpochs / PART_OF_PATIENCE);
  }

  /** Zero: no search. */
  Duration tuning() {
    return tuning;
  }

  /** Null: that of the system. */
  Path temporaryFolder() {
    return temporaryFolder;
  }

  Map<String, String> card() {
    return card.get();
  }

  Workers workers() {
    return workers;
  }

  TrainingListener listener() {
    return listener;
  }

  BooleanSupplier stop() {
    return stop;
  }
}
