// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.documents;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import jdk.jfr.consumer.RecordingStream;
import org.blocksparse.FloatTensor;
import org.blocksparse.HierarchicalSoftmax;
import org.junit.jupiter.api.Test;

/** The example of src/doc/observing.md. */
final class ObservingExampleTest {
  // example: slow-searches
  /** Tells of each search that takes longer than it should, until it is closed. */
  static RecordingStream slowSearches(Duration limit, Consumer<String> log) {
    RecordingStream events = new RecordingStream();
    events.enable("org.blocksparse.Search").withThreshold(limit);
    events.onEvent(
        "org.blocksparse.Search",
        event ->
            log.accept(
                "%s of %d rows opened %d classes in %d us"
                    .formatted(
                        event.getString("query"),
                        event.getInt("rows"),
                        event.getLong("openedClasses"),
                        event.getDuration().toNanos() / 1000)));
    events.startAsync();
    return events;
  }

  // end of example

  @Test
  void searchesAreTold() throws InterruptedException {
    BlockingQueue<String> lines = new LinkedBlockingQueue<>();
    int opened;
    try (RecordingStream events = slowSearches(Duration.ZERO, lines::add);
        HierarchicalSoftmax layer = HierarchicalSoftmax.builder(2, 100).build();
        FloatTensor x = FloatTensor.zeros(3, 2)) {
      var best = layer.topK(x, 5);
      opened = best.openedClasses(0) + best.openedClasses(1) + best.openedClasses(2);
      String line = lines.poll(30, TimeUnit.SECONDS); // the JVM gives out events once a second
      assertNotNull(line);
      String begin = "topK of 3 rows opened " + opened + " classes in ";
      assertTrue(line.startsWith(begin), line);
      assertEquals(" us", line.substring(line.length() - 3));
    }
  }

  @Test
  void fastOnesAreNot() throws InterruptedException {
    BlockingQueue<String> lines = new LinkedBlockingQueue<>();
    try (RecordingStream events = slowSearches(Duration.ofHours(1), lines::add);
        HierarchicalSoftmax layer = HierarchicalSoftmax.builder(2, 100).build();
        FloatTensor x = FloatTensor.zeros(3, 2)) {
      layer.topK(x, 5);
      assertEquals(null, lines.poll(2, TimeUnit.SECONDS));
    }
  }
}
