// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * A benchmark method to run.
 *
 * @param params parameters that are chosen; of others JMH takes all values
 * @param threads JMH's threads
 * @param jvmArgs what its JVM needs besides what all need
 */
record Case(
    Class<?> benchmark,
    String method,
    Map<String, String> params,
    int threads,
    List<String> jvmArgs) {
  @Override
  public String toString() {
    return benchmark.getSimpleName().replace("Benchmark", "").toLowerCase(Locale.ROOT)
        + " "
        + method
        + " "
        + String.join(" ", params.values());
  }
}
