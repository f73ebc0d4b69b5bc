// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.training;

import java.util.ArrayList;
import java.util.BitSet;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.concurrent.CancellationException;
import java.util.function.IntPredicate;
import java.util.function.IntUnaryOperator;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.blocksparse.IntTensor;
import org.blocksparse.SparseRows;
import org.blocksparse.classifier.LabelCounts;
import org.blocksparse.classifier.TrainedClassifier;
import org.blocksparse.classifier.examples.ChunkedIntList;
import org.blocksparse.classifier.examples.Example;
import org.blocksparse.classifier.features.BackgroundExtractor;
import org.blocksparse.classifier.features.FeatureCounts;
import org.blocksparse.classifier.features.FeatureGroup;
import org.blocksparse.classifier.features.FeatureVocabulary;
import org.blocksparse.classifier.features.InputRows;

/**
 * All examples of a training, with features and labels as numbers. Features that occur too seldom
 * have been left out, and so have examples without a label, unless it is for a label tree.
 */
final class TrainingSet {
  /** The sample size per label, for clustering. */
  private static final int MOST_OF_A_LABEL = 40;

  private final boolean text;
  private final FeatureVocabulary vocabulary;
  private final List<String> labelNames;
  private final int featuresLeftOut;

  /** Whether words in a row were forgotten while examples were read. */
  private final boolean forgot;

  /** The rows of words. */
  private final BitSet words;

  private final int minCount;
  private final int mostInARow;
  private final int examplesMerged;

  /** The number of the last examples, each the name of a label. */
  private final int names;

  /** Example e has the rows of the table from offsets[e] to offsets[e + 1]. */
  private final ChunkedIntList offsets;

  private final ChunkedIntList rows;

  /** The bits of floats; null if all are 1. */
  private final ChunkedIntList values;

  private final ChunkedIntList labelOffsets;
  private final ChunkedIntList labels;

  /** The set whose labels this one lacks some of; itself if it lacks none. */
  private final TrainingSet whole;

  private TrainingSet(Reading reading, TrainingOptions options) {
    this.text = reading.text;
    this.labelNames = reading.labelNames();
    this.labelOffsets = reading.labelOffsets;
    this.labels = reading.labels;
    FeatureCounts.Kept kept = reading.kept(options);
    this.vocabulary = kept.vocabulary();
    this.featuresLeftOut = kept.leftOut();
    this.forgot = reading.counts.hasForgotten();
    this.words = kept.words();
    this.minCount = options.minCount();
    this.mostInARow = reading.mostInARow(options);
    this.names = reading.names;
    this.examplesMerged = reading.merge();
    reading.leaveOut(kept.rowOf());
    this.offsets = reading.offsets;
    this.rows = reading.features;
    this.values = reading.text ? null : reading.values;
    this.whole = this;
    requireFeatures();
  }

  private TrainingSet(TrainingSet whole, ChunkedIntList labelOffsets, ChunkedIntList labels) {
    this.text = whole.text;
    this.labelNames = whole.labelNames;
    this.labelOffsets = labelOffsets;
    this.labels = labels;
    this.vocabulary = whole.vocabulary;
    this.featuresLeftOut = whole.featuresLeftOut;
    this.forgot = whole.forgot;
    this.words = whole.words;
    this.minCount = whole.minCount;
    this.mostInARow = whole.mostInARow;
    this.examplesMerged = whole.examplesMerged;
    this.names = whole.names;
    this.offsets = whole.offsets;
    this.rows = whole.rows;
    this.values = whole.values;
    this.whole = whole;
  }

  private void requireFeatures() {
    if (rows.size() == 0) {
      throw new IllegalArgumentException(
          featuresLeftOut == 0
              ? "examples: none has a feature"
              : String.format(
                  Locale.ROOT,
                  "examples: none has a feature that is kept; withMinCount and withMaxFeatures"
                      + " leave out all %,d",
                  featuresLeftOut));
    }
  }

  /**
   * Reads a stream to its end.
   *
   * @throws IllegalArgumentException if no example has a label or a feature that is kept, or if
   *     some are texts and others are not
   * @throws CancellationException if it is to be stopped
   */
  static TrainingSet of(Stream<Example> examples, TrainingOptions options) {
    return of(examples, options, ChunkedIntList.MOST, FeatureCounts.MOST_IN_A_ROW);
  }

  /**
   * Reads a stream to its end, with limits on its features.
   *
   * @param most the maximum number of features, and of labels, of all examples
   * @param mostInARow the maximum number of different words and characters in a row at a time
   */
  static TrainingSet of(
      Stream<Example> examples, TrainingOptions options, int most, int mostInARow) {
    Reading reading = new Reading(options, most, mostInARow);
    BackgroundExtractor cutter =
        new BackgroundExtractor(options.textFeatures(), options.workers(), reading::add);
    examples.forEachOrdered(
        example -> {
          if (options.stop().getAsBoolean()) {
            throw EmbeddingTrainer.stoppedTooEarly();
          }
          cutter.add(example);
        });
    cutter.finish();
    if (options.labelNames() && reading.text) {
      List<String> labels = reading.labelNames();
      labels.forEach(label -> cutter.add(Example.ofText(LabelName.words(label), label)));
      cutter.finish();
      reading.names = labels.size();
    }
    options
        .labelTexts()
        .forEach(
            (label, text) -> options.textFeatures().words(text, word -> reading.number(label)));
    if (reading.labels.size() == 0) {
      throw new IllegalArgumentException("examples: none has a label");
    }
    return new TrainingSet(reading, options);
  }

  /** The examples read so far: features by number, in order of occurrence. */
  private static final class Reading {
    private final FeatureCounts counts;
    private final Map<String, Integer> numberOfLabel = new HashMap<>(); // the initial model's first
    private final ChunkedIntList offsets = new ChunkedIntList();
    private final ChunkedIntList features;
    private final ChunkedIntList values;
    private final ChunkedIntList labelOffsets = new ChunkedIntList();
    private final ChunkedIntList labels;
    private final int most;

    private final boolean takesUnlabelled;
    private boolean text;
    private long examples;

    /** The number of the last examples, each the name of a label. */
    private int names;

    Reading(TrainingOptions options, int most, int mostInARow) {
      this.features = new ChunkedIntList(most);
      this.values = new ChunkedIntList(most);
      this.labels = new ChunkedIntList(most);
      this.most = most;
      FeatureVocabulary before = options.vocabularyBeforeOrNull();
      this.counts = new FeatureCounts(before == null ? FeatureVocabulary.NONE : before, mostInARow);
      this.takesUnlabelled = new TrainingDefaults(options).labelTree();
      if (options.initialModel() != null) {
        options.initialModel().labels().forEach(this::number);
      }
      offsets.add(0);
      labelOffsets.add(0);
    }

    void add(Example example, BackgroundExtractor.Keys keys) {
      examples++;
      if (examples == 1) {
        text = example.isText();
      } else if (text != example.isText()) {
        throw new IllegalArgumentException("examples: some are texts and others have features");
      }
      if (example.labels().isEmpty() && !takesUnlabelled) {
        return;
      }
      try {
        addFeatures(example, keys);
      } catch (ChunkedIntList.FullException e) {
        throw tooMany(
            text ? "words, words in a row and characters in a row" : "features",
            text
                ? "withWordNgrams(1) and withCharNgrams(0, 0) make fewer, and so do fewer examples"
                : "take fewer examples");
      }
      offsets.add(features.size());
      try {
        for (String label : new LinkedHashSet<>(example.labels())) { // repeated ones count once
          labels.add(number(label));
        }
      } catch (ChunkedIntList.FullException e) {
        throw tooMany("labels of examples", "take fewer examples");
      }
      labelOffsets.add(labels.size());
      if (counts.isFull()) {
        leaveOut(counts.forgetRare());
      }
    }

    private int number(String label) {
      return numberOfLabel.computeIfAbsent(label, name -> numberOfLabel.size());
    }

    private IllegalArgumentException tooMany(String what, String remedy) {
      return new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "examples: up to example %,d there are more than %,d %s, which is the most; %s",
              examples,
              most,
              what,
              remedy));
    }

    private void addFeatures(Example example, BackgroundExtractor.Keys keys) {
      if (text) {
        keys.forEach(this::feature);
        return;
      }
      double scale = InputRows.scale(example.values());
      for (int i = 0; i < example.indices().length; i++) {
        feature(example.indices()[i], FeatureGroup.WORD);
        values.add(Float.floatToRawIntBits((float) (scale * example.values()[i])));
      }
    }

    private void feature(long key, FeatureGroup group) {
      features.add(counts.add(key, group));
    }

    FeatureCounts.Kept kept(TrainingOptions options) {
      return counts.keep(options.minCount(), options.maxFeatures(), mostInARow(options));
    }

    /** Returns the limit for the examples as they were read. */
    int mostInARow(TrainingOptions options) {
      return new TrainingDefaults(options).mostInARow(offsets.size() - 1);
    }

    List<String> labelNames() {
      String[] names = new String[numberOfLabel.size()];
      numberOfLabel.forEach((name, number) -> names[number] = name);
      return List.of(names);
    }

    /**
     * Returns the number of examples that were merged into others. Early examples lack the words in
     * a row that were forgotten, which follow from the words.
     */
    int merge() {
      IntPredicate isCompared = counts.hasForgotten() ? counts::isWord : number -> true;
      return new EqualExamples(
              offsets, features, text ? null : values, labelOffsets, labels, isCompared)
          .merge(offsets.size() - 1 - names);
    }

    /** Replaces the numbers of features by rows, and drops features without one. */
    void leaveOut(int[] rowOf) {
      int kept = 0;
      int begin = 0;
      for (int e = 1; e < offsets.size(); e++) {
        int end = offsets.get(e);
        for (int i = begin; i < end; i++) {
          int row = rowOf[features.get(i)];
          if (row >= 0) {
            features.set(kept, row);
            if (!text) {
              values.set(kept, values.get(i));
            }
            kept++;
          }
        }
        begin = end;
        offsets.set(e, kept);
      }
      features.truncate(kept);
      if (!text) {
        values.truncate(kept);
      }
    }
  }

  /** Returns the same examples, none of which has one of some labels. */
  TrainingSet without(BitSet withheld) {
    if (withheld.isEmpty()) {
      return this;
    }
    ChunkedIntList offsetsLeft = new ChunkedIntList();
    ChunkedIntList left = new ChunkedIntList();
    offsetsLeft.add(0);
    for (int e = 0; e < sizeWithNames(); e++) {
      for (int i = labelOffsets.get(e); i < labelOffsets.get(e + 1); i++) {
        if (!withheld.get(labels.get(i))) {
          left.add(labels.get(i));
        }
      }
      offsetsLeft.add(left.size());
    }
    return new TrainingSet(this, offsetsLeft, left);
  }

  /** Returns the set that this one lacks labels of; itself, if it lacks none. */
  TrainingSet whole() {
    return whole;
  }

  boolean isText() {
    return text;
  }

  FeatureVocabulary vocabulary() {
    return vocabulary;
  }

  List<String> labelNames() {
    return labelNames;
  }

  /** Returns the number of examples with each label. */
  long[] labelCounts() {
    long[] counts = new long[labelNames.size()];
    for (int i = 0; i < labelOffsets.get(size()); i++) {
      counts[labels.get(i)]++;
    }
    return counts;
  }

  /**
   * Returns the counts of this training and of its initial model; null if those of the model are
   * unknown.
   *
   * @param initial null if there is none
   */
  LabelCounts labelCountsOrNull(TrainedClassifier initial) {
    LabelCounts counts = new LabelCounts(size(), labelCounts());
    if (initial == null) {
      return counts;
    }
    return initial.labelCounts().map(before -> before.with(counts)).orElse(null);
  }

  /**
   * Returns whether several labels are the rule in this training, or in that of its initial model.
   *
   * @param initial null if there is none
   */
  boolean hasSeveralLabels(TrainedClassifier initial) {
    return (initial != null && initial.hasSeveralLabels())
        || !TrainingDefaults.haveOneLabel(size(), withSeveralLabels());
  }

  /** Returns the number of examples with a label of each class. */
  long[] examplesByClass(int[] classOfLabel, int classes) {
    long[] counts = new long[classes];
    int[] lastExample = new int[classes]; // examples are numbered from 1 on
    for (int e = 0; e < size(); e++) {
      for (int i = labelOffsets.get(e); i < labelOffsets.get(e + 1); i++) {
        int c = classOfLabel[labels.get(i)];
        if (lastExample[c] != e + 1) {
          lastExample[c] = e + 1;
          counts[c]++;
        }
      }
    }
    return counts;
  }

  /**
   * Returns, for each example, the first with the same features; with the same words, if words in a
   * row were forgotten.
   */
  int[] firstOfEquals() {
    IntPredicate isCompared = forgot ? words::get : row -> true;
    return new EqualExamples(offsets, rows, values, labelOffsets, labels, isCompared)
        .firstOfEquals(e -> true);
  }

  /** Returns the number of features that were dropped; an upper bound if some were forgotten. */
  int featuresLeftOut() {
    return featuresLeftOut;
  }

  /** Returns whether words in a row were forgotten while examples were read. */
  boolean forgot() {
    return forgot;
  }

  /** Returns the number of examples that were merged into others. */
  int examplesMerged() {
    return examplesMerged;
  }

  /** Returns the minimum count of features; 0 means 1 for words, 2 for words in a row. */
  int minCount() {
    return minCount;
  }

  /** Returns the maximum number of words in a row that are new features. */
  int mostInARow() {
    return mostInARow;
  }

  /** The number of examples, without the names of labels. */
  int size() {
    return sizeWithNames() - names;
  }

  /** The number of examples, of which the last are the names of labels. */
  int sizeWithNames() {
    return offsets.size() - 1;
  }

  /**
   * Returns the number of labels of all examples, at most {@link TrainingDefaults#MOST_EPOCHS} of
   * each: a few examples with thousands of labels do not speak for all others.
   */
  int labelsInTurn() {
    return examples()
        .map(example -> Math.min(TrainingDefaults.MOST_EPOCHS, labelsOf(example)))
        .sum();
  }

  /** Returns the rows of words, or of features that are nothing in a row. */
  BitSet words() {
    return words;
  }

  /** Returns the number of examples with more than one label. */
  int withSeveralLabels() {
    return (int) examples().filter(example -> labelsOf(example) > 1).count();
  }

  private IntStream examples() {
    return IntStream.range(0, size());
  }

  private int labelsOf(int example) {
    return labelOffsets.get(example + 1) - labelOffsets.get(example);
  }

  /** The labels of examples. */
  BitSet labelsOf(int[] examples) {
    BitSet all = new BitSet(labelNames.size());
    for (int example : examples) {
      for (int i = labelOffsets.get(example); i < labelOffsets.get(example + 1); i++) {
        all.set(labels.get(i));
      }
    }
    return all;
  }

  /** Whether an example has one of some labels. */
  boolean hasLabel(int example, IntPredicate among) {
    return IntStream.range(labelOffsets.get(example), labelOffsets.get(example + 1))
        .anyMatch(i -> among.test(labels.get(i)));
  }

  /** Returns the number of examples without a feature that was kept. */
  int withoutFeatures() {
    return (int) examples().filter(example -> length(example) == 0).count();
  }

  /** Returns the group of each row, by its number. */
  byte[] groups() {
    byte[] groups = new byte[vocabulary.rows()];
    for (int row = 0; row < groups.length; row++) {
      groups[row] = (byte) group(row).number();
    }
    return groups;
  }

  /** Returns the group of a row. */
  FeatureGroup group(int row) {
    if (vocabulary.isOfCharacters(row)) {
      return FeatureGroup.CHARACTERS;
    }
    return words.get(row) ? FeatureGroup.WORD : FeatureGroup.WORDS_IN_A_ROW;
  }

  /** Returns the features of examples, in the given order. */
  SparseRows features(int[] order, int begin, int end) {
    int[] newOffsets = new int[end - begin + 1];
    for (int i = begin; i < end; i++) {
      newOffsets[i - begin + 1] = newOffsets[i - begin] + length(order[i]);
    }
    int entries = newOffsets[end - begin];
    int[] newRows = new int[entries];
    int[] newValues = values == null ? null : new int[entries];
    for (int i = begin; i < end; i++) {
      int from = offsets.get(order[i]);
      int to = newOffsets[i - begin];
      rows.copy(from, length(order[i]), newRows, to);
      if (values != null) {
        values.copy(from, length(order[i]), newValues, to);
      }
    }
    return values == null
        ? SparseRows.of(newOffsets, newRows)
        : SparseRows.of(newOffsets, newRows, ChunkedIntList.toFloats(newValues));
  }

  /**
   * Returns the features that a set of some of the examples would have kept. The vocabulary has all
   * features of every example, but future examples have others.
   */
  BitSet featuresOf(int[] examples) {
    BitSet known = new BitSet(vocabulary.rows());
    int[] counts = new int[vocabulary.rows()];
    for (int example : examples) {
      for (int i = offsets.get(example); i < offsets.get(example + 1); i++) {
        counts[rows.get(i)]++;
      }
    }
    for (int row = 0; row < counts.length; row++) {
      known.set(row, FeatureCounts.isFrequent(counts[row], words.get(row), minCount));
    }
    return known;
  }

  /** Returns some of the features of examples, in the given order. */
  SparseRows features(int[] order, int begin, int end, BitSet known) {
    return features(order, begin, end, row -> known.get(row) ? row : -1);
  }

  /**
   * Returns the features of examples for an embedding, in the given order.
   *
   * @param withCharacters whether it has rows of characters; if not, others have other numbers
   */
  SparseRows features(int[] order, int begin, int end, boolean withCharacters) {
    return withCharacters || !vocabulary.hasCharacters()
        ? features(order, begin, end)
        : features(order, begin, end, vocabulary::otherRow);
  }

  /**
   * Returns some of the features of examples, in the given order.
   *
   * @param newRow the number of a row there; negative if it is left out
   */
  private SparseRows features(int[] order, int begin, int end, IntUnaryOperator newRow) {
    List<int[]> indices = new ArrayList<>();
    List<float[]> all = new ArrayList<>();
    for (int i = begin; i < end; i++) {
      int[] entries =
          IntStream.range(offsets.get(order[i]), offsets.get(order[i] + 1))
              .filter(entry -> newRow.applyAsInt(rows.get(entry)) >= 0)
              .toArray();
      indices.add(IntStream.of(entries).map(rows::get).map(newRow).toArray());
      if (values != null) {
        all.add(ChunkedIntList.toFloats(IntStream.of(entries).map(values::get).toArray()));
      }
    }
    return values == null ? SparseRows.of(indices) : SparseRows.of(indices, all);
  }

  /** Returns the number of features of an example. */
  private int length(int example) {
    return offsets.get(example + 1) - offsets.get(example);
  }

  /** Returns the label of each example whose turn it is in an epoch, in the given order. */
  IntTensor labelsInTurn(int[] order, int begin, int end, int epoch, long seed) {
    int[] inTurn = new int[end - begin];
    for (int i = begin; i < end; i++) {
      inTurn[i - begin] = label(order[i], epoch, seed);
    }
    return IntTensor.of(inTurn, inTurn.length);
  }

  /** Returns all labels of examples, in the given order. */
  SparseRows labels(int[] order, int begin, int end) {
    int[] newOffsets = new int[end - begin + 1];
    for (int i = begin; i < end; i++) {
      newOffsets[i - begin + 1] = newOffsets[i - begin] + labelsOf(order[i]);
    }
    int[] all = new int[newOffsets[end - begin]];
    for (int i = begin; i < end; i++) {
      labels.copy(labelOffsets.get(order[i]), labelsOf(order[i]), all, newOffsets[i - begin]);
    }
    return SparseRows.of(newOffsets, all);
  }

  /**
   * Returns the label of an example that an epoch learns. An example with n labels goes through all
   * of them in n epochs, from a random one on.
   */
  int label(int example, int epoch, long seed) {
    int begin = labelOffsets.get(example);
    int count = labelsOf(example);
    if (count == 1) {
      return labels.get(begin);
    }
    int first = new SplittableRandom(seed + example).nextInt(count);
    return labels.get(begin + (int) (((long) first + epoch) % count));
  }

  /**
   * A sample of examples with their labels, for clustering labels. Features are weighted by TF-IDF.
   */
  record Sample(SparseRows features, SparseRows labels) implements AutoCloseable {
    @Override
    public void close() {
      features.close();
      labels.close();
    }
  }

  /** Returns a sample in which no label needs more than {@link #MOST_OF_A_LABEL} examples. */
  Sample sample(SplittableRandom random) {
    int[] labelCounts = labels.counts(labelNames.size());
    ChunkedIntList sampled = new ChunkedIntList(); // examples
    ChunkedIntList sampledLabelOffsets = new ChunkedIntList();
    ChunkedIntList sampledLabels = new ChunkedIntList();
    sampledLabelOffsets.add(0);
    for (int e = 0; e < size(); e++) {
      int before = sampledLabels.size();
      for (int i = labelOffsets.get(e); i < labelOffsets.get(e + 1); i++) {
        int label = labels.get(i);
        if (random.nextDouble() * labelCounts[label] < MOST_OF_A_LABEL) {
          sampledLabels.add(label);
        }
      }
      if (sampledLabels.size() > before) {
        sampled.add(e);
        sampledLabelOffsets.add(sampledLabels.size());
      }
    }
    return new Sample(
        byRarity(sampled), SparseRows.of(sampledLabelOffsets.toArray(), sampledLabels.toArray()));
  }

  /**
   * Returns the features of examples; of arrays that are made once, since they may be most of
   * memory.
   */
  private SparseRows byRarity(ChunkedIntList examples) {
    float[] rarity = rarity();
    int[] newOffsets = new int[examples.size() + 1];
    for (int e = 0; e < examples.size(); e++) {
      newOffsets[e + 1] = newOffsets[e] + length(examples.get(e));
    }
    int[] newRows = new int[newOffsets[examples.size()]];
    float[] newValues = new float[newRows.length];
    int at = 0;
    for (int e = 0; e < examples.size(); e++) {
      int end = offsets.get(examples.get(e) + 1);
      for (int i = offsets.get(examples.get(e)); i < end; i++) {
        newRows[at] = rows.get(i);
        newValues[at++] =
            rarity[rows.get(i)] * (values == null ? 1 : Float.intBitsToFloat(values.get(i)));
      }
    }
    return SparseRows.of(newOffsets, newRows, newValues);
  }

  /**
   * Returns the logarithm of how many times more examples there are than a feature occurs, by its
   * row.
   */
  private float[] rarity() {
    int[] counts = rows.counts(vocabulary.rows());
    float[] rarity = new float[counts.length];
    for (int row = 0; row < rarity.length; row++) {
      rarity[row] = (float) Math.log(1 + (double) size() / counts[row]);
    }
    return rarity;
  }
}
