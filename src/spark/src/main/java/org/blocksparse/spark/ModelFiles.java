// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.spark;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/**
 * Files of models in this process's temporary folder. Those that exist when the process ends are
 * then deleted. ({@link java.io.File#deleteOnExit} remembers each as long as the process runs,
 * deleted or not.)
 */
final class ModelFiles {
  private static final Set<Path> FILES = ConcurrentHashMap.newKeySet();

  /** Files that could not be deleted: Windows keeps mapped files. */
  private static final Set<Path> UNWANTED = ConcurrentHashMap.newKeySet();

  static {
    Runtime.getRuntime().addShutdownHook(new Thread(ModelFiles::deleteAll));
  }

  private ModelFiles() {}

  /** Returns a new, empty file. */
  static Path create() throws IOException {
    UNWANTED.forEach(ModelFiles::delete);
    Path file = Files.createTempFile("blocksparse-spark", ".safetensors");
    FILES.add(file);
    return file;
  }

  /** Deletes a file: at once, or later if the system refuses. */
  static void delete(Path file) {
    try {
      Files.deleteIfExists(file);
      FILES.remove(file);
      UNWANTED.remove(file);
    } catch (IOException e) {
      UNWANTED.add(file);
    }
  }

  /** Returns the number of files. */
  static int count() {
    return FILES.size();
  }

  private static void deleteAll() {
    FILES.forEach(ModelFiles::delete);
  }
}
