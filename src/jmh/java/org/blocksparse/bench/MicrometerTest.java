// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.micrometer.core.instrument.DistributionSummary;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Timer;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import org.blocksparse.FloatTensor;
import org.blocksparse.HierarchicalSoftmax;
import org.blocksparse.Ranking;
import org.junit.jupiter.api.Test;

/** The sample of src/doc/observing.md. */
final class MicrometerTest {
  // example: micrometer
  /** A layer with meters: how long requests take, how many classes a row opens, what memory is. */
  record Metered(HierarchicalSoftmax layer, Timer requests, DistributionSummary opened) {
    static Metered of(HierarchicalSoftmax layer, MeterRegistry registry) {
      Gauge.builder("softmax.memory", FloatTensor::allocatedBytes).register(registry);
      return new Metered(
          layer, registry.timer("softmax.requests"), registry.summary("softmax.opened"));
    }

    Ranking topK(FloatTensor x, int k) {
      Ranking best = requests.record(() -> layer.topK(x, k));
      for (int row = 0; row < best.batch(); row++) {
        opened.record(best.openedClasses(row));
      }
      return best;
    }
  }

  // end of example

  @Test
  void requestsAreCounted() {
    SimpleMeterRegistry registry = new SimpleMeterRegistry();
    try (HierarchicalSoftmax layer = HierarchicalSoftmax.builder(4, 100).build();
        FloatTensor x = FloatTensor.zeros(3, 4)) {
      Metered metered = Metered.of(layer, registry);
      Ranking best = metered.topK(x, 5);
      assertEquals(1, registry.get("softmax.requests").timer().count());
      DistributionSummary opened = registry.get("softmax.opened").summary();
      assertEquals(3, opened.count());
      assertEquals(best.openedClasses(0), opened.max());
      assertTrue(registry.get("softmax.memory").gauge().value() > 0);
    }
  }
}
