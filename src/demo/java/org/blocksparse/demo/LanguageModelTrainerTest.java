// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.demo;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Collections;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.Test;
import picocli.CommandLine;

final class LanguageModelTrainerTest {
  private static final int POINTS = 12;

  /** A third of the time that is set below. */
  private static final long STEP_NANOS = TimeUnit.MILLISECONDS.toNanos(334);

  /** Learns nothing, slowly. */
  private record Idler(Batch batch) implements Learner {
    @Override
    public Batch batch(int rows) {
      return batch;
    }

    @Override
    public double train(Batch batch, double progress) {
      assertTrue(progress < 1);
      long began = System.nanoTime();
      while (System.nanoTime() - began < STEP_NANOS) {
        LockSupport.parkNanos(STEP_NANOS);
      }
      return Math.log(3);
    }

    @Override
    public double perplexity(int[] text) {
      return 2;
    }
  }

  @Test
  void stepsThatPassManyPoints_areMeasuredForEach() {
    Settings settings =
        CommandLine.populateCommand(
            new Settings(),
            "--batch=1",
            "--context=1",
            "--embedding=1",
            "--features=1",
            "--seconds=1");
    settings.complete();
    Corpus corpus = Corpus.of(Collections.nCopies(50, List.of("a", "b")), 1);
    try (Batch batch = new Batch(1, settings)) {
      LanguageModelTrainer.Result result =
          new LanguageModelTrainer(settings, corpus).train(new Idler(batch), "idle", POINTS);
      List<LanguageModelTrainer.Point> curve = result.curve();
      assertEquals(POINTS, curve.size());
      assertEquals(result.words(), curve.get(POINTS - 1).words());
      assertTrue(result.words() <= 3, result::toString);
      for (LanguageModelTrainer.Point point : curve) {
        assertEquals(3, point.training(), 1e-9);
        assertEquals(2, point.heldOut());
      }
    }
  }
}
