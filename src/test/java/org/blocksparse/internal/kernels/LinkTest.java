// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.kernels;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.Test;

final class LinkTest {
  /** With more, a search would make more rounds; with less, it would open more classes. */
  @Test
  void probabilitiesTogether() {
    assertEquals(1, Link.SOFTMAX.most(7));
    assertEquals(7, Link.LOGISTIC.most(7));
  }
}
