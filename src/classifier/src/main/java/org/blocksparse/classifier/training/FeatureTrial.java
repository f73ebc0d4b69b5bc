// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.training;

import java.util.ArrayList;
import java.util.BitSet;
import java.util.Collections;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Spliterator;
import java.util.Spliterators;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;
import org.blocksparse.SparseRows;
import org.blocksparse.classifier.Heads;
import org.blocksparse.classifier.examples.Example;
import org.blocksparse.classifier.features.CharacterNgrams;
import org.blocksparse.classifier.features.FeatureGroup;
import org.blocksparse.linear.LinearLabelTree;

/**
 * Chooses what a linear head learns: features of texts, names of labels as examples, and the cost
 * of an error. A linear head for each choice learns a part of some of the first examples, and ranks
 * the labels of others. A change is kept if it gains more than the standard error of the gain.
 */
final class FeatureTrial {
  /** The least examples for a trial: with fewer, it shows nothing. */
  private static final int FEWEST = 100;

  /** The number of first examples that are sampled. */
  private static final int MOST_READ = 100_000;

  private static final int MOST_CHARACTERS_READ = 1 << 24;

  /** The most examples in the sample. */
  private static final int MOST = 3000;

  /** Up to this number, all of a set are held out, in turn. */
  private static final int FEW = 2000;

  private static final int FOLDS = 4;
  private static final int HELD_OUT = 1000;

  /**
   * With fewer examples for each label, names are tried, and words in a row have to gain to be
   * there. If there are few examples in all, characters stay unless they lose.
   */
  private static final int FEW_OF_A_LABEL = 20;

  /** The first choice where labels have more examples, but there are not many in all. */
  private static final float LOW_COST = 0.5f;

  /** Rare labels of trees may need it. */
  private static final float HIGH_COST = 4;

  private final TrainingOptions options;
  private final TrainingSet set;
  private final List<Fold> folds;

  /** The unit of each example that was held out, in the order of folds. */
  private final List<Integer> unitsOfExamples = new ArrayList<>();

  private final boolean isText;

  /** Whether labels have few examples, before some were taken. */
  private final boolean areFewOfALabel;

  /** Whether there are many examples, before some were taken. */
  private final boolean areMany;

  /**
   * Options with chosen features, and all examples that they are for.
   *
   * @param examples all of them, those that were read included
   * @param gains for the card of a model
   */
  record Choice(TrainingOptions options, Stream<Example> examples, Map<String, String> gains) {}

  /** The settings of a linear head. */
  private record Choices(boolean names, boolean characters, boolean inARow, float cost) {
    boolean has(FeatureGroup group) {
      return switch (group) {
        case WORD -> true;
        case WORDS_IN_A_ROW -> inARow;
        case CHARACTERS -> characters;
      };
    }

    Choices withNames() {
      return new Choices(true, characters, inARow, cost);
    }

    Choices withOtherCharacters() {
      return new Choices(names, !characters, inARow, cost);
    }

    Choices withOtherWordsInARow() {
      return new Choices(names, characters, !inARow, cost);
    }

    Choices withCost(float value) {
      return new Choices(names, characters, inARow, value);
    }
  }

  private FeatureTrial(List<Example> read, TrainingOptions options) {
    long labels = read.stream().mapToLong(example -> example.labels().size()).sum();
    this.areFewOfALabel = labels < (long) FEW_OF_A_LABEL * distinctLabels(read);
    this.areMany = TrainingDefaults.areMany(read.size());
    this.isText = read.get(0).isText();
    this.options = isText && areFewOfALabel ? options.withLabelNames() : options;
    this.set = TrainingSet.of(sample(read, options.seed()).stream(), this.options);
    int count = set.size() <= FEW ? set.size() / FOLDS : HELD_OUT;
    int most = set.size() <= FEW ? FOLDS : 1;
    this.folds = Fold.draw(set, count, most, new SplittableRandom(options.seed()));
  }

  /** Chooses what options leave open, by the first of some examples. */
  static Choice choose(Stream<Example> examples, TrainingOptions options) {
    if (!options.leavesLinearHeadOpen()) {
      return new Choice(options, examples, Map.of());
    }
    Iterator<Example> all = examples.iterator();
    List<Example> read = new ArrayList<>();
    long characters = 0;
    while (all.hasNext() && read.size() < MOST_READ && characters < MOST_CHARACTERS_READ) {
      if (options.stop().getAsBoolean()) {
        throw EmbeddingTrainer.stoppedTooEarly();
      }
      read.add(all.next());
      characters += lengthOf(read.get(read.size() - 1));
    }
    Stream<Example> rest =
        StreamSupport.stream(Spliterators.spliteratorUnknownSize(all, Spliterator.ORDERED), false);
    Stream<Example> together = Stream.concat(read.stream(), rest);
    List<Example> labelled = read.stream().filter(e -> !e.labels().isEmpty()).toList();
    return labelled.size() < FEWEST
        ? new Choice(options, together, Map.of())
        : new FeatureTrial(labelled, wide(options)).chosen(options, together);
  }

  private static int lengthOf(Example example) {
    return example.isText() ? example.text().length() : example.indices().length;
  }

  /** Returns all features that are tried, counted once. */
  private static TrainingOptions wide(TrainingOptions options) {
    TrainingOptions words = options.withoutLabelTexts().ofSample();
    return options.hasCharNgrams() ? words : words.with(CharacterNgrams.TRIED);
  }

  private Choice chosen(TrainingOptions open, Stream<Example> examples) {
    Search search = new Search(first(open));
    if (options.labelNames()) {
      search.compare("label names", search.best.withNames());
    }
    if (isText && !open.hasCharNgrams()) {
      Choices other = search.best.withOtherCharacters();
      search.compare(other.characters ? "characters" : "no characters", other);
    }
    if (isText && !open.hasWordNgrams()) {
      Choices other = search.best.withOtherWordsInARow();
      search.compare(other.inARow ? "words in a row" : "no words in a row", other);
    }
    if (!areMany) {
      search.compare("a higher cost", search.best.withCost(HIGH_COST));
    }
    TrainingOptions chosen = isText ? with(search.best, open) : open;
    return new Choice(chosen.withCost(search.best.cost), examples, search.gains);
  }

  /** The choices that others have to gain over. */
  private Choices first(TrainingOptions open) {
    return new Choices(
        false,
        open.hasCharNgrams()
            ? !open.textFeatures().characters().areNone()
            : areFewOfALabel && set.size() <= FEW,
        open.hasWordNgrams() ? open.textFeatures().wordNgrams() > 1 : !areFewOfALabel,
        areFewOfALabel || areMany ? options.cost() : LOW_COST);
  }

  /** Options for texts, with those choices that they leave open. */
  private static TrainingOptions with(Choices best, TrainingOptions open) {
    TrainingOptions chosen = best.names ? open.withLabelNames() : open;
    if (!open.hasCharNgrams()) {
      chosen = chosen.with(best.characters ? CharacterNgrams.TRIED : CharacterNgrams.NONE);
    }
    return open.hasWordNgrams() || best.inARow ? chosen : chosen.withWordNgrams(1);
  }

  /** The best choices so far. */
  private final class Search {
    private final Map<String, String> gains = new TreeMap<>();
    private Choices best;

    /** Null: not measured yet. */
    private List<Double> ofBest;

    Search(Choices first) {
      this.best = first;
    }

    /** Takes other choices if they gain. */
    void compare(String difference, Choices other) {
      ofBest = ofBest == null ? ndcg(best) : ofBest;
      List<Double> ofOther = ndcg(other);
      HeldOut.Gain gain = HeldOut.Gain.of(ofOther, ofBest, unitsOfExamples);
      gains.put("nDCG@5 gained by " + difference, gain.toString());
      if (gain.isLarge()) {
        best = other;
        ofBest = ofOther;
      }
    }
  }

  /** The nDCG@5 of all examples that are held out, by linear heads of the others. */
  private List<Double> ndcg(Choices choices) {
    List<Double> all = new ArrayList<>();
    unitsOfExamples.clear();
    int end = choices.names ? set.sizeWithNames() : set.size();
    for (Fold fold : folds) {
      int[] others = IntStream.of(fold.others()).filter(e -> e < end).toArray();
      BitSet known = set.featuresOf(others);
      for (int row = 0; row < set.vocabulary().rows(); row++) {
        known.set(row, known.get(row) && choices.has(set.group(row)));
      }
      try (SparseRows x = set.features(others, 0, others.length, known);
          SparseRows targets = set.labels(others, 0, others.length);
          LinearLabelTree tree =
              HeadTraining.builder(set, options.withCost(choices.cost), 0).train(x, targets);
          HeldOut examples = fold.examples(known)) {
        all.addAll(examples.ndcg(new Heads().linear(tree).sum()));
        unitsOfExamples.addAll(examples.units());
      }
    }
    return all;
  }

  private static long distinctLabels(List<Example> examples) {
    return examples.stream().flatMap(example -> example.labels().stream()).distinct().count();
  }

  /**
   * Returns some examples of all labels: if a label were missing, nothing would be confused with
   * it.
   */
  private static List<Example> sample(List<Example> read, long seed) {
    if (read.size() <= MOST) {
      return read;
    }
    List<Example> shuffled = new ArrayList<>(read);
    Collections.shuffle(shuffled, new Random(seed));
    return shuffled.subList(0, MOST);
  }
}
