// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.demo;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.SplittableRandom;
import java.util.random.RandomGenerator;
import java.util.stream.IntStream;

/** Trains a model on a corpus, once, and writes down how it went. */
final class LanguageModelTrainer {
  /**
   * A point of the learning curve: perplexities of the latest training words and of the held-out
   * words, after so many words and seconds of training.
   */
  record Point(long words, double seconds, double training, double heldOut) {}

  /**
   * The result of a training.
   *
   * @param curve the last point is of the trained model
   * @param training the time that training took, without that for evaluation
   */
  record Result(List<Point> curve, long words, Duration training) {
    double perplexity() {
      return curve.get(curve.size() - 1).heldOut();
    }

    double wordsPerSecond() {
      return words / (training.toNanos() * 1e-9);
    }
  }

  private final Settings settings;
  private final Corpus corpus;
  private final int[] heldOut;
  private long words;
  private long nanos;

  LanguageModelTrainer(Settings settings, Corpus corpus) {
    this(settings, corpus, corpus.heldOut());
  }

  /**
   * A training.
   *
   * @param heldOut what the curve is measured on
   */
  LanguageModelTrainer(Settings settings, Corpus corpus, int[] heldOut) {
    this.settings = settings;
    this.corpus = corpus;
    this.heldOut = heldOut;
  }

  /** The part of the training that is done: of the words, or of the time. */
  private double done() {
    return settings.seconds == null
        ? words / ((double) settings.epochs * corpus.training().length)
        : nanos * 1e-9 / settings.seconds;
  }

  /**
   * Trains for as many epochs, or as long, as set.
   *
   * @param name goes before the progress bar
   * @param points of the curve, equally far from each other in words or in time; the last one is of
   *     the trained model. A measurement after a step is the point of all that the step passed
   */
  Result train(Learner model, String name, int points) {
    int[] text = corpus.training();
    List<Point> curve = new ArrayList<>();
    RandomGenerator random = new SplittableRandom(settings.seed);
    int[] positions = IntStream.range(0, text.length).toArray();
    int at = text.length;
    long wordsOfLastPoint = 0;
    double lossesSince = 0;
    long expected = settings.seconds == null ? (long) settings.epochs * text.length : -1;
    try (DemoProgress progress = new DemoProgress(name, expected)) {
      while (done() < 1) {
        if (at == text.length) {
          shuffle(positions, random);
          at = 0;
        }
        long started = System.nanoTime();
        Batch batch = model.batch(Math.min(settings.batch, text.length - at));
        for (int row = 0; row < batch.rows(); row++) {
          batch.set(row, text, positions[at + row]);
        }
        double loss = model.train(batch, done());
        nanos += System.nanoTime() - started;
        words += batch.rows();
        at += batch.rows();
        lossesSince += batch.rows() * loss;
        progress.step(batch.rows(), loss);
        int passed = (int) Math.min(points, done() * points);
        if (passed > curve.size()) {
          double training = Math.exp(lossesSince / (words - wordsOfLastPoint));
          Point point = new Point(words, nanos * 1e-9, training, model.perplexity(heldOut));
          curve.addAll(Collections.nCopies(passed - curve.size(), point));
          wordsOfLastPoint = words;
          lossesSince = 0;
        }
      }
    }
    return new Result(curve, words, Duration.ofNanos(nanos));
  }

  private static void shuffle(int[] values, RandomGenerator random) {
    for (int i = values.length - 1; i > 0; i--) {
      int j = random.nextInt(i + 1);
      int value = values[i];
      values[i] = values[j];
      values[j] = value;
    }
  }
}
