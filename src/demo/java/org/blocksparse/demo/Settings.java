// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.demo;

import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.ForkJoinPool;
import org.blocksparse.Workers;
import picocli.CommandLine.Option;

/** The options of the command. */
final class Settings {
  private static final float MOST_RATE = 10;

  @Option(
      names = "--text",
      paramLabel = "FILE",
      description = "UTF-8 text to learn, one sentence a line (default: WordNet's definitions).")
  Path text;

  @Option(
      names = "--output",
      paramLabel = "DIR",
      defaultValue = "target/demo",
      description = "Where charts are written (default: ${DEFAULT-VALUE}).")
  Path output;

  @Option(
      names = "--epochs",
      paramLabel = "N",
      description = "Passes over the training words (default: 3; with --quick 1).")
  Integer epochs;

  @Option(
      names = "--seconds",
      paramLabel = "N",
      description = "Train for N seconds instead of --epochs; evaluation time is not counted.")
  Integer seconds;

  @Option(
      names = "--batch",
      paramLabel = "N",
      defaultValue = "512",
      description = "Words per training step (default: ${DEFAULT-VALUE}).")
  int batch;

  @Option(
      names = "--context",
      paramLabel = "N",
      defaultValue = "5",
      description = "Previous words that the model sees (default: ${DEFAULT-VALUE}).")
  int context;

  @Option(
      names = "--embedding",
      paramLabel = "N",
      defaultValue = "64",
      description = "Size of the embedding of a previous word (default: ${DEFAULT-VALUE}).")
  int embedding;

  @Option(
      names = "--features",
      paramLabel = "N",
      defaultValue = "128",
      description = "Hidden units, the features of the softmax (default: ${DEFAULT-VALUE}).")
  int features;

  @Option(
      names = "--rate",
      paramLabel = "R",
      defaultValue = "0.1",
      description = "Adagrad's learning rate, falling to 0 (default: ${DEFAULT-VALUE}).")
  float rate;

  @Option(
      names = "--classes",
      paramLabel = "N",
      description = "Classes of words (default: twice the square root of the vocabulary).")
  Integer classes;

  @Option(
      names = "--threads",
      paramLabel = "N",
      description = "Threads that work on a step (default: all processors).")
  Integer threads;

  @Option(
      names = "--seed",
      paramLabel = "N",
      defaultValue = "1",
      description = "Seed of the split, the weights and the samples (default: ${DEFAULT-VALUE}).")
  long seed;

  @Option(
      names = "--prompt",
      paramLabel = "WORDS",
      description =
          "Show the most probable words after these; may be repeated (default: the beginnings"
              + " of some held-out sentences).")
  List<String> prompts = List.of();

  @Option(
      names = "--quick",
      description = "One epoch with a small model: runs in half the time, with poor predictions.")
  boolean quick;

  /** Refuses what no training can be made of, and lets the options that stand for others speak. */
  void complete() {
    if (quick) {
      embedding = 32;
      features = 64;
    }
    if (epochs == null) {
      epochs = quick ? 1 : 3;
    }
    require("--epochs", epochs, 10_000);
    if (seconds != null) {
      require("--seconds", seconds, 1_000_000);
    }
    require("--batch", batch, 10_000);
    require("--context", context, 50);
    require("--embedding", embedding, 1_000);
    require("--features", features, 4_000);
    if (!(rate > 0 && rate <= MOST_RATE)) {
      throw new UsageException(
          "--rate: expected a number in (0, %s] but was %s".formatted(MOST_RATE, rate));
    }
    if (threads != null) {
      require("--threads", threads, 1_000);
    }
  }

  private static void require(String option, int value, int most) {
    if (value < 1 || value > most) {
      throw new UsageException(
          "%s: expected a number in [1, %d] but was %d".formatted(option, most, value));
    }
  }

  /**
   * The number of classes for that many words. The square root takes the fewest products; with
   * twice as many a step is a little faster, as the few rows of a batch that need a class read less
   * of W2 for it, and the perplexity is the same: src/doc/quality.md has a table.
   */
  int classes(int words) {
    if (classes == null) {
      return (int) Math.min(words, Math.ceil(2 * Math.sqrt(words)));
    }
    require("--classes", classes, words);
    return classes;
  }

  Workers workers() {
    return threads == null ? Workers.common() : Workers.of(ForkJoinPool.commonPool(), threads);
  }
}
