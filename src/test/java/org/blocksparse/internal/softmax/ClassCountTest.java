// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.softmax;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.Test;

final class ClassCountTest {
  /** With very many rows for each class, products are all that counts. */
  @Test
  void ofTheLargestBatchesTheSquareRootIsFastest() {
    for (int batch : new int[] {1 << 28, 1 << 30, Integer.MAX_VALUE}) {
      assertEquals(1000, ClassCount.REFERENCE.fastest(1_000_000, batch), 1);
    }
  }
}
