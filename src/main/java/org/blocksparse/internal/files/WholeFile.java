// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.files;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.FileTime;
import java.util.function.Consumer;

/**
 * Loads a model whose parts each open its file; starts again if another file replaces the first one
 * in the meantime, because parts of two files do not fit.
 */
public final class WholeFile {
  private static final int ATTEMPTS = 3;

  private WholeFile() {}

  /** Loads all parts of a file. */
  public interface Loader<T> {
    T load() throws IOException;
  }

  /** Identifies a file, even if another one takes its name. */
  private record Identity(Object key, FileTime modified, long bytes) {
    static Identity of(Path file) throws IOException {
      BasicFileAttributes now = Files.readAttributes(file, BasicFileAttributes.class);
      return new Identity(now.fileKey(), now.lastModifiedTime(), now.size());
    }
  }

  /**
   * Loads a model.
   *
   * @param close frees a model of several files
   * @throws IOException if the file cannot be loaded, or is replaced all the time
   */
  public static <T> T load(Path file, Loader<T> loader, Consumer<T> close) throws IOException {
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
      Identity before = Identity.of(file);
      T loaded;
      try {
        loaded = loader.load();
      } catch (IOException e) {
        if (before.equals(Identity.of(file))) {
          throw e;
        }
        continue;
      }
      boolean isWhole = false;
      try {
        isWhole = before.equals(Identity.of(file));
      } finally {
        if (!isWhole) {
          close.accept(loaded);
        }
      }
      if (isWhole) {
        return loaded;
      }
    }
    throw new IOException(file + ": cannot be loaded: it is being replaced");
  }
}
