// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.training;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CancellationException;
import org.blocksparse.classifier.examples.Example;
import org.blocksparse.classifier.examples.Texts;
import org.junit.jupiter.api.Test;

/** The search for options, with a clock that advances by a millisecond at each reading. */
final class TunerTest {
  private static final int LABELS = 20;
  private static final List<Example> VALIDATION = Texts.examples(60, LABELS, 2).toList();
  private static final TrainingOptions OPTIONS =
      TrainingOptions.defaults()
          .withValidation(VALIDATION.stream())
          .withValidationMetric(ValidationMetric.F1);

  private final List<TuningTrial> trials = new ArrayList<>();
  private final TrainingListener listener =
      new TrainingListener() {
        @Override
        public void tried(TuningTrial trial) {
          trials.add(trial);
        }

        @Override
        public void epoch(LearningPoint point) {
          throw new AssertionError("told of a training that is tried");
        }
      };
  private long nanos;

  private TrainingOptions search(TrainingOptions options, long milliseconds) {
    TrainingOptions told =
        options.withListener(listener).withTuning(Duration.ofMillis(milliseconds));
    TrainingSet set = TrainingSet.of(Texts.examples(200, LABELS, 1), told);
    return new Tuner(set, told, () -> nanos += 1_000_000).search();
  }

  private static double score(TrainingOptions options) {
    EmbeddingTrainer trainer =
        new EmbeddingTrainer(
            TrainingSet.of(Texts.examples(200, LABELS, 1), options),
            options.withListener(new TrainingListener() {}));
    trainer.train().close();
    return trainer.scores().f1();
  }

  @Test
  void theBestOfWhatWasTried_isTheResult() {
    TrainingOptions found = search(OPTIONS.withRate(0.05).withEpochs(2), 400);
    assertTrue(nanos < 500_000_000, () -> nanos + " ns"); // a few clock readings after the end
    assertTrue(trials.size() >= 4, trials::toString);
    double best = 0;
    TuningTrial bestTrial = null;
    for (int i = 0; i < trials.size(); i++) {
      TuningTrial trial = trials.get(i);
      assertEquals(i + 1, trial.number());
      assertEquals(0.05, trial.rate());
      assertEquals(2, trial.epochs());
      assertTrue(trial.dimension() % 16 == 0 && trial.dimension() <= 512, trial::toString);
      assertEquals(ValidationMetric.F1, trial.metric());
      assertTrue(trial.seconds() > 0);
      assertTrue(trial.best() ? trial.score() >= best : trial.score() <= best, trials::toString);
      best = trial.best() ? trial.score() : best;
      bestTrial = trial.best() ? trial : bestTrial;
    }
    assertEquals(64, trials.get(0).dimension()); // the default comes first
    assertEquals(bestTrial.dimension(), new TrainingDefaults(found).dimension(LABELS, true));
    assertEquals(best, score(found));
  }

  @Test
  void allThatIsLeftOpen_isSearched() {
    search(OPTIONS, 2000);
    assertEquals(0.2, trials.get(0).rate());
    assertEquals(64, trials.get(0).dimension());
    assertTrue(trials.stream().mapToDouble(TuningTrial::rate).distinct().count() > 2);
    assertTrue(trials.stream().mapToInt(TuningTrial::epochs).distinct().count() > 2);
    assertTrue(trials.stream().mapToInt(TuningTrial::dimension).distinct().count() > 1);
  }

  @Test
  void withoutTime_optionsStay() {
    TrainingOptions found = search(OPTIONS, 1);
    assertEquals(List.of(), trials);
    assertEquals(0.2, new TrainingDefaults(found).rate());
  }

  @Test
  void trainingsThatFail_areToldAndPassedOver() {
    TrainingListener fails =
        new TrainingListener() {
          @Override
          public void tuning(double seconds) {
            if (trials.size() != 1) {
              throw new ArithmeticException("loss: is NaN");
            }
          }

          @Override
          public void tried(TuningTrial trial) {
            trials.add(trial);
          }
        };
    TrainingOptions options =
        OPTIONS.withEpochs(1).withListener(fails).withTuning(Duration.ofMillis(100));
    TrainingSet set = TrainingSet.of(Texts.examples(200, LABELS, 1), options);
    TrainingOptions found = new Tuner(set, options, () -> nanos += 1_000_000).search();
    assertTrue(trials.size() >= 3, trials::toString);
    assertTrue(Double.isNaN(trials.get(0).score()) && !trials.get(0).best());
    assertTrue(trials.get(1).best());
    assertTrue(Double.isNaN(trials.get(2).score()) && !trials.get(2).best());
    assertEquals(trials.get(1).rate(), new TrainingDefaults(found).rate());
  }

  @Test
  void aUserWhoStops_endsTheSearch() {
    assertThrows(
        CancellationException.class,
        () -> search(OPTIONS.withStop(() -> trials.size() == 1), 1_000_000));
    assertEquals(1, trials.size());
  }

  @Test
  void whatCannotBeSearched_isRefused() {
    TrainingOptions all = OPTIONS.withRate(0.1).withEpochs(1).withDimension(8);
    assertEquals(
        "tuning: expected rate, epochs or dimension to be left open, but all are set",
        assertThrows(IllegalArgumentException.class, () -> search(all, 9)).getMessage());
    assertEquals(
        "tuning: expected validation examples as well",
        assertThrows(IllegalArgumentException.class, () -> search(TrainingOptions.defaults(), 9))
            .getMessage());
    assertEquals(
        "tuning: expected a positive time but was PT0S",
        assertThrows(IllegalArgumentException.class, () -> OPTIONS.withTuning(Duration.ZERO))
            .getMessage());
    assertSame(Duration.ZERO, OPTIONS.tuning());
  }
}
