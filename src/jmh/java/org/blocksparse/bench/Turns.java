// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.IntConsumer;

/**
 * Programs that do the same jobs and take turns in one process, so that a change of the machine's
 * speed affects all of them.
 */
final class Turns {
  private final long turnNanos;
  private final int rounds;
  private final Map<String, IntConsumer> programs = new LinkedHashMap<>();

  /**
   * Creates turns that last for some time, and at least one job; the first round is not counted.
   */
  Turns(double turnSeconds, int rounds) {
    this.turnNanos = (long) (turnSeconds * 1e9);
    this.rounds = rounds;
  }

  /** Adds a program, which is given the number of a job. */
  Turns with(String name, IntConsumer program) {
    programs.put(name, program);
    return this;
  }

  /** Returns the median time of a job of each program, in nanoseconds. */
  Map<String, Long> measure() {
    Map<String, List<Long>> times = new LinkedHashMap<>();
    Map<String, Integer> jobs = new LinkedHashMap<>();
    for (int round = 0; round <= rounds; round++) {
      for (Map.Entry<String, IntConsumer> each : programs.entrySet()) {
        List<Long> all = times.computeIfAbsent(each.getKey(), name -> new ArrayList<>());
        long end = System.nanoTime() + turnNanos;
        long now = System.nanoTime();
        do {
          int job = jobs.merge(each.getKey(), 1, Integer::sum);
          each.getValue().accept(job);
          long done = System.nanoTime();
          if (round > 0) {
            all.add(done - now);
          }
          now = done;
        } while (now < end);
      }
    }
    Map<String, Long> medians = new LinkedHashMap<>();
    times.forEach(
        (name, all) -> {
          all.sort(null);
          medians.put(name, all.get(all.size() / 2));
        });
    return medians;
  }
}
