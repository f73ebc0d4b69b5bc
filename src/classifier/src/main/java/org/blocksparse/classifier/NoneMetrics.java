// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.function.ToDoubleFunction;

/**
 * Metrics of examples some of which have no label that the model knows. An answer is right if it is
 * {@link Prediction#NONE} for one of these, and otherwise if it is a right label. For comparison, a
 * rule uses the probability of the first label alone, without {@code NONE}.
 *
 * <p>Not for several threads at the same time.
 */
public final class NoneMetrics {
  private final List<Answer> answers = new ArrayList<>();

  /**
   * The answer to an example.
   *
   * @param isNone whether it has no known label
   * @param none the logarithm of the probability that it has none
   * @param first the probability of the first label, without NONE
   * @param isFirstRight whether the example has it
   * @param isRight whether the likeliest answer is right
   */
  private record Answer(
      boolean isNone, double none, double first, boolean isFirstRight, boolean isRight) {}

  NoneMetrics() {}

  /**
   * Adds an answer.
   *
   * @param answer the answer with NONE
   * @param isNone whether the example has no known label
   */
  void add(List<Prediction> answer, Prediction first, List<String> labels, boolean isNone) {
    Prediction best = answer.get(0);
    double none =
        answer.stream().filter(Prediction::isNone).findFirst().orElseThrow().logProbability();
    answers.add(
        new Answer(
            isNone,
            none,
            first.logProbability(),
            labels.contains(first.label()),
            isNone ? best.isNone() : labels.contains(best.label())));
  }

  /** Returns the number of examples. */
  public long examples() {
    return answers.size();
  }

  /** Returns the number of examples without a known label. */
  public long none() {
    return answers.stream().filter(Answer::isNone).count();
  }

  /**
   * Returns how often an example without a known label has a higher probability of that than
   * another example: the area under the ROC curve. NaN unless there are examples of both kinds.
   */
  public double auroc() {
    return auroc(Answer::none);
  }

  /** Returns the area under the ROC curve by the probability of the first label alone. */
  public double aurocOfFirst() {
    return auroc(answer -> -answer.first);
  }

  private double auroc(ToDoubleFunction<Answer> score) {
    List<Answer> sorted = new ArrayList<>(answers);
    sorted.sort(Comparator.comparingDouble(score));
    double ranks = 0;
    for (int begin = 0, end; begin < sorted.size(); begin = end) {
      double value = score.applyAsDouble(sorted.get(begin));
      int tied = 0;
      for (end = begin; end < sorted.size(); end++) {
        if (score.applyAsDouble(sorted.get(end)) != value) {
          break;
        }
        tied += sorted.get(end).isNone ? 1 : 0;
      }
      ranks += tied * (begin + 1 + end) / 2.0; // each of them has the mean rank
    }
    double none = none();
    return (ranks - none * (none + 1) / 2) / (none * (examples() - none));
  }

  /** Returns the share of answers that is right; NaN if there are no examples. */
  public double accuracy() {
    return (double) answers.stream().filter(Answer::isRight).count() / answers.size();
  }

  /**
   * Returns the share of right answers by the first label alone, which is none below the threshold
   * that is best for these examples: an upper bound for this rule.
   */
  public double accuracyOfFirst() {
    List<Answer> sorted = new ArrayList<>(answers);
    sorted.sort(Comparator.comparingDouble(Answer::first));
    long right = sorted.stream().filter(answer -> !answer.isNone && answer.isFirstRight).count();
    long most = right;
    for (int i = 0; i < sorted.size(); i++) {
      Answer answer = sorted.get(i);
      right += answer.isNone ? 1 : answer.isFirstRight ? -1 : 0;
      boolean isLastOfTied = i + 1 == sorted.size() || sorted.get(i + 1).first != answer.first;
      most = isLastOfTied ? Math.max(most, right) : most;
    }
    return (double) most / answers.size();
  }
}
