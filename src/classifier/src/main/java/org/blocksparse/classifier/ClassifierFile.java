// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.blocksparse.FileFormatException;
import org.blocksparse.bag.EmbeddingBag;
import org.blocksparse.classifier.examples.LineParser;
import org.blocksparse.classifier.features.CharacterNgrams;
import org.blocksparse.classifier.features.FeatureExtractor;
import org.blocksparse.classifier.features.FeatureVocabulary;
import org.blocksparse.classifier.features.InputRows;
import org.blocksparse.classifier.features.Words;
import org.blocksparse.io.LoadOptions;
import org.blocksparse.io.TensorFile;
import org.blocksparse.linear.LinearLabelTree;
import org.blocksparse.linear.SparseWeights;
import org.blocksparse.mixture.Mixture;
import org.blocksparse.mixture.NearestExamples;
import org.blocksparse.softmax.TwoLevelLayer;

/**
 * The metadata of a {@link Classifier} in its file, which is that of a {@link Mixture} of {@link
 * Heads}.
 *
 * <pre>
 * classifier.format        2
 * classifier.input         text or features
 * classifier.wordNgrams    1 to 5
 * classifier.characters    least and most of {@link CharacterNgrams}, the first of their rows, and
 *                          the one after the last; not there if there are none
 * classifier.words         plain, or unicode: the rule of {@link FeatureExtractor}
 * classifier.labelPrefix   what labels begin with in files of examples
 * classifier.vocabulary    the keys of the features by row, 5 bytes each, in base 64
 * classifier.labelCounts   {@link LabelCounts} of the training; not there if there are too many
 *                          labels
 * classifier.severalLabels true, if several labels are the rule in the training; else not there
 * classifier.threshold     of a label's probability, with the highest F1 on held-out examples; not there
 *                          without these
 * classifier.predictionSets {@link PredictionSets}, in base 64; not there without such examples
 * classifier.none          {@link NoneOdds}; not there unless the training was asked for them
 * classifier.about.*       {@link ModelCard}
 * </pre>
 */
public final class ClassifierFile {
  private static final String FORMAT = ModelCard.CLASSIFIER_FORMAT;
  private static final String VERSION = "2";
  private static final String INPUT = "classifier.input";
  private static final String WORD_NGRAMS = "classifier.wordNgrams";
  private static final String CHARACTERS = "classifier.characters";
  private static final String WORDS = "classifier.words";
  private static final String LABEL_PREFIX = "classifier.labelPrefix";
  private static final String VOCABULARY = "classifier.vocabulary";
  private static final String LABEL_COUNTS = "classifier.labelCounts";
  private static final String SEVERAL_LABELS = "classifier.severalLabels";
  private static final String THRESHOLD = "classifier.threshold";
  private static final String PREDICTION_SETS = "classifier.predictionSets";
  private static final String NONE = "classifier.none";

  /** The scorers that a file may have; with a linear head, also a second one. */
  private static final Set<List<String>> HEADS =
      Set.of(
          List.of(Heads.EMBEDDING),
          List.of(Heads.LINEAR),
          List.of(Heads.EMBEDDING, Heads.LINEAR),
          List.of(Heads.EMBEDDING, Heads.LINEAR, Heads.TEXTS),
          List.of(Heads.LINEAR, Heads.NEIGHBOURS),
          List.of(Heads.LINEAR, Heads.NEIGHBOURS, Heads.TEXTS),
          List.of(Heads.LINEAR, Heads.TEXTS));

  private static final String FOUR_NUMBERS = "\\d{1,9} \\d{1,9} \\d{1,9} \\d{1,9}";

  private ClassifierFile() {}

  /**
   * Returns the metadata of a new model.
   *
   * @param counts null: they are not known
   * @param severalLabels whether several labels are the rule
   */
  public static Map<String, String> metadata(
      InputRows input, LabelCounts counts, boolean severalLabels, String labelPrefix) {
    Map<String, String> metadata = new TreeMap<>();
    metadata.put(FORMAT, VERSION);
    metadata.put(INPUT, input.text() ? "text" : "features");
    metadata.put(WORD_NGRAMS, Integer.toString(input.textFeatures().wordNgrams()));
    CharacterNgrams characters = input.textFeatures().characters();
    if (!characters.areNone()) {
      metadata.put(
          CHARACTERS,
          String.format(
              Locale.ROOT,
              "%d %d %d %d",
              characters.least(),
              characters.most(),
              input.vocabulary().charactersBegin(),
              input.vocabulary().charactersEnd()));
    }
    metadata.put(WORDS, input.textFeatures().words().toString());
    metadata.put(LABEL_PREFIX, labelPrefix);
    metadata.put(VOCABULARY, input.vocabulary().encoded());
    String encoded = counts == null ? "" : counts.encoded();
    if (!encoded.isEmpty()) {
      metadata.put(LABEL_COUNTS, encoded);
    }
    if (severalLabels) {
      metadata.put(SEVERAL_LABELS, "true");
    }
    return metadata;
  }

  /** Returns the prefix of labels in files of examples. */
  static String labelPrefix(Map<String, String> metadata) {
    return metadata.get(LABEL_PREFIX);
  }

  /** Returns the label counts of a model; empty if it has none. */
  static Optional<LabelCounts> labelCounts(Map<String, String> metadata, int labels) {
    return Optional.ofNullable(metadata.get(LABEL_COUNTS))
        .map(counts -> LabelCounts.decode(counts, labels));
  }

  /** Returns whether several labels are the rule in the training. */
  static boolean hasSeveralLabels(Map<String, String> metadata) {
    return metadata.containsKey(SEVERAL_LABELS);
  }

  /** Returns the threshold of a model; empty if it has none. */
  static OptionalDouble threshold(Map<String, String> metadata) {
    String threshold = metadata.get(THRESHOLD);
    return threshold == null
        ? OptionalDouble.empty()
        : OptionalDouble.of(Double.parseDouble(threshold));
  }

  public static void setThreshold(Map<String, String> metadata, double threshold) {
    metadata.put(THRESHOLD, Double.toString(threshold));
  }

  /** Returns the prediction sets of a model; empty if it has none. */
  static Optional<PredictionSets> predictionSets(Map<String, String> metadata) {
    return Optional.ofNullable(metadata.get(PREDICTION_SETS)).map(PredictionSets::decode);
  }

  public static void setPredictionSets(Map<String, String> metadata, PredictionSets sets) {
    metadata.put(PREDICTION_SETS, sets.encoded());
  }

  /** Returns the odds that no label applies; empty if a model has none. */
  static Optional<NoneOdds> none(Map<String, String> metadata) {
    return Optional.ofNullable(metadata.get(NONE)).map(NoneOdds::decode);
  }

  public static void setNone(Map<String, String> metadata, NoneOdds odds) {
    metadata.put(NONE, odds.encoded());
  }

  /** Loads a model that {@link Classifier#save} has written. */
  public static TrainedClassifier load(Path file, LoadOptions options) throws IOException {
    Map<String, String> metadata = metadata(file);
    Mixture heads = heads(file, options);
    try {
      Optional<EmbeddingBag> bag = Heads.part(heads, Heads.EMBEDDING, EmbeddingBag.class);
      Optional<LinearLabelTree> tree = Heads.part(heads, Heads.LINEAR, LinearLabelTree.class);
      requireLabelCounts(file, metadata, heads.outputs());
      int rows =
          tree.map(LinearLabelTree::features).orElseGet(() -> bag.orElseThrow().vocabulary());
      InputRows input = input(file, metadata, rows);
      if (bag.isPresent()) {
        requireFit(file, bag.get(), input);
      }
      if (tree.isPresent() && tree.get().countsFeatures() != input.text()) {
        throw wrong(file, "tree", "expected counts of features for texts alone");
      }
      return new TrainedClassifier(input, heads, metadata);
    } catch (Throwable e) {
      heads.close();
      throw e;
    }
  }

  private static Mixture heads(Path file, LoadOptions options) throws IOException {
    Mixture loaded = Mixture.load(file, options);
    try {
      List<String> others = new ArrayList<>(loaded.scorers());
      boolean isTwice = others.remove(Heads.SECOND_LINEAR);
      if (!HEADS.contains(others) || (isTwice && !others.contains(Heads.LINEAR))) {
        throw wrong(file, "scorers", "are " + loaded.scorers());
      }
      for (String name : loaded.scorers()) {
        requireFit(file, loaded, name);
      }
      // The heads, not the file, decide whether probabilities are added.
      return Heads.of(loaded).sumLike(loaded);
    } catch (IllegalArgumentException e) { // a head of another kind
      loaded.close();
      throw wrong(file, "scorers", "are wrong: " + e.getMessage());
    } catch (Throwable e) {
      loaded.close();
      throw e;
    }
  }

  /** Requires that a head fits itself, and those before it. */
  private static void requireFit(Path file, Mixture heads, String name) throws IOException {
    switch (name) {
      case Heads.EMBEDDING -> {
        TwoLevelLayer<?> layer = heads.scorer(name, TwoLevelLayer.class);
        requireFit(file, heads.scorer(name, EmbeddingBag.class), layer);
        requireNames(file, layer.hasLabels() ? layer.labels().size() : 0, heads);
      }
      case Heads.LINEAR, Heads.SECOND_LINEAR -> {
        LinearLabelTree tree = heads.scorer(name, LinearLabelTree.class);
        LinearLabelTree first = heads.scorer(Heads.LINEAR, LinearLabelTree.class);
        requireNames(file, tree.hasLabels() ? tree.labels().size() : 0, heads);
        if (tree.features() != first.features()
            || tree.countsFeatures() != first.countsFeatures()) {
          throw wrong(file, name, "is not over the features of the first linear head");
        }
      }
      case Heads.NEIGHBOURS -> {
        NearestExamples nearest = heads.scorer(name, NearestExamples.class);
        requireFit(file, name, nearest.examples(), nearest.outputs().outputs(), heads);
      }
      default -> {
        SparseWeights texts = heads.scorer(name, SparseWeights.class);
        requireFit(file, name, texts, texts.outputs(), heads);
      }
    }
  }

  private static void requireFit(Path file, EmbeddingBag bag, TwoLevelLayer<?> layer)
      throws IOException {
    if (bag.features() != layer.features()) {
      throw wrong(
          file, "table", "has rows of " + bag.features() + " for a layer of " + layer.features());
    }
    if (bag.weightType() != layer.weightType()) {
      throw wrong(
          file, "table", "is of " + bag.weightType() + " for a layer of " + layer.weightType());
    }
  }

  private static void requireNames(Path file, int names, Mixture heads) throws IOException {
    if (names != heads.outputs()) {
      throw wrong(file, "labels", "not every output has one");
    }
  }

  /** Requires a table as the input: a row for each feature, or for all but characters. */
  private static void requireFit(Path file, EmbeddingBag bag, InputRows input) throws IOException {
    FeatureVocabulary vocabulary = input.vocabulary();
    if (bag.vocabulary() != vocabulary.rows() && bag.vocabulary() != vocabulary.otherRows()) {
      throw wrong(
          file,
          "tree",
          "has " + vocabulary.rows() + " features for a table of " + bag.vocabulary());
    }
    if (bag.mode() != input.mode()) {
      throw wrong(file, "table", "is of mode " + bag.mode());
    }
  }

  /** Requires that rows of features lead to the outputs of the linear head. */
  private static void requireFit(
      Path file, String name, SparseWeights rows, int outputs, Mixture heads) throws IOException {
    LinearLabelTree tree = heads.scorer(Heads.LINEAR, LinearLabelTree.class);
    if (rows.features() != tree.features()
        || rows.countsFeatures() != tree.countsFeatures()
        || outputs != tree.outputs()
        || heads.calibration().isEmpty()) {
      throw wrong(file, name, "are not those of the linear head, or not calibrated");
    }
  }

  /** Returns the metadata of a classifier's file, which describe its other contents. */
  private static Map<String, String> metadata(Path file) throws IOException {
    Map<String, String> metadata;
    try (TensorFile header = TensorFile.open(file)) {
      metadata = new TreeMap<>(header.metadata());
    }
    if (!metadata.containsKey(FORMAT) && metadata.containsKey(ModelCard.NEXT_ITEM_FORMAT)) {
      String reader = "NextItem.load reads, and the commands of next-item";
      throw wrong(file, FORMAT, "is missing: this is a model of next items, which " + reader);
    }
    require(file, metadata, FORMAT, VERSION);
    requireLabelPrefix(file, metadata);
    if (metadata.containsKey(SEVERAL_LABELS)) {
      require(file, metadata, SEVERAL_LABELS, "true");
    }
    if (metadata.containsKey(THRESHOLD)) {
      require(file, metadata, THRESHOLD, "0\\.\\d{1,3}|1\\.0");
    }
    try {
      predictionSets(metadata);
    } catch (IllegalArgumentException e) {
      throw wrong(file, PREDICTION_SETS, e.getMessage());
    }
    try {
      none(metadata);
    } catch (IllegalArgumentException e) {
      throw wrong(file, NONE, e.getMessage());
    }
    return metadata;
  }

  private static void requireLabelCounts(Path file, Map<String, String> metadata, int labels)
      throws IOException {
    try {
      labelCounts(metadata, labels);
    } catch (IllegalArgumentException e) {
      throw wrong(file, LABEL_COUNTS, e.getMessage());
    }
  }

  private static void requireLabelPrefix(Path file, Map<String, String> metadata)
      throws IOException {
    try {
      LineParser.requireLabelPrefix(require(file, metadata, LABEL_PREFIX, null));
    } catch (IllegalArgumentException e) {
      throw wrong(file, LABEL_PREFIX, e.getMessage());
    }
  }

  private static InputRows input(Path file, Map<String, String> metadata, int rows)
      throws IOException {
    boolean text = require(file, metadata, INPUT, "text|features").equals("text");
    int wordNgrams = Integer.parseInt(require(file, metadata, WORD_NGRAMS, "[1-5]"));
    Words words = Words.of(require(file, metadata, WORDS, "plain|unicode|symbols"));
    try {
      FeatureVocabulary vocabulary =
          FeatureVocabulary.decode(require(file, metadata, VOCABULARY, null), rows);
      if (!metadata.containsKey(CHARACTERS)) {
        return new InputRows(
            text, new FeatureExtractor(wordNgrams, words, CharacterNgrams.NONE), vocabulary);
      }
      int[] characters =
          Stream.of(require(file, metadata, CHARACTERS, FOUR_NUMBERS).split(" ", -1))
              .mapToInt(Integer::parseInt)
              .toArray();
      return new InputRows(
          text,
          new FeatureExtractor(wordNgrams, words, CharacterNgrams.of(characters[0], characters[1])),
          vocabulary.withCharacters(characters[2], characters[3]));
    } catch (IllegalArgumentException e) {
      throw wrong(file, VOCABULARY, e.getMessage());
    }
  }

  private static FileFormatException wrong(Path file, String part, String reason) {
    return new FileFormatException(file, part, reason);
  }

  /** Returns a string that must be there and be like this; null: anything. */
  private static String require(Path file, Map<String, String> metadata, String key, String pattern)
      throws IOException {
    String value = metadata.get(key);
    if (value == null) {
      throw wrong(file, key, "is missing: not a file of a classifier");
    }
    if (pattern != null && !value.matches(pattern)) {
      throw wrong(file, key, "expected " + pattern);
    }
    return value;
  }
}
