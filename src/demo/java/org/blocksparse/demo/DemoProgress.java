// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.demo;

import java.text.DecimalFormat;
import java.util.Locale;
import me.tongfei.progressbar.DelegatingProgressBarConsumer;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressBarStyle;
import me.tongfei.progressbar.ProgressState;
import org.blocksparse.testing.Terminal;

/** The bar that shows words done, words per second, loss and time left, on standard error. */
final class DemoProgress implements AutoCloseable {
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
  DemoProgress(String name, long words) {
    ProgressBarBuilder builder =
        new ProgressBarBuilder()
            .setTaskName(name)
            .setInitialMax(words)
            .setUnit("k words", 1000)
            .showSpeed(new DecimalFormat("0.0"))
            .setStyle(ProgressBarStyle.ASCII);
    if (!Terminal.isThere()) {
      // A line without a bar now and then.
      builder
          .setUpdateIntervalMillis(LINE_INTERVAL_MILLIS)
          .setRenderer((state, length) -> line(state, words))
          .setConsumer(new DelegatingProgressBarConsumer(System.err::println, LINE_LENGTH));
    }
    bar = builder.build();
  }

  private static String line(ProgressState state, long words) {
    long done = state.getCurrent();
    long seconds = state.getTotalElapsed().toSeconds();
    String toGo = "";
    if (done > 0 && done < words) {
      toGo =
          String.format(
              Locale.ROOT,
              " (%d%%), about %d to go",
              100 * done / words,
              Math.round(seconds * ((double) words / done - 1)));
    }
    return String.format(
        Locale.ROOT,
        "%s: %,d words after %d seconds%s%s",
        state.getTaskName(),
        done,
        seconds,
        toGo,
        state.getExtraMessage());
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
