// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.spark;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.List;
import org.blocksparse.FloatTensor;
import org.blocksparse.IntTensor;
import org.blocksparse.Optimizer;
import org.blocksparse.io.SaveOptions;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class MappedModelsTest {
  @Test
  void aCopyThatCannotBeWritten_saysWhere_andIsDeleted() {
    List<Path> files = new ArrayList<>();
    MappedModels.Content content =
        file -> {
          Files.write(file, new byte[99]);
          files.add(file);
          throw new IOException("No space left on device");
        };
    for (int attempt = 0; attempt < 2; attempt++) {
      Exception e =
          assertThrows(
              UncheckedIOException.class,
              () -> MappedModels.get("of a test", EstimatorKind.SOFTMAX, false, content));
      assertEquals(
          "the copy of the model in "
              + files.get(attempt).getParent()
              + ": java.io.IOException: No space left on device",
          e.getMessage());
      assertFalse(Files.exists(files.get(attempt)));
    }
  }

  /** Optimizer state doubles or triples a model's memory, and scoring does not use it. */
  @Test
  void optimizerStateIsReadOnlyToTrain(@TempDir Path folder) throws IOException {
    Path file = Models.save(folder.resolve("model"), false);
    SaveOptions withState = SaveOptions.defaults().withOptimizerState();
    try (HierarchicalSoftmax layer = HierarchicalSoftmax.load(file);
        FloatTensor x = FloatTensor.zeros(1, Models.FEATURES);
        IntTensor target = IntTensor.zeros(1)) {
      layer.step(x, target, Optimizer.adam(0.1f));
      layer.save(file, withState);
    }
    for (boolean first : new boolean[] {false, true}) {
      String id = "of a test, first to be trained: " + first;
      for (boolean training : new boolean[] {first, !first, first}) {
        ModelLayers model =
            MappedModels.get(id, EstimatorKind.SOFTMAX, training, to -> copy(file, to));
        Path again = folder.resolve("again");
        model.layer().save(again, withState);
        assertEquals(training, Files.mismatch(file, again) == -1);
      }
      MappedModels.forget(id);
    }
  }

  @Test
  void theFourModelsThatWereUsedLast_areKept(@TempDir Path folder) throws IOException {
    Path file = Models.save(folder.resolve("model"), false);
    List<String> written = new ArrayList<>();
    for (String id : List.of("a", "b", "c", "d", "a", "e", "a", "c", "d", "e", "b")) {
      MappedModels.get(
          id,
          EstimatorKind.SOFTMAX,
          false,
          to -> {
            written.add(id);
            copy(file, to);
          });
    }
    assertEquals(List.of("a", "b", "c", "d", "e", "b"), written);
    List.of("a", "b", "c", "d", "e").forEach(MappedModels::forget);
  }

  private static void copy(Path from, Path to) throws IOException {
    Files.copy(from, to, StandardCopyOption.REPLACE_EXISTING);
  }
}
