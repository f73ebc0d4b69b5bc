// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.testing;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;

import java.util.List;
import org.blocksparse.softmax.TwoLevelLayer;

/** The parameters of a layer at some time: W1, b1, W2, b2. */
public record LayerParameters(List<float[]> values) {
  public static LayerParameters of(TwoLevelLayer<?> layer) {
    return new LayerParameters(
        List.of(
            layer.W1().toArray(),
            layer.b1().toArray(),
            layer.W2().toArray(),
            layer.b2().toArray()));
  }

  /** Fails unless a layer has the same parameters, bit by bit. */
  public void assertSame(String when, TwoLevelLayer<?> layer) {
    List<float[]> actual = of(layer).values;
    for (int p = 0; p < values.size(); p++) {
      assertArrayEquals(values.get(p), actual.get(p), when + ": parameter " + p);
    }
  }
}
