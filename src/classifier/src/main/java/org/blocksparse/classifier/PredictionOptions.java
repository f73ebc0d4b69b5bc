// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier;

import static java.util.Objects.requireNonNull;

import java.util.List;
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
  private final Consumer<Example> unknown;

  private PredictionOptions(
      int top, double threshold, LabelFilter filter, Consumer<Example> unknown) {
    this.top = top;
    this.threshold = threshold;
    this.filter = filter;
    this.unknown = unknown;
  }

  /**
   * The most probable labels of each example.
   *
   * @param k the maximum number of labels per example
   * @throws IllegalArgumentException if k is less than 1
   */
  public static PredictionOptions top(int k) {
    if (k < 1) {
      throw new IllegalArgumentException("k: expected at least 1 but was " + k);
    }
    return new PredictionOptions(k, 0, LabelFilter.without(List.of()), example -> {});
  }

  /**
   * The minimum probability of a label; 0 by default. {@link Classifier#threshold} returns the one
   * that training found.
   *
   * @throws IllegalArgumentException unless it is in [0, 1]
   */
  public PredictionOptions withThreshold(double value) {
    if (!(value >= 0 && value <= 1)) {
      throw new IllegalArgumentException("threshold: expected a number in [0, 1] but was " + value);
    }
    return new PredictionOptions(top, value, filter, unknown);
  }

  /** The labels that are allowed; all by default. */
  public PredictionOptions withFilter(LabelFilter value) {
    return new PredictionOptions(top, threshold, requireNonNull(value, "filter"), unknown);
  }

  /** Receives each example for which {@link Classifier#knowsFeatureOf} is false. */
  public PredictionOptions withUnknown(Consumer<Example> value) {
    return new PredictionOptions(top, threshold, filter, requireNonNull(value, "unknown"));
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

  Consumer<Example> unknown() {
    return unknown;
  }
}
