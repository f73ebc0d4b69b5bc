// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.nextitem;

import static org.blocksparse.internal.files.MalformedException.excerpt;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.blocksparse.FileFormatException;
import org.blocksparse.SparseRows;
import org.blocksparse.bag.EmbeddingBag;
import org.blocksparse.classifier.LabelCounts;
import org.blocksparse.classifier.ModelCard;
import org.blocksparse.classifier.examples.EventColumns;
import org.blocksparse.classifier.examples.SequenceFormat;
import org.blocksparse.classifier.fasttext.FastTextModel;
import org.blocksparse.io.LoadOptions;
import org.blocksparse.io.TensorFile;
import org.blocksparse.linear.SparseWeights;
import org.blocksparse.mixture.Mixture;
import org.blocksparse.mixture.MixtureBuilder;
import org.blocksparse.mixture.NearestExamples;
import org.blocksparse.ranking.Labels;
import org.blocksparse.softmax.HierarchicalSoftmax;

/**
 * The metadata of a {@link NextItem} in its file, which is that of a {@link Mixture}.
 *
 * <pre>
 * nextItem.format          1
 * nextItem.dataFormat      {@link SequenceFormat} of the training
 * nextItem.userColumn      {@link EventColumns#user}, if it is not a usual one
 * nextItem.itemColumn      {@link EventColumns#item}, if it is not a usual one
 * nextItem.timeColumn      {@link EventColumns#time}, if it is not a usual one
 * nextItem.until           the time before which its events are, if it has one
 * nextItem.sessionGap      seconds without an event that end a sequence, if there are any
 * nextItem.counts          {@link LabelCounts}: how often training had each item
 * nextItem.newItems        {@link HistoryRows}; not there without new items
 * nextItem.decays          {@link HistoryRows}
 * nextItem.transitionDecay {@link HistoryRows}
 * nextItem.repeatDecay     {@link HistoryRows}; not there without scores of repeats
 * classifier.about.*       {@link ModelCard}
 * </pre>
 */
final class NextItemFile {
  static final String LAYER = "history";
  static final String TRANSITIONS = "transitions";
  static final String NEAREST = "nearest";
  static final String TEXTS = "texts";
  static final String REPEATS = "repeats";

  private static final String FORMAT = ModelCard.NEXT_ITEM_FORMAT;
  private static final String VERSION = "1";
  private static final String DATA_FORMAT = "nextItem.dataFormat";
  private static final String USER_COLUMN = "nextItem.userColumn";
  private static final String ITEM_COLUMN = "nextItem.itemColumn";
  private static final String TIME_COLUMN = "nextItem.timeColumn";
  private static final String UNTIL = "nextItem.until";
  private static final String SESSION_GAP = "nextItem.sessionGap";
  private static final String COUNTS = "nextItem.counts";
  private static final String NEW_ITEMS = "nextItem.newItems";
  private static final String DECAYS = "nextItem.decays";
  private static final String REPEAT_DECAY = "nextItem.repeatDecay";
  private static final String TRANSITION_DECAY = "nextItem.transitionDecay";

  private static final String NUMBER = "-?\\d{1,20}(\\.\\d{1,20}(E-?\\d{1,3})?)?";
  private static final String DECAY = "(0\\.\\d{1,9}|1\\.0)";

  private static final String OF_CLASSIFIERS =
      ", which Classifier.load reads, and the commands without next-item";

  /** The longest counts: a header has at most 8 MB; this leaves room for the model card. */
  private static final int LONGEST_COUNTS = 6 << 20;

  private NextItemFile() {}

  /**
   * Returns the metadata of a file.
   *
   * @throws IllegalArgumentException if there are too many items for a file
   */
  static Map<String, String> metadata(HistoryRows rows, Map<String, String> card) {
    Map<String, String> metadata = new TreeMap<>(card);
    metadata.put(FORMAT, VERSION);
    metadata.put(COUNTS, counts(rows));
    metadata.put(DECAYS, text(rows.decays()));
    if (rows.newItems() > 0) {
      metadata.put(NEW_ITEMS, Integer.toString(rows.newItems()));
    }
    metadata.put(TRANSITION_DECAY, Double.toString(rows.transitionDecay()));
    if (rows.hasRepeats()) {
      metadata.put(REPEAT_DECAY, Double.toString(rows.repeatDecay()));
    }
    return metadata;
  }

  /** Stores the format of the training data, and the time before which they are. */
  static void putData(Map<String, String> metadata, NextItemOptions options) {
    metadata.put(DATA_FORMAT, options.format().name().toLowerCase(Locale.ROOT));
    putColumn(metadata, USER_COLUMN, options.columns().user());
    putColumn(metadata, ITEM_COLUMN, options.columns().item());
    putColumn(metadata, TIME_COLUMN, options.columns().time());
    options
        .sessionGap()
        .ifPresent(gap -> metadata.put(SESSION_GAP, Long.toString(gap.toSeconds())));
    options.until().ifPresent(time -> metadata.put(UNTIL, Double.toString(time)));
  }

  private static void putColumn(Map<String, String> metadata, String key, String name) {
    if (!name.isEmpty()) {
      metadata.put(key, name);
    }
  }

  static EventColumns columns(Map<String, String> metadata) {
    return new EventColumns(
        metadata.getOrDefault(USER_COLUMN, ""),
        metadata.getOrDefault(ITEM_COLUMN, ""),
        metadata.getOrDefault(TIME_COLUMN, ""));
  }

  static SequenceFormat format(Map<String, String> metadata) {
    return SequenceFormat.valueOf(metadata.get(DATA_FORMAT).toUpperCase(Locale.ROOT));
  }

  static OptionalDouble until(Map<String, String> metadata) {
    String until = metadata.get(UNTIL);
    return until == null ? OptionalDouble.empty() : OptionalDouble.of(Double.parseDouble(until));
  }

  static Optional<Duration> sessionGap(Map<String, String> metadata) {
    return Optional.ofNullable(metadata.get(SESSION_GAP))
        .map(seconds -> Duration.ofSeconds(Long.parseLong(seconds)));
  }

  /**
   * Requires that a model with these counts can be saved, before it is trained.
   *
   * @throws IllegalArgumentException if there are too many items for a file
   */
  static void requireFits(HistoryRows rows) {
    counts(rows);
  }

  private static String counts(HistoryRows rows) {
    String text = rows.counts().text();
    if (text.length() > LONGEST_COUNTS) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "sequences: %,d items are too many for a file, whose counts take %,d letters of %,d",
              rows.counts().ofLabels().length,
              text.length(),
              LONGEST_COUNTS));
    }
    return text;
  }

  private static String text(List<Double> decays) {
    return decays.stream().map(decay -> Double.toString(decay)).collect(Collectors.joining(","));
  }

  static boolean isIn(Path file) throws IOException {
    try (TensorFile header = TensorFile.open(file)) {
      return header.metadata().containsKey(FORMAT);
    } catch (FileFormatException e) {
      return false; // such as a model of fastText
    }
  }

  static NextItem load(Path file, LoadOptions options) throws IOException {
    if (Files.isRegularFile(file) && FastTextModel.isIn(file)) {
      throw new FileFormatException(file, "header", "is that of fastText" + OF_CLASSIFIERS);
    }
    Mixture mixture = Mixture.load(file, options);
    try {
      return of(mixture, file);
    } catch (Throwable e) {
      mixture.close();
      throw e;
    }
  }

  private static NextItem of(Mixture mixture, Path file) throws IOException {
    Map<String, String> metadata = new TreeMap<>(mixture.metadata());
    require(file, metadata, FORMAT, VERSION);
    require(file, metadata, DATA_FORMAT, "sequences|baskets|histories|events");
    boolean ordered = format(metadata) != SequenceFormat.BASKETS;
    try {
      columns(metadata);
    } catch (IllegalArgumentException e) {
      throw new FileFormatException(file, USER_COLUMN, e.getMessage());
    }
    if (metadata.containsKey(UNTIL)) {
      require(file, metadata, UNTIL, NUMBER);
    }
    if (metadata.containsKey(SESSION_GAP)) {
      require(file, metadata, SESSION_GAP, "[1-9]\\d{0,10}");
    }
    boolean hasRepeats = metadata.containsKey(REPEAT_DECAY);
    List<String> scorers = new ArrayList<>(List.of(LAYER, TRANSITIONS));
    if (mixture.scorers().contains(NEAREST)) {
      scorers.add(NEAREST);
    }
    boolean hasTexts = mixture.scorers().contains(TEXTS);
    if (hasTexts) {
      scorers.add(TEXTS);
    }
    if (hasRepeats) {
      scorers.add(REPEATS);
    }
    if (!mixture.scorers().equals(scorers)) {
      throw new FileFormatException(file, "scorers", "are " + mixture.scorers());
    }
    if (mixture.calibration().isPresent()) {
      throw new FileFormatException(file, "mixture.knots", "expected none");
    }
    HierarchicalSoftmax layer = scorer(mixture, LAYER, HierarchicalSoftmax.class, file);
    if (!layer.hasLabels()) {
      throw new FileFormatException(file, "labels", "are missing: items have no names");
    }
    Labels labels = layer.labels();
    String decays = require(file, metadata, DECAYS, DECAY + "(," + DECAY + "){0,7}");
    String ofTransitions = require(file, metadata, TRANSITION_DECAY, DECAY);
    HistoryRows rows =
        HistoryRows.of(ordered, counts(file, metadata, labels.size()))
            .withDecays(Stream.of(decays.split(",", -1)).map(Double::valueOf).toList())
            .withTransitionDecay(Double.parseDouble(ofTransitions));
    if (metadata.containsKey(NEW_ITEMS)) {
      int newItems = Integer.parseInt(require(file, metadata, NEW_ITEMS, "[1-9]\\d{0,8}"));
      if (newItems > labels.size()) {
        throw new FileFormatException(
            file, NEW_ITEMS, "are " + newItems + " of " + labels.size() + " items");
      }
      rows = rows.with(newItems, rows.counts().ofLabels());
    }
    SparseWeights repeats = null;
    if (hasRepeats) {
      String decay = require(file, metadata, REPEAT_DECAY, DECAY);
      rows = rows.withRepeatDecay(Double.parseDouble(decay));
      repeats = scorer(mixture, REPEATS, SparseWeights.class, file);
      if (repeats.features() != labels.size()) {
        throw new FileFormatException(
            file, REPEATS, "have " + repeats.features() + " items for " + labels.size());
      }
    }
    NearestExamples nearest = null;
    if (scorers.contains(NEAREST)) {
      nearest = scorer(mixture, NEAREST, NearestExamples.class, file);
      int items = labels.size() - rows.newItems();
      if (nearest.examples().features() != items || nearest.examples().countsFeatures()) {
        throw new FileFormatException(
            file,
            NEAREST,
            "have "
                + nearest.examples().features()
                + (nearest.examples().countsFeatures() ? " words" : " items")
                + " for "
                + items);
      }
    }
    EmbeddingBag bag = scorer(mixture, LAYER, EmbeddingBag.class, file);
    if (bag.vocabulary() != (long) rows.rowsPerItem() * labels.size()) {
      throw new FileFormatException(
          file, "table", "has " + bag.vocabulary() + " rows for " + labels.size() + " items");
    }
    SparseWeights transitions = scorer(mixture, TRANSITIONS, SparseWeights.class, file);
    if (rows.knownItems() > transitions.features()) {
      throw new FileFormatException(
          file,
          TRANSITIONS,
          "have " + transitions.features() + " items, but counts " + rows.knownItems());
    }
    SparseWeights texts = null;
    if (hasTexts) {
      texts = scorer(mixture, TEXTS, SparseWeights.class, file);
      if (texts.features() > labels.size() || texts.countsFeatures()) {
        throw new FileFormatException(
            file,
            TEXTS,
            "have "
                + texts.features()
                + (texts.countsFeatures() ? " words" : " items")
                + " for "
                + labels.size());
      }
    }
    Mixture sum =
        sum(bag, layer, transitions, nearest, texts, repeats).withWeights(mixture.weights());
    return new NextItem(sum, rows, metadata, labels);
  }

  /**
   * Returns the sum of probabilities, whatever a file says: a model takes the logarithm of its
   * scores.
   *
   * @param nearest null if there are none
   * @param texts null if there are none
   * @param repeats null if there are none
   */
  static Mixture sum(
      EmbeddingBag bag,
      HierarchicalSoftmax layer,
      SparseWeights transitions,
      NearestExamples nearest,
      SparseWeights texts,
      SparseWeights repeats) {
    MixtureBuilder builder =
        Mixture.builder().layer(LAYER, bag, layer).weights(TRANSITIONS, transitions);
    builder = nearest == null ? builder : builder.nearest(NEAREST, nearest);
    builder = texts == null ? builder : builder.weights(TEXTS, texts);
    builder = repeats == null ? builder : builder.weights(REPEATS, repeats);
    return builder.addProbabilities().build();
  }

  /**
   * Returns a sum with the layer and the transitions of another sum, and with the given other
   * scorers, which may be null.
   */
  static Mixture sum(
      Mixture of, NearestExamples nearest, SparseWeights texts, SparseWeights repeats) {
    return sum(
        of.scorer(LAYER, EmbeddingBag.class),
        of.scorer(LAYER, HierarchicalSoftmax.class),
        of.scorer(TRANSITIONS, SparseWeights.class),
        nearest,
        texts,
        repeats);
  }

  static NearestExamples nearestOrNull(Mixture sum) {
    return sum.scorers().contains(NEAREST) ? sum.scorer(NEAREST, NearestExamples.class) : null;
  }

  static SparseWeights textsOrNull(Mixture sum) {
    return sum.scorers().contains(TEXTS) ? sum.scorer(TEXTS, SparseWeights.class) : null;
  }

  /** Returns the weights of repeats: each item has itself. */
  static SparseWeights repeats(Labels labels) {
    int items = labels.size();
    float[] ones = new float[items];
    Arrays.fill(ones, 1);
    try (SparseRows identity =
        SparseRows.of(
            IntStream.rangeClosed(0, items).toArray(), IntStream.range(0, items).toArray(), ones)) {
      SparseWeights repeats = SparseWeights.of(identity, items);
      repeats.setLabels(labels);
      return repeats;
    }
  }

  private static <T> T scorer(Mixture mixture, String name, Class<T> type, Path file)
      throws IOException {
    try {
      return mixture.scorer(name, type);
    } catch (IllegalArgumentException e) {
      throw new FileFormatException(file, "scorers", "are wrong: " + e.getMessage());
    }
  }

  static LabelCounts counts(Path file, Map<String, String> metadata, int items) throws IOException {
    String text = require(file, metadata, COUNTS, "[A-Za-z0-9_-]*");
    try {
      return LabelCounts.decode(text, items);
    } catch (IllegalArgumentException e) {
      throw new FileFormatException(file, COUNTS, e.getMessage());
    }
  }

  private static String require(Path file, Map<String, String> metadata, String key, String pattern)
      throws IOException {
    String value = metadata.get(key);
    if (value == null) {
      boolean isClassifier =
          key.equals(FORMAT) && metadata.containsKey(ModelCard.CLASSIFIER_FORMAT);
      throw new FileFormatException(
          file,
          key,
          isClassifier
              ? "is missing: this is a classifier" + OF_CLASSIFIERS
              : "is missing: not a file of next items");
    }
    if (!value.matches(pattern)) {
      throw new FileFormatException(
          file, key, "expected " + pattern + " but was " + excerpt(value));
    }
    return value;
  }
}
