// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.testing;

import java.lang.reflect.AccessibleObject;
import java.lang.reflect.Field;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import java.util.stream.Stream;

/**
 * A property of immutable options: each {@code with...} method sets an option, and two of them give
 * equal results in both orders, or fail in both.
 */
public final class OptionsInAnyOrder {
  /** The depth up to which nested objects are compared. */
  private static final int DEEPEST = 6;

  private final Map<Class<?>, Object> arguments;

  /**
   * Makes the property for the methods of a class.
   *
   * @param arguments a value for each type of parameters, other than the defaults; a list for
   *     streams
   */
  public OptionsInAnyOrder(Map<Class<?>, Object> arguments) {
    this.arguments = arguments;
  }

  /** Returns the methods that set an option, in a fixed order. */
  public static List<Method> setters(Class<?> options) {
    Map<String, Method> setters = new TreeMap<>();
    for (Method method : options.getMethods()) {
      if (method.getName().matches("with(out)?[A-Z].*")
          && !Modifier.isStatic(method.getModifiers())
          && method.getReturnType() == options) {
        setters.put(method.getName() + Arrays.toString(method.getParameterTypes()), method);
      }
    }
    return List.copyOf(setters.values());
  }

  /** Fails unless the property holds for all pairs of methods with different names. */
  public void check(Object start) {
    check(start.getClass(), start);
  }

  /** Checks the methods of a type that the options are of. */
  public void check(Class<?> type, Object start) {
    List<Method> setters = setters(type);
    for (Method first : setters) {
      if (equal(start, call(start, first), 0)) {
        throw new AssertionError(first + " sets nothing");
      }
      for (Method second : setters) {
        if (!first.getName().equals(second.getName())) {
          Object one = call(call(start, first), second);
          Object other = call(call(start, second), first);
          if (!equal(one, other, 0)) {
            throw new AssertionError(
                first + ", then " + second + ": " + one + ", in the other order " + other);
          }
        }
      }
    }
  }

  /** Returns the result of a method, or the class of its exception. */
  private Object call(Object options, Method setter) {
    if (options instanceof Class<?>) {
      return options;
    }
    List<Object> given = new ArrayList<>();
    for (Class<?> type : setter.getParameterTypes()) {
      if (!arguments.containsKey(type)) {
        throw new AssertionError("there is no value of " + type + " for " + setter);
      }
      Object value = arguments.get(type);
      given.add(type == Stream.class ? ((List<?>) value).stream() : value);
    }
    try {
      return setter.invoke(options, given.toArray());
    } catch (InvocationTargetException e) {
      return e.getCause().getClass();
    } catch (IllegalAccessException e) {
      throw new AssertionError(e);
    }
  }

  /** Returns whether objects are equal, by all fields where a class defines no equality. */
  private static boolean equal(Object a, Object b, int depth) {
    if (a == b || Objects.deepEquals(a, b)) {
      return true;
    }
    if (a == null || b == null || a.getClass() != b.getClass() || depth == DEEPEST) {
      return false;
    }
    if (a.getClass().isHidden()) {
      return true; // lambdas of the same place
    }
    if (!a.getClass().getName().startsWith("org.blocksparse.")) {
      return false;
    }
    Field[] fields = a.getClass().getDeclaredFields();
    AccessibleObject.setAccessible(fields, true);
    for (Field field : fields) {
      try {
        if (!Modifier.isStatic(field.getModifiers())
            && !equal(field.get(a), field.get(b), depth + 1)) {
          return false;
        }
      } catch (IllegalAccessException e) {
        throw new AssertionError(e);
      }
    }
    return true;
  }
}
