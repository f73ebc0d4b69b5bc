// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.FileTime;
import java.util.Locale;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.TreeMap;
import org.blocksparse.FileFormatException;
import org.blocksparse.bag.EmbeddingBag;
import org.blocksparse.io.LoadOptions;
import org.blocksparse.io.TensorFile;
import org.blocksparse.linear.LinearLabelTree;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.blocksparse.softmax.LabelTree;
import org.blocksparse.softmax.TwoLevelLayer;

/**
 * The metadata of a {@link Classifier} in its file, beside the layers and their labels.
 *
 * <pre>
 * classifier.format        1
 * classifier.layer         LabelTree; not there for a HierarchicalSoftmax
 * classifier.head          linear, or both; not there if the embedding head is alone
 * classifier.blend         {@link Blend} of the heads; a single head has none if there were no
 *                          examples to calibrate it, and in older files
 * classifier.calibration   {@link TopTwoCalibration} of the blend; not there in older files
 * classifier.input         text or features
 * classifier.wordNgrams    1 to 5
 * classifier.words         plain, or unicode: the rule of {@link FeatureExtractor}; it was parts
 *                          when all that is not ASCII counted as letters
 * classifier.labelPrefix   what labels begin with in files of examples
 * classifier.vocabulary    the keys of the features by row, 5 bytes each, in base 64; or hashed:
 *                          features share rows. It was empty when a key itself named which one
 * classifier.labelCounts   {@link LabelCounts} of the training; not there in older files, and where
 *                          there are too many labels
 * classifier.threshold     of a label's probability, with the highest F1 on validation examples; not
 *                          there without these
 * classifier.about.*       {@link ModelCard}
 * </pre>
 */
final class ClassifierFile {
  private static final String FORMAT = "classifier.format";
  private static final String VERSION = "1";
  private static final String LAYER = "classifier.layer";
  private static final String LABEL_TREE = "LabelTree";
  private static final String HEAD = "classifier.head";
  private static final String BLEND = "classifier.blend";
  private static final String CALIBRATION = "classifier.calibration";
  private static final String INPUT = "classifier.input";
  private static final String WORD_NGRAMS = "classifier.wordNgrams";
  private static final String WORDS = "classifier.words";
  private static final String LABEL_PREFIX = "classifier.labelPrefix";
  private static final String VOCABULARY = "classifier.vocabulary";
  static final String LABEL_COUNTS = "classifier.labelCounts";
  private static final String THRESHOLD = "classifier.threshold";

  /** Attempts to load while the file is being replaced. */
  private static final int ATTEMPTS = 3;

  private ClassifierFile() {}

  /**
   * The metadata of a new model.
   *
   * @param counts null: they are not known
   */
  static Map<String, String> metadata(
      InputRows input, LabelCounts counts, TrainingOptions options) {
    Map<String, String> metadata = new TreeMap<>();
    metadata.put(FORMAT, VERSION);
    if (new TrainingDefaults(options).labelTree()) {
      metadata.put(LAYER, LABEL_TREE);
    }
    metadata.put(INPUT, input.text() ? "text" : "features");
    metadata.put(WORD_NGRAMS, Integer.toString(input.textFeatures().wordNgrams()));
    metadata.put(WORDS, input.textFeatures().isPlain() ? "plain" : "unicode");
    metadata.put(LABEL_PREFIX, options.labelPrefix());
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

  static void setThreshold(Map<String, String> metadata, double threshold) {
    metadata.put(THRESHOLD, Double.toString(threshold));
  }

  /** Puts the heads of a model and their blend into its metadata. */
  static void setHeads(Classifier model) {
    if (model.head().hasLinear()) {
      model.metadata().put(HEAD, model.head().name().toLowerCase(Locale.ROOT));
    }
    if (model.blend() != null) {
      model.metadata().put(BLEND, model.blend().encoded());
    }
    if (model.calibration() != null) {
      model.metadata().put(CALIBRATION, model.calibration().encoded());
    }
  }

  /**
   * Loads a classifier. The file is opened once for each part of it: if another one takes its place
   * meanwhile, parts of both would make a useless classifier, so it is loaded anew.
   */
  static Classifier load(Path file, LoadOptions options) throws IOException {
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
      Identity before = Identity.of(file);
      Classifier loaded = loadedOrNull(file, options, before);
      boolean whole = false;
      try {
        whole = loaded != null && before.equals(Identity.of(file));
      } finally {
        if (loaded != null && !whole) {
          loaded.close();
        }
      }
      if (whole) {
        return loaded;
      }
    }
    throw new IOException(file + ": cannot be loaded: it is being replaced");
  }

  /** Identifies a file, even if another one takes its name. */
  private record Identity(Object key, FileTime modified, long bytes) {
    static Identity of(Path file) throws IOException {
      BasicFileAttributes now = Files.readAttributes(file, BasicFileAttributes.class);
      return new Identity(now.fileKey(), now.lastModifiedTime(), now.size());
    }
  }

  /** Null if parts do not fit since the file is not that of before any more. */
  private static Classifier loadedOrNull(Path file, LoadOptions options, Identity before)
      throws IOException {
    try {
      return loadParts(file, options);
    } catch (IOException e) {
      if (before.equals(Identity.of(file))) {
        throw e;
      }
      return null;
    }
  }

  private static Classifier loadParts(Path file, LoadOptions options) throws IOException {
    if (Files.isRegularFile(file) && FastTextModel.isIn(file)) { // nobody waits for a pipe
      return new Classifier(FastTextModel.load(file, options.workers()));
    }
    Map<String, String> metadata = metadata(file);
    ModelHead head = ModelHead.EMBEDDING;
    if (metadata.containsKey(HEAD)) {
      head =
          ModelHead.valueOf(require(file, metadata, HEAD, "linear|both").toUpperCase(Locale.ROOT));
    }
    TwoLevelLayer<?> layer = null;
    EmbeddingBag bag = null;
    LinearLabelTree tree = null;
    try {
      if (head.hasEmbedding()) {
        layer = layer(file, options, metadata);
        bag = EmbeddingBag.load(file, options);
        requireFit(file, bag, layer);
      }
      if (head.hasLinear()) {
        tree = LinearLabelTree.load(file, options);
        requireFit(file, tree, bag, layer);
      }
      int labels = layer == null ? tree.outputs() : layer.assignment().outputs();
      requireLabelCounts(file, metadata, labels);
      InputRows input = input(file, metadata, bag == null ? tree.features() : bag.vocabulary());
      if (bag != null && bag.mode() != input.mode()) {
        throw wrong(file, "table", "is of mode " + bag.mode());
      }
      if (tree != null && tree.countsFeatures() != input.text()) {
        throw wrong(file, "tree", "expected counts of features for texts alone");
      }
      boolean isRaw = head != ModelHead.BOTH && !metadata.containsKey(BLEND);
      Blend blend = isRaw ? null : blend(file, metadata, head);
      TopTwoCalibration calibration = isRaw ? null : calibrationOrNull(file, metadata);
      return new Classifier(input, bag, layer, tree, blend, calibration, metadata);
    } catch (Throwable e) {
      if (layer != null) {
        layer.close();
      }
      if (bag != null) {
        bag.close();
      }
      if (tree != null) {
        tree.close();
      }
      throw e;
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

  /** Bag and layer are null if the head is linear alone. */
  private static void requireFit(
      Path file, LinearLabelTree tree, EmbeddingBag bag, TwoLevelLayer<?> layer)
      throws IOException {
    if (bag != null && bag.vocabulary() != tree.features()) {
      throw wrong(
          file, "tree", "has " + tree.features() + " features for a table of " + bag.vocabulary());
    }
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

  private static Blend blend(Path file, Map<String, String> metadata, ModelHead head)
      throws IOException {
    try {
      return Blend.decode(require(file, metadata, BLEND, null), head == ModelHead.BOTH ? 2 : 1);
    } catch (IllegalArgumentException e) {
      throw wrong(file, BLEND, e.getMessage());
    }
  }

  private static TopTwoCalibration calibrationOrNull(Path file, Map<String, String> metadata)
      throws IOException {
    String text = metadata.get(CALIBRATION);
    try {
      return text == null ? null : TopTwoCalibration.decode(text);
    } catch (IllegalArgumentException e) {
      throw wrong(file, CALIBRATION, e.getMessage());
    }
  }

  /** The metadata of a classifier's file, which describe its other contents. */
  private static Map<String, String> metadata(Path file) throws IOException {
    Map<String, String> metadata;
    try (TensorFile header = TensorFile.open(file)) {
      metadata = new TreeMap<>(header.metadata());
    }
    String format = require(file, metadata, FORMAT, ".*");
    if (!format.equals(VERSION)) {
      throw wrong(file, FORMAT, "is not the " + VERSION + " that is read here");
    }
    requireLabelPrefix(file, metadata);
    if (metadata.containsKey(THRESHOLD)) {
      require(file, metadata, THRESHOLD, "0\\.\\d{1,3}|1\\.0");
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

  private static TwoLevelLayer<?> layer(
      Path file, LoadOptions options, Map<String, String> metadata) throws IOException {
    if (!metadata.containsKey(LAYER)) {
      return HierarchicalSoftmax.load(file, options);
    }
    require(file, metadata, LAYER, LABEL_TREE);
    return LabelTree.load(file, options);
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
      return new InputRows(text, new FeatureExtractor(wordNgrams, plain), vocabulary);
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
