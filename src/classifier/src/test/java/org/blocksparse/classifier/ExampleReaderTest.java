// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.util.List;
import java.util.zip.GZIPOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

final class ExampleReaderTest {
  private static ExampleReader reader(String text, ExampleFormat format, boolean skip)
      throws IOException {
    return ExampleReader.read(
        "input", new ByteArrayInputStream(text.getBytes(UTF_8)), format, "__label__", skip);
  }

  private static List<Example> read(String text) throws IOException {
    return reader(text, ExampleFormat.AUTO, false).examples().toList();
  }

  @Test
  void text_hasItsLabelsAnywhere() throws IOException {
    List<Example> examples =
        read("__label__a __label__b some words\n\nno label\nmore __label__c words __label__d\n");
    assertEquals(
        List.of("[a, b] some words", "[] no label", "[c, d] more words "),
        examples.stream().map(Example::toString).toList());
  }

  @Test
  void text_keepsAPrefixWithinAWord() throws IOException {
    Example example = read("__label__a not__label__b").get(0);
    assertEquals("[a] not__label__b", example.toString());
  }

  @Test
  void sparse_withAndWithoutHeader() throws IOException {
    String lines = "1,22 0:0.5 7:-1e-3\n 3:1\n5\n";
    for (String text : List.of(lines, "3 8 23\n" + lines)) {
      List<Example> examples = read(text);
      assertEquals(3, examples.size());
      assertEquals(List.of("1", "22"), examples.get(0).labels());
      assertArrayEquals(new int[] {0, 7}, examples.get(0).indices());
      assertArrayEquals(new float[] {0.5f, -1e-3f}, examples.get(0).values());
      assertEquals(List.of(), examples.get(1).labels());
      assertArrayEquals(new int[] {3}, examples.get(1).indices());
      assertEquals(List.of("5"), examples.get(2).labels());
      assertArrayEquals(new int[0], examples.get(2).indices());
    }
  }

  @Test
  void gzip_isDecompressed() throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (GZIPOutputStream zipped = new GZIPOutputStream(bytes)) {
      zipped.write("__label__a b\n".getBytes(UTF_8));
    }
    ByteArrayInputStream in = new ByteArrayInputStream(bytes.toByteArray());
    try (ExampleReader reader =
        ExampleReader.read("zipped", in, ExampleFormat.AUTO, "__label__", false)) {
      assertEquals("[a] b", reader.examples().toList().get(0).toString());
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "AUTO   | hello world     | line 2: expected a text with words that begin with __label__",
        "AUTO   | 1 2             | line 2: expected a text",
        "TEXT   | __label__ b     | line 2: a label has no name: '__label__'",
        "TEXT   | b __label__     | line 2: a label has no name",
        "SPARSE | 1,,2 3:1        | line 2: a label has no name: '1,,2'",
        "SPARSE | 1 3             | line 2: expected index:value",
        "SPARSE | 1 x:1           | line 2: expected index:value",
        "SPARSE | 1 -3:1          | line 2: expected index:value",
        "SPARSE | 1 99999999999:1 | line 2: expected index:value",
        "SPARSE | 1 3:abc         | line 2: expected index:value",
        "SPARSE | 1 3:NaN         | line 2: expected index:value",
        "SPARSE | 1 3:1e999       | line 2: expected index:value",
        "SPARSE | 1 :1            | line 2: expected index:value",
      })
  void badLines_areNamed_orSkippedAndCounted(ExampleFormat format, String line, String problem)
      throws IOException {
    String text = "\n" + line + "\n"; // the first line is empty
    ExampleReader reader = reader(text, format, false);
    InvalidInputException e = assertThrows(InvalidInputException.class, reader::next);
    assertEquals("input: " + problem, e.getMessage().substring(0, 7 + problem.length()));

    ExampleReader skipping = reader(text + "__label__a 1:1\n", format, true);
    assertEquals(1, skipping.examples().count());
    assertEquals(1, skipping.badLines());
    assertEquals(e.getMessage(), skipping.firstProblem().orElseThrow());
  }
}
