// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.demo;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.random.RandomGenerator;
import java.util.stream.IntStream;

/** Trains a model on a corpus, once, and writes down how it went. */
final class Trainer {
  /**
   * What is known after some words: perplexities of the words trained on just before, and held out.
   */
  record Point(long words, double training, double heldOut) {}

  /**
   * What came of a training.
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
  private long words;
  private long nanos;

  Trainer(Settings settings, Corpus corpus) {
    this.settings = settings;
    this.corpus = corpus;
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
   * @param evaluations how often per epoch the curve gets a point; 0: only at the end
   */
  Result train(LanguageModel model, String name, int evaluations) {
    int length = corpus.training().length;
    List<Point> curve = new ArrayList<>();
    RandomGenerator random = new SplittableRandom(settings.seed);
    int[] positions = IntStream.range(0, length).toArray();
    int parts = Math.max(1, evaluations);
    long expected = settings.seconds == null ? (long) settings.epochs * length : -1;
    try (Progress progress = new Progress(name, expected)) {
      while (done() < 1) {
        shuffle(positions, random);
        for (int part = 0; part < parts && done() < 1; part++) {
          int begin = (int) ((long) length * part / parts);
          int end = (int) ((long) length * (part + 1) / parts);
          double loss = train(model, positions, begin, end, progress);
          if (evaluations > 0 || done() >= 1) {
            curve.add(new Point(words, Math.exp(loss), model.perplexity(corpus.heldOut())));
          }
        }
      }
    }
    return new Result(curve, words, Duration.ofNanos(nanos));
  }

  /**
   * Trains on the words at some of the positions; returns their mean loss, each before its step.
   */
  private double train(
      LanguageModel model, int[] positions, int begin, int end, Progress progress) {
    double sum = 0;
    int at = begin;
    while (at < end && done() < 1) {
      long started = System.nanoTime();
      Batch batch = model.batch(Math.min(settings.batch, end - at));
      for (int row = 0; row < batch.rows(); row++) {
        batch.set(row, corpus.training(), positions[at + row]);
      }
      double loss = model.train(batch, done());
      sum += batch.rows() * loss;
      at += batch.rows();
      words += batch.rows();
      nanos += System.nanoTime() - started;
      progress.step(batch.rows(), loss);
    }
    return sum / (at - begin);
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
