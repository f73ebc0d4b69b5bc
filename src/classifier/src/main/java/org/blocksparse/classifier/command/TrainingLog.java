// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.command;

import java.io.PrintWriter;
import java.text.DecimalFormat;
import java.text.DecimalFormatSymbols;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import me.tongfei.progressbar.DelegatingProgressBarConsumer;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressBarStyle;
import org.blocksparse.classifier.LearningPoint;
import org.blocksparse.classifier.TrainingListener;

/**
 * Shows how a training goes: a bar on standard error with examples per second, loss and time left,
 * or a line of it now and then where there is no terminal; and a line for each epoch.
 */
final class TrainingLog implements TrainingListener, AutoCloseable {
  private static final int LINE_INTERVAL_MILLIS = 10_000;
  private static final int LINE_LENGTH = 100;
  private static final int STEPS_PER_AVERAGE = 100;

  private final PrintWriter out;
  private final long began;
  private final List<LearningPoint> points = new ArrayList<>();
  private ProgressBar bar;
  private double averageLoss = Double.NaN;
  private long steps;
  private long examples;
  private long trainingBegan;

  /**
   * A log.
   *
   * @param began when reading began, by {@link System#nanoTime}
   */
  TrainingLog(PrintWriter out, long began) {
    this.out = out;
    this.began = began;
  }

  private static double secondsSince(long nanos) {
    return (System.nanoTime() - nanos) * 1e-9;
  }

  // JDK 22 to 24 take everything for a terminal (17, 21 and 25 do not): lines then are too many.
  @SuppressWarnings("SystemConsoleNull")
  @Override
  public void begin(int count, int epochs, int features, int labels, int classes) {
    out.printf(
        "%,d examples, %,d features, %,d labels in %,d classes; read in %.1f s%n",
        count, features, labels, classes, secondsSince(began));
    out.flush();
    ProgressBarBuilder builder =
        new ProgressBarBuilder()
            .setTaskName("training")
            .setInitialMax((long) epochs * count)
            .setUnit("k examples", 1000)
            .showSpeed(new DecimalFormat("0.0", DecimalFormatSymbols.getInstance(Locale.ROOT)))
            .setStyle(ProgressBarStyle.ASCII);
    if (System.console() == null) {
      // Not a terminal: a line without a bar now and then.
      builder
          .setUpdateIntervalMillis(LINE_INTERVAL_MILLIS)
          .setRenderer(
              (state, length) ->
                  String.format(
                      Locale.ROOT,
                      "training: %.0f%% after %d seconds%s",
                      100 * state.getNormalizedProgress(),
                      state.getTotalElapsed().toSeconds(),
                      state.getExtraMessage()))
          .setConsumer(new DelegatingProgressBarConsumer(System.err::println, LINE_LENGTH));
    }
    bar = builder.build();
    trainingBegan = System.nanoTime();
  }

  @Override
  public void step(int count, double loss) {
    averageLoss =
        Double.isNaN(averageLoss) ? loss : averageLoss + (loss - averageLoss) / STEPS_PER_AVERAGE;
    examples += count;
    bar.stepBy(count);
    if (steps++ % STEPS_PER_AVERAGE == 0) {
      bar.setExtraMessage(String.format(Locale.ROOT, "  loss %.3f", averageLoss));
    }
  }

  @Override
  public void epoch(LearningPoint point) {
    points.add(point);
    out.printf("epoch %d: loss %.3f", point.epoch(), point.loss());
    if (!Double.isNaN(point.precision())) {
      out.printf(", P@1 on validation %.3f%s", point.precision(), point.best() ? " (best)" : "");
    }
    out.printf(", %,.0f examples per second%n", examples / secondsSince(trainingBegan));
    out.flush();
  }

  List<LearningPoint> points() {
    return points;
  }

  @Override
  public void close() {
    if (bar != null) {
      bar.close();
      bar = null;
    }
  }
}
