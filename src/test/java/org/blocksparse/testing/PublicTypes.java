// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.testing;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.lang.module.ModuleDescriptor;
import java.lang.reflect.Modifier;
import java.net.URISyntaxException;
import java.nio.file.FileSystem;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.blocksparse.Backend;

/** The public types of the packages that the module exports to all. */
public final class PublicTypes {
  private static final Set<String> PACKAGES = new TreeSet<>();
  private static final List<Class<?>> ALL = new ArrayList<>();

  static {
    try {
      Path place =
          Path.of(Backend.class.getProtectionDomain().getCodeSource().getLocation().toURI());
      if (Files.isDirectory(place)) {
        read(place);
      } else {
        try (FileSystem jar = FileSystems.newFileSystem(place)) {
          read(jar.getPath("/"));
        }
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (URISyntaxException e) {
      throw new AssertionError(e);
    }
  }

  private PublicTypes() {}

  private static void read(Path root) throws IOException {
    try (InputStream descriptor = Files.newInputStream(root.resolve("module-info.class"))) {
      for (ModuleDescriptor.Exports exports : ModuleDescriptor.read(descriptor).exports()) {
        if (!exports.isQualified()) {
          PACKAGES.add(exports.source());
        }
      }
    }
    for (String name : PACKAGES) {
      try (Stream<Path> files = Files.list(root.resolve(name.replace('.', '/')))) {
        files
            .map(file -> file.getFileName().toString())
            .filter(file -> file.endsWith(".class") && !file.endsWith("-info.class"))
            .sorted()
            .<Class<?>>map(file -> load(name + "." + file.replace(".class", "")))
            .filter(PublicTypes::isPublic)
            .forEach(ALL::add);
      }
    }
  }

  private static boolean isPublic(Class<?> type) {
    return type == null
        || (Modifier.isPublic(type.getModifiers()) && isPublic(type.getEnclosingClass()));
  }

  private static Class<?> load(String name) {
    try {
      return Class.forName(name, false, PublicTypes.class.getClassLoader());
    } catch (ClassNotFoundException e) {
      throw new AssertionError(e);
    }
  }

  /** Returns whether a class is in one of these packages. */
  public static boolean areIn(Class<?> type) {
    return PACKAGES.contains(type.getPackageName());
  }

  /** Returns whether a type has objects: it is a class, or sealed with a hidden implementation. */
  public static boolean haveObjects(Class<?> type) {
    return !Modifier.isAbstract(type.getModifiers())
        || (type.isSealed() && Stream.of(type.getPermittedSubclasses()).noneMatch(ALL::contains));
  }

  /**
   * Returns the type of an object that users know: its class, or the type that its class
   * implements.
   */
  public static Class<?> of(Object object) {
    Class<?> type = object.getClass();
    return areIn(type)
        ? type
        : Stream.of(type.getInterfaces())
            .filter(face -> areIn(face) && haveObjects(face))
            .findFirst()
            .orElse(type);
  }

  /** Returns all of them, by package and name. */
  public static List<Class<?>> all() {
    return ALL;
  }
}
