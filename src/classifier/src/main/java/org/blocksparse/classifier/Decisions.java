// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Stream;
import org.blocksparse.SparseRows;
import org.blocksparse.ranking.Labels;
import org.blocksparse.ranking.Ranking;

/**
 * Metrics of decisions: a label is predicted if its probability is at least a threshold. {@link
 * Classifier#evaluate(Stream, int, double, java.util.function.Consumer) evaluate} returns them.
 *
 * <pre>{@code
 * precision   right / predicted
 * recall      right / labels of examples
 * F1          2 right / (predicted + labels of examples)
 * }</pre>
 *
 * <p>Micro F1 is computed over all decisions, macro F1 is the mean over the labels that examples
 * have. A label that the model does not know is never predicted. Examples without a label do not
 * count.
 *
 * <p>Not for several threads at the same time.
 */
public final class Decisions {
  /** The lowest threshold: labels below it are not searched for. */
  public static final double LEAST_THRESHOLD = 0.001;

  /** The number of thresholds that are compared, from 1 / STEPS to 1. */
  private static final int STEPS = 1000;

  private static final int BINS = 10;

  /** The log of each threshold, rounded as {@link Prediction#isAtLeast} rounds it. */
  private static final float[] LOG_THRESHOLDS = logThresholds();

  private final Labels labels;
  private final double threshold;
  private long examples;
  private long labelsOfExamples;

  /** Counts of predictions, by the highest threshold that they reach. */
  private final long[] predicted = new long[STEPS + 1];

  private final long[] right = new long[STEPS + 1];

  // Counts for each label of the model, at the threshold.
  private final int[] examplesOfLabel;
  private final int[] predictedOfLabel;
  private final int[] rightOfLabel;

  /** The number of examples of each label that the model does not know. */
  private final Map<String, Integer> unknown = new LinkedHashMap<>();

  // Counts and sums of predictions, by their probability.
  private final long[] countInBin = new long[BINS];
  private final long[] rightInBin = new long[BINS];
  private final double[] probabilityInBin = new double[BINS];

  /** The sum of probability - right over the first predictions in each bin. */
  private final double[] errorOfFirst = new double[BINS];

  /**
   * One label's decisions.
   *
   * @param examples the examples that have the label
   * @param predicted examples for which it was predicted
   * @param right how many of these have it
   */
  public record OfLabel(String label, int examples, int predicted, int right) {
    /** Returns the share of predictions that is right; 0 if there are none. */
    public double precision() {
      return predicted == 0 ? 0 : (double) right / predicted;
    }

    /** Returns the share of examples that is found; 0 if there are none. */
    public double recall() {
      return examples == 0 ? 0 : (double) right / examples;
    }

    /** Returns the harmonic mean of precision and recall. */
    public double f1() {
      return Decisions.f1(right, predicted, examples);
    }
  }

  /**
   * Predictions of similar probability. If a model is calibrated, the right rate is close to the
   * mean probability.
   *
   * @param from the lowest probability
   * @param to the upper bound; exclusive, except for 1
   * @param count the number of predictions
   * @param meanProbability NaN if there are no predictions
   * @param rightRate the share that is right; NaN if there are no predictions
   */
  public record Bin(double from, double to, long count, double meanProbability, double rightRate) {}

  /**
   * Starts without decisions.
   *
   * @param labels the labels of the model
   * @throws IllegalArgumentException unless the threshold is in [{@link #LEAST_THRESHOLD}, 1]
   */
  Decisions(Labels labels, double threshold) {
    this.labels = labels;
    this.threshold = requireThreshold(threshold);
    this.examplesOfLabel = new int[labels.size()];
    this.predictedOfLabel = new int[labels.size()];
    this.rightOfLabel = new int[labels.size()];
  }

  private static float[] logThresholds() {
    float[] logs = new float[STEPS + 1];
    for (int step = 0; step <= STEPS; step++) {
      logs[step] = Prediction.logThreshold(threshold(step));
    }
    return logs;
  }

  private static double threshold(int step) {
    return (double) step / STEPS;
  }

  private static double f1(long right, long predicted, long examples) {
    return predicted + examples == 0 ? 0 : 2.0 * right / (predicted + examples);
  }

  /**
   * Adds a batch.
   *
   * @param ranking all labels with at least the lowest threshold
   * @param rightLabels the right labels of each row; those that the model does not know are numbers
   *     of no output
   */
  void add(Ranking ranking, SparseRows rightLabels) {
    for (int row = 0; row < ranking.batch(); row++) {
      int[] ofRow = Arrays.stream(rightLabels.indices(row)).sorted().distinct().toArray();
      if (ofRow.length > 0) {
        examples++;
        labelsOfExamples += ofRow.length;
        for (int label : ofRow) {
          if (label < examplesOfLabel.length) {
            examplesOfLabel[label]++;
          }
        }
        add(ranking, row, ofRow);
      }
    }
  }

  private void add(Ranking ranking, int row, int[] rightLabels) {
    float logThreshold = Prediction.logThreshold(threshold);
    for (int rank = 0; rank < ranking.size(row); rank++) {
      int output = ranking.output(row, rank);
      float logProbability = ranking.logProbability(row, rank);
      int hit = Arrays.binarySearch(rightLabels, output) >= 0 ? 1 : 0;
      int step = highestStep(logProbability);
      predicted[step]++;
      right[step] += hit;
      if (logProbability >= logThreshold) {
        predictedOfLabel[output]++;
        rightOfLabel[output] += hit;
      }
      double probability = Math.exp(logProbability);
      int bin = Math.min(BINS - 1, (int) (BINS * probability));
      errorOfFirst[bin] += rank == 0 ? probability - hit : 0;
      countInBin[bin]++;
      rightInBin[bin] += hit;
      probabilityInBin[bin] += probability;
    }
  }

  private static int highestStep(float logProbability) {
    int found = Arrays.binarySearch(LOG_THRESHOLDS, logProbability);
    return found >= 0 ? found : -found - 2;
  }

  /** Counts a label of an example that the model does not know; {@link #add} has its number. */
  void addUnknown(String label) {
    unknown.merge(label, 1, Integer::sum);
  }

  /** Returns the number of examples that have labels. */
  public long examples() {
    return examples;
  }

  /** Returns the threshold that was given. */
  public double threshold() {
    return threshold;
  }

  /** Returns the precision over all decisions; 0 if nothing was predicted. */
  public double precision() {
    long all = sum(predictedOfLabel);
    return all == 0 ? 0 : (double) sum(rightOfLabel) / all;
  }

  /** Returns the recall over all decisions; 0 if there are no examples. */
  public double recall() {
    return labelsOfExamples == 0 ? 0 : (double) sum(rightOfLabel) / labelsOfExamples;
  }

  /**
   * Returns F1 over all decisions with another threshold, rounded to a multiple of 1/1000.
   *
   * @throws IllegalArgumentException unless the threshold is in [{@link #LEAST_THRESHOLD}, 1]
   */
  public double microF1(double from) {
    return f1OfSteps()[(int) Math.round(requireThreshold(from) * STEPS)];
  }

  private static double requireThreshold(double threshold) {
    if (!(threshold >= LEAST_THRESHOLD && threshold <= 1)) {
      throw new IllegalArgumentException(
          "threshold: expected a number in [" + LEAST_THRESHOLD + ", 1] but was " + threshold);
    }
    return threshold;
  }

  /** Returns F1 over all decisions. */
  public double microF1() {
    return f1(sum(rightOfLabel), sum(predictedOfLabel), labelsOfExamples);
  }

  private static long sum(int[] values) {
    return Arrays.stream(values).asLongStream().sum();
  }

  /** Returns the mean of F1 over the labels that examples have; 0 if there are no examples. */
  public double macroF1() {
    return byLabel().stream()
        .filter(label -> label.examples > 0)
        .mapToDouble(OfLabel::f1)
        .average()
        .orElse(0);
  }

  /**
   * Returns the threshold with the highest micro F1, a multiple of 1/1000. If neighboring
   * thresholds tie, it is the middle one.
   */
  public double bestThreshold() {
    double[] ofSteps = f1OfSteps();
    double best = Arrays.stream(ofSteps).max().orElseThrow();
    int first = 1;
    while (ofSteps[first] < best) {
      first++;
    }
    int last = first;
    while (last < STEPS && ofSteps[last + 1] == best) {
      last++;
    }
    return threshold((first + last) / 2);
  }

  /** Returns micro F1 at the {@linkplain #bestThreshold best threshold}. */
  public double bestF1() {
    return Arrays.stream(f1OfSteps()).max().orElseThrow();
  }

  private double[] f1OfSteps() {
    double[] ofSteps = new double[STEPS + 1];
    long predictedSoFar = 0;
    long rightSoFar = 0;
    for (int step = STEPS; step > 0; step--) {
      predictedSoFar += predicted[step];
      rightSoFar += right[step];
      ofSteps[step] = f1(rightSoFar, predictedSoFar, labelsOfExamples);
    }
    return ofSteps;
  }

  /**
   * Returns the labels that examples have or that were predicted, by descending number of examples.
   */
  public List<OfLabel> byLabel() {
    List<OfLabel> all = new ArrayList<>();
    for (int label = 0; label < examplesOfLabel.length; label++) {
      if (examplesOfLabel[label] + predictedOfLabel[label] > 0) {
        all.add(
            new OfLabel(
                labels.name(label),
                examplesOfLabel[label],
                predictedOfLabel[label],
                rightOfLabel[label]));
      }
    }
    unknown.forEach((name, count) -> all.add(new OfLabel(name, count, 0, 0)));
    all.sort(Comparator.comparingInt(OfLabel::examples).reversed());
    return all;
  }

  /**
   * Returns the predictions of at least {@link #LEAST_THRESHOLD}, in ten bins of ascending
   * probability.
   */
  public List<Bin> reliability() {
    List<Bin> bins = new ArrayList<>();
    for (int bin = 0; bin < BINS; bin++) {
      long count = countInBin[bin];
      bins.add(
          new Bin(
              (double) bin / BINS,
              (double) (bin + 1) / BINS,
              count,
              count == 0 ? Double.NaN : probabilityInBin[bin] / count,
              count == 0 ? Double.NaN : (double) rightInBin[bin] / count));
    }
    return bins;
  }

  /**
   * Returns the expected calibration error: the mean over all predictions of the absolute
   * difference between mean probability and right rate of their bin. NaN if there are no
   * predictions.
   */
  public double calibrationError() {
    double sum = 0;
    for (int bin = 0; bin < BINS; bin++) {
      sum += Math.abs(probabilityInBin[bin] - rightInBin[bin]);
    }
    return sum / Arrays.stream(countInBin).sum();
  }

  /**
   * Returns the expected calibration error of the most probable label of each example; NaN if there
   * are no examples. {@link #calibrationError} weights all predictions, most of which are
   * improbable, and so hides errors of the first.
   */
  public double firstCalibrationError() {
    return Arrays.stream(errorOfFirst).map(Math::abs).sum() / examples;
  }

  @Override
  public String toString() {
    return String.format(
        Locale.ROOT,
        "Decisions(%,d examples; at %s: micro F1 %.4f, macro F1 %.4f)",
        examples,
        threshold,
        microF1(),
        macroF1());
  }
}
