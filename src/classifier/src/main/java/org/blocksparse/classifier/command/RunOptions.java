// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.command;

import java.util.concurrent.ForkJoinPool;
import org.blocksparse.Workers;
import picocli.CommandLine.Option;

/** Options of every training. */
final class RunOptions {
  @Option(
      names = "--seed",
      paramLabel = "N",
      defaultValue = "0",
      description =
          "Seed of the random numbers; equal seeds give equal models. Default:"
              + " ${DEFAULT-VALUE}.")
  private long seed;

  @Option(
      names = "--threads",
      paramLabel = "N",
      description = "Threads that compute. Default: one per processor.")
  private Integer threads;

  @Option(
      names = "--date",
      paramLabel = "DAY",
      description =
          "The date in the model card, in the form 2026-11-29. Default: the date of"
              + " SOURCE_DATE_EPOCH, else today in UTC.")
  private String date;

  long seed() {
    return seed;
  }

  /** Returns the date; null for the default. */
  String date() {
    return date;
  }

  Workers workers() {
    if (threads == null) {
      return Workers.common();
    }
    Limits.require("--threads", threads, 1, Integer.MAX_VALUE);
    return Workers.of(ForkJoinPool.commonPool(), threads);
  }
}
