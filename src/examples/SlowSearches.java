///usr/bin/env jbang "$0" "$@" ; exit $?
// SPDX-License-Identifier: Apache-2.0
//DEPS org.blocksparse:blocksparse-platform:0.1.0-SNAPSHOT

import java.time.Duration;
import java.util.concurrent.*;
import java.util.function.Consumer;
import jdk.jfr.consumer.RecordingStream;
import org.blocksparse.*;
import org.blocksparse.softmax.*;

class SlowSearches {
  public static void main(String[] args) throws InterruptedException {
    BlockingQueue<String> log = new LinkedBlockingQueue<>();
    try (var events = slowSearches(Duration.ZERO, log::add); // no limit: all of them
        var layer = HierarchicalSoftmax.builder(2, 100).build();
        var x = FloatTensor.zeros(3, 2)) {
      layer.topK(x, 5);
      // The JVM delivers events once a second.
      System.out.println(log.take().replaceAll(" in .*", "")); // topK of 3 rows opened 30 classes
    }
  }

  /** Logs each search that takes the limit or longer, until it is closed. */
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
}
