// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.training;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import org.blocksparse.classifier.Decisions;
import org.blocksparse.classifier.NumberedExamples;
import org.blocksparse.classifier.TrainedClassifier;
import org.blocksparse.classifier.examples.Example;
import org.blocksparse.classifier.examples.InvalidInputException;
import org.blocksparse.ranking.Metrics;

/** The validation examples that have labels, as numbers that are made once for all epochs. */
final class ValidationSet implements AutoCloseable {
  private static final int FIRST_ANSWERS = 5;

  private final List<NumberedExamples> batches = new ArrayList<>();
  private final int size;

  /** Prepares the examples for a model, whose features and labels must not change. */
  ValidationSet(List<Example> examples, TrainedClassifier model) {
    List<Example> labelled = examples.stream().filter(e -> !e.labels().isEmpty()).toList();
    size = labelled.size();
    try {
      for (int begin = 0; begin < size; begin += NumberedExamples.BATCH) {
        int end = Math.min(size, begin + NumberedExamples.BATCH);
        batches.add(model.numbered(labelled.subList(begin, end)));
      }
    } catch (Throwable e) {
      close();
      throw e;
    }
  }

  /** Passes the examples to a function, in batches. */
  void forEach(Consumer<NumberedExamples> use) {
    batches.forEach(use);
  }

  /**
   * Measures the model on them.
   *
   * @param withF1 whether F1 and its threshold are measured as well
   * @param listener receives the progress
   * @throws InvalidInputException if weights of the model are not finite
   */
  ValidationScores measure(TrainedClassifier model, boolean withF1, TrainingListener listener) {
    Metrics metrics = Metrics.upTo(FIRST_ANSWERS);
    Decisions decisions = model.decisions(Decisions.LEAST_THRESHOLD);
    int measured = 0;
    for (NumberedExamples batch : batches) {
      model.measure(batch, FIRST_ANSWERS, metrics);
      if (withF1) {
        model.decide(batch, decisions);
      }
      measured += batch.size();
      listener.measured(measured, size);
    }
    return new ValidationScores(
        metrics.precision(1),
        metrics.ndcg(FIRST_ANSWERS),
        withF1 ? decisions.bestF1() : Double.NaN,
        withF1 ? decisions.bestThreshold() : Double.NaN);
  }

  @Override
  public void close() {
    batches.forEach(NumberedExamples::close);
  }
}
