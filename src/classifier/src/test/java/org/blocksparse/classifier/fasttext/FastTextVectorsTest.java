// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.fasttext;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import org.blocksparse.FileFormatException;
import org.blocksparse.FloatTensor;
import org.blocksparse.classifier.Classifier;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Vectors equal those that fastText's program prints. */
class FastTextVectorsTest {
  private static final List<String> WORDS =
      List.of("the", "topic1", "unknown", "naïve", "日本語x", "</s>", "z", "<", "topic12345");

  @TempDir static Path folder;
  private static Path examples;

  @BeforeAll
  static void write() throws Exception {
    FastTextPrograms.assumeInstalled();
    examples = Files.writeString(folder.resolve("train"), FastTextPrograms.examples(900, 300, 5));
  }

  private static Path train(String command, String options) throws Exception {
    List<Object> words = new ArrayList<>(List.of(command, "-input", examples));
    words.addAll(List.of("-output", folder.resolve("model"), "-thread", "1"));
    words.addAll(List.of(options.split(" ")));
    FastTextPrograms.run(null, words.toArray());
    return folder.resolve("model.bin");
  }

  @ParameterizedTest
  @CsvSource({
    "cbow, -dim 12 -minCount 2 -bucket 700",
    "skipgram, -dim 5 -minCount 1 -minn 2 -maxn 3 -bucket 300 -loss hs",
    "skipgram, -dim 6 -minCount 5 -maxn 0",
    "supervised, -dim 7 -minn 1 -maxn 4 -wordNgrams 2 -bucket 400",
  })
  void areThoseOfFastText(String command, String options) throws Exception {
    Path model = train(command, options);
    SplittableRandom random = new SplittableRandom(6);
    List<String> texts = new ArrayList<>(List.of("", "unknown", "topic3"));
    for (int i = 0; i < 200; i++) {
      texts.add(FastTextPrograms.line(i, random).replace("\u0000", ""));
    }
    try (FastTextVectors vectors = FastTextVectors.load(model);
        FloatTensor ofWords = vectors.ofWords(WORDS);
        FloatTensor ofTexts = vectors.ofTexts(texts)) {
      assertSame(WORDS, ofWords, model, "print-word-vectors");
      assertSame(texts, ofTexts, model, "print-sentence-vectors");
      assertEquals(ofWords.shape().dim(1), vectors.dimension());
      assertTrue(vectors.words() > 10);
      assertEquals("</s>", vectors.word(0));
      assertThrows(IndexOutOfBoundsException.class, () -> vectors.word(vectors.words()));
    }
  }

  private static void assertSame(List<String> inputs, FloatTensor here, Path model, String command)
      throws Exception {
    Path in = Files.writeString(folder.resolve("in"), String.join("\n", inputs) + "\n");
    String[] lines = FastTextPrograms.run(in, command, model).stripTrailing().split("\n", -1);
    assertEquals(inputs.size(), lines.length);
    int dimension = (int) here.shape().dim(1);
    for (int row = 0; row < lines.length; row++) {
      String[] words = lines[row].strip().split(" ", -1);
      String[] numbers = Arrays.copyOfRange(words, words.length - dimension, words.length);
      for (int i = 0; i < dimension; i++) {
        float expected = Float.parseFloat(numbers[i]); // of five digits
        assertEquals(expected, here.get(row, i), 1e-4 * Math.abs(expected) + 1e-5, inputs.get(row));
      }
    }
  }

  @Test
  void aModelWithoutLabelsIsNoClassifier() throws Exception {
    Path model = train("skipgram", "-dim 2 -bucket 10");
    FileFormatException refused =
        assertThrows(FileFormatException.class, () -> Classifier.load(model));
    assertEquals("model", refused.part());
  }
}
