// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.spark;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;

final class ModelFilesTest {
  /** An executor makes a file for each model that it ever uses. */
  @Test
  void filesThatAreDeletedTakeNoMemory() throws IOException {
    int before = ModelFiles.count();
    for (int n = 0; n < 100; n++) {
      Path file = ModelFiles.create();
      assertTrue(Files.isRegularFile(file));
      assertEquals(before + 1, ModelFiles.count());
      ModelFiles.delete(file);
      assertFalse(Files.exists(file));
      assertEquals(before, ModelFiles.count());
    }
  }

  /** A folder with content stands for a file in use. */
  @Test
  void aFileThatCannotBeDeletedYetIsDeletedLater() throws IOException {
    int before = ModelFiles.count();
    Path file = ModelFiles.create();
    Files.delete(file);
    Path inUse = Files.createFile(Files.createDirectory(file).resolve("in use"));
    ModelFiles.delete(file);
    ModelFiles.delete(ModelFiles.create());
    assertEquals(before + 1, ModelFiles.count());
    Files.delete(inUse);
    ModelFiles.delete(ModelFiles.create());
    assertEquals(before, ModelFiles.count());
    assertFalse(Files.exists(file));
  }
}
