// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.linear;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.SplittableRandom;
import org.blocksparse.testing.Seed;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Margins become the frequencies of answers, at any scale. */
final class CalibrationTest {
  private static final int COUNT = 2000;

  /**
   * Returns transformed margins around -1, and answers that are yes with the probability sigmoid(3
   * * margin + 0.5) of the original margin.
   */
  private static Calibration.Samples samples(double factor, double summand) {
    SplittableRandom random = new SplittableRandom(Seed.value());
    Calibration.Samples samples =
        new Calibration.Samples(new double[COUNT], new float[COUNT], new boolean[COUNT]);
    for (int i = 0; i < COUNT; i++) {
      double margin = 2 * random.nextDouble() - 1;
      margin -= 2 * random.nextDouble();
      samples.margins()[i] = factor * margin + summand;
      samples.weights()[i] = 1;
      samples.positive()[i] = random.nextDouble() < 1 / (1 + Math.exp(-3 * margin - 0.5));
    }
    return samples;
  }

  @ParameterizedTest
  @CsvSource({"1, 0", "1e-6, 0", "1e-3, -1", "1e-2, -1", "1e3, 0", "1e30, 0", "1e3, 1e3"})
  void probabilitiesAreFrequenciesForMarginsOfAnySize(double factor, double summand) {
    Calibration.Samples samples = samples(factor, summand);
    Calibration calibration = Calibration.of(List.of(samples));
    double[] expected = new double[4];
    int[] found = new int[4];
    for (int i = 0; i < COUNT; i++) {
      double margin = samples.margins()[i];
      int quarter = (int) Math.min(3, Math.max(0, ((margin - summand) / factor + 3) / 4 * 4));
      expected[quarter] +=
          1 / (1 + Math.exp(-calibration.slope() * margin - calibration.intercept()));
      found[quarter] += samples.positive()[i] ? 1 : 0;
    }
    for (int quarter = 0; quarter < 4; quarter++) {
      double deviation = 4 * Math.sqrt(found[quarter] + 4);
      assertEquals(found[quarter], expected[quarter], deviation, Seed.howToRepeat());
    }
  }

  /** Answers that contradict the margins do not change the order of margins, either. */
  @ParameterizedTest
  @CsvSource({"1", "1e-4", "1e4"})
  void slopesArePositiveWhereMarginsSayNothing(double factor) {
    for (boolean isContrary : new boolean[] {false, true}) {
      Calibration.Samples samples = samples(factor, 0);
      SplittableRandom random = new SplittableRandom(Seed.value() + 1);
      for (int i = 0; i < COUNT; i++) {
        samples.positive()[i] =
            isContrary ? samples.margins()[i] < -factor : random.nextInt(3) == 0;
      }
      Calibration calibration = Calibration.of(List.of(samples));
      double least = Calibration.SMALLEST_SLOPE / (2 * factor);
      assertTrue(calibration.slope() >= least, calibration + " " + Seed.howToRepeat());
    }
  }

  /** A few answers change the calibration without answers only a little. */
  @Test
  void oneAnswerChangesLittle() {
    Calibration none = Calibration.of(List.of());
    for (double margin : new double[] {-1, 1}) {
      Calibration one =
          Calibration.of(
              List.of(
                  new Calibration.Samples(
                      new double[] {margin}, new float[] {1}, new boolean[] {margin > 0})));
      assertEquals(none.slope(), one.slope(), 0.5);
      assertEquals(none.intercept(), one.intercept(), 0.5);
    }
  }

  /** Calibrations are finite even where no float is the slope. */
  @Test
  void marginsOfAnySizeGiveFiniteCalibrations() {
    for (double size : new double[] {1e-50, 1e-40, 1, 1e40, 1e50, 1e80}) {
      double[] margins = {-size, size, 3 * size};
      boolean[] positive = {false, true, true};
      Calibration found =
          Calibration.of(
              List.of(new Calibration.Samples(margins, new float[] {1, 1, 1}, positive)));
      assertTrue(found.isFinite(), found::toString);
    }
  }
}
