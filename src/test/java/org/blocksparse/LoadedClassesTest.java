// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.core.JsonFactory;
import java.io.IOException;
import java.lang.module.Configuration;
import java.lang.module.ModuleFinder;
import java.net.URISyntaxException;
import java.nio.file.FileSystem;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;
import org.bytedeco.javacpp.Pointer;
import org.junit.jupiter.api.Test;

/**
 * All classes of the library load from the class path as well as from the module path. Sealed types
 * have their implementations in other packages: a JVM accepts these only in the same module.
 */
final class LoadedClassesTest {
  private static final String MODULE = "org.blocksparse";

  private static Path place(Class<?> type) throws URISyntaxException {
    return Path.of(type.getProtectionDomain().getCodeSource().getLocation().toURI());
  }

  private static List<String> names() throws IOException, URISyntaxException {
    Path place = place(Workers.class);
    if (Files.isDirectory(place)) {
      return names(place);
    }
    try (FileSystem jar = FileSystems.newFileSystem(place)) {
      return names(jar.getPath("/"));
    }
  }

  private static List<String> names(Path root) throws IOException {
    try (Stream<Path> files = Files.walk(root)) {
      return files
          .map(file -> root.relativize(file).toString())
          .filter(name -> name.startsWith("org") && name.endsWith(".class"))
          .map(name -> name.replace(".class", "").replaceAll("[/\\\\]", "."))
          .toList();
    }
  }

  /** Loads all classes, and requires that they are in a module. */
  private static void assertLoaded(ClassLoader loader, Module module) throws Exception {
    int sealed = 0;
    for (String name : names()) {
      Class<?> type = Class.forName(name, false, loader);
      assertEquals(module, type.getModule(), name);
      if (type.isSealed()) {
        sealed++;
        assertTrue(type.getPermittedSubclasses().length > 0, name);
      }
    }
    assertTrue(sealed > 10, "sealed types: " + sealed);
  }

  @Test
  void fromTheClassPath() throws Exception {
    ClassLoader loader = Workers.class.getClassLoader();
    assertLoaded(loader, loader.getUnnamedModule());
  }

  @Test
  void fromTheModulePath() throws Exception {
    ModuleFinder finder =
        ModuleFinder.of(place(Workers.class), place(Pointer.class), place(JsonFactory.class));
    Configuration modules =
        ModuleLayer.boot().configuration().resolve(finder, ModuleFinder.of(), Set.of(MODULE));
    ModuleLayer layer =
        ModuleLayer.boot()
            .defineModulesWithOneLoader(modules, ClassLoader.getPlatformClassLoader());
    assertLoaded(layer.findLoader(MODULE), layer.findModule(MODULE).orElseThrow());
  }
}
