// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import java.util.Collection;
import java.util.List;
import java.util.OptionalDouble;
import org.openjdk.jmh.infra.BenchmarkParams;
import org.openjdk.jmh.infra.IterationParams;
import org.openjdk.jmh.profile.InternalProfiler;
import org.openjdk.jmh.results.AggregationPolicy;
import org.openjdk.jmh.results.IterationResult;
import org.openjdk.jmh.results.Result;
import org.openjdk.jmh.results.ScalarResult;

/**
 * Adds to what JMH measures of a {@link TopKBenchmark} how many classes a row opened, on the
 * average. (JMH's own counters know no benchmarks that sample times.)
 */
public final class OpenedClasses implements InternalProfiler {
  /** The name of the result. */
  static final String LABEL = "classes.opened";

  /** Set by the benchmark, in the JVM that it runs in. */
  static volatile OptionalDouble mean = OptionalDouble.empty();

  @Override
  public String getDescription() {
    return "the mean number of classes that were opened for a row";
  }

  @Override
  public void beforeIteration(BenchmarkParams benchmark, IterationParams iteration) {}

  @Override
  public Collection<? extends Result<?>> afterIteration(
      BenchmarkParams benchmark, IterationParams iteration, IterationResult result) {
    return mean.isEmpty()
        ? List.of()
        : List.of(new ScalarResult(LABEL, mean.getAsDouble(), "classes", AggregationPolicy.AVG));
  }
}
