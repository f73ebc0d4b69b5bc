// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.command;

import java.io.PrintWriter;
import java.util.concurrent.TimeUnit;
import java.util.function.LongSupplier;
import java.util.function.Supplier;

/**
 * Shows the progress of long work: by a bar in one line of a terminal, or else by a line every ten
 * seconds.
 *
 * <p>A bar of me.tongfei:progressbar 0.10 is drawn by a thread that its constructor starts, and so
 * between lines that this command prints.
 */
final class ProgressLine implements AutoCloseable {
  /** Stands for the total of work whose amount is unknown. */
  static final long UNKNOWN = -1;

  private static final long LINE_INTERVAL = TimeUnit.SECONDS.toNanos(10);
  private static final long BAR_INTERVAL = TimeUnit.MILLISECONDS.toNanos(200);
  private static final long MARK_INTERVAL = TimeUnit.SECONDS.toNanos(5);
  private static final int BAR_LENGTH = 16;
  private static final int MANY = 100; // of seconds or minutes, before the next unit is used
  private static final int SIXTY = 60;

  private final String task;
  private final long total;
  private final PrintWriter err;
  private final LongSupplier clock;

  private final boolean terminal;
  private final long began;
  private long told;
  private boolean mayEndEarly;

  /**
   * The marks between which the rate is measured: the time left depends on the latter half of the
   * work so far. Before the first report there is preparation, and the first steps of a JVM are
   * slow.
   */
  private Mark first;

  private Mark older;
  private Mark newer;

  private record Mark(long time, long done) {}

  /** The number of characters on the terminal's line. */
  private int shown;

  /**
   * Starts the display.
   *
   * @param total how much there is to do, or {@link #UNKNOWN}
   */
  ProgressLine(String task, long total, PrintWriter err) {
    this(task, total, err, System::nanoTime, Terminal.isThere());
  }

  /**
   * Creates a line with another clock.
   *
   * @param clock in nanoseconds
   */
  ProgressLine(String task, long total, PrintWriter err, LongSupplier clock, boolean terminal) {
    this.task = task;
    this.total = total;
    this.err = err;
    this.clock = clock;
    this.terminal = terminal;
    this.began = clock.getAsLong();
    this.told = began;
  }

  /** Shows the time left as a bound, as the work may end before all is done. Returns this. */
  ProgressLine mayEndEarly() {
    mayEndEarly = true;
    return this;
  }

  /** Returns the seconds since the start. */
  double seconds() {
    return (clock.getAsLong() - began) * 1e-9;
  }

  /**
   * Shows how much is done; may be called often.
   *
   * @param details are asked for when they are shown
   */
  void show(long done, Supplier<String> details) {
    long now = clock.getAsLong();
    mark(new Mark(now, done));
    if (now - told < (terminal ? BAR_INTERVAL : LINE_INTERVAL)) {
      return;
    }
    told = now;
    String line = task + ": " + bar(done) + share(done) + details.get() + left(now, done);
    if (terminal) {
      err.print("\r" + line + " ".repeat(Math.max(0, shown - line.length())));
      shown = line.length();
    } else {
      err.println(line);
    }
    err.flush();
  }

  private String bar(long done) {
    if (!terminal || total <= 0) {
      return "";
    }
    int full = (int) (BAR_LENGTH * Math.min(done, total) / total);
    return "[" + "#".repeat(full) + " ".repeat(BAR_LENGTH - full) + "] ";
  }

  private String share(long done) {
    return total > 0 ? "%.0f %%, ".formatted(100.0 * done / total) : "";
  }

  private void mark(Mark reached) {
    if (first == null) {
      first = reached;
      older = reached;
      newer = reached;
    } else if (reached.time - newer.time >= Math.max(MARK_INTERVAL, newer.time - first.time)) {
      older = newer;
      newer = reached;
    }
  }

  private String left(long now, long done) {
    if (total <= 0 || done <= older.done) {
      return "";
    }
    double left = (now - older.time) * 1e-9 * (total - done) / (done - older.done);
    String time =
        left < MANY
            ? "%.0f s".formatted(left)
            : left < MANY * SIXTY
                ? "%.0f min".formatted(left / SIXTY)
                : "%.1f h".formatted(left / SIXTY / SIXTY);
    return (mayEndEarly ? ", at most " : ", ") + time + " left";
  }

  /** Clears the terminal's line for output that stays. */
  void clear() {
    if (shown > 0) {
      err.print("\r" + " ".repeat(shown) + "\r");
      err.flush();
      shown = 0;
    }
  }

  @Override
  public void close() {
    clear();
  }
}
