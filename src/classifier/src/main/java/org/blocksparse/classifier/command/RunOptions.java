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

  long seed() {
    return seed;
  }

  Workers workers() {
    if (threads == null) {
      return Workers.common();
    }
    Limits.require("--threads", threads, 1, Integer.MAX_VALUE);
    return Workers.of(ForkJoinPool.commonPool(), threads);
  }
}
