// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.training;

import org.blocksparse.classifier.TrainedClassifier;
import org.blocksparse.softmax.ClassAssignment;

/**
 * The values of {@link TrainingOptions}, with defaults for those that are not set. Defaults depend
 * on the examples; src/doc/quality.md has the measurements.
 */
record TrainingDefaults(TrainingOptions options) {
  private static final int FEWEST_EXAMPLES_OF_AN_EMBEDDING = 500;

  /** With fewer examples, the linear head is trained again on those held out, too. */
  private static final int MANY_EXAMPLES = 20_000;

  /** The number of features for each example that may be several words in a row. */
  private static final int IN_A_ROW = 2;

  /** The least number of word n-grams that may be features, with few examples. */
  private static final int IN_A_ROW_OF_FEW_EXAMPLES = 50_000;

  /** The number of examples in all epochs together. */
  private static final int EXAMPLES_TO_SEE = 750_000;

  private static final int FEWEST_EPOCHS = 3;

  /**
   * The minimum number of epochs per label of an example: each epoch learns one of them, so these
   * see most of the labels.
   */
  private static final double FEWEST_EPOCHS_OF_A_LABEL = 1.5;

  /**
   * The epochs per label of an example from which on models overfit, unless there are few examples.
   */
  private static final int EPOCHS_OF_A_LABEL = 5;

  private static final int FEW_EXAMPLES_TO_SEE = 20_000;

  /** The maximum number of epochs, and the maximum number of labels of an example that count. */
  static final int MOST_EPOCHS = 40;

  private static final int DIMENSION = 64;
  private static final int DIMENSION_OF_MANY_LABELS = 128;

  /**
   * The number of labels from which on, with several per example, rare labels gain from a larger
   * dimension.
   */
  private static final int MANY_LABELS = 4096;

  private static final double RATE = 0.2;
  private static final double RATE_FROM_A_MODEL = 0.01;
  private static final double SMOOTHING_OF_A_SOFTMAX = 0.1;

  private static final int STEPS_OF_AN_EPOCH = 256;
  private static final int SMALLEST_BATCH = 16;
  private static final int LARGEST_BATCH = 1024;

  /**
   * The number of labels up to which there is one class: two levels are less accurate with few
   * examples.
   */
  private static final int FEW_LABELS = 1024;

  /** The number of scores in all steps up to which there is one class: it takes some seconds. */
  private static final long FEW_SCORES = 1_000_000_000;

  /** The maximum share of examples with several labels for which one label is the rule. */
  private static final double MOST_WITH_SEVERAL_LABELS = 0.1;

  private static final int LEAST_PATIENCE = 3;

  /** The patience is the epochs divided by this: the last, small steps still improve a model. */
  private static final int PART_OF_PATIENCE = 4;

  /** Returns whether one label is the rule, if so many of the examples have several. */
  static boolean haveOneLabel(int examples, int withSeveralLabels) {
    return withSeveralLabels <= MOST_WITH_SEVERAL_LABELS * examples;
  }

  /** Returns whether there are too few examples for an embedding beside a linear head. */
  static boolean areFew(int examples) {
    return examples < FEWEST_EXAMPLES_OF_AN_EMBEDDING;
  }

  /** Returns whether the linear head has enough examples without those held out. */
  static boolean areMany(int examples) {
    return examples >= MANY_EXAMPLES;
  }

  /** The size of the vectors. */
  int dimension(int labels, boolean haveOneLabel) {
    if (options.initialModel() != null) { // with an embedding, for which this matters
      return options.initialModel().bag().features();
    }
    boolean isLarge = labels >= MANY_LABELS && !haveOneLabel;
    return options.dimension(isLarge ? DIMENSION_OF_MANY_LABELS : DIMENSION);
  }

  /** Returns options for an embedding beside a linear head, which knows rare labels better. */
  TrainingOptions besideLinearHead() {
    return options.hasDimension() ? options : options.withDimension(DIMENSION);
  }

  /**
   * Returns the number of epochs.
   *
   * @param labels the labels of all examples together, at most {@link #MOST_EPOCHS} of each
   */
  int epochs(int examples, int labels) {
    double ofLabel = Math.max(EPOCHS_OF_A_LABEL, (double) FEW_EXAMPLES_TO_SEE / examples);
    long most = Math.min(MOST_EPOCHS, Math.round(ofLabel * labels / examples));
    double ofEachLabel = Math.ceil(FEWEST_EPOCHS_OF_A_LABEL * labels / examples);
    double least = Math.min(MOST_EPOCHS, Math.max(FEWEST_EPOCHS, ofEachLabel));
    return options.epochs((int) Math.max(least, Math.min(most, EXAMPLES_TO_SEE / examples)));
  }

  double rate() {
    return options.rate(options.initialModel() != null ? RATE_FROM_A_MODEL : RATE);
  }

  double smoothing() {
    return labelTree() ? 0 : SMOOTHING_OF_A_SOFTMAX;
  }

  boolean labelTree() {
    TrainedClassifier initial = options.initialModel();
    return initial != null ? initial.hasLabelTree() : options.labelTree();
  }

  /** Returns the examples of a step. */
  int batch(int examples) {
    int wanted = examples / STEPS_OF_AN_EPOCH;
    return options.batch(Math.max(SMALLEST_BATCH, Math.min(LARGEST_BATCH, wanted)));
  }

  /**
   * Returns the maximum number of features that are several words in a row, and of those that are
   * characters: in long texts there are very many, and most of them hardly help.
   */
  int mostInARow(int examples) {
    return options.maxFeatures(
        (int)
            Math.min(
                TrainingOptions.MOST_FEATURES,
                Math.max(IN_A_ROW_OF_FEW_EXAMPLES, (long) IN_A_ROW * examples)));
  }

  /**
   * Returns the number of classes.
   *
   * @param withSeveralLabels the number of examples that have more than one label
   */
  int classes(int labels, int examples, int withSeveralLabels, int epochs) {
    long scores = (long) labels * examples * epochs;
    boolean isPlain =
        !labelTree() && haveOneLabel(examples, withSeveralLabels) && scores <= FEW_SCORES;
    boolean isOne = labels <= FEW_LABELS || isPlain;
    return Math.min(labels, options.classes(isOne ? 1 : ClassAssignment.defaultCount(labels)));
  }

  ValidationMetric validationMetric() {
    int several = (int) options.validation().stream().filter(e -> e.labels().size() > 1).count();
    return haveOneLabel(options.validation().size(), several)
        ? ValidationMetric.PRECISION_AT_1
        : ValidationMetric.NDCG_AT_5;
  }

  int patience(int epochs) {
    return options.patience(Math.max(LEAST_PATIENCE, epochs / PART_OF_PATIENCE));
  }
}
