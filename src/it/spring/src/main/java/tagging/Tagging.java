// SPDX-License-Identifier: Apache-2.0
package tagging;

import io.micrometer.core.instrument.FunctionCounter;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.TimeGauge;
import io.micrometer.core.instrument.binder.MeterBinder;
import java.io.IOException;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import org.blocksparse.ModelHolder;
import org.blocksparse.Workers;
import org.blocksparse.classifier.Classifier;
import org.blocksparse.io.LoadOptions;
import org.springframework.beans.factory.annotation.Value;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.actuate.endpoint.annotation.Endpoint;
import org.springframework.boot.actuate.endpoint.annotation.WriteOperation;
import org.springframework.boot.actuate.endpoint.web.WebEndpointResponse;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.boot.health.contributor.Health;
import org.springframework.boot.health.contributor.HealthIndicator;
import org.springframework.context.annotation.Bean;
import org.springframework.stereotype.Component;

/** Serves a model of the classifier, and reloads it while requests run. */
@SpringBootApplication
public class Tagging {
  public static void main(String[] args) {
    SpringApplication.run(Tagging.class, args);
  }

  /** Spring closes it at shutdown, after the last request. */
  @Bean
  ModelHolder<Classifier> models(@Value("${model}") Path file) throws IOException {
    LoadOptions options = LoadOptions.mapped().withWorkers(Workers.callingThread());
    return ModelHolder.load(file, path -> Classifier.load(path, options));
  }

  @Bean
  MeterBinder modelMetrics(ModelHolder<Classifier> models) {
    return registry -> {
      FunctionCounter.builder("model.reloads", models, ModelHolder::reloads).register(registry);
      FunctionCounter.builder("model.reloads.failed", models, ModelHolder::failedReloads)
          .register(registry);
      TimeGauge.builder("model.age", models, TimeUnit.SECONDS, m -> m.age().toSeconds())
          .register(registry);
      Gauge.builder("model.bytes", models, Tagging::mappedBytes)
          .tag("kind", "mapped")
          .register(registry);
    };
  }

  private static double mappedBytes(ModelHolder<Classifier> models) {
    try (var model = models.acquire()) {
      return model.get().memoryUse().mappedBytes();
    }
  }

  /** A failed reload is a detail, not DOWN: the old model still answers. */
  @Bean
  HealthIndicator modelHealthIndicator(ModelHolder<Classifier> models) {
    return () -> {
      Health.Builder health = Health.up().withDetail("age", models.age().toString());
      models.lastError().ifPresent(error -> health.withDetail("lastError", error.toString()));
      return health.build();
    };
  }

  /** POST /actuator/model loads the file that now has the name of the model. */
  @Component
  @Endpoint(id = "model")
  record Reload(ModelHolder<Classifier> models, @Value("${model}") Path file) {
    @WriteOperation
    WebEndpointResponse<String> reload() {
      try {
        models.reload(file);
        return new WebEndpointResponse<>("reloaded " + file);
      } catch (IOException e) {
        return new WebEndpointResponse<>(
            e.getMessage(), WebEndpointResponse.STATUS_INTERNAL_SERVER_ERROR);
      }
    }
  }
}
