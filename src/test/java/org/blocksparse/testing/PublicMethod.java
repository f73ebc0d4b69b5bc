// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.testing;

import java.io.IOException;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.net.URISyntaxException;
import java.nio.file.FileSystem;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.blocksparse.Backend;

/**
 * A public method of the library, of a type that there are objects of; what two types inherit is a
 * method of each of them.
 */
public record PublicMethod(Class<?> type, Method method) {
  /** These measure, or take an address on the caller's word, or are the compiler's. */
  private static final List<String> LEFT_OUT =
      List.of("wrapAddress", "main", "describe", "selfTest", "valueOf");

  /** All, for tests of all of them, but those that need JavaCPP's types. */
  public static List<PublicMethod> all() throws IOException, URISyntaxException {
    List<PublicMethod> methods = new ArrayList<>();
    for (Class<?> type : types()) {
      for (Method method : type.getMethods()) {
        boolean ours = method.getDeclaringClass().getPackage() == Backend.class.getPackage();
        boolean ofJavaCpp =
            Stream.of(method.getParameterTypes()).anyMatch(p -> p.getName().contains("javacpp"));
        if (ours && !ofJavaCpp && !LEFT_OUT.contains(method.getName())) {
          methods.add(new PublicMethod(type, method));
        }
      }
    }
    return methods;
  }

  public boolean isStatic() {
    return Modifier.isStatic(method.getModifiers());
  }

  @Override
  public String toString() {
    return type.getSimpleName()
        + "."
        + method.getName()
        + Arrays.stream(method.getParameterTypes())
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
