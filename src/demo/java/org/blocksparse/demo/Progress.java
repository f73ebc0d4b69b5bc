// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.demo;

import java.text.DecimalFormat;
import java.util.Locale;
import me.tongfei.progressbar.DelegatingProgressBarConsumer;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressBarStyle;

/** The bar that shows words done, words per second, loss and time left, on standard error. */
final class Progress implements AutoCloseable {
  private static final int LINE_INTERVAL_MILLIS = 10_000;
  private static final int LINE_LENGTH = 100;
  private static final int STEPS_PER_AVERAGE = 100;

  private final ProgressBar bar;
  private double averageLoss = Double.NaN;
  private long steps;

  /**
   * A bar.
   *
   * @param words how many there will be; -1 if that is not known
   */
  // JDK 22 to 24 take everything for a terminal (17, 21 and 25 do not): lines then are too many.
  @SuppressWarnings("SystemConsoleNull")
  Progress(String name, long words) {
    ProgressBarBuilder builder =
        new ProgressBarBuilder()
            .setTaskName(name)
            .setInitialMax(words)
            .setUnit("k words", 1000)
            .showSpeed(new DecimalFormat("0.0"))
            .setStyle(ProgressBarStyle.ASCII);
    if (System.console() == null) {
      // Not a terminal: a line without a bar now and then.
      builder
          .setUpdateIntervalMillis(LINE_INTERVAL_MILLIS)
          .setRenderer(
              (state, length) ->
                  String.format(
                      Locale.ROOT,
                      "%s: %,d words after %d seconds%s",
                      state.getTaskName(),
                      state.getCurrent(),
                      state.getTotalElapsed().toSeconds(),
                      state.getExtraMessage()))
          .setConsumer(new DelegatingProgressBarConsumer(System.err::println, LINE_LENGTH));
    }
    bar = builder.build();
  }

  /** So many words more, predicted with this loss. */
  void step(int words, double loss) {
    averageLoss =
        Double.isNaN(averageLoss) ? loss : averageLoss + (loss - averageLoss) / STEPS_PER_AVERAGE;
    bar.stepBy(words);
    if (steps++ % STEPS_PER_AVERAGE == 0) {
      bar.setExtraMessage(String.format(Locale.ROOT, "  loss %.3f", averageLoss));
    }
  }

  @Override
  public void close() {
    bar.close();
  }
}
