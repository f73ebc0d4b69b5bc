// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.command;

import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.blocksparse.classifier.examples.Example;
import org.blocksparse.classifier.nextitem.NextItem;
import org.blocksparse.classifier.training.LearningPoint;
import org.blocksparse.classifier.training.TrainingListener;

/**
 * Shows how a training goes: examples per second, loss and time left while it lasts, and a line for
 * each epoch.
 */
final class TrainingLog implements TrainingListener, AutoCloseable {
  private static final int STEPS_PER_AVERAGE = 100;
  private static final int PARTS = 1_000_000;

  private final PrintWriter out;
  private final PrintWriter err;
  private final boolean labelTree;
  private final int cutoff;
  private boolean hasSeveralTrainings;
  private final List<LearningPoint> points = new ArrayList<>();
  private ProgressLine progress;
  private long began;
  private double secondsOfReading;

  /** The progress of measuring; null if the model is not being measured. */
  private ProgressLine measuring;

  /** The progress of the linear head; null if none is being trained. */
  private ProgressLine linear;

  private double averageLoss = Double.NaN;
  private long examples;
  private long withoutLabels;

  private int epochs;
  private int featuresLeftOut;
  private boolean knowsFeaturesLeftOut;
  private int withoutFeatures;
  private volatile boolean hasLearned;

  /**
   * A log.
   *
   * @param labelTree whether it is a label tree that is trained, and not a softmax
   * @param cutoff the k of nDCG@k on validation
   */
  TrainingLog(PrintWriter out, PrintWriter err, boolean labelTree, int cutoff) {
    this.out = out;
    this.err = err;
    this.labelTree = labelTree;
    this.cutoff = cutoff;
  }

  /** Returns a log of the trainings of a {@link NextItem}, each of which may end early. */
  static TrainingLog ofNextItem(PrintWriter out, PrintWriter err) {
    TrainingLog log = new TrainingLog(out, err, false, NextItem.CUTOFF);
    log.hasSeveralTrainings = true;
    return log;
  }

  /** Begins the reading of the training examples. */
  void beginReading() {
    began = System.nanoTime();
  }

  /** Counts an example while it is read. */
  void read(Example example) {
    withoutLabels += example.labels().isEmpty() ? 1 : 0;
  }

  private void endReading() {
    if (secondsOfReading == 0) {
      secondsOfReading = (System.nanoTime() - began) * 1e-9;
    }
  }

  @Override
  public void leftOut(int features, boolean exactly, int examplesWithoutFeatures) {
    endReading();
    featuresLeftOut = features;
    knowsFeaturesLeftOut = exactly;
    withoutFeatures = examplesWithoutFeatures;
  }

  @Override
  public void putIntoClasses(int labels, int classes) {
    out.printf("putting %,d labels into %,d classes%n", labels, classes);
    out.flush();
  }

  @Override
  public void begin(int count, int epochs, int features, int labels, int classes) {
    boolean isBesideLinear = progress != null;
    close();
    this.epochs = epochs;
    if (!isBesideLinear) {
      describe(count, features, labels, classes);
    }
    if (epochs == 0) {
      out.println("Training the linear head; Ctrl-C ends it, without a model");
    } else {
      out.printf(
          "Training %s on each example %s%d times%s; Ctrl-C ends it and keeps the model%n",
          isBesideLinear ? "an embedding beside it" : "the embedding",
          hasSeveralTrainings ? "up to " : "",
          epochs,
          hasSeveralTrainings ? " in each training" : "");
    }
    out.flush();
    // The garbage of reading would remain beside the native table, whose allocation triggers no
    // collection; this returns most of it.
    System.gc();
    progress = new ProgressLine("training", (long) epochs * count, err);
    if (isBesideLinear || hasSeveralTrainings) {
      progress.mayEndEarly();
    }
  }

  @Override
  public void training(int number, int count, String settings, long all) {
    close();
    String which = "training %d of %d".formatted(number, count);
    out.printf("%s: %s%n", which, settings);
    out.flush();
    averageLoss = Double.NaN;
    examples = 0;
    progress = new ProgressLine(which, all, err).mayEndEarly();
  }

  private void describe(int count, int features, int labels, int classes) {
    out.printf("%,d examples, %,d features, %,d labels", count, features, labels);
    if (classes > 0) {
      out.printf(" in %,d classes", classes);
    }
    out.printf("; read in %.1f s%n", secondsOfReading);
    if (withoutLabels > 0) {
      out.printf(
          labelTree ? "%,d of them have no label%n" : "%,d more have no label and are left out%n",
          withoutLabels);
    }
    if (featuresLeftOut > 0) {
      out.printf(
          "%s%,d more features are left out (--min-count, --max-features)%n",
          knowsFeaturesLeftOut ? "" : "up to ", featuresLeftOut);
    }
    if (withoutFeatures > 0) {
      out.printf("%,d examples have no feature that was kept%n", withoutFeatures);
    }
  }

  @Override
  public void step(int count, double loss) {
    averageLoss =
        Double.isNaN(averageLoss) ? loss : averageLoss + (loss - averageLoss) / STEPS_PER_AVERAGE;
    examples += count;
    hasLearned = true;
    progress.show(
        examples, () -> "%,.0f examples/s, loss %.3f".formatted(perSecond(), averageLoss));
  }

  @Override
  public void chosen(boolean both, double gain, double standardError) {
    String result = both ? "the model has both heads" : "the model has the linear head alone";
    printGain("The embedding gains", gain, standardError, result);
  }

  @Override
  public void neighbours(boolean stay, double gain, double standardError) {
    String result = stay ? "the model has the linear head and neighbours" : "without neighbours";
    printGain("Nearest examples gain", gain, standardError, result);
  }

  @Override
  public void labelTexts(boolean stay, double gain, double standardError) {
    String result =
        stay
            ? "the model has the linear head and label texts"
            : "without label texts, so that labels without examples are never found";
    printGain("Label texts gain", gain, standardError, result);
  }

  @Override
  public void answerTimes(String part, double with, double without) {
    close();
    out.printf(
        Locale.ROOT,
        "One answer takes %.0f us with %s, %.0f us without (median of held-out examples)%n",
        with,
        part,
        without);
    out.flush();
  }

  private void printGain(String what, double gain, double standardError, String result) {
    close();
    out.printf(
        Locale.ROOT,
        "%s %.4f nDCG@5 on held-out examples%s: %s%n",
        what,
        gain,
        Double.isFinite(standardError)
            ? String.format(Locale.ROOT, ", standard error %.4f", standardError)
            : "",
        result);
    out.flush();
  }

  @Override
  public void linear(double part) {
    if (linear == null) {
      close();
      linear = new ProgressLine("linear head", PARTS, err);
    }
    linear.show((long) (PARTS * part), () -> "sparse weights");
  }

  private double perSecond() {
    return examples / progress.seconds();
  }

  @Override
  public void measured(int count, int all) {
    measure("measuring", count, all);
  }

  @Override
  public void weighed(int count, int all) {
    measure("choosing weights", count, all);
  }

  private void measure(String task, int count, int all) {
    if (measuring == null) {
      progress.clear();
      measuring = new ProgressLine(task, all, err);
    }
    measuring.show(count, () -> "%,.0f examples/s".formatted(count / measuring.seconds()));
  }

  @Override
  public void epoch(LearningPoint point) {
    points.add(point);
    close();
    out.printf("epoch %d: loss %.3f", point.epoch(), point.loss());
    if (!Double.isNaN(point.precision())) {
      progress.mayEndEarly(); // if later epochs are not better
      out.printf(", P@1 on validation %.3f, nDCG@%d %.3f", point.precision(), cutoff, point.ndcg());
      out.print(point.best() ? " (best)" : "");
    }
    out.printf(", %,.0f examples per second%n", perSecond());
    out.flush();
  }

  @Override
  public void endedEarly(int epoch, int kept) {
    close();
    err.printf(
        "Ended after epoch %d of %d, no better than before: kept epoch %d%n", epoch, epochs, kept);
    err.flush();
  }

  @Override
  public void warning(String message) {
    close();
    err.println("Warning: " + Main.toUsers(message));
    err.flush();
  }

  /** Acknowledges Ctrl-C, while other threads may still print progress. */
  void end() {
    if (Terminal.isThere()) {
      err.println(); // below the progress line
    }
    err.println("Ending, to save the best model so far");
    err.flush();
  }

  /** Returns whether there is a model that is better than none; may be asked by any thread. */
  boolean hasLearned() {
    return hasLearned;
  }

  List<LearningPoint> points() {
    return points;
  }

  /** Clears the terminal's line; later output may start another one. */
  @Override
  public void close() {
    if (measuring != null) {
      measuring.close();
      measuring = null;
    }
    if (linear != null) {
      linear.close();
      linear = null;
    }
    if (progress != null) {
      progress.close();
    }
  }
}
