// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import java.lang.reflect.Field;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Stream;
import org.openjdk.jmh.annotations.Param;

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
  /** How often it is measured: once for each choice of those parameters that are not given. */
  int choices() {
    Stream<Class<?>> states =
        Arrays.stream(benchmark.getMethods())
            .filter(one -> one.getName().equals(method))
            .flatMap(one -> Arrays.stream(one.getParameterTypes()));
    return Stream.concat(Stream.of(benchmark), states)
        .flatMap(state -> Arrays.stream(state.getFields()))
        .filter(field -> field.isAnnotationPresent(Param.class))
        .filter(field -> !params.containsKey(field.getName()))
        .mapToInt(Case::values)
        .reduce(1, Math::multiplyExact);
  }

  private static int values(Field param) {
    String[] values = param.getAnnotation(Param.class).value();
    boolean allOfTheEnum = values.length == 1 && values[0].equals(Param.BLANK_ARGS);
    return allOfTheEnum ? param.getType().getEnumConstants().length : values.length;
  }

  @Override
  public String toString() {
    return benchmark.getSimpleName().replace("Benchmark", "").toLowerCase(Locale.ROOT)
        + " "
        + method
        + " "
        + String.join(" ", params.values());
  }
}
