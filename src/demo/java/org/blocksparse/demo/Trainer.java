// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.demo;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.random.RandomGenerator;
import java.util.stream.IntStream;

/** Trains a model on a corpus and writes down how it went. */
final class Trainer {
  private static final int EVALUATIONS_PER_EPOCH = 4;

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

  Trainer(Settings settings, Corpus corpus) {
    this.settings = settings;
    this.corpus = corpus;
  }

  /** Trains for as many epochs as set; {@code name} goes before the progress bar. */
  Result train(LanguageModel model, String name) {
    int length = corpus.training().length;
    long words = (long) settings.epochs * length;
    long nanos = 0;
    List<Point> curve = new ArrayList<>();
    RandomGenerator random = new SplittableRandom(settings.seed);
    int[] positions = IntStream.range(0, length).toArray();
    try (Progress progress = new Progress(name, words)) {
      for (int epoch = 0; epoch < settings.epochs; epoch++) {
        shuffle(positions, random);
        for (int part = 0; part < EVALUATIONS_PER_EPOCH; part++) {
          int begin = (int) ((long) length * part / EVALUATIONS_PER_EPOCH);
          int end = (int) ((long) length * (part + 1) / EVALUATIONS_PER_EPOCH);
          long started = System.nanoTime();
          double loss = train(model, positions, begin, end, progress);
          nanos += System.nanoTime() - started;
          double heldOut = model.perplexity(corpus.heldOut());
          curve.add(new Point((long) epoch * length + end, Math.exp(loss), heldOut));
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
    for (int at = begin; at < end; at += settings.batch) {
      Batch batch = model.batch(Math.min(settings.batch, end - at));
      for (int row = 0; row < batch.rows(); row++) {
        batch.set(row, corpus.training(), positions[at + row]);
      }
      double loss = model.train(batch, progress.done());
      sum += batch.rows() * loss;
      progress.step(batch.rows(), loss);
    }
    return sum / (end - begin);
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
