// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.testing;

import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.lang.reflect.TypeVariable;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.blocksparse.IntTensor;
import org.blocksparse.ModelHolder;
import org.blocksparse.SparseRows;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.blocksparse.softmax.LabelTree;
import org.blocksparse.softmax.LayerBuilder;
import org.blocksparse.softmax.LayerPart;
import org.blocksparse.softmax.TwoLevelLayer;

/**
 * A public method of the library, of a type with objects; a method that two types inherit counts
 * for each of them.
 *
 * @param targets the targets of a two-level layer, its builder or its part; a generic type has its
 *     methods once for each; of a holder, the models; null: the type takes none
 */
public record PublicMethod(Class<?> type, Class<?> targets, Method method) {
  /** These measure, trust an address of the caller, or belong to the compiler. */
  private static final List<String> LEFT_OUT =
      List.of("wrapAddress", "packAddress", "main", "describe", "selfTest", "valueOf");

  /** Returns all public methods except those that need JavaCPP's types. */
  public static List<PublicMethod> all() {
    List<PublicMethod> methods = new ArrayList<>();
    for (Class<?> type : PublicTypes.all()) {
      if (!PublicTypes.haveObjects(type)) {
        continue;
      }
      for (Method method : type.getMethods()) {
        boolean ours = PublicTypes.areIn(method.getDeclaringClass());
        boolean ofJavaCpp =
            Stream.of(method.getParameterTypes()).anyMatch(p -> p.getName().contains("javacpp"));
        if (ours && !ofJavaCpp && !LEFT_OUT.contains(method.getName())) {
          for (Class<?> targets : targets(type)) {
            methods.add(new PublicMethod(type, targets, method));
          }
        }
      }
    }
    return methods;
  }

  private static List<Class<?>> targets(Class<?> type) {
    if (type == LayerPart.class || type == LayerBuilder.class) {
      return List.of(IntTensor.class, SparseRows.class);
    }
    if (type == ModelHolder.class || type == ModelHolder.Lease.class) {
      return List.of(HierarchicalSoftmax.class);
    }
    return Collections.singletonList(
        type == HierarchicalSoftmax.class
            ? IntTensor.class
            : type == LabelTree.class ? SparseRows.class : null);
  }

  /** Returns the types of the parameters, with the targets in place of type variables. */
  public Class<?>[] parameterTypes() {
    Class<?>[] types = method.getParameterTypes();
    for (int i = 0; i < types.length; i++) {
      if (method.getGenericParameterTypes()[i] instanceof TypeVariable<?>) {
        types[i] = targets;
      } else if (types[i] == TwoLevelLayer.class) {
        types[i] = targets == IntTensor.class ? HierarchicalSoftmax.class : LabelTree.class;
      }
    }
    return types;
  }

  public boolean isStatic() {
    return Modifier.isStatic(method.getModifiers());
  }

  @Override
  public String toString() {
    return type.getSimpleName()
        + (type.getTypeParameters().length == 0 ? "" : "<" + targets.getSimpleName() + ">")
        + "."
        + method.getName()
        + Arrays.stream(parameterTypes())
            .map(Class::getSimpleName)
            .collect(Collectors.joining(", ", "(", ")"));
  }
}
