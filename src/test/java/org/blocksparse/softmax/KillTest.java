// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.blocksparse.Backend;
import org.blocksparse.programs.SaveProgram;
import org.blocksparse.programs.TrainingProgram;
import org.blocksparse.testing.Budget;
import org.blocksparse.testing.ChildJvm;
import org.blocksparse.testing.Data;
import org.blocksparse.testing.Seeded;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * A killed process leaves the previously saved model intact; the next save deletes its unfinished
 * files.
 */
@ExtendWith(Seeded.class)
@Tag("packaged")
final class KillTest {
  private static final int KILLS = Budget.of("blocksparse.kills", 6, 50);

  /** The time of a few saves of the model, about. */
  private static final int MOST_MILLISECONDS = 40;

  @TempDir Path folder;

  @ParameterizedTest
  @ValueSource(ints = {0, 5})
  void theEarlierModelIsWhole(int stepsBetween, Data data) throws Exception {
    Path model = folder.resolve("model");
    int whileSaving = 0;
    for (int kill = 0; kill < KILLS; kill++) {
      Files.deleteIfExists(model);
      ChildJvm.Started started =
          new ChildJvm(folder.resolve("cache"))
              .option("-Xmx64m")
              // Java kernels that are requested by name are no fallback that deserves a warning.
              .property("blocksparse.backend", Backend.isNative() ? "native" : "java")
              .start(TrainingProgram.class, model.toString(), Integer.toString(stepsBetween));
      awaitFirst(model, started);
      TimeUnit.MICROSECONDS.sleep(data.below(1000 * MOST_MILLISECONDS));
      ChildJvm.Result result = started.kill();
      assertEquals("", result.output());
      try (HierarchicalSoftmax layer = HierarchicalSoftmax.load(model)) {
        TrainingProgram.assertWhole(layer);
        long steps = layer.steps();
        assertTrue(stepsBetween == 0 || steps % stepsBetween == 0, steps + " steps");
      }
      long left = unfinished();
      assertTrue(left <= 1, left + " files are left of the last process and those before it");
      whileSaving += (int) left;
    }
    SaveProgram.save(model);
    assertEquals(0, unfinished());
    System.out.println(
        KILLS + " processes were killed, " + whileSaving + " of them while they saved");
  }

  private static void awaitFirst(Path model, ChildJvm.Started started) throws Exception {
    while (!Files.exists(model)) {
      assertTrue(started.process().isAlive(), () -> "it ended: " + started.await());
      Thread.sleep(1);
    }
  }

  /** Returns the number of files that killed processes had begun under another name. */
  private long unfinished() throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.filter(file -> file.getFileName().toString().startsWith(".")).count();
    }
  }
}
