// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.kernels;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.Test;

final class LinkTest {
  /**
   * With more iterations, a search would make more rounds; with fewer, it would open more classes.
   */
  @Test
  void probabilitiesTogether() {
    assertEquals(1, Link.SOFTMAX.most(7));
    assertEquals(7, Link.LOGISTIC.most(7));
  }
}
