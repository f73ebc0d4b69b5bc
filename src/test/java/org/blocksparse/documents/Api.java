// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.documents;

import java.lang.reflect.Method;
import java.util.Arrays;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.blocksparse.testing.PublicTypes;

/** The public methods of the library, as pages name them. */
final class Api {
  /**
   * Matches {@code step(x, targets)}, {@code Loss.mean()}, {@code plan.withWorkers(workers)} or
   * {@code Loss.sum}.
   */
  private static final Pattern METHOD =
      Pattern.compile("(?:(\\w+)\\.)?([a-z][a-zA-Z0-9]*)(?:\\(([^()]*)\\))?");

  private static final List<Class<?>> TYPES = PublicTypes.all();

  private Api() {}

  /**
   * Returns whether code in a text looks like a method of the library but cannot be one: a name
   * with arguments, or one after the name of one of our types.
   */
  static boolean isMistaken(String code) {
    Matcher named = METHOD.matcher(code);
    if (!named.matches()) {
      return false;
    }
    Class<?> owner =
        TYPES.stream()
            .filter(type -> type.getSimpleName().equals(named.group(1)))
            .findFirst()
            .orElse(null);
    String arguments = named.group(3);
    boolean isOfOthers = named.group(1) != null && Character.isUpperCase(named.group(1).charAt(0));
    if (owner == null && (arguments == null || isOfOthers)) {
      return false;
    }
    Stream<Class<?>> candidates = owner == null ? TYPES.stream() : Stream.of(owner);
    return candidates
        .flatMap(type -> Arrays.stream(type.getMethods()))
        .filter(method -> method.getName().equals(named.group(2)))
        .noneMatch(method -> takes(method, arguments));
  }

  private static boolean takes(Method method, String arguments) {
    return arguments == null
        || arguments.equals("...")
        || method.getParameterCount() == (arguments.isEmpty() ? 0 : arguments.split(",").length);
  }
}
