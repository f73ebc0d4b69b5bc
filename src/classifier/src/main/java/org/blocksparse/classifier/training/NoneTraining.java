// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.training;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.TreeSet;
import java.util.concurrent.CancellationException;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.blocksparse.classifier.ClassifierFile;
import org.blocksparse.classifier.NoneOdds;
import org.blocksparse.classifier.TrainedClassifier;
import org.blocksparse.classifier.examples.Example;

/**
 * Fits the odds that no label applies. Models like the trained one learn without a part of the
 * labels and of the examples, in turn: to such a model, the examples of the withheld labels have
 * none that it knows. If examples without a label are given, they replace withheld labels.
 */
final class NoneTraining {
  /** Each fold withholds one of this many parts of the labels. */
  private static final int FOLDS = 4;

  /** Each fold holds out one of this many parts of the examples. */
  private static final int PARTS = 8;

  /** The most examples that are sampled, and the most without a label. */
  private static final int MOST = 20_000;

  /** The least examples without a label that replace withheld labels. */
  private static final int FEWEST_GIVEN = 10;

  private static final int FEWEST_LABELS = 4;

  /** The least examples of each kind to fit odds. */
  private static final int FEWEST_TO_FIT = 10;

  private final SplittableRandom random;
  private final List<Example> labelled = new ArrayList<>();
  private final List<Example> unlabelled = new ArrayList<>();
  private long labelledSeen;
  private long unlabelledSeen;

  NoneTraining(long seed) {
    this.random = new SplittableRandom(seed);
  }

  /** Receives a training example; a random sample of them is kept. */
  void add(Example example) {
    if (example.labels().isEmpty()) {
      take(example, unlabelled, ++unlabelledSeen);
    } else {
      take(example, labelled, ++labelledSeen);
    }
  }

  private void take(Example example, List<Example> into, long seen) {
    if (into.size() < MOST) {
      into.add(example);
      return;
    }
    long at = random.nextLong(seen);
    if (at < MOST) {
      into.set((int) at, example);
    }
  }

  private boolean areGiven() {
    return unlabelled.size() >= FEWEST_GIVEN;
  }

  private Set<String> labels() {
    return labelled.stream()
        .flatMap(example -> example.labels().stream())
        .collect(Collectors.toCollection(TreeSet::new));
  }

  /**
   * Requires examples for a fit.
   *
   * @throws IllegalArgumentException if there are too few
   */
  void requireEnough() {
    int labels = labels().size();
    if (!areGiven() && labels < FEWEST_LABELS) {
      throw new IllegalArgumentException(
          "none: expected "
              + FEWEST_LABELS
              + " labels, some of which are withheld, or "
              + FEWEST_GIVEN
              + " examples without a label, but there are "
              + labels
              + " and "
              + unlabelled.size());
    }
  }

  /** Stores the odds in a model that was trained with options; a stopped training has none. */
  void fit(TrainedClassifier model, TrainingOptions options) {
    List<double[]> known = new ArrayList<>();
    List<double[]> none = new ArrayList<>();
    boolean isNear = model.labels().size() > labelled.size(); // neighbours may join
    TrainingOptions ofSplits = options.like(isNear ? options.head() : model.head());
    try {
      for (Split split : splits(options.seed())) {
        if (split.learned.stream().allMatch(example -> example.labels().isEmpty())) {
          continue;
        }
        try (TrainedClassifier like = split.train(ofSplits)) {
          known.addAll(NoneOdds.signals(like, split.known));
          none.addAll(NoneOdds.signals(like, split.none));
        }
      }
    } catch (CancellationException e) {
      options.listener().warning("ended before the odds of no label: --none needs these");
      return;
    }
    if (known.size() < FEWEST_TO_FIT || none.size() < FEWEST_TO_FIT) {
      options
          .listener()
          .warning(
              "too few examples for the odds of no label: expected "
                  + FEWEST_TO_FIT
                  + " of known labels, and of none, but there are "
                  + known.size()
                  + " and "
                  + none.size());
      return;
    }
    ClassifierFile.setNone(model.metadata(), NoneOdds.fit(known, none));
    model.card().put("examples of known labels for the odds of none", known.size());
    model.card().put("examples of no label for the odds of none", none.size());
  }

  /**
   * The examples on whose answers by a model the odds are fitted.
   *
   * @param withheld labels, which no example has
   * @param learned by the model
   * @param known examples that have a label of the model, which has not learned from them
   * @param none examples that have no label of the model
   */
  record Split(
      Set<String> withheld, List<Example> learned, List<Example> known, List<Example> none) {
    /** Trains a model that knows neither the withheld labels nor their texts. */
    TrainedClassifier train(TrainingOptions options) {
      Map<String, String> texts =
          options.labelTexts().entrySet().stream()
              .filter(text -> !withheld.contains(text.getKey()))
              .collect(Collectors.toMap(Map.Entry::getKey, Map.Entry::getValue));
      TrainingOptions left = options.with(texts);
      return new HeadTraining(TrainingSet.of(learned.stream(), left), left).train();
    }
  }

  /** Returns one split for each fold. */
  List<Split> splits(long seed) {
    List<String> labels = new ArrayList<>(labels());
    Collections.shuffle(labels, new Random(seed));
    return IntStream.range(0, FOLDS).mapToObj(fold -> split(fold, withheld(labels, fold))).toList();
  }

  private Set<String> withheld(List<String> labels, int fold) {
    Set<String> withheld = new HashSet<>();
    for (int i = fold; !areGiven() && i < labels.size(); i += FOLDS) {
      withheld.add(labels.get(i));
    }
    return withheld;
  }

  private Split split(int fold, Set<String> withheld) {
    Split split = new Split(withheld, new ArrayList<>(), new ArrayList<>(), new ArrayList<>());
    for (Example example : labelled) {
      Example left = without(withheld, example);
      if (left.labels().isEmpty()) {
        split.none.add(left);
      } else {
        (partOf(example) == fold ? split.known : split.learned).add(left);
      }
    }
    if (areGiven()) {
      unlabelled.forEach(
          each -> (partOf(each) % FOLDS == fold ? split.none : split.learned).add(each));
    }
    return split;
  }

  private static Example without(Set<String> withheld, Example example) {
    List<String> left = example.labels().stream().filter(l -> !withheld.contains(l)).toList();
    if (left.size() == example.labels().size()) {
      return example;
    }
    return example.isText()
        ? Example.ofText(example.text(), left)
        : Example.ofFeatures(example.indices(), example.values(), left);
  }

  /** Returns the part of an example; equal examples have the same. */
  private static int partOf(Example example) {
    int hash = example.isText() ? example.text().hashCode() : Arrays.hashCode(example.indices());
    return Math.floorMod(new SplittableRandom(hash).nextInt(), PARTS);
  }
}
