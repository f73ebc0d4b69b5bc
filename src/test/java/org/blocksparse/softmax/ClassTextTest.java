// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.blocksparse.FileFormatException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Classes as text, written and read. */
final class ClassTextTest {
  @TempDir Path folder;

  @Test
  void bothWays() throws IOException {
    Path file = folder.resolve("classes.txt");
    ClassAssignment classes = ClassAssignment.of(2, 0, 1, 2, 0);
    classes.write(file);
    assertEquals("2\n0\n1\n2\n0\n", Files.readString(file));
    assertEquals(classes, ClassAssignment.read(file));
  }

  @Test
  void asOthersWriteIt() throws IOException {
    Path file = folder.resolve("classes.txt");
    Files.writeString(file, " 1\r\n0\t\r\n  01  \n2");
    assertEquals(ClassAssignment.of(1, 0, 1, 2), ClassAssignment.read(file));
    // More lines than the initial capacity of the reader.
    int[] many = new int[5000];
    for (int output = 0; output < many.length; output++) {
      many[output] = output % 1234;
    }
    ClassAssignment.of(many).write(file);
    assertEquals(ClassAssignment.of(many), ClassAssignment.read(file));
  }

  @ParameterizedTest
  @CsvSource({
    "'', classes, at least 1",
    "'0\\n\\n1\\n', line 2, is empty",
    "'0\\nword\\n', line 2, expected the number",
    "'0\\n-1\\n', line 2, expected the number",
    "'0\\n1 1\\n', line 2, expected the number",
    "'0\\n0 1\\n', line 2, expected the number",
    "'0\\n1.0\\n', line 2, expected the number",
    "'0\\n2147483648\\n', line 2, expected the number",
    "'0\\n99999999999999999999\\n', line 2, expected the number",
    "'0\\n2\\n', classes, outside",
    "'0\\n2\\n0\\n', classes, class 1 has no outputs"
  })
  void isRefused(String text, String part, String reason) throws IOException {
    Path file = folder.resolve("classes.txt");
    Files.writeString(file, text.replace("\\n", "\n"));
    FileFormatException refused =
        assertThrows(FileFormatException.class, () -> ClassAssignment.read(file));
    assertEquals(file, refused.file());
    assertEquals(part, refused.part());
    assertTrue(refused.reason().contains(reason), refused.getMessage());
  }
}
