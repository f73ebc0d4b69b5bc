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
import java.util.List;
import java.util.stream.Stream;
import org.blocksparse.Backend;

/** The public methods of the library, for tests of all of them. */
public final class PublicMethods {
  /** These measure, or take an address on the caller's word, or are the compiler's. */
  private static final List<String> LEFT_OUT =
      List.of("measuredCount", "wrapAddress", "main", "describe", "selfTest", "valueOf");

  private PublicMethods() {}

  /** All but those that need JavaCPP's types. */
  public static List<Method> all() throws IOException, URISyntaxException {
    List<Method> methods = new ArrayList<>();
    for (Class<?> type : types()) {
      for (Method method : type.getMethods()) {
        boolean ours = method.getDeclaringClass().getPackage() == Backend.class.getPackage();
        boolean ofJavaCpp =
            Stream.of(method.getParameterTypes()).anyMatch(p -> p.getName().contains("javacpp"));
        if (ours && !ofJavaCpp && !LEFT_OUT.contains(method.getName())) {
          methods.add(method);
        }
      }
    }
    return methods;
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
          if (Modifier.isPublic(type.getModifiers()) && !type.isInterface()) {
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
