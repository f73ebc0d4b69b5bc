// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.sparse;

import static org.blocksparse.testing.Failures.assertRejects;
import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.Test;

/** The limit on the length of a plan's bags; the biases made of them show their content. */
final class SampleBagsTest {
  @Test
  void lengthIsThatOfAnArray() {
    assertEquals(2, SampleBags.length(0, 0, 0));
    assertEquals(2 * 4 + 5 + 7, SampleBags.length(3, 5, 7));
    int most = Integer.MAX_VALUE - 8;
    assertEquals(most, SampleBags.length(0, most - 3, 1));
    assertRejects(
        "0 samples of 2147483637 inputs and 1 outputs need more than the 2147483639 numbers of one"
            + " schedule; split the batch",
        () -> SampleBags.length(0, most - 2, 1));
  }

  /** A dense plan may have this many samples. */
  @Test
  void lengthBeyondAnInt() {
    int samples = 1 << 29;
    assertRejects(
        "536870912 samples of 536870912 inputs and 536870912 outputs need more than the 2147483639"
            + " numbers of one schedule; split the batch",
        () -> SampleBags.length(samples, samples, samples));
  }
}
