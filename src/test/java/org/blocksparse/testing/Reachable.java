// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.testing;

import java.lang.reflect.Field;
import java.lang.reflect.Modifier;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/** The objects of the library that others reference in private fields. */
public final class Reachable {
  private static final Map<Class<?>, List<Field>> FIELDS = new ConcurrentHashMap<>();

  private Reachable() {}

  /**
   * Returns all objects of a type, which may be an array, that can be reached through objects of
   * the library, arrays and collections, in the order of discovery; it does not look inside these.
   */
  public static <T> List<T> of(Class<T> type, Object from) {
    Walk<T> walk = new Walk<>(type);
    walk.visit(from);
    return walk.found;
  }

  private static final class Walk<T> {
    private final Class<T> type;
    private final Set<Object> seen = Collections.newSetFromMap(new IdentityHashMap<>());
    private final List<T> found = new ArrayList<>();

    Walk(Class<T> type) {
      this.type = type;
    }

    void visit(Object value) {
      if (type.isInstance(value)) {
        if (seen.add(value)) {
          found.add(type.cast(value));
        }
      } else if (value instanceof Object[] values) {
        Arrays.asList(values).forEach(this::visit);
      } else if (value instanceof Collection<?> values) {
        values.forEach(this::visit);
      } else if (value instanceof Map<?, ?> values) {
        values.values().forEach(this::visit);
      } else if (value != null
          && isOfTheLibrary(value.getClass())
          && !(value instanceof Enum<?>)
          && seen.add(value)) {
        for (Field field : FIELDS.computeIfAbsent(value.getClass(), Reachable::fields)) {
          visit(value(field, value));
        }
      }
    }
  }

  /** Returns the fields of a class that may refer to objects, including inherited ones. */
  private static List<Field> fields(Class<?> type) {
    List<Field> fields = new ArrayList<>();
    for (Class<?> each = type; isOfTheLibrary(each); each = each.getSuperclass()) {
      for (Field field : each.getDeclaredFields()) {
        if (!Modifier.isStatic(field.getModifiers()) && !field.getType().isPrimitive()) {
          field.setAccessible(true);
          fields.add(field);
        }
      }
    }
    return fields;
  }

  private static boolean isOfTheLibrary(Class<?> type) {
    String name = type.getPackageName();
    return PublicTypes.areIn(type) || name.startsWith("org.blocksparse.internal");
  }

  private static Object value(Field field, Object owner) {
    try {
      return field.get(owner);
    } catch (IllegalAccessException e) {
      throw new AssertionError(e);
    }
  }
}
