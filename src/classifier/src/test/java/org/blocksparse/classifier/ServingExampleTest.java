// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The examples of the page, compiled and run. */
final class ServingExampleTest {
  @TempDir private Path folder;

  // example: classifier-train
  static void train(Path file, Path model) throws IOException {
    TrainingOptions options = TrainingOptions.defaults().withEpochs(10).withSeed(7);
    try (ExampleReader reader = ExampleReader.open(file);
        Classifier classifier = Classifier.train(reader.examples(), options)) {
      classifier.save(model);
    }
  }

  // end of example

  // example: classifier-serve
  static String answer(Path model, String text) throws IOException {
    try (Classifier classifier = Classifier.load(model)) {
      return classifier.predict(text, 5).get(0).label();
    }
  }

  // end of example

  // example: classifier-stream
  static Classifier ofReviews(Stream<String> good, Stream<String> bad) {
    return Classifier.train(
        Stream.concat(
            good.map(text -> Example.ofText(text, "good")),
            bad.map(text -> Example.ofText(text, "bad"))),
        TrainingOptions.defaults());
  }

  // end of example

  @Test
  void trainsFromAFile_andAnswers() throws IOException {
    Path file = Files.writeString(folder.resolve("train.txt"), Texts.lines(2000, 40, 1));
    train(file, folder.resolve("model"));
    assertEquals("label7", answer(folder.resolve("model"), "my-own7"));
  }

  @Test
  void trainsFromAStream() {
    try (Classifier classifier =
        ofReviews(
            Stream.generate(() -> "I like it").limit(500),
            Stream.generate(() -> "I hate it").limit(500))) {
      assertEquals("good", classifier.predict("like", 1).get(0).label());
      assertEquals("bad", classifier.predict("hate", 1).get(0).label());
    }
  }
}
