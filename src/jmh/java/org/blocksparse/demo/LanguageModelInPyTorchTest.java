// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.demo;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.blocksparse.softmax.ClassAssignment;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import picocli.CommandLine;

/** The demo's model in PyTorch, against the demo's own with a class for each word. */
final class LanguageModelInPyTorchTest {
  private static final int STEPS = 50;
  private static final double TOLERANCE = 1e-4;

  private final Settings settings =
      CommandLine.populateCommand(
          new Settings(),
          "--batch=32 --context=3 --embedding=8 --features=16 --classes=5 --seconds=1".split(" "));

  private Corpus corpus;

  /** Sentences of ten words; the smaller its number, the more frequent is a word. */
  @BeforeEach
  void makeCorpus() {
    settings.complete();
    SplittableRandom random = new SplittableRandom(1);
    Stream<List<String>> sentences =
        Stream.generate(
            () -> random.ints(10, 1, 50).mapToObj(n -> "w" + random.nextInt(n)).toList());
    corpus = Corpus.of(sentences.limit(300).toList(), 1);
  }

  private LanguageModel full() {
    int words = corpus.vocabulary().size();
    LanguageModel model = new LanguageModel(settings, ClassAssignment.contiguous(words, words));
    model.startFromFrequencies(corpus.training());
    return model;
  }

  private double step(Learner model, int step) {
    Batch batch = model.batch(settings.batch);
    for (int row = 0; row < batch.rows(); row++) {
      batch.set(row, corpus.training(), step * batch.rows() + row);
    }
    return model.train(batch, (double) step / STEPS);
  }

  @Test
  void stepsAreThoseOfTheFullSoftmax() {
    try (LanguageModel expected = full();
        LanguageModel start = full();
        PyTorchLearner actual = new PyTorchLearner(settings, start)) {
      for (int step = 0; step < STEPS; step++) {
        assertEquals(step(expected, step), step(actual, step), TOLERANCE, "loss of step " + step);
      }
      double perplexity = expected.perplexity(corpus.heldOut());
      assertEquals(perplexity, actual.perplexity(corpus.heldOut()), TOLERANCE * perplexity);
    }
  }

  @Test
  void bothAreMeasuredAtTheSameMoments(@TempDir Path folder) throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (PrintStream out = new PrintStream(bytes, true, UTF_8)) {
      LanguageModelCommand.compare(settings, corpus, folder, out);
    }
    String printed = bytes.toString(UTF_8);
    List<String> rows = printed.lines().filter(line -> line.matches("\\| \\d+ \\|.*")).toList();
    assertEquals(LanguageModelCommand.POINTS, rows.size(), printed);
    rows.forEach(
        row -> assertTrue(row.matches("\\| [01] (\\| [\\d,]+ \\| \\d+\\.\\d ){2}\\|"), row));
    assertTrue(Files.size(folder.resolve("language-model.png")) > 0);
  }
}
