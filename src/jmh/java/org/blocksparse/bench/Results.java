// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import com.fasterxml.jackson.jr.ob.JSON;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** The measurements, by JMH or in turns. */
final class Results {
  /**
   * A case; times are nanoseconds.
   *
   * @param type the simple name of the benchmark
   * @param params by name
   * @param threads callers at the same time
   * @param facts the facts of {@link Facts}, by name
   */
  record Result(
      String type,
      String method,
      Map<String, String> params,
      int threads,
      double best,
      double median,
      double p99,
      Map<String, Double> facts) {}

  private final List<Result> all = new ArrayList<>();
  private final List<String> skipped = new ArrayList<>();

  /** Returns the results that JMH wrote as JSON. */
  static Results read(Path json) throws IOException {
    Results results = new Results();
    for (Object each : JSON.std.listFrom(Files.readString(json))) {
      Map<?, ?> result = map(each);
      Map<?, ?> percentiles = map(map(result.get("primaryMetric")).get("scorePercentiles"));
      Map<String, String> params = new LinkedHashMap<>();
      if (result.get("params") != null) {
        map(result.get("params")).forEach((name, value) -> params.put("" + name, "" + value));
      }
      Map<String, Double> facts = new LinkedHashMap<>();
      map(result.get("secondaryMetrics"))
          .forEach(
              (name, metric) -> {
                if (Facts.UNIT.equals(map(metric).get("scoreUnit"))) {
                  facts.put("" + name, number(map(metric).get("score")));
                }
              });
      results.add(
          result.get("benchmark").toString(),
          params,
          (int) number(result.get("threads")),
          number(percentiles.get("0.0")),
          number(percentiles.get("50.0")),
          number(percentiles.get("99.0")),
          facts);
    }
    return results;
  }

  private static Map<?, ?> map(Object value) {
    return (Map<?, ?>) value;
  }

  /** Returns a number; JMH writes NaN as a string. */
  private static double number(Object value) {
    return value instanceof Number number ? number.doubleValue() : Double.NaN;
  }

  private void add(
      String benchmark,
      Map<String, String> params,
      int threads,
      double best,
      double median,
      double p99,
      Map<String, Double> facts) {
    int dot = benchmark.lastIndexOf('.');
    String type = benchmark.substring(benchmark.lastIndexOf('.', dot - 1) + 1, dot);
    all.add(
        new Result(
            type.replaceFirst("Benchmark$", ""),
            benchmark.substring(dot + 1),
            params,
            threads,
            best,
            median,
            p99,
            facts));
  }

  /** Adds a case that JMH has not measured. */
  void add(String benchmark, Map<String, String> params, double... times) {
    double[] sorted = times.clone();
    Arrays.sort(sorted);
    double p99 = sorted[(int) (0.99 * sorted.length)];
    add(benchmark, params, 1, sorted[0], sorted[sorted.length / 2], p99, Map.of());
  }

  /** Adds a line on what cannot be measured. */
  void skip(String why) {
    if (!skipped.contains(why)) {
      skipped.add(why);
    }
  }

  List<Result> all() {
    return all;
  }

  List<String> skipped() {
    return skipped;
  }
}
