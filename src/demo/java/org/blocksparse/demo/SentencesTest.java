// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.demo;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SentencesTest {
  @TempDir private Path folder;

  @Test
  void words_letters_digits_and_punctuation() {
    assertEquals(
        List.of("it", "isn't", "3", ".", "5", "km", "-", "the", "dogs", "'"),
        Sentences.words("  It isn't 3.5km - the\tDOGS' "));
  }

  @Test
  void words_otherAlphabets() {
    assertEquals(
        List.of("größe", ",", "мир", "、", "世界", "e\u0301tat"),
        Sentences.words("Größe, МИР、世界 E\u0301TAT"));
  }

  /** The figures that published comparisons of this text are based on. */
  @Test
  void ofWordNet_hasAllDefinitionsWithoutExamples() {
    List<List<String>> sentences = Sentences.ofWordNet();
    assertEquals(117_791, sentences.size());
    assertEquals(1_379_426, sentences.stream().mapToInt(words -> words.size() + 1).sum());
    assertEquals(
        Sentences.words(
            "that which is perceived or known or inferred to have its own distinct existence"
                + " (living or nonliving)"),
        sentences.get(0));
    assertEquals(
        Sentences.words("a tangible and visible entity; an entity that can cast a shadow"),
        sentences.get(4));
  }

  @Test
  void ofFile_skipsLinesWithoutWords() throws IOException {
    Path file = Files.writeString(folder.resolve("text"), "One two\n\n   \nthree");
    assertEquals(List.of(List.of("one", "two"), List.of("three")), Sentences.ofFile(file));
  }

  @Test
  void ofFile_refusesWhatIsNotText() throws IOException {
    Path latin1 = Files.write(folder.resolve("latin1"), new byte[] {'G', 'r', (byte) 0xF6});
    refuses("is not UTF-8", latin1);
    refuses("no text file", folder.resolve("missing"));
    refuses("no text file", folder);
  }

  private static void refuses(String why, Path file) {
    String message = assertThrows(UsageException.class, () -> Sentences.ofFile(file)).getMessage();
    assertTrue(message.contains(why) && message.contains(file.toString()), message);
  }
}
