// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.testing;

import java.io.IOException;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.lang.reflect.TypeVariable;
import java.net.URISyntaxException;
import java.nio.file.FileSystem;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.blocksparse.Backend;
import org.blocksparse.HierarchicalSoftmax;
import org.blocksparse.IntTensor;
import org.blocksparse.LabelTree;
import org.blocksparse.LayerBuilder;
import org.blocksparse.LayerPart;
import org.blocksparse.ModelHolder;
import org.blocksparse.SparseRows;
import org.blocksparse.TwoLevelLayer;

/**
 * A public method of the library, of a type that there are objects of; what two types inherit is a
 * method of each of them.
 *
 * @param targets what a layer of two levels, its builder or its part takes as targets; a generic
 *     type has its methods once for each; of a holder, the models; null: the type takes none
 */
public record PublicMethod(Class<?> type, Class<?> targets, Method method) {
  /** These measure, or take an address on the caller's word, or are the compiler's. */
  private static final List<String> LEFT_OUT =
      List.of("wrapAddress", "packAddress", "main", "describe", "selfTest", "valueOf");

  /** All, for tests of all of them, but those that need JavaCPP's types. */
  public static List<PublicMethod> all() throws IOException, URISyntaxException {
    List<PublicMethod> methods = new ArrayList<>();
    for (Class<?> type : types()) {
      for (Method method : type.getMethods()) {
        boolean ours = method.getDeclaringClass().getPackage() == Backend.class.getPackage();
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

  /** The types of the parameters, with those that the targets stand for. */
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

  private static List<Class<?>> types() throws IOException, URISyntaxException {
    Path place = Path.of(Backend.class.getProtectionDomain().getCodeSource().getLocation().toURI());
    if (Files.isDirectory(place)) {
      return types(place);
    }
    try (FileSystem jar = FileSystems.newFileSystem(place)) {
      return types(jar.getPath("/"));
    }
  }

  private static List<Class<?>> types(Path root) throws IOException {
    String name = Backend.class.getPackageName();
    List<Class<?>> types = new ArrayList<>();
    try (Stream<Path> files = Files.list(root.resolve(name.replace('.', '/')))) {
      for (Path file : files.sorted().toList()) {
        String simple = file.getFileName().toString();
        if (simple.endsWith(".class") && !simple.endsWith("-info.class")) {
          Class<?> type = load(name + "." + simple.replace(".class", ""));
          if (Modifier.isPublic(type.getModifiers()) && !Modifier.isAbstract(type.getModifiers())) {
            types.add(type);
          }
        }
      }
    }
    return types;
  }

  private static Class<?> load(String name) {
    try {
      return Class.forName(name);
    } catch (ClassNotFoundException e) {
      throw new AssertionError(e);
    }
  }
}
