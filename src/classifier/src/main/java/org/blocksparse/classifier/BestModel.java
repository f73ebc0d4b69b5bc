// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.blocksparse.LoadOptions;

/**
 * The best model so far by its precision on the validation examples, in a file of its own while
 * training goes on. Where it cannot be kept, training goes on without: what the last model has
 * learned is not thrown away for it.
 */
final class BestModel implements AutoCloseable {
  private static final double NONE = Double.NEGATIVE_INFINITY;

  private final TrainingOptions options;
  private final boolean isMeasured;
  private double best = NONE;
  private double last = NONE;

  /** That of the model in the file. */
  private double kept = NONE;

  private Path file;
  private int epochsSince;

  BestModel(TrainingOptions options) {
    this.options = options;
    this.isMeasured = !options.validation().isEmpty();
  }

  /**
   * Measures a model after an epoch.
   *
   * @param isLast whether no other epoch follows: then there is nothing to keep it from
   */
  void measure(Classifier model, int epoch, double loss, boolean isLast) {
    double now =
        isMeasured ? model.evaluate(options.validation().stream(), 1).precision(1) : Double.NaN;
    boolean isBest = !(now <= best);
    if (isMeasured) {
      last = now;
      epochsSince = isBest ? 0 : epochsSince + 1;
      if (isBest) {
        best = now;
        if (!isLast) {
          keep(model);
        }
      }
    }
    options.listener().epoch(new LearningPoint(epoch, loss, now, isBest));
  }

  private void keep(Classifier model) {
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
    } catch (IOException e) {
      options.listener().warning("the best model so far cannot be kept: " + e.getMessage());
    }
  }

  /** Whether precision has not risen for as many epochs as it may. */
  boolean isOver() {
    return isMeasured && epochsSince >= options.patience();
  }

  /** The better one of the model that was measured last, and the one that was kept. */
  Classifier orBetter(Classifier model) {
    Classifier better = last < kept ? loadedOrNull() : null;
    if (better == null) {
      return model;
    }
    model.close();
    return better;
  }

  /**
   * The one that was kept, in place of a model that is of no use any more.
   *
   * @throws ArithmeticException why it is, if none was kept
   */
  Classifier inPlaceOf(Classifier model, ArithmeticException reason) {
    Classifier better = loadedOrNull();
    if (better == null) {
      throw reason;
    }
    options
        .listener()
        .warning(
            "training has ended early, with the best model before that: " + reason.getMessage());
    model.close();
    return better;
  }

  private Classifier loadedOrNull() {
    if (kept == NONE) {
      return null;
    }
    try {
      return ClassifierFile.load(file, LoadOptions.copied().withWorkers(options.workers()));
    } catch (IOException e) {
      options.listener().warning("the best model is lost: " + e.getMessage());
      return null;
    }
  }

  @Override
  public void close() {
    if (file != null) {
      try {
        Files.deleteIfExists(file);
      } catch (IOException e) {
        options.listener().warning(file + " is left behind: " + e.getMessage());
      }
    }
  }
}
