// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier;

import static java.util.Objects.requireNonNull;

import java.util.List;
import java.util.OptionalDouble;
import java.util.function.Consumer;
import org.blocksparse.classifier.examples.Example;

/**
 * Options of {@link Classifier#predict(List, PredictionOptions)}. Immutable: {@code
 * PredictionOptions.top(5).withThreshold(0.5)}.
 */
public final class PredictionOptions {
  private final int top;
  private final double threshold;
  private final LabelFilter filter;

  /** The share of examples without a label; empty if {@link Prediction#NONE} is not predicted. */
  private final OptionalDouble none;

  private final Consumer<Example> unknown;

  private PredictionOptions(
      int top,
      double threshold,
      LabelFilter filter,
      OptionalDouble none,
      Consumer<Example> unknown) {
    this.top = top;
    this.threshold = threshold;
    this.filter = filter;
    this.none = none;
    this.unknown = unknown;
  }

  /**
   * Returns the most probable labels of each example.
   *
   * @param k the maximum number of labels per example
   * @throws IllegalArgumentException if k is less than 1
   */
  public static PredictionOptions top(int k) {
    if (k < 1) {
      throw new IllegalArgumentException("k: expected at least 1 but was " + k);
    }
    return new PredictionOptions(
        k, 0, LabelFilter.without(List.of()), OptionalDouble.empty(), example -> {});
  }

  /**
   * Sets the minimum probability of a label; 0 by default. {@link Classifier#threshold} returns the
   * one that training found.
   *
   * @throws IllegalArgumentException unless it is in [0, 1]
   */
  public PredictionOptions withThreshold(double value) {
    if (!(value >= 0 && value <= 1)) {
      throw new IllegalArgumentException("threshold: expected a number in [0, 1] but was " + value);
    }
    return new PredictionOptions(top, value, filter, none, unknown);
  }

  /** Sets the labels that are allowed; all by default. */
  public PredictionOptions withFilter(LabelFilter value) {
    return new PredictionOptions(top, threshold, requireNonNull(value, "filter"), none, unknown);
  }

  /**
   * Also predicts {@link Prediction#NONE}: each example gets its probability that no label of the
   * model applies, beside at most {@link #top} labels, whatever threshold and filter are. The
   * probability of a label is then that of it and not of none, so it is lower than without.
   *
   * @param share the share of examples that have none of the labels, if it is known: it moves all
   *     probabilities, and leaves the order of examples by {@code NONE}
   * @throws IllegalArgumentException unless it is above 0 and below 1; from {@link
   *     Classifier#predict(List, PredictionOptions)} if the model was not trained {@linkplain
   *     org.blocksparse.classifier.training.TrainingOptions#withNone for it}
   */
  public PredictionOptions withNone(double share) {
    if (!(share > 0 && share < 1)) {
      throw new IllegalArgumentException(
          "none: expected a share above 0 and below 1 but was " + share);
    }
    return new PredictionOptions(top, threshold, filter, OptionalDouble.of(share), unknown);
  }

  /** Returns whether answers hold the two likeliest labels. */
  boolean holdsBestTwo() {
    return top >= 2 && threshold == 0 && filter.isOfAll();
  }

  PredictionOptions withoutNone() {
    return new PredictionOptions(top, threshold, filter, OptionalDouble.empty(), unknown);
  }

  /** Receives each example for which {@link Classifier#knowsFeatureOf} is false. */
  public PredictionOptions withUnknown(Consumer<Example> value) {
    return new PredictionOptions(top, threshold, filter, none, requireNonNull(value, "unknown"));
  }

  public int top() {
    return top;
  }

  public double threshold() {
    return threshold;
  }

  public LabelFilter filter() {
    return filter;
  }

  /** Returns the share of examples without a label of the model; empty if NONE is not predicted. */
  public OptionalDouble none() {
    return none;
  }

  Consumer<Example> unknown() {
    return unknown;
  }
}
