// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import java.util.Collection;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.openjdk.jmh.infra.BenchmarkParams;
import org.openjdk.jmh.infra.IterationParams;
import org.openjdk.jmh.profile.InternalProfiler;
import org.openjdk.jmh.results.AggregationPolicy;
import org.openjdk.jmh.results.IterationResult;
import org.openjdk.jmh.results.ScalarResult;

/**
 * Adds numbers that a benchmark sets to its results: the bytes and operations of a call, from which
 * the page computes its limit, and others that the page shows by name. JMH's own counters do not
 * work with times of single calls.
 */
public final class Facts implements InternalProfiler {
  static final String BYTES = "bytes";
  static final String FLOPS = "flops";

  /** The unit under which JMH stores them. */
  static final String UNIT = "fact";

  private static final Map<String, Double> FACTS = new ConcurrentHashMap<>();

  static void put(String name, double value) {
    FACTS.put(name, value);
  }

  /** Sets the bytes that a call must read or write, and its floating-point operations. */
  static void putCost(double bytes, double flops) {
    put(BYTES, bytes);
    put(FLOPS, flops);
  }

  @Override
  public String getDescription() {
    return "numbers that benchmarks set";
  }

  @Override
  public void beforeIteration(BenchmarkParams benchmark, IterationParams iteration) {}

  @Override
  public Collection<ScalarResult> afterIteration(
      BenchmarkParams benchmark, IterationParams iteration, IterationResult result) {
    return FACTS.entrySet().stream()
        .map(fact -> new ScalarResult(fact.getKey(), fact.getValue(), UNIT, AggregationPolicy.MAX))
        .toList();
  }
}
