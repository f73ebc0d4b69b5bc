// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.spark;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

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
              () -> MappedModels.get("of a test", LayerKind.SOFTMAX, content));
      assertEquals(
          "the copy of the model in "
              + files.get(attempt).getParent()
              + ": java.io.IOException: No space left on device",
          e.getMessage());
      assertFalse(Files.exists(files.get(attempt)));
    }
  }
}
