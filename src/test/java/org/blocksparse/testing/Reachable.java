// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.testing;

import java.lang.reflect.Field;
import java.lang.reflect.Modifier;
import java.util.Arrays;
import java.util.Collection;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.Map;
import java.util.Set;

/** The objects of the library that others refer to, in fields that tests do not see. */
public final class Reachable {
  private Reachable() {}

  /**
   * All of a type that can be reached by way of objects of the library, arrays and collections; it
   * goes no further from these.
   */
  public static <T> Set<T> of(Class<T> type, Object from) {
    Set<T> found = Collections.newSetFromMap(new IdentityHashMap<>());
    add(type, from, found);
    return found;
  }

  private static <T> void add(Class<T> type, Object value, Set<T> found) {
    if (value instanceof Object[] values) {
      Arrays.asList(values).forEach(each -> add(type, each, found));
    } else if (value instanceof Collection<?> values) {
      values.forEach(each -> add(type, each, found));
    } else if (value instanceof Map<?, ?> values) {
      values.values().forEach(each -> add(type, each, found));
    } else if (isOfTheLibrary(value)) {
      if (type.isInstance(value)) {
        found.add(type.cast(value));
      } else if (!(value instanceof Enum<?>)) {
        for (Field field : value.getClass().getDeclaredFields()) {
          if (!Modifier.isStatic(field.getModifiers()) && !field.getType().isPrimitive()) {
            add(type, value(field, value), found);
          }
        }
      }
    }
  }

  private static boolean isOfTheLibrary(Object value) {
    String name = value == null ? "" : value.getClass().getPackageName();
    return name.equals("org.blocksparse") || name.startsWith("org.blocksparse.internal");
  }

  private static Object value(Field field, Object owner) {
    try {
      field.setAccessible(true);
      return field.get(owner);
    } catch (IllegalAccessException e) {
      throw new AssertionError(e);
    }
  }
}
