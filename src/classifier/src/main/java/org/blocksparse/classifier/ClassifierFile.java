// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.blocksparse.FileFormatException;
import org.blocksparse.bag.EmbeddingBag;
import org.blocksparse.classifier.examples.LineParser;
import org.blocksparse.classifier.fasttext.FastTextModel;
import org.blocksparse.classifier.features.CharacterNgrams;
import org.blocksparse.classifier.features.FeatureExtractor;
import org.blocksparse.classifier.features.FeatureVocabulary;
import org.blocksparse.classifier.features.InputRows;
import org.blocksparse.internal.files.WholeFile;
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
 * classifier.vocabulary    the keys of the features by row, 5 bytes each, in base 64; or hashed:
 *                          features share rows
 * classifier.labelCounts   {@link LabelCounts} of the training; not there if there are too many
 *                          labels
 * classifier.threshold     of a label's probability, with the highest F1 on held-out examples; not there
 *                          without these
 * classifier.predictionSets {@link PredictionSets}, in base 64; not there without such examples
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
  static final String LABEL_COUNTS = "classifier.labelCounts";
  private static final String THRESHOLD = "classifier.threshold";
  private static final String PREDICTION_SETS = "classifier.predictionSets";

  /** The scorers that a file may have. */
  private static final Set<List<String>> HEADS =
      Set.of(
          List.of(Heads.EMBEDDING),
          List.of(Heads.LINEAR),
          List.of(Heads.EMBEDDING, Heads.LINEAR),
          List.of(Heads.LINEAR, Heads.NEIGHBOURS),
          List.of(Heads.LINEAR, Heads.TEXTS));

  private static final String FOUR_NUMBERS = "\\d{1,9} \\d{1,9} \\d{1,9} \\d{1,9}";

  private ClassifierFile() {}

  /**
   * The metadata of a new model.
   *
   * @param counts null: they are not known
   */
  public static Map<String, String> metadata(
      InputRows input, LabelCounts counts, String labelPrefix) {
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
    metadata.put(WORDS, input.textFeatures().isPlain() ? "plain" : "unicode");
    metadata.put(LABEL_PREFIX, labelPrefix);
    metadata.put(VOCABULARY, input.vocabulary().encoded());
    String encoded = counts == null ? "" : counts.encoded();
    if (!encoded.isEmpty()) {
      metadata.put(LABEL_COUNTS, encoded);
    }
    return metadata;
  }

  /** The prefix of labels in files of examples. */
  static String labelPrefix(Map<String, String> metadata) {
    return metadata.get(LABEL_PREFIX);
  }

  /** The threshold of a model; empty if it has none. */
  static OptionalDouble threshold(Map<String, String> metadata) {
    String threshold = metadata.get(THRESHOLD);
    return threshold == null
        ? OptionalDouble.empty()
        : OptionalDouble.of(Double.parseDouble(threshold));
  }

  public static void setThreshold(Map<String, String> metadata, double threshold) {
    metadata.put(THRESHOLD, Double.toString(threshold));
  }

  /** The prediction sets of a model; null if it has none. */
  static PredictionSets predictionSetsOrNull(Map<String, String> metadata) {
    String sets = metadata.get(PREDICTION_SETS);
    return sets == null ? null : PredictionSets.decode(sets);
  }

  public static void setPredictionSets(Map<String, String> metadata, PredictionSets sets) {
    metadata.put(PREDICTION_SETS, sets.encoded());
  }

  public static Classifier load(Path file, LoadOptions options) throws IOException {
    return WholeFile.load(file, () -> loadParts(file, options), Classifier::close);
  }

  private static Classifier loadParts(Path file, LoadOptions options) throws IOException {
    if (Files.isRegularFile(file) && FastTextModel.isIn(file)) { // nobody waits for a pipe
      return new Classifier(FastTextModel.load(file, options.workers()));
    }
    Map<String, String> metadata = metadata(file);
    Mixture heads = heads(file, options);
    try {
      EmbeddingBag bag = Heads.partOrNull(heads, Heads.EMBEDDING, EmbeddingBag.class);
      LinearLabelTree tree = Heads.partOrNull(heads, Heads.LINEAR, LinearLabelTree.class);
      requireLabelCounts(file, metadata, heads.outputs());
      InputRows input = input(file, metadata, tree == null ? bag.vocabulary() : tree.features());
      requireFit(file, bag, input.vocabulary());
      if (bag != null && bag.mode() != input.mode()) {
        throw wrong(file, "table", "is of mode " + bag.mode());
      }
      if (tree != null && tree.countsFeatures() != input.text()) {
        throw wrong(file, "tree", "expected counts of features for texts alone");
      }
      return new Classifier(input, heads, metadata);
    } catch (Throwable e) {
      heads.close();
      throw e;
    }
  }

  private static Mixture heads(Path file, LoadOptions options) throws IOException {
    Mixture loaded = Mixture.load(file, options);
    try {
      if (!HEADS.contains(loaded.scorers())) {
        throw wrong(file, "scorers", "are " + loaded.scorers());
      }
      EmbeddingBag bag = Heads.partOrNull(loaded, Heads.EMBEDDING, EmbeddingBag.class);
      TwoLevelLayer<?> layer = Heads.partOrNull(loaded, Heads.EMBEDDING, TwoLevelLayer.class);
      LinearLabelTree tree = Heads.partOrNull(loaded, Heads.LINEAR, LinearLabelTree.class);
      NearestExamples neighbours =
          Heads.partOrNull(loaded, Heads.NEIGHBOURS, NearestExamples.class);
      requireFit(file, bag, layer, tree);
      if (neighbours != null) {
        requireFit(file, neighbours, tree, loaded.calibration().isPresent());
      }
      SparseWeights texts = Heads.partOrNull(loaded, Heads.TEXTS, SparseWeights.class);
      if (texts != null) {
        requireFit(file, texts, tree, loaded.calibration().isPresent());
      }
      // The heads decide whether probabilities are added, not the file.
      return Heads.of(bag, layer, tree, neighbours, texts, loaded);
    } catch (IllegalArgumentException e) { // a head of another kind
      loaded.close();
      throw wrong(file, "scorers", "are wrong: " + e.getMessage());
    } catch (Throwable e) {
      loaded.close();
      throw e;
    }
  }

  /** Bag and layer are null if the head is linear alone, the tree if it is an embedding alone. */
  private static void requireFit(
      Path file, EmbeddingBag bag, TwoLevelLayer<?> layer, LinearLabelTree tree)
      throws IOException {
    if (layer != null) {
      requireFit(file, bag, layer);
    }
    if (tree != null) {
      requireFit(file, tree, layer);
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
    if (!layer.hasLabels() || layer.labels().size() != layer.assignment().outputs()) {
      throw wrong(file, "labels", "not every output has one");
    }
  }

  /** The table has a row for each feature, or for all but characters beside a linear head. */
  private static void requireFit(Path file, EmbeddingBag bag, FeatureVocabulary vocabulary)
      throws IOException {
    if (bag != null
        && bag.vocabulary() != vocabulary.rows()
        && bag.vocabulary() != vocabulary.otherRows()) {
      throw wrong(
          file,
          "tree",
          "has " + vocabulary.rows() + " features for a table of " + bag.vocabulary());
    }
  }

  /** Layer is null if the head is linear alone. */
  private static void requireFit(Path file, LinearLabelTree tree, TwoLevelLayer<?> layer)
      throws IOException {
    if (layer != null && layer.assignment().outputs() != tree.outputs()) {
      throw wrong(
          file,
          "tree",
          "has " + tree.outputs() + " labels for a layer of " + layer.assignment().outputs());
    }
    if (!tree.hasLabels() || tree.labels().size() != tree.outputs()) {
      throw wrong(file, "labels", "not every output has one");
    }
  }

  private static void requireFit(
      Path file, NearestExamples neighbours, LinearLabelTree tree, boolean isCalibrated)
      throws IOException {
    if (neighbours.examples().features() != tree.features()
        || neighbours.examples().countsFeatures() != tree.countsFeatures()
        || neighbours.outputs().outputs() != tree.outputs()
        || !isCalibrated) {
      throw wrong(file, Heads.NEIGHBOURS, "are not those of the linear head, or not calibrated");
    }
  }

  private static void requireFit(
      Path file, SparseWeights texts, LinearLabelTree tree, boolean isCalibrated)
      throws IOException {
    if (texts.features() != tree.features()
        || !texts.countsFeatures()
        || texts.outputs() != tree.outputs()
        || !isCalibrated) {
      throw wrong(file, Heads.TEXTS, "are not those of the linear head, or not calibrated");
    }
  }

  /** The metadata of a classifier's file, which describe its other contents. */
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
    if (metadata.containsKey(THRESHOLD)) {
      require(file, metadata, THRESHOLD, "0\\.\\d{1,3}|1\\.0");
    }
    try {
      predictionSetsOrNull(metadata);
    } catch (IllegalArgumentException e) {
      throw wrong(file, PREDICTION_SETS, e.getMessage());
    }
    return metadata;
  }

  private static void requireLabelCounts(Path file, Map<String, String> metadata, int labels)
      throws IOException {
    String counts = metadata.get(LABEL_COUNTS);
    if (counts != null) {
      try {
        LabelCounts.decode(counts, labels);
      } catch (IllegalArgumentException e) {
        throw wrong(file, LABEL_COUNTS, e.getMessage());
      }
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
    boolean plain = require(file, metadata, WORDS, "plain|unicode").equals("plain");
    try {
      FeatureVocabulary vocabulary =
          FeatureVocabulary.decode(require(file, metadata, VOCABULARY, null), rows);
      if (!metadata.containsKey(CHARACTERS)) {
        FeatureExtractor words = new FeatureExtractor(wordNgrams, plain, CharacterNgrams.NONE);
        return new InputRows(text, words, vocabulary);
      }
      int[] characters =
          Stream.of(require(file, metadata, CHARACTERS, FOUR_NUMBERS).split(" ", -1))
              .mapToInt(Integer::parseInt)
              .toArray();
      return new InputRows(
          text,
          new FeatureExtractor(wordNgrams, plain, CharacterNgrams.of(characters[0], characters[1])),
          vocabulary.withCharacters(characters[2], characters[3]));
    } catch (IllegalArgumentException e) {
      throw wrong(file, VOCABULARY, e.getMessage());
    }
  }

  private static FileFormatException wrong(Path file, String part, String reason) {
    return new FileFormatException(file, part, reason);
  }

  /** A string that must be there and be like this; null: anything. */
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
