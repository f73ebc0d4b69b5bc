// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.training;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.blocksparse.classifier.ClassifierFile;
import org.blocksparse.classifier.TrainedClassifier;
import org.blocksparse.classifier.examples.InvalidInputException;
import org.blocksparse.io.LoadOptions;

/**
 * Keeps the best model so far, by its predictions for the validation examples, in a temporary file.
 * If the file cannot be written, training continues without it, and the last model is the result.
 */
final class BestModel implements AutoCloseable {
  private final TrainingOptions options;
  private final ValidationMetric metric;
  private final int patience;

  /** The validation examples; null if nothing is measured. */
  private final ValidationSet validation;

  private ValidationScores best = ValidationScores.NONE;
  private ValidationScores last = ValidationScores.NONE;

  /** The scores of the model in the file. */
  private ValidationScores kept = ValidationScores.NONE;

  private Path file;
  private int epochsSince;

  /**
   * Starts without a model.
   *
   * @param epochs how many there will be at most
   * @param model the one that is trained
   */
  BestModel(TrainingOptions options, int epochs, TrainedClassifier model) {
    this.options = options;
    TrainingDefaults values = new TrainingDefaults(options);
    this.metric = values.validationMetric();
    this.patience = values.patience(epochs);
    this.validation =
        options.validation().isEmpty() ? null : new ValidationSet(options.validation(), model);
  }

  /**
   * Measures a model after an epoch.
   *
   * @param isLast whether no other epoch follows: then there is nothing to keep it from
   * @throws ArithmeticException if its weights are not finite
   */
  void measure(TrainedClassifier model, int epoch, double loss, boolean isLast) {
    boolean isBest = true;
    boolean isMeasured = validation != null;
    if (isMeasured) {
      last = scores(model);
      isBest = last.areAbove(best, metric);
      epochsSince = isBest ? 0 : epochsSince + 1;
      best = isBest ? last : best;
      if (isBest && !isLast) {
        keep(model);
      }
    }
    options
        .listener()
        .epoch(
            isMeasured
                ? new LearningPoint(epoch, loss, last.precision(), last.ndcg(), isBest)
                : new LearningPoint(epoch, loss, Double.NaN, Double.NaN, isBest));
  }

  private ValidationScores scores(TrainedClassifier model) {
    try {
      return validation.measure(model, false, options.listener());
    } catch (InvalidInputException e) { // weights not finite, as the next loss would show
      throw new ArithmeticException(e.getMessage());
    }
  }

  private void keep(TrainedClassifier model) {
    try {
      if (file == null) {
        Path folder = options.temporaryFolder();
        file =
            folder == null
                ? Files.createTempFile("best-", ".model")
                : Files.createTempFile(folder, "best-", ".model");
      }
      model.save(file);
      kept = last;
    } catch (IOException | RuntimeException | OutOfMemoryError e) {
      options.listener().warning("the best model so far cannot be kept: " + e.getMessage());
    }
  }

  /** Returns whether the model has not become better for as many epochs as it may. */
  boolean isOver() {
    return validation != null && epochsSince >= patience;
  }

  /**
   * Returns the better one of the model that was measured last, and the one that was kept; of
   * equals the latter, which was the first and was reported as the best.
   */
  TrainedClassifier orBetter(TrainedClassifier model) {
    boolean isLastBest = kept.equals(ValidationScores.NONE) || last.areAbove(kept, metric);
    TrainedClassifier better = isLastBest ? null : loadedOrNull();
    if (better == null) {
      return model;
    }
    model.close();
    return better;
  }

  /**
   * Returns the one that was kept, in place of a model whose training failed; null if there is
   * none.
   */
  TrainedClassifier inPlaceOfOrNull(TrainedClassifier model, Throwable reason) {
    if (kept.equals(ValidationScores.NONE)) {
      return null;
    }
    model.close(); // memory may be short
    TrainedClassifier better = loadedOrNull();
    if (better != null) {
      options
          .listener()
          .warning(
              "training has ended early, with the best model before that: " + reason.getMessage());
    }
    return better;
  }

  /**
   * Returns the model of the file; null if it cannot be loaded, in which case the file stays. Ends
   * all measuring.
   */
  private TrainedClassifier loadedOrNull() {
    validation.close(); // frees memory that the model may need
    try {
      return ClassifierFile.load(file, LoadOptions.copied().withWorkers(options.workers()));
    } catch (IOException | RuntimeException | OutOfMemoryError e) {
      options.listener().warning("the best model stays in " + left() + ": " + e.getMessage());
      return null;
    }
  }

  /** Keeps the file of the best model, if there is one, as training ends without a result. */
  void leave() {
    if (!kept.equals(ValidationScores.NONE)) {
      options
          .listener()
          .warning("training has failed; the best model before that stays in " + left());
    }
  }

  /** Returns the file, which {@link #close} does not delete any more. */
  private Path left() {
    Path left = file;
    file = null;
    return left;
  }

  @Override
  public void close() {
    if (validation != null) {
      validation.close();
    }
    if (file != null) {
      try {
        Files.deleteIfExists(file);
      } catch (IOException e) {
        options.listener().warning(file + " is left behind: " + e.getMessage());
      }
    }
  }
}
