// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.testing;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Stream;

/** Folders of properties, to which JUnit's {@code @TempDir} does not apply. */
public final class Folders {
  private Folders() {}

  /** Deletes a file, or a folder with all that is in it. */
  public static void delete(Path all) throws IOException {
    List<Path> files;
    try (Stream<Path> walk = Files.walk(all)) {
      files = walk.sorted(Comparator.reverseOrder()).toList();
    }
    for (Path file : files) {
      Files.delete(file);
    }
  }
}
