// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.search;

/**
 * Noise that makes a search draw a sample: the output with the largest sum of its score and its
 * noise is one of the softmax distribution of scores divided by the temperature (Gumbel, 1954). So
 * the sum of all exponentials is not needed.
 *
 * @param seed the seed of the noise of all outputs
 * @param temperature the divisor of scores
 */
public record GumbelNoise(long seed, double temperature) {
  private static final long GOLDEN_GAMMA = 0x9E3779B97F4A7C15L;

  /** An upper bound of the natural logarithm of 2. */
  private static final double LOG_2 = 0.6932;

  /** Returns 53 random bits of an output, as SplittableRandom mixes them. */
  private long bits(int output) {
    long z = seed + (output + 1L) * GOLDEN_GAMMA;
    z = (z ^ (z >>> 30)) * 0xBF58476D1CE4E5B9L;
    z = (z ^ (z >>> 27)) * 0x94D049BB133111EBL;
    return (z ^ (z >>> 31)) >>> 11;
  }

  /** Adds the noise of an output to its score, or to a bound of its score. */
  float addTo(int output, float score) {
    double uniform = (bits(output) + 0.5) * 0x1p-53; // strict functions: the same everywhere
    return (float) (score - temperature * StrictMath.log(-StrictMath.log1p(-uniform)));
  }

  /** Returns an upper bound of {@link #addTo} without logarithms: -log(1 - u) is at least u. */
  float addMost(int output, float bound) {
    int leadingZeros = Long.numberOfLeadingZeros(bits(output)) - 11;
    return (float) (bound + temperature * LOG_2 * (leadingZeros + 1));
  }
}
