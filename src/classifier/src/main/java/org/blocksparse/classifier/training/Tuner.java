// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.training;

import java.math.BigDecimal;
import java.math.MathContext;
import java.util.SplittableRandom;
import java.util.concurrent.CancellationException;
import java.util.function.LongSupplier;

/**
 * Searches for those of rate, epochs and dimension that are not set, by the score on the validation
 * examples and within a time limit: first the defaults, then values near the best so far, by random
 * factors that approach 1 as time goes on.
 */
final class Tuner {
  private static final double SMALLEST_RATE = 0.005;
  private static final double LARGEST_RATE = 2;
  private static final int MOST_EPOCHS = 100;
  private static final int DIMENSION_STEP = 16;
  private static final int LARGEST_DIMENSION = 512;

  /** The digits of a rate that a user can type. */
  private static final MathContext RATE_DIGITS = new MathContext(2);

  /**
   * The standard deviations of the factors' logarithms, to base 2, at the beginning and the end.
   */
  private static final double WIDEST = 1;

  private static final double CLOSEST = 0.25;

  private static final double NANOS = 1e9;

  private final TrainingSet set;
  private final TrainingOptions given;
  private final LongSupplier clock;
  private final SplittableRandom random;
  private final ValidationMetric metric;
  private final long began;
  private final long nanos;
  private TrainingOptions best;
  private ValidationScores bestScores = ValidationScores.NONE;
  private int bestEpochs;
  private int bestDimension;
  private int trials;

  /** Whether the time ended before the tried training did. */
  private boolean isCut;

  /**
   * Begins a search now.
   *
   * @param clock returns nanoseconds
   */
  Tuner(TrainingSet set, TrainingOptions given, LongSupplier clock) {
    if (given.validation().isEmpty()) {
      throw new IllegalArgumentException("tuning: expected validation examples as well");
    }
    if (given.hasRate() && given.hasEpochs() && given.hasDimension()) {
      throw new IllegalArgumentException(
          "tuning: expected rate, epochs or dimension to be left open, but all are set");
    }
    this.set = set;
    this.given = given;
    this.clock = clock;
    this.random = new SplittableRandom(given.seed());
    this.metric = new TrainingDefaults(given).validationMetric();
    this.nanos = given.tuning().toNanos();
    this.began = clock.getAsLong();
    this.best = given;
  }

  /**
   * Returns the best options that were found: those that were given, if none could be tried to the
   * end.
   *
   * @throws CancellationException if the user stops the search
   */
  TrainingOptions search() {
    TrainingOptions next = given;
    while (tryOut(next)) {
      next = near(best);
    }
    return best;
  }

  private double elapsed() {
    return (clock.getAsLong() - began) / NANOS;
  }

  private boolean stops() {
    isCut |= clock.getAsLong() - began >= nanos;
    return isCut || given.stop().getAsBoolean();
  }

  /** Trains once. Returns false if the time ended before the training. */
  private boolean tryOut(TrainingOptions options) {
    double from = elapsed();
    isCut = false;
    TrainingOptions quiet = options.withListener(new Quiet()).withStop(this::stops);
    EmbeddingTrainer trainer = new EmbeddingTrainer(set, quiet);
    ValidationScores scores = ValidationScores.NONE;
    try {
      trainer.train().close();
      scores = trainer.scores();
    } catch (CancellationException e) {
      isCut = true; // or the user stops it, which is checked next
    } catch (ArithmeticException | OutOfMemoryError e) {
      // These options fail; others may not.
    }
    if (given.stop().getAsBoolean()) {
      throw EmbeddingTrainer.stoppedTooEarly();
    }
    if (isCut) {
      return false;
    }
    boolean isBest = scores.areAbove(bestScores, metric);
    if (isBest || trials == 0) {
      best = options;
      bestEpochs = trainer.epochs();
      bestDimension = trainer.dimension();
      bestScores = scores;
    }
    double score = scores.equals(ValidationScores.NONE) ? Double.NaN : scores.by(metric);
    given
        .listener()
        .tried(
            new TuningTrial(
                ++trials,
                new TrainingDefaults(options).rate(),
                trainer.epochs(),
                trainer.dimension(),
                metric,
                score,
                elapsed() - from,
                isBest));
    return true;
  }

  /** Reports the time of the search, but not the progress of its trainings. */
  private final class Quiet implements TrainingListener {
    @Override
    public void step(int examples, double loss) {
      given.listener().tuning(elapsed());
    }

    @Override
    public void warning(String message) {
      given.listener().warning(message);
    }
  }

  private TrainingOptions near(TrainingOptions options) {
    TrainingOptions near = options;
    if (!given.hasRate()) {
      double rate =
          within(SMALLEST_RATE, new TrainingDefaults(options).rate() * factor(), LARGEST_RATE);
      near = near.withRate(BigDecimal.valueOf(rate).round(RATE_DIGITS).doubleValue());
    }
    if (!given.hasEpochs()) {
      long epochs = Math.round(bestEpochs * factor());
      near = near.withEpochs((int) within(1, epochs, MOST_EPOCHS));
    }
    if (!given.hasDimension()) {
      long steps = Math.round(bestDimension * factor() / DIMENSION_STEP);
      near =
          near.withDimension(
              (int) within(DIMENSION_STEP, steps * DIMENSION_STEP, LARGEST_DIMENSION));
    }
    return near;
  }

  private static double within(double least, double value, double most) {
    return Math.max(least, Math.min(most, value));
  }

  /** Returns a random factor, whose logarithm is distributed about normally. */
  private double factor() {
    double part = Math.min(1, elapsed() * NANOS / nanos);
    double deviation = WIDEST + part * (CLOSEST - WIDEST);
    return Math.pow(2, deviation * random.nextGaussian());
  }
}
