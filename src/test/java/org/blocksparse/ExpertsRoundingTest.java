// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static java.util.Map.entry;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.HashMap;
import java.util.Map;
import java.util.SplittableRandom;
import org.blocksparse.experts.MixtureOfExperts;
import org.blocksparse.experts.TopKGate;
import org.blocksparse.testing.Data;
import org.junit.jupiter.api.Test;

/** The errors by type that a table of {@code src/doc/experts.md} lists. */
final class ExpertsRoundingTest {
  private static final int SIZE = 256;
  private static final int EXPERTS = 6;
  private static final int ROWS = 64;

  private final SplittableRandom random = new SplittableRandom(1);

  private FloatTensor gaussian(double deviation, long... dims) {
    return FloatTensor.of(Data.gaussian(random, deviation, Shape.of(dims).size()), dims);
  }

  /** Returns the root mean square error of the output, relative to its own size. */
  private static double error(MixtureOfExperts narrow, FloatTensor x, float... exact) {
    try (narrow;
        FloatTensor out = narrow.apply(x)) {
      float[] values = out.toArray();
      double errors = 0;
      double squares = 0;
      for (int i = 0; i < exact.length; i++) {
        errors += Math.pow(values[i] - exact[i], 2);
        squares += Math.pow(exact[i], 2);
      }
      return Math.sqrt(errors / squares);
    }
  }

  @Test
  void areThoseOfThePage() {
    double root = 1 / Math.sqrt(SIZE);
    Map<String, FloatTensor> parameters = new HashMap<>();
    parameters.put("Wg", gaussian(root, 1, 1, SIZE, EXPERTS));
    parameters.put("W1", gaussian(root, 1, EXPERTS, SIZE, 2 * SIZE));
    parameters.put("W2", gaussian(root, EXPERTS, 1, SIZE, SIZE));
    Map<ElementType, Double> errors =
        Map.ofEntries(
            entry(ElementType.FLOAT16, 0.0004),
            entry(ElementType.BFLOAT16, 0.004),
            entry(ElementType.PACKED_BFLOAT16, 0.004),
            entry(ElementType.INT8, 0.027),
            entry(ElementType.Q8_0, 0.015),
            entry(ElementType.Q4_0, 0.15),
            entry(ElementType.MXFP4, 0.20),
            entry(ElementType.Q4_K, 0.14),
            entry(ElementType.Q6_K, 0.037),
            entry(ElementType.Q5_K, 0.07),
            entry(ElementType.Q5_1, 0.07),
            entry(ElementType.IQ4_NL, 0.14),
            entry(ElementType.IQ4_XS, 0.14),
            entry(ElementType.Q2_K, 0.64));
    try (MixtureOfExperts layer =
            MixtureOfExperts.builder(SIZE, SIZE, TopKGate.of(EXPERTS, 2)).build(parameters);
        FloatTensor x = gaussian(1, ROWS, SIZE);
        FloatTensor out = layer.apply(x)) {
      float[] exact = out.toArray();
      errors.forEach(
          (type, expected) ->
              assertEquals(
                  expected,
                  error(layer.withWeights(type), x, exact),
                  0.2 * expected,
                  type.toString()));
      MixtureOfExperts bytes = layer.withWeights(ElementType.INT8);
      assertEquals(0.013, error(bytes.withInputBits(16), x, exact), 0.2 * 0.013, "16 bits");
    }
  }
}
