// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.examples;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.charset.Charset;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

final class ItemTextsTest {
  private static Map<String, String> read(String text, Charset charset) throws IOException {
    return ItemTexts.read("texts", new ByteArrayInputStream(text.getBytes(charset)));
  }

  private static void refused(String problem, String text, Charset charset) {
    assertEquals(
        problem,
        assertThrows(InvalidInputException.class, () -> read(text, charset)).getMessage());
  }

  @Test
  void aLineIsAnItemWithItsText() throws IOException {
    Map<String, String> texts = read(" b\t Black  tea \r\n\n \na a\nnone\nnothing \n", UTF_8);
    assertEquals(List.of("b", "a"), List.copyOf(texts.keySet()));
    assertEquals(Map.of("b", "Black  tea", "a", "a"), texts);
    assertEquals(Map.of(), read("", UTF_8));
  }

  @Test
  void problemsNameTheLine() {
    refused(
        "texts:4: expected one text of each item, but 'a' has one in line 1",
        "a one\n\nb two\na three\n",
        UTF_8);
    refused(
        "texts:2: expected one text of each item, but 'a' has one in line 1", "a\na b\n", UTF_8);
    refused("texts:2: is not UTF-8", "a one\nb d\u00e9j\u00e0\n", ISO_8859_1);
  }
}
