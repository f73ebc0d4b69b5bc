// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.DoubleStream;
import org.blocksparse.classifier.examples.Example;
import org.blocksparse.classifier.features.InputRows;
import org.blocksparse.internal.search.LogOdds;
import org.blocksparse.internal.search.LogisticRegression;

/**
 * The odds that no label of a model applies to an example. Their logarithm is {@code first * that
 * of the likeliest label + second * that of the next one + unknown * the number of words of ten
 * that the model does not know + intercept}, where half of all examples have no known label;
 * another share moves the intercept (King and Zeng, "Logistic Regression in Rare Events Data",
 * 2001).
 */
public final class NoneOdds {
  /** The bound on log odds of labels: those of a probability of 1 are infinite. */
  private static final double LARGEST_ODDS = 16;

  /** The bound on numbers in a file. */
  private static final double LARGEST = 1e3;

  private static final int SIGNALS = 3;

  /** The number of words whose unknown ones are counted, so that the fit's prior hardly matters. */
  private static final int OF_WORDS = 10;

  /** The weights of the signals, followed by the intercept. */
  private final double[] weights;

  private NoneOdds(double[] weights) {
    this.weights = weights;
  }

  /**
   * Fits odds to examples.
   *
   * @param known the {@linkplain #signals signals} of examples that have a known label
   * @param none the scores of examples without a label
   */
  public static NoneOdds fit(List<double[]> known, List<double[]> none) {
    LogisticRegression samples = new LogisticRegression(SIGNALS);
    known.forEach(signals -> samples.add(signals, 0, false));
    none.forEach(signals -> samples.add(signals, 0, true));
    double[] fitted = samples.fit(new double[SIGNALS + 1], new boolean[] {true, true, true});
    fitted[SIGNALS] -= Math.log((double) none.size() / known.size());
    return new NoneOdds(fitted);
  }

  /** Returns the signals of examples, by a model that has not learned from them. */
  public static List<double[]> signals(TrainedClassifier model, List<Example> examples) {
    return signals(model.input(), examples, model.predict(examples, 2));
  }

  /**
   * Returns the signals of examples.
   *
   * @param answers the two likeliest labels of each, or more, if the model has them
   */
  private static List<double[]> signals(
      InputRows rows, List<Example> examples, List<List<Prediction>> answers) {
    List<double[]> all = new ArrayList<>(examples.size());
    for (int e = 0; e < examples.size(); e++) {
      List<Prediction> best = answers.get(e);
      all.add(
          new double[] {
            odds(best, 0), odds(best, 1), OF_WORDS * rows.shareOfUnknownWords(examples.get(e))
          });
    }
    return all;
  }

  private static double odds(List<Prediction> best, int rank) {
    if (rank >= best.size()) {
      return -LARGEST_ODDS;
    }
    double log = Math.min(0, best.get(rank).logProbability());
    double odds = log - Math.log(-Math.expm1(log));
    return Math.max(-LARGEST_ODDS, Math.min(LARGEST_ODDS, odds));
  }

  /**
   * Returns the log odds of signals.
   *
   * @param share the share of all examples without a known label
   */
  public double logOdds(double[] signals, double share) {
    double sum = weights[SIGNALS] + Math.log(share / (1 - share));
    for (int i = 0; i < SIGNALS; i++) {
      sum += weights[i] * signals[i];
    }
    return sum;
  }

  /** Predicts with a model whose odds these are; see {@link PredictionOptions#withNone}. */
  List<List<Prediction>> predict(
      TrainedClassifier model, List<Example> examples, PredictionOptions options) {
    if (model.knows(Prediction.NONE)) {
      throw new IllegalArgumentException(
          "none: expected no label '" + Prediction.NONE + "' but the model has it");
    }
    List<List<Prediction>> answers = model.predict(examples, options.withoutNone());
    List<List<Prediction>> best =
        options.holdsBestTwo() ? answers : model.predict(examples, PredictionOptions.top(2));
    List<double[]> signals = signals(model.input(), examples, best);
    List<List<Prediction>> all = new ArrayList<>(examples.size());
    for (int e = 0; e < examples.size(); e++) {
      all.add(
          with(
              logOdds(signals.get(e), options.none().getAsDouble()),
              answers.get(e),
              options.threshold()));
    }
    return all;
  }

  private static List<Prediction> with(double logOdds, List<Prediction> labels, double threshold) {
    float ofAny = (float) LogOdds.logProbability(-logOdds);
    List<Prediction> all = new ArrayList<>(labels.size() + 1);
    for (Prediction label : labels) {
      Prediction joint = new Prediction(label.label(), label.logProbability() + ofAny);
      if (joint.isAtLeast(threshold)) {
        all.add(joint);
      }
    }
    all.add(new Prediction(Prediction.NONE, (float) LogOdds.logProbability(logOdds)));
    all.sort(Comparator.comparingDouble(Prediction::logProbability).reversed());
    return all;
  }

  /** Returns a text for the metadata of a file. */
  String encoded() {
    return DoubleStream.of(weights).mapToObj(Double::toString).collect(Collectors.joining(" "));
  }

  /**
   * Returns the odds that a text encodes.
   *
   * @throws IllegalArgumentException if it is not the text of odds
   */
  static NoneOdds decode(String text) {
    double[] weights =
        Arrays.stream(text.split(" ", SIGNALS + 2)).mapToDouble(Double::parseDouble).toArray();
    if (weights.length != SIGNALS + 1
        || !Arrays.stream(weights).allMatch(weight -> Math.abs(weight) <= LARGEST)) {
      throw new IllegalArgumentException(
          "expected " + (SIGNALS + 1) + " numbers of at most " + LARGEST + " but was " + text);
    }
    return new NoneOdds(weights);
  }
}
