// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.demo;

import java.io.PrintWriter;
import java.util.Arrays;
import java.util.SplittableRandom;
import java.util.random.RandomGenerator;
import org.blocksparse.softmax.ClassAssignment;

/**
 * The time of a training step with the hierarchical softmax and with a full one, which has a class
 * of its own for every word, so that all outputs are computed in one dense product. Everything else
 * is equal: the model, the words, the optimizer. The two take turns, so that what slows the machine
 * slows both.
 */
final class SoftmaxTiming {
  private static final int ROUNDS = 5;
  private static final int HIERARCHICAL_STEPS_PER_ROUND = 20;

  private final Settings settings;
  private final Corpus corpus;
  private final RandomGenerator random;

  SoftmaxTiming(Settings settings, Corpus corpus) {
    this.settings = settings;
    this.corpus = corpus;
    this.random = new SplittableRandom(settings.seed);
  }

  void print(ClassAssignment classes, PrintWriter out) {
    int words = classes.outputs();
    out.printf("%nTimes steps of training, also with a full softmax: some seconds%n");
    out.flush();
    double[] hierarchical = new double[ROUNDS * HIERARCHICAL_STEPS_PER_ROUND];
    double[] full = new double[ROUNDS];
    try (LanguageModel small = new LanguageModel(settings, classes);
        LanguageModel large =
            new LanguageModel(settings, ClassAssignment.contiguous(words, words))) {
      stepSeconds(small);
      stepSeconds(large);
      for (int round = 0; round < ROUNDS; round++) {
        full[round] = stepSeconds(large);
        for (int step = 0; step < HIERARCHICAL_STEPS_PER_ROUND; step++) {
          hierarchical[round * HIERARCHICAL_STEPS_PER_ROUND + step] = stepSeconds(small);
        }
      }
    }
    out.printf("One training step of %d words (median):%n", settings.batch);
    row(out, "hierarchical softmax", median(hierarchical));
    row(out, "full softmax", median(full));
    out.printf(
        "  the hierarchical one is %.0f times as fast%n", median(full) / median(hierarchical));
  }

  private double stepSeconds(LanguageModel model) {
    int[] text = corpus.training();
    Batch batch = model.batch(settings.batch);
    for (int row = 0; row < batch.rows(); row++) {
      batch.set(row, text, random.nextInt(text.length));
    }
    long started = System.nanoTime();
    model.train(batch, 0);
    return (System.nanoTime() - started) * 1e-9;
  }

  private void row(PrintWriter out, String name, double seconds) {
    out.printf(
        "  %-22s %8.1f ms  %8.1f us a word%n", name, seconds * 1e3, seconds * 1e6 / settings.batch);
  }

  private static double median(double[] values) {
    double[] sorted = values.clone();
    Arrays.sort(sorted);
    return sorted[sorted.length / 2];
  }
}
