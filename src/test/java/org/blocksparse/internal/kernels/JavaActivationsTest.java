// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.kernels;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.blocksparse.Activation;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Digits that only a kernel in double has. */
final class JavaActivationsTest {
  /** Values of the normal distribution with 20 digits, from tables. */
  @ParameterizedTest
  @CsvSource({
    "1, 0.15865525393145705142",
    "3, 1.3498980316300945267e-3",
    "4, 3.1671241833119921254e-5",
    "5, 2.8665157187919391167e-7",
    "10, 7.6198530241605260660e-24",
    "20, 2.7536241186062336951e-89",
  })
  void geluFarBelowZero(double x, double below) {
    double value = JavaActivations.value(Activation.GELU, -x);
    assertEquals(-x * below, value, 1e-12 * x * below);
  }
}
