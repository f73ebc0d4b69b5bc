// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.demo;

import static java.nio.charset.StandardCharsets.US_ASCII;
import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * Reads texts as sentences of words.
 *
 * <p>A word is a run of letters that may hold one apostrophe ({@code don't}), a run of digits, or
 * any other single character that is not a space. Everything is lower case.
 */
final class Sentences {
  private static final String LETTERS = "[\\p{L}\\p{M}]+";
  private static final Pattern WORD =
      Pattern.compile(LETTERS + "(?:'" + LETTERS + ")?|\\p{N}+|[^\\s\\p{Z}\\p{C}]");

  private static final String WORDNET = "/net/sf/extjwnl/data/wordnet/wn31/data.";
  private static final List<String> PARTS_OF_SPEECH = List.of("noun", "verb", "adj", "adv");

  private Sentences() {}

  /** Returns the words of one sentence. */
  static List<String> words(String sentence) {
    // Interned: a text of a million words has about ten thousand different ones.
    return WORD.matcher(sentence.toLowerCase(Locale.ROOT))
        .results()
        .map(match -> match.group().intern())
        .toList();
  }

  /** Returns the definitions of WordNet 3.1, each up to its first example of use. */
  static List<List<String>> ofWordNet() throws IOException {
    List<List<String>> sentences = new ArrayList<>();
    for (String part : PARTS_OF_SPEECH) {
      try (InputStream data = Sentences.class.getResourceAsStream(WORDNET + part);
          BufferedReader lines = new BufferedReader(new InputStreamReader(data, US_ASCII))) {
        // The lines of the license, at the top of each file, begin with two spaces.
        lines
            .lines()
            .filter(line -> !line.startsWith("  "))
            .map(line -> words(definition(line)))
            .forEach(sentences::add);
      }
    }
    return sentences;
  }

  /** {@code 00001740 03 n 01 entity ... | that which is perceived; "an example"}. */
  private static String definition(String synset) {
    String gloss = synset.substring(synset.indexOf(" | ") + 3);
    int example = gloss.indexOf("; \"");
    return example < 0 ? gloss : gloss.substring(0, example);
  }

  /** Returns the sentences of a UTF-8 text file, one in each line. */
  static List<List<String>> ofFile(Path file) throws IOException {
    try (Stream<String> lines = Files.lines(file, UTF_8)) {
      return lines.map(Sentences::words).filter(words -> !words.isEmpty()).toList();
    }
  }
}
