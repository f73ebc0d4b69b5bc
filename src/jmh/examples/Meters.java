///usr/bin/env jbang "$0" "$@" ; exit $?
// SPDX-License-Identifier: Apache-2.0
//DEPS org.blocksparse:blocksparse-platform:0.1.0-SNAPSHOT
//DEPS io.micrometer:micrometer-core:1.16.0

import io.micrometer.core.instrument.*;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.util.concurrent.TimeUnit;
import org.blocksparse.*;
import org.blocksparse.ranking.*;
import org.blocksparse.softmax.*;

class Meters {
  public static void main(String[] args) {
    MeterRegistry registry = new SimpleMeterRegistry(); // or that of your monitoring system
    var first = HierarchicalSoftmax.builder(4, 100).build();
    try (var models = ModelHolder.of(first, HierarchicalSoftmax::load);
        var x = FloatTensor.zeros(3, 4)) {
      Metered metered = Metered.of(models, registry);
      metered.topK(x, 5);
      models.reload(() -> HierarchicalSoftmax.builder(4, 200).build());
      System.out.println(registry.get("softmax.requests").timer().count()); // 1
      System.out.println(registry.get("softmax.opened").summary().count()); // 3
      System.out.println(registry.get("softmax.reloads").functionCounter().count()); // 1.0
      System.out.println(registry.get("softmax.age").timeGauge().value() < 60); // true
      System.out.println(registry.get("softmax.memory").gauge().value() > 0); // true
    }
  }

  /** Layers with meters: the time of requests, the classes that a row opens, reloads, memory. */
  record Metered(
      ModelHolder<HierarchicalSoftmax> models, Timer requests, DistributionSummary opened) {
    static Metered of(ModelHolder<HierarchicalSoftmax> models, MeterRegistry registry) {
      Gauge.builder("softmax.memory", FloatTensor::allocatedBytes).register(registry);
      FunctionCounter.builder("softmax.reloads", models, ModelHolder::reloads).register(registry);
      FunctionCounter.builder("softmax.failed.reloads", models, ModelHolder::failedReloads)
          .register(registry);
      TimeGauge.builder(
              "softmax.age", models, TimeUnit.SECONDS, holder -> holder.age().toSeconds())
          .register(registry);
      return new Metered(
          models, registry.timer("softmax.requests"), registry.summary("softmax.opened"));
    }

    Ranking topK(FloatTensor x, int k) {
      try (var model = models.acquire()) {
        Ranking best = requests.record(() -> model.get().topK(x, k));
        for (int row = 0; row < best.batch(); row++) {
          opened.record(best.openedClasses(row));
        }
        return best;
      }
    }
  }
}
