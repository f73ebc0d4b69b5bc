// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.search;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

final class GumbelNoiseTest {
  /**
   * A draw stops at the first output whose bound is too small: a bound below its noise is wrong.
   */
  @ParameterizedTest
  @ValueSource(doubles = {0.1, 1, 30})
  void boundsAreNotBelowTheNoise(double temperature) {
    double sum = 0;
    for (int seed = 0; seed < 20; seed++) {
      GumbelNoise noise = new GumbelNoise(seed, temperature);
      for (int output = 0; output < 5_000; output++) {
        float added = noise.addTo(output, -2);
        float most = noise.addMost(output, -2);
        assertTrue(added <= most, () -> added + " is above its bound " + most);
        sum += (added + 2) / temperature;
      }
    }
    // The mean of the distribution is Euler's constant, its deviation 1.28.
    assertEquals(0.5772, sum / 100_000, 4 * 1.28 / Math.sqrt(100_000));
  }
}
