// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.memory;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

/** What Java maps where there is no native library. */
final class MappedFileTest {
  @TempDir Path folder;

  /** Has a file take the name of another: by links, which no system writes to the disk first. */
  private void replace(Path file, Path by) throws IOException {
    Path link = folder.resolve("link");
    Files.createLink(link, by);
    Files.move(link, file, StandardCopyOption.ATOMIC_MOVE);
  }

  /** A file that is not the one whose length is asked for would seem to have been cut short. */
  @Test
  @DisabledOnOs(value = OS.WINDOWS, disabledReason = "files that are open are not replaced there")
  void aFileThatIsReplacedMeanwhileIsMappedAsAWhole() throws Exception {
    Path file = folder.resolve("file");
    Path small = Files.write(folder.resolve("small"), new byte[4]);
    Path large = Files.write(folder.resolve("large"), new byte[10_000]);
    replace(file, large);
    AtomicReference<Throwable> failure = new AtomicReference<>();
    Thread replacing =
        new Thread(
            () -> {
              try {
                for (int i = 0; !Thread.currentThread().isInterrupted(); i++) {
                  replace(file, i % 2 == 0 ? small : large);
                }
              } catch (IOException e) {
                failure.set(e);
              }
            });
    replacing.start();
    int mapped = 0;
    try {
      for (int i = 0; i < 3_000; i++) {
        try (MappedFile mapping = MappedFile.mappedByJava(file, false)) {
          assertFalse(mapping.isDamaged(), "mapping " + i);
          mapped++;
        } catch (IOException e) {
          assertTrue(e.getMessage().endsWith("it is being replaced"), e.toString());
        }
      }
    } finally {
      replacing.interrupt();
      replacing.join();
    }
    assertNull(failure.get());
    assertTrue(mapped > 0, "it was never mapped");
  }
}
