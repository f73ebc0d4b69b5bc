// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench.nextitem;

import java.util.Locale;

/** Says on standard error how far the program is, not too often. */
final class Stopwatch {
  private static final double SECONDS_BETWEEN = 5;

  private final long start = System.nanoTime();
  private double lastSaid = Double.NEGATIVE_INFINITY;

  /** Since the program began. */
  double seconds() {
    return (System.nanoTime() - start) / 1e9;
  }

  void say(String format, Object... arguments) {
    lastSaid = seconds();
    String text = String.format(Locale.ROOT, format, arguments);
    System.err.printf(Locale.ROOT, "%4.0f s  %s%n", lastSaid, text);
  }

  /** The same, unless something was said a moment ago. */
  void sayNowAndThen(String format, Object... arguments) {
    if (seconds() - lastSaid > SECONDS_BETWEEN) {
      say(format, arguments);
    }
  }
}
