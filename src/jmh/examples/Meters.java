///usr/bin/env jbang "$0" "$@" ; exit $?
// SPDX-License-Identifier: Apache-2.0
//DEPS org.blocksparse:blocksparse-platform:0.1.0-SNAPSHOT
//DEPS io.micrometer:micrometer-core:1.16.0

import io.micrometer.core.instrument.*;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import org.blocksparse.*;

class Meters {
  public static void main(String[] args) {
    MeterRegistry registry = new SimpleMeterRegistry(); // or that of your monitoring system
    try (var layer = HierarchicalSoftmax.builder(4, 100).build();
        var x = FloatTensor.zeros(3, 4)) {
      Metered metered = Metered.of(layer, registry);
      metered.topK(x, 5);
      System.out.println(registry.get("softmax.requests").timer().count()); // 1
      System.out.println(registry.get("softmax.opened").summary().count()); // 3
      System.out.println(registry.get("softmax.memory").gauge().value() > 0); // true
    }
  }

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
}
