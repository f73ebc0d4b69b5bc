// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The checks before clustering begins; other tests cover its result. */
final class ClusteringTest {
  /** Up to 2^31 - 9 numbers are stored for outputs, and as many for classes. */
  @ParameterizedTest
  @CsvSource({
    "2147483639, 1, 1, ''",
    "2147483639, 2, 1, outputs times",
    "268435454, 8, 1, ''",
    "268435455, 8, 1, outputs times",
    "1, 1, 2147483639, ''",
    "2, 2, 1073741819, ''",
    "2, 2, 1073741820, classes times",
    "200000000, 20000, 107374, ''",
    "200000000, 20000, 107375, classes times",
  })
  void arraysThatWouldBeTooLarge(int outputs, int nClasses, int dimensions, String refused) {
    if (refused.isEmpty()) {
      assertDoesNotThrow(() -> Clustering.requireRoom("vectors", outputs, nClasses, dimensions));
      return;
    }
    IllegalArgumentException error =
        assertThrows(
            IllegalArgumentException.class,
            () -> Clustering.requireRoom("vectors", outputs, nClasses, dimensions));
    assertTrue(error.getMessage().startsWith("vectors: "), error::toString);
    assertTrue(error.getMessage().contains(refused), error::toString);
  }
}
