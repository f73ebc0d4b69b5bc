// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.training;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.blocksparse.FloatTensor;
import org.blocksparse.SparseRows;
import org.blocksparse.classifier.Classifier;
import org.blocksparse.classifier.ModelHead;
import org.blocksparse.classifier.TrainedClassifier;
import org.blocksparse.classifier.examples.Example;
import org.blocksparse.classifier.fasttext.FastTextPrograms;
import org.blocksparse.classifier.fasttext.FastTextVectors;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Words of a new model start with pretrained vectors. */
class PretrainedRowsTest {
  @TempDir static Path folder;
  private static Path model;

  @BeforeAll
  static void train() throws Exception {
    FastTextPrograms.assumeInstalled();
    Path words =
        Files.writeString(folder.resolve("words"), "tea Tea tea coffee mate-tea x\n".repeat(9));
    FastTextPrograms.run(
        null,
        "skipgram",
        "-input",
        words,
        "-output",
        folder.resolve("words"),
        "-dim",
        6,
        "-bucket",
        10,
        "-thread",
        1);
    model = folder.resolve("words.bin");
  }

  private static Stream<Example> examples() {
    return Stream.of(
        Example.ofText("tea mate-tea leaves", "a"), Example.ofText("Coffee tea beans", "b"));
  }

  /** Returns options with a negligible rate, which shows the initial values of the rows. */
  private static TrainingOptions options(FastTextVectors vectors) {
    return TrainingOptions.defaults().withEpochs(1).withRate(1e-20).withPretrained(vectors);
  }

  private static float[] row(Classifier classifier, String text) {
    try (SparseRows rows =
        TrainedClassifier.require(classifier).input().of(List.of(Example.ofText(text)))) {
      int row = rows.indices(0)[0];
      float[] values = new float[6];
      TrainedClassifier.require(classifier).bag().table().get(6L * row, values, 0, 6);
      return values;
    }
  }

  @Test
  void wordsBeginWithTheirVectors() throws Exception {
    try (FastTextVectors vectors = FastTextVectors.load(model);
        FloatTensor expected = vectors.ofWords(List.of("tea", "Tea", "coffee", "leaves"));
        Classifier classifier = Training.train(examples(), options(vectors))) {
      assertEquals("6", classifier.info().get("dimension"));
      assertEquals("2", classifier.info().get("pretrained rows"));
      float[] all = expected.toArray();
      // Tea and tea are one feature here; the more frequent one counts.
      assertArrayEquals(Arrays.copyOfRange(all, 0, 6), row(classifier, "TEA"), 1e-12f);
      assertArrayEquals(Arrays.copyOfRange(all, 12, 18), row(classifier, "coffee"), 1e-12f);
      // A word without a vector starts at random, even though the vectors have rows for its parts.
      float[] leaves = row(classifier, "leaves");
      assertTrue(!Arrays.equals(Arrays.copyOfRange(all, 18, 24), leaves));
    }
  }

  @Test
  void whatDoesNotFitIsRefused() throws Exception {
    try (FastTextVectors vectors = FastTextVectors.load(model);
        Classifier before = Training.train(examples(), TrainingOptions.defaults())) {
      TrainingOptions options = options(vectors);
      refused("dimension", () -> options.withDimension(6));
      refused("pretrained", () -> Training.train(examples(), options.withHead(ModelHead.LINEAR)));
      refused("pretrained", () -> options.withInitialModel(before));
      Example features = Example.ofFeatures(new int[] {1}, new float[] {1}, List.of("a"));
      refused("pretrained", () -> Training.train(Stream.of(features), options));
    }
  }

  private static void refused(String name, Runnable use) {
    IllegalArgumentException refused = assertThrows(IllegalArgumentException.class, use::run);
    assertTrue(refused.getMessage().startsWith(name + ": expected "), refused::getMessage);
  }
}
