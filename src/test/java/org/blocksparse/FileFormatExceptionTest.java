// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.ObjectInputStream;
import java.io.ObjectOutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class FileFormatExceptionTest {
  /** The exception is serialized, as one of a Spark executor is. */
  @Test
  void itArrivesElsewhereAsItIs(@TempDir Path folder) throws IOException, ClassNotFoundException {
    Path file = Files.write(folder.resolve("model"), new byte[] {1, 2, 3});
    FileFormatException thrown =
        assertThrows(FileFormatException.class, () -> HierarchicalSoftmax.load(file));
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (ObjectOutputStream out = new ObjectOutputStream(bytes)) {
      out.writeObject(thrown);
    }
    FileFormatException arrived;
    try (ObjectInputStream in =
        new ObjectInputStream(new ByteArrayInputStream(bytes.toByteArray()))) {
      arrived = (FileFormatException) in.readObject();
    }
    assertEquals(file, arrived.file());
    assertEquals(file, thrown.file());
    assertEquals(thrown.part(), arrived.part());
    assertEquals(thrown.reason(), arrived.reason());
    assertEquals(thrown.getMessage(), arrived.getMessage());
  }
}
