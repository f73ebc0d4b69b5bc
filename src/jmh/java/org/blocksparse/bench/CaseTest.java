// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

final class CaseTest {
  private static int choices(Class<?> benchmark, String method, Map<String, String> params) {
    return new Case(benchmark, method, params, 1, List.of()).choices();
  }

  @Test
  void choices_areOfTheParametersThatAreNotGiven() {
    assertEquals(4, choices(PlanBenchmark.class, "gemm", Map.of()));
    assertEquals(2, choices(PlanBenchmark.class, "gemm", Map.of("window", "8")));
    assertEquals(
        2 * MoeActivation.values().length,
        choices(MoeBenchmark.class, "run", Map.of("operation", "FORWARD", "peer", "BLOCKSPARSE")));
  }

  @Test
  void choices_areThoseOfTheStateThatAMethodTakes() {
    assertEquals(6, choices(GrowthBenchmark.class, "batch", Map.of()));
    assertEquals(
        5 * GrowthTargets.values().length, choices(GrowthBenchmark.class, "outputs", Map.of()));
  }
}
