// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.training;

import java.util.ArrayList;
import java.util.BitSet;
import java.util.Collections;
import java.util.HashSet;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.Spliterator;
import java.util.Spliterators;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;
import org.blocksparse.SparseRows;
import org.blocksparse.classifier.Heads;
import org.blocksparse.classifier.examples.Example;
import org.blocksparse.classifier.features.CharacterNgrams;
import org.blocksparse.classifier.features.FeatureGroup;
import org.blocksparse.linear.LinearLabelTree;

/**
 * Chooses the features of texts: a linear head for each choice learns a part of some of the first
 * examples, and ranks the labels of others. Characters in a row join words, and words in a row join
 * or leave, if they gain more than the standard error of the gain.
 */
final class FeatureTrial {
  /** With fewer examples, a trial shows nothing. */
  private static final int FEWEST = 100;

  /** The first examples, of which some are taken. */
  private static final int MOST_READ = 100_000;

  private static final int MOST_CHARACTERS_READ = 1 << 24;

  /** The maximum number of examples that are taken. */
  private static final int MOST = 3000;

  /** Up to this number, all are held out, in turn. */
  private static final int FEW = 2000;

  private static final int FOLDS = 4;
  private static final int HELD_OUT = 1000;

  /** With fewer examples for each label, words in a row have to gain to be there. */
  private static final int FEW_OF_A_LABEL = 20;

  private final TrainingOptions options;
  private final TrainingSet set;
  private final List<Fold> folds;

  /** The unit of each example that was held out, in the order of folds. */
  private final List<Integer> unitsOfExamples = new ArrayList<>();

  /** The number of examples for each label, before some were taken. */
  private final double examplesOfLabel;

  /**
   * Options with chosen features, and all examples that they are for.
   *
   * @param examples all of them, those that were read included
   * @param gains for the card of a model
   */
  record Choice(TrainingOptions options, Stream<Example> examples, Map<String, String> gains) {}

  /** A choice of features beside words. */
  private record Features(boolean inARow, boolean characters) {
    boolean has(FeatureGroup group) {
      return switch (group) {
        case WORD -> true;
        case WORDS_IN_A_ROW -> inARow;
        case CHARACTERS -> characters;
      };
    }
  }

  private FeatureTrial(List<Example> read, TrainingOptions options) {
    this.options = options;
    this.examplesOfLabel = (double) read.size() / labels(read).size();
    this.set = TrainingSet.of(sample(read, options.seed()).stream(), options);
    int count = set.size() <= FEW ? set.size() / FOLDS : HELD_OUT;
    int most = set.size() <= FEW ? FOLDS : 1;
    this.folds = Fold.draw(set, count, most, new SplittableRandom(options.seed()));
  }

  /** Chooses the features that options leave open, by the first of some examples. */
  static Choice choose(Stream<Example> examples, TrainingOptions options) {
    if (!options.leavesFeaturesOpen()) {
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
    List<Example> labelled =
        read.stream().filter(e -> e.isText() && !e.labels().isEmpty()).toList();
    return labelled.size() < FEWEST
        ? new Choice(options, together, Map.of())
        : new FeatureTrial(labelled, wide(options)).chosen(options, together);
  }

  private static int lengthOf(Example example) {
    return example.isText() ? example.text().length() : example.indices().length;
  }

  /** All features that are tried, counted once. */
  private static TrainingOptions wide(TrainingOptions options) {
    TrainingOptions words = options.withoutLabelTexts();
    return options.hasCharNgrams() ? words : words.with(CharacterNgrams.TRIED);
  }

  private Choice chosen(TrainingOptions open, Stream<Example> examples) {
    Map<String, String> gains = new TreeMap<>();
    boolean isFixed = open.hasWordNgrams();
    Features best =
        new Features(
            isFixed ? open.textFeatures().wordNgrams() > 1 : examplesOfLabel >= FEW_OF_A_LABEL,
            open.hasCharNgrams() && !open.textFeatures().characters().areNone());
    List<Double> ofBest = ndcg(best);
    if (!open.hasCharNgrams()) {
      Features more = new Features(best.inARow, true);
      List<Double> ofMore = ndcg(more);
      if (isGain("characters", ofMore, ofBest, gains)) {
        best = more;
        ofBest = ofMore;
      }
    }
    if (!isFixed) {
      Features other = new Features(!best.inARow, best.characters);
      String name = best.inARow ? "no words in a row" : "words in a row";
      best = isGain(name, ndcg(other), ofBest, gains) ? other : best;
    }
    TrainingOptions chosen = open;
    if (!open.hasCharNgrams()) {
      chosen =
          best.characters ? chosen.with(CharacterNgrams.TRIED) : chosen.with(CharacterNgrams.NONE);
    }
    if (!isFixed && !best.inARow) {
      chosen = chosen.withWordNgrams(1);
    }
    return new Choice(chosen, examples, gains);
  }

  private boolean isGain(
      String of, List<Double> values, List<Double> over, Map<String, String> gains) {
    HeldOut.Gain gain = HeldOut.Gain.of(values, over, unitsOfExamples);
    gains.put("nDCG@5 gained by " + of, gain.toString());
    return gain.isLarge();
  }

  /** The nDCG@5 of all examples that are held out, by linear heads of the others. */
  private List<Double> ndcg(Features features) {
    List<Double> all = new ArrayList<>();
    unitsOfExamples.clear();
    for (Fold fold : folds) {
      BitSet known = fold.features();
      for (int row = 0; row < set.vocabulary().rows(); row++) {
        known.set(row, known.get(row) && features.has(set.group(row)));
      }
      int[] others = fold.others();
      try (SparseRows x = set.features(others, 0, others.length, known);
          SparseRows targets = set.labels(others, 0, others.length);
          LinearLabelTree tree = HeadTraining.builder(set, options).train(x, targets);
          HeldOut examples = fold.examples(known)) {
        all.addAll(examples.ndcg(new Heads().linear(tree).sum()));
        unitsOfExamples.addAll(examples.units());
      }
    }
    return all;
  }

  private static Set<String> labels(List<Example> examples) {
    Set<String> labels = new HashSet<>();
    examples.forEach(example -> labels.addAll(example.labels()));
    return labels;
  }

  /** Some examples of all labels: without a label, nothing would be confused with it. */
  private static List<Example> sample(List<Example> read, long seed) {
    if (read.size() <= MOST) {
      return read;
    }
    List<Example> shuffled = new ArrayList<>(read);
    Collections.shuffle(shuffled, new Random(seed));
    return shuffled.subList(0, MOST);
  }
}
