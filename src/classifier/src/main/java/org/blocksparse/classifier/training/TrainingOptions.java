// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.training;

import static java.util.Objects.requireNonNull;

import java.nio.file.Path;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.BooleanSupplier;
import java.util.function.Consumer;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.blocksparse.ElementType;
import org.blocksparse.Workers;
import org.blocksparse.classifier.Classifier;
import org.blocksparse.classifier.ModelHead;
import org.blocksparse.classifier.TrainedClassifier;
import org.blocksparse.classifier.examples.Example;
import org.blocksparse.classifier.examples.ExampleReader;
import org.blocksparse.classifier.examples.InvalidInputException;
import org.blocksparse.classifier.examples.LineParser;
import org.blocksparse.classifier.fasttext.FastTextVectors;
import org.blocksparse.classifier.features.CharacterNgrams;
import org.blocksparse.classifier.features.FeatureCounts;
import org.blocksparse.classifier.features.FeatureExtractor;
import org.blocksparse.classifier.features.FeatureVocabulary;
import org.blocksparse.classifier.features.KeyTable;
import org.blocksparse.classifier.features.Words;
import org.blocksparse.softmax.LabelTree;

/**
 * Options of training a {@link Classifier}. The defaults suit most texts. Immutable: {@code
 * TrainingOptions.defaults().withEpochs(10).withSeed(7)}.
 */
public final class TrainingOptions {
  /** The most features: the header of a model file has no room for more keys. */
  static final int MOST_FEATURES = 1_000_000;

  private static final String INITIAL_MODEL = "initialModel as well, which has it";
  private static final int WORD_NGRAMS = 2;
  private static final TrainingOptions DEFAULTS = new TrainingOptions();

  // The options; the number 0 and null stand for the default.
  private TrainedClassifier initialModel;
  private FastTextVectors pretrained;
  private int dimension;
  private int epochs;
  private Double rate;
  private boolean labelTree;
  private ModelHead head;
  private int trees = 1;
  private int batch;
  private int wordNgrams;
  private CharacterNgrams characters;
  private boolean plainWords;
  private String labelPrefix = ExampleReader.DEFAULT_LABEL_PREFIX;
  private int minCount;
  private float cost = 1;
  private boolean labelNames;
  private int maxFeatures;
  private int classes;
  private long seed;
  private Map<String, String> labelTexts = Map.of();
  private boolean none;
  private List<Example> validation = List.of();
  private int patience;
  private Path temporaryFolder;
  private Supplier<Map<String, String>> card = Map::of;
  private Workers workers = Workers.common();
  private TrainingListener listener = new TrainingListener() {};
  private BooleanSupplier stop = () -> false;

  private TrainingOptions() {}

  private TrainingOptions(TrainingOptions that) {
    this.initialModel = that.initialModel;
    this.pretrained = that.pretrained;
    this.dimension = that.dimension;
    this.epochs = that.epochs;
    this.rate = that.rate;
    this.labelTree = that.labelTree;
    this.head = that.head;
    this.trees = that.trees;
    this.batch = that.batch;
    this.wordNgrams = that.wordNgrams;
    this.characters = that.characters;
    this.plainWords = that.plainWords;
    this.labelPrefix = that.labelPrefix;
    this.minCount = that.minCount;
    this.cost = that.cost;
    this.labelNames = that.labelNames;
    this.maxFeatures = that.maxFeatures;
    this.classes = that.classes;
    this.seed = that.seed;
    this.labelTexts = that.labelTexts;
    this.none = that.none;
    this.validation = that.validation;
    this.patience = that.patience;
    this.temporaryFolder = that.temporaryFolder;
    this.card = that.card;
    this.workers = that.workers;
    this.listener = that.listener;
    this.stop = that.stop;
  }

  /** Returns a copy with a change. */
  private TrainingOptions with(Consumer<TrainingOptions> change) {
    TrainingOptions changed = new TrainingOptions(this);
    change.accept(changed);
    return changed;
  }

  /** Returns the defaults, which suit most data. */
  public static TrainingOptions defaults() {
    return DEFAULTS;
  }

  private static int inRange(String name, int value, int min, int max) {
    if (value < min || value > max) {
      throw new IllegalArgumentException(
          name + ": expected a number in [" + min + ", " + max + "] but was " + value);
    }
    return value;
  }

  // ------------------------------------------------------------------------------------- model

  /**
   * Continues the training of a model with new examples. The model itself does not change; the
   * caller closes it. The result has the features and labels of the model, and those of the
   * examples. A new label begins in the class that fits its examples best. Mix some old examples
   * in: the result forgets some of what the new examples lack.
   *
   * <p>A linear head learns only the new labels ({@link
   * org.blocksparse.linear.LinearLabelTreeBuilder#extend}), against the old labels of the examples.
   * Its weights of old labels do not change.
   *
   * <p>The model determines dimension, classes, label tree, word n-grams and plain words. The
   * methods that set these throw {@link IllegalArgumentException} with an initial model, before or
   * after this one. The default of the {@linkplain #withRate rate} is lower.
   *
   * @param model with an embedding head alone, its weights must be FLOAT32
   * @throws IllegalArgumentException if they are not, if the model has {@linkplain #withHead
   *     neighbours} or {@linkplain #withLabelTexts label texts}, or if an option is set that the
   *     model determines
   * @throws InvalidInputException if the model is of fastText
   */
  public TrainingOptions withInitialModel(Classifier model) {
    TrainedClassifier own = TrainedClassifier.require(model);
    if (own.head() == ModelHead.EMBEDDING && own.weightType() != ElementType.FLOAT32) {
      throw new IllegalArgumentException(
          "initialModel: expected weights of FLOAT32 but was "
              + own.weightType()
              + "; take the model that these were rounded from");
    }
    if (own.neighbours().isPresent() || own.hasLabelTexts()) {
      throw new IllegalArgumentException(
          "initialModel: expected no "
              + (own.hasLabelTexts() ? "label texts" : "neighbours")
              + ", which learn no further; train it with ModelHead.LINEAR"
              + (own.hasLabelTexts() ? " and without label texts" : ""));
    }
    return with(changed -> changed.initialModel = own).requireNoConflict();
  }

  /**
   * Sets the heads that score labels. By default {@link ModelHead#EMBEDDING} with a {@linkplain
   * #withLabelTree label tree} or {@linkplain #withPretrained pretrained} vectors, and those of an
   * {@linkplain #withInitialModel initial model}. In all other cases, training begins with the
   * linear head. From 500 examples on, it trains an embedding beside it, and keeps {@link
   * ModelHead#BOTH} if their nDCG at 5 on held-out examples is higher than that of the linear head
   * by more than the standard error of the difference. It leaves an embedding that gains nothing
   * after a third of its epochs. Where labels outnumber examples, training first tries the labels
   * of the 200 nearest examples beside the linear head; if these neighbours gain more than the
   * standard error, they stay, and no embedding is tried.
   *
   * <p>The held-out examples are the {@linkplain #withValidation validation examples}. If these are
   * fewer than 100, training holds out a tenth of the examples, at most 1,000. Probabilities are
   * calibrated on them, except those of an embedding alone of fewer than 500 examples.
   *
   * @throws IllegalArgumentException from {@link Training#train} if an {@linkplain
   *     #withInitialModel initial model} has other heads, or if the head is linear alone and an
   *     option of an embedding is set: label tree, epochs, rate, pretrained vectors or dimension
   */
  public TrainingOptions withHead(ModelHead value) {
    return with(changed -> changed.head = requireNonNull(value, "head"));
  }

  /**
   * The number of trees of the linear head; 1 by default. A second tree has other clusters of the
   * labels, by another seed, and the score of a label is the weighted sum of both. Labels that one
   * tree puts into an unlikely cluster can be in a likely one of the other. Size, training and
   * answers cost about twice as much.
   *
   * @throws IllegalArgumentException unless it is 1 or 2, or if it is 2 with an {@linkplain
   *     #withInitialModel initial model}; from {@link Training#train} if it is 2 and the
   *     {@linkplain #withHead head} is an embedding alone
   */
  public TrainingOptions withTrees(int value) {
    return with(changed -> changed.trees = inRange("trees", value, 1, 2)).requireNoConflict();
  }

  /**
   * Texts of labels: their names or definitions, each an example with one label. A label whose
   * words are like those of an example scores higher ({@link
   * org.blocksparse.linear.SparseWeights#ofRows}), beside the linear head. Labels that no example
   * has become labels of the model, too: their texts alone find them. Words of these texts are
   * always features, single ones, whatever their counts.
   *
   * <p>The weight of the texts is fitted to the held-out examples. Where some labels have no
   * example and training holds out examples itself, it withholds the same share of the other labels
   * from all heads while it fits, at most half: held-out examples then have such labels, too. Where
   * {@linkplain #withValidation validation examples} weigh, these have to have them. Texts that do
   * not gain more than the standard error are left out ({@link TrainingListener#labelTexts}): then
   * the model is trained as without them, and no label is found by its text.
   *
   * @param texts read to the end here; one without words is ignored
   * @throws IllegalArgumentException if there is none, one has features or not exactly one label,
   *     two have the same label, or with an {@linkplain #withInitialModel initial model}; from
   *     {@link Training#train} if the texts have more words than {@linkplain #withMaxFeatures
   *     features} are kept, if the examples are no texts, if the {@linkplain #withHead head} is an
   *     embedding alone, if there are fewer than 10 examples and no validation examples, or if the
   *     training holds out examples, none of which has a label with a text
   */
  public TrainingOptions withLabelTexts(Stream<Example> texts) {
    Map<String, String> textOf = new LinkedHashMap<>();
    texts.forEachOrdered(each -> addLabelText(each, textOf));
    if (textOf.isEmpty()) {
      throw wrongTexts("at least one", "there is none");
    }
    return with(changed -> changed.labelTexts = Collections.unmodifiableMap(textOf))
        .requireNoConflict();
  }

  private static void addLabelText(Example each, Map<String, String> textOf) {
    if (!each.isText()) {
      throw wrongTexts("texts", "one has features");
    }
    List<String> labels = each.labels();
    if (labels.size() != 1) {
      String text = "'" + LineParser.shown(each.text()) + "'";
      throw wrongTexts("one label", text + " has " + (labels.isEmpty() ? "none" : labels.size()));
    }
    if (textOf.putIfAbsent(labels.get(0), each.text()) != null) {
      throw wrongTexts(
          "one text of each label", "'" + LineParser.shown(labels.get(0)) + "' has two");
    }
  }

  private static IllegalArgumentException wrongTexts(String expected, String but) {
    return new IllegalArgumentException("labelTexts: expected " + expected + " but " + but);
  }

  /**
   * Also learns to predict that no label applies: {@link
   * org.blocksparse.classifier.PredictionOptions#withNone}. Four models like the trained one learn
   * from at most 20,000 examples, without an eighth of these and a quarter of the labels each; the
   * examples of withheld labels have none. The training takes up to four times as long. Where 10
   * examples or more have no label, these have none, and no labels are withheld.
   *
   * @throws IllegalArgumentException with an {@linkplain #withInitialModel initial model}; from
   *     {@link Training#train} if there are fewer than 4 labels, and fewer than 10 examples without
   *     a label
   */
  public TrainingOptions withNone() {
    return with(changed -> changed.none = true).requireNoConflict();
  }

  /**
   * Learns each label independently, as present or absent, by a {@link LabelTree} instead of a
   * softmax. Examples without a label are learned from, too: no label is present.
   *
   * @throws IllegalArgumentException if there is an {@linkplain #withInitialModel initial model}
   */
  public TrainingOptions withLabelTree() {
    return with(changed -> changed.labelTree = true).requireNoConflict();
  }

  /**
   * Starts with word vectors of fastText, which determine the {@linkplain #withDimension
   * dimension}. A word of the examples begins with the vector of the first word there that is the
   * same feature; all other features begin at random. The caller closes the vectors after the
   * training.
   *
   * @throws IllegalArgumentException with a dimension or an {@linkplain #withInitialModel initial
   *     model}; from {@link Training#train} if the examples have features instead of texts
   */
  public TrainingOptions withPretrained(FastTextVectors value) {
    return with(changed -> changed.pretrained = requireNonNull(value, "pretrained"))
        .requireNoConflict();
  }

  /**
   * Sets the size of the vectors between features and labels. By default 64; 128 if there are 4,096
   * labels or more, more than a tenth of the examples have several, and there is no linear head.
   * Larger vectors learn more, and take more time and memory.
   *
   * @throws IllegalArgumentException unless it is in [1, 4096], or with an {@linkplain
   *     #withInitialModel initial model} or {@linkplain #withPretrained pretrained} vectors
   */
  public TrainingOptions withDimension(int value) {
    return with(changed -> changed.dimension = inRange("dimension", value, 1, 4096))
        .requireNoConflict();
  }

  /** Sets the number of classes of the labels; 0 for the default. */
  TrainingOptions withClasses(int value) {
    return with(changed -> changed.classes = inRange("classes", value, 0, Integer.MAX_VALUE))
        .requireNoConflict();
  }

  /** Rejects options that contradict each other. */
  private TrainingOptions requireNoConflict() {
    if (initialModel != null) {
      requireUnset("pretrained", pretrained == null, INITIAL_MODEL);
      requireUnset("dimension", dimension == 0, INITIAL_MODEL);
      requireUnset("labelTree", !labelTree, INITIAL_MODEL);
      requireUnset("wordNgrams", wordNgrams == 0, INITIAL_MODEL);
      requireUnset("charNgrams", characters == null, INITIAL_MODEL);
      requireUnset("plainWords", !plainWords, INITIAL_MODEL);
      requireUnset("labelTexts", labelTexts.isEmpty(), "initialModel as well, whose weights stay");
      requireUnset("trees", trees == 1, INITIAL_MODEL);
      requireUnset("none", !none, "initialModel as well, which learned from other examples");
    }
    if (pretrained != null) {
      requireUnset("dimension", dimension == 0, "pretrained as well, which has it");
    }
    return this;
  }

  private static void requireUnset(String name, boolean isUnset, String other) {
    if (!isUnset) {
      throw new IllegalArgumentException(name + ": expected no " + other);
    }
  }

  // ------------------------------------------------------------------------------------- steps

  /**
   * Sets the number of passes over the examples. Each pass learns one label of an example, or all
   * with a {@linkplain #withLabelTree label tree}. The default is the result of these rules, one
   * after the other; labels is the mean number of labels of an example, each example counting at
   * most 40, or 1 with a label tree:
   *
   * <table>
   * <caption>Default number of passes</caption>
   * <tr><td>begin with</td><td>750,000 / examples</td></tr>
   * <tr><td>at most</td><td>5 * labels; 20,000 / examples * labels for fewer than 4,000 examples
   * </td></tr>
   * <tr><td>at least</td><td>3, and 1.5 * labels</td></tr>
   * <tr><td>at most</td><td>40</td></tr>
   * </table>
   *
   * @throws IllegalArgumentException unless it is in [1, 10000]
   */
  public TrainingOptions withEpochs(int value) {
    return with(changed -> changed.epochs = inRange("epochs", value, 1, 10_000));
  }

  /**
   * Sets the learning rate of the first step; it falls to zero. By default 0.2; 0.01 with an
   * {@linkplain #withInitialModel initial model}, since large steps forget.
   *
   * @throws IllegalArgumentException unless it is in [1e-20, 100]
   */
  public TrainingOptions withRate(double value) {
    if (!(value >= 1e-20 && value <= 100)) { // with less, floats would lose the last steps
      throw new IllegalArgumentException(
          "rate: expected a number in [1e-20, 100] but was " + value);
    }
    return with(changed -> changed.rate = value);
  }

  /** Sets the number of examples of a step. */
  TrainingOptions withBatch(int value) {
    return with(changed -> changed.batch = inRange("batch", value, 1, 1 << 16));
  }

  /** Sets the seed; 0 by default. Equal seeds, options and examples give equal models. */
  public TrainingOptions withSeed(long value) {
    return with(changed -> changed.seed = value);
  }

  // ---------------------------------------------------------------------------------- features

  /**
   * Sets the maximum number of words in a row that make a feature: with 2, words, and pairs of
   * neighbors. The part of a text in each group of features, words, words in a row and characters
   * in a row, is weighted by itself.
   *
   * <p>By default, training chooses. With a linear head, and from 100 texts on, it trains linear
   * heads on a part of up to 3,000 of the first texts, and ranks the labels of others. {@linkplain
   * #withCharNgrams Characters} in a row stay if they gain in nDCG at 5 more than the standard
   * error of the gain. Pairs stay unless the ranking is better without them by more than that. With
   * fewer than 20 texts for each label, pairs stay only if it is better with them, and characters
   * of up to 2,000 texts unless it is better without them. In all other cases, there are pairs and
   * no characters. In the same way, training chooses the cost of an error of the linear head and,
   * with fewer than 20 texts for each label, whether the words of its name are one more example of
   * a label.
   *
   * @throws IllegalArgumentException unless it is in [1, 5], or with an {@linkplain
   *     #withInitialModel initial model}
   */
  public TrainingOptions withWordNgrams(int value) {
    return with(changed -> changed.wordNgrams = inRange("wordNgrams", value, 1, 5))
        .requireNoConflict();
  }

  /**
   * Makes characters in a row, inside of a word, features: parts of words, beginnings and endings.
   * They help if texts are short, or words are inflected or compound. An embedding beside a linear
   * head does not use them. By default, training {@linkplain #withWordNgrams chooses} whether to
   * use those of 2 to 5 characters.
   *
   * @param least the minimum number of characters, counting the ends of a word as characters
   * @param most the maximum number; both 0: there are none
   * @throws IllegalArgumentException unless both are 0 or 1 &lt;= least &lt;= most &lt;= 10, or
   *     with an {@linkplain #withInitialModel initial model}
   */
  public TrainingOptions withCharNgrams(int least, int most) {
    return with(CharacterNgrams.of(least, most));
  }

  TrainingOptions with(CharacterNgrams value) {
    return with(changed -> changed.characters = value).requireNoConflict();
  }

  /**
   * Splits texts at white space, and changes nothing else in them, as fastText does. By default,
   * texts are in lower case, and words are the runs of letters and digits and each symbol. A piece
   * between white space that has several words is a feature, too.
   *
   * @throws IllegalArgumentException if there is an {@linkplain #withInitialModel initial model}
   */
  public TrainingOptions withPlainWords() {
    return with(changed -> changed.plainWords = true).requireNoConflict();
  }

  /**
   * Sets the prefix of labels in the file of the examples. The model keeps it, for {@linkplain
   * Classifier#labelPrefix other files}. Names of labels do not contain it. By default {@link
   * ExampleReader#DEFAULT_LABEL_PREFIX}.
   *
   * @throws IllegalArgumentException if it is empty, longer than 1000 characters, or contains white
   *     space or half of a pair of surrogates
   */
  public TrainingOptions withLabelPrefix(String value) {
    return with(changed -> changed.labelPrefix = LineParser.requireLabelPrefix(value));
  }

  /**
   * Sets the minimum number of occurrences of a feature; rarer features are dropped. By default 1
   * for words, and 2 for words and characters in a row.
   *
   * @throws IllegalArgumentException if it is less than 1
   */
  public TrainingOptions withMinCount(int value) {
    return with(changed -> changed.minCount = inRange("minCount", value, 1, Integer.MAX_VALUE));
  }

  /**
   * Sets the maximum number of features; a million by default, which is also the limit. If there
   * are more, the most frequent ones are kept; half of the number is reserved for single words. By
   * default, at most 50,000 of them, or 2 for each example if that is more, are words in a row, and
   * as many are characters in a row. While examples are read, at most four million different ones
   * in a row are counted: beyond that, the rarest so far are dropped.
   *
   * @throws IllegalArgumentException unless it is in [1, 1000000]
   */
  public TrainingOptions withMaxFeatures(int value) {
    return with(changed -> changed.maxFeatures = inRange("maxFeatures", value, 1, MOST_FEATURES));
  }

  // -------------------------------------------------------------------------------- validation

  /**
   * Sets held-out examples, from which training does not learn. After each epoch, the model is
   * measured on them by nDCG at 5 if more than a tenth of them have several labels, else by
   * precision at 1. The best model is kept, the first of equals; training ends early after a
   * quarter of all epochs, but at least 3, without a better one. At the end, the {@linkplain
   * Classifier#threshold threshold} with the highest F1 on them becomes part of the model.
   *
   * @param examples of the same kind as the training examples; read to the end here; examples
   *     without a label are not measured
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

  /** Sets the number of epochs without a better model after which training ends. */
  TrainingOptions withPatience(int epochsWithoutProgress) {
    return with(
        changed ->
            changed.patience = inRange("patience", epochsWithoutProgress, 1, Integer.MAX_VALUE));
  }

  /**
   * Sets the folder for the best model so far, during a training with {@link #withValidation
   * validation}; by default the system's folder for temporary files. It needs room for a model. If
   * the model cannot be written, training calls {@link TrainingListener#warning} and returns the
   * last model.
   */
  public TrainingOptions withTemporaryFolder(Path folder) {
    return with(changed -> changed.temporaryFolder = requireNonNull(folder, "folder"));
  }

  // ------------------------------------------------------------------------------- surroundings

  /**
   * Adds entries to the model card, which {@link Classifier#info} returns: the date and the data,
   * for example. Training adds version, options and validation scores.
   *
   * @param value is called once, after all examples have been read
   */
  public TrainingOptions withCard(Supplier<Map<String, String>> value) {
    return with(changed -> changed.card = requireNonNull(value, "card"));
  }

  /**
   * Sets the threads that train, and with which the model later predicts; common ones by default.
   */
  public TrainingOptions withWorkers(Workers value) {
    return with(changed -> changed.workers = requireNonNull(value, "workers"));
  }

  /** Sets a listener, which receives the progress of training. */
  public TrainingOptions withListener(TrainingListener value) {
    return with(changed -> changed.listener = requireNonNull(value, "listener"));
  }

  /**
   * Stops the training. It is called before each example is read and before each step. If it
   * returns true, training ends as if it were done; before the first step, it throws {@link
   * java.util.concurrent.CancellationException}.
   */
  public TrainingOptions withStop(BooleanSupplier value) {
    return with(changed -> changed.stop = requireNonNull(value, "stop"));
  }

  // ------------------------------------------------------------- values, or defaults if not set

  /** Returns the initial model; null if training starts anew. */
  TrainedClassifier initialModel() {
    return initialModel;
  }

  /** Returns the head; null for the default. */
  ModelHead head() {
    return head;
  }

  /** Returns the names of the options that are set and mean nothing without an embedding. */
  List<String> ofEmbedding() {
    Map<String, Boolean> isSet = new LinkedHashMap<>();
    isSet.put("labelTree", labelTree);
    isSet.put("pretrained", pretrained != null);
    isSet.put("epochs", epochs != 0);
    isSet.put("rate", rate != null);
    isSet.put("dimension", dimension != 0);
    return isSet.keySet().stream().filter(isSet::get).toList();
  }

  boolean labelTree() {
    return labelTree;
  }

  int trees() {
    return trees;
  }

  /** Null: all features begin at random. */
  FastTextVectors pretrained() {
    return pretrained;
  }

  public int dimension(int byDefault) {
    if (pretrained != null) {
      return pretrained.dimension();
    }
    return dimension > 0 ? dimension : byDefault;
  }

  boolean hasDimension() {
    return initialModel != null || pretrained != null || dimension > 0;
  }

  public int epochs(int byDefault) {
    return epochs > 0 ? epochs : byDefault;
  }

  public double rate(double byDefault) {
    return rate != null ? rate : byDefault;
  }

  public int batch(int byDefault) {
    return batch > 0 ? batch : byDefault;
  }

  public int classes(int byDefault) {
    return classes > 0 ? classes : byDefault;
  }

  public String labelPrefix() {
    return labelPrefix;
  }

  FeatureExtractor textFeatures() {
    return initialModel != null
        ? initialModel.input().textFeatures()
        : new FeatureExtractor(
            wordNgrams > 0 ? wordNgrams : WORD_NGRAMS,
            plainWords ? Words.PLAIN : Words.SYMBOLS,
            hasCharNgrams() ? characters : CharacterNgrams.NONE);
  }

  boolean hasWordNgrams() {
    return wordNgrams > 0;
  }

  boolean hasCharNgrams() {
    return characters != null;
  }

  /** Returns these options for a sample of the examples, in which no feature is frequent. */
  TrainingOptions ofSample() {
    return with(changed -> changed.minCount = Math.min(minCount, FeatureCounts.FEWEST_IN_A_ROW));
  }

  /** Returns these options with the name of each label as one more example of it. */
  TrainingOptions withLabelNames() {
    return with(changed -> changed.labelNames = true);
  }

  boolean labelNames() {
    return labelNames;
  }

  /** Returns these options with a cost of an error of the linear head. */
  TrainingOptions withCost(float value) {
    return with(changed -> changed.cost = value);
  }

  float cost() {
    return cost;
  }

  /** Whether a training is to choose what its linear head learns. */
  boolean leavesLinearHeadOpen() {
    return initialModel == null && HeadTraining.headOrNull(this) != ModelHead.EMBEDDING;
  }

  int minCount() {
    return minCount;
  }

  int maxFeatures() {
    return maxFeatures(MOST_FEATURES);
  }

  int maxFeatures(int byDefault) {
    return maxFeatures > 0 ? maxFeatures : byDefault;
  }

  boolean hasMaxFeatures() {
    return maxFeatures > 0;
  }

  /**
   * Returns the vocabulary of the initial model, or of the words of label texts; null if there is
   * none.
   */
  FeatureVocabulary vocabularyBeforeOrNull() {
    if (labelTexts.isEmpty()) {
      return initialModel == null ? null : initialModel.input().vocabulary();
    }
    KeyTable words = new KeyTable();
    labelTexts.values().forEach(text -> textFeatures().words(text, words::add));
    if (words.size() > maxFeatures()) {
      throw wrongTexts(
          "at most " + maxFeatures() + " different words", "there are " + words.size());
    }
    return FeatureVocabulary.of(words);
  }

  boolean none() {
    return none;
  }

  /** Returns these options with other texts of labels. */
  TrainingOptions with(Map<String, String> texts) {
    return with(changed -> changed.labelTexts = texts);
  }

  /** Returns options for a model like one that was trained with these, which nobody watches. */
  TrainingOptions like(ModelHead ofModel) {
    return with(
        changed -> {
          changed.none = false;
          changed.head = ofModel;
          changed.validation = List.of();
          changed.patience = 0;
          changed.listener = new TrainingListener() {};
        });
  }

  /** Returns these options without texts of labels. */
  TrainingOptions withoutLabelTexts() {
    return with(changed -> changed.labelTexts = Map.of());
  }

  /** Returns the texts by label; empty if there are none. */
  Map<String, String> labelTexts() {
    return labelTexts;
  }

  public long seed() {
    return seed;
  }

  List<Example> validation() {
    return validation;
  }

  public int patience(int byDefault) {
    return patience > 0 ? patience : byDefault;
  }

  /** Returns the temporary folder; null for that of the system. */
  Path temporaryFolder() {
    return temporaryFolder;
  }

  public Map<String, String> card() {
    return card.get();
  }

  public Workers workers() {
    return workers;
  }

  public TrainingListener listener() {
    return listener;
  }

  public BooleanSupplier stop() {
    return stop;
  }
}
