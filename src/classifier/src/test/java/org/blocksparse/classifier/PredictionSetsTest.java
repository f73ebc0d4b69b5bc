// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.Base64;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.blocksparse.classifier.examples.Example;
import org.blocksparse.classifier.training.Training;
import org.blocksparse.classifier.training.TrainingOptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

final class PredictionSetsTest {
  @TempDir private Path folder;

  private static float[] logs(double... probabilities) {
    float[] logs = new float[probabilities.length];
    for (int i = 0; i < logs.length; i++) {
      logs[i] = (float) Math.log(probabilities[i]);
    }
    return logs;
  }

  @Test
  void theThresholdIsThatOfSplitConformalPrediction() {
    PredictionSets nine = PredictionSets.of(logs(.9, .1, .8, .2, .7, .3, .6, .4, .5));
    for (PredictionSets sets : List.of(nine, PredictionSets.decode(nine.encoded()))) {
      assertEquals(0, sets.threshold(0.95)); // fewer than one miss
      assertEquals(0.1, sets.threshold(0.9), 1e-6);
      assertEquals(0.1, sets.threshold(0.81), 1e-6);
      assertEquals(0.2, sets.threshold(0.8), 1e-6);
      assertEquals(0.9, sets.threshold(0.01), 1e-6);
    }
    assertEquals(0, PredictionSets.of(new float[0]).threshold(0.5));
    assertEquals(0, PredictionSets.of(logs(0, 0, 0)).threshold(0.5)); // labels are unknown
    float[] many = new float[5003];
    for (int i = 0; i < many.length; i++) {
      many[i] = (float) Math.log((i + 1) / 5004.0);
    }
    assertEquals(0.1, PredictionSets.of(many).threshold(0.9), 0.002);
  }

  @ParameterizedTest
  @ValueSource(floats = {1, Float.NaN, -2})
  void aTextOfOtherNumbers_isRefused(float second) {
    byte[] bytes = ByteBuffer.allocate(8).putFloat(-1).putFloat(second).array();
    String text = Base64.getUrlEncoder().encodeToString(bytes);
    assertThrows(IllegalArgumentException.class, () -> PredictionSets.decode(text));
  }

  /** Returns texts that leave open which of several labels they have. */
  private static List<Example> examples(int count, long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    return IntStream.range(0, count)
        .mapToObj(
            e -> {
              int word = random.nextInt(40);
              return Example.ofText("word" + word, "l" + (word + random.nextInt(6)));
            })
        .toList();
  }

  @Test
  void setsHoldARightLabelAsOftenAsPromised() throws IOException {
    List<Example> future = examples(4000, 2);
    Path file = folder.resolve("model");
    TrainingOptions linear = TrainingOptions.defaults().withHead(ModelHead.LINEAR);
    try (Classifier trained = Training.train(examples(4000, 1).stream(), linear)) {
      trained.save(file);
    }
    try (Classifier model = Classifier.load(file)) {
      for (double coverage : new double[] {0.5, 0.9}) {
        double threshold = model.thresholdOfSets(coverage).orElseThrow();
        SetCounts counts = model.evaluateSets(future.stream(), threshold);
        assertEquals(coverage, counts.coverage(), 0.05);
        assertTrue(counts.size() < 10, () -> "labels: " + counts.size());
        assertTrue(counts.rareExamples() < 100); // examples of the first and the last label
        PredictionOptions options =
            PredictionOptions.top(model.labels().size()).withThreshold(threshold);
        double labels =
            model.predict(future, options).stream().mapToInt(List::size).average().orElseThrow();
        assertEquals(counts.size(), labels);
      }
      assertTrue(model.threshold().isPresent());
      assertThrows(IllegalArgumentException.class, () -> model.thresholdOfSets(1));
      assertThrows(IllegalArgumentException.class, () -> model.thresholdOfSets(Double.NaN));
    }
  }

  /**
   * Returns texts whose words are unrelated to their label, which is random for two in five: a
   * model that learned an example knows its label, others guess.
   */
  private static List<Example> guesses(int count, long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    return IntStream.range(0, count)
        .mapToObj(
            e -> {
              int topic = random.nextInt(6);
              String words =
                  IntStream.range(0, 8)
                      .mapToObj(i -> " n" + random.nextInt(300))
                      .collect(Collectors.joining());
              int label = random.nextInt(5) < 3 ? topic : random.nextInt(6);
              return Example.ofText("topic" + topic + words, "l" + label);
            })
        .toList();
  }

  @Test
  void answersOnAFold_areThoseOfHeadsThatHaveNotLearnedIt() {
    TrainingOptions linear =
        TrainingOptions.defaults()
            .withHead(ModelHead.LINEAR)
            .withMinCount(1)
            .withWordNgrams(1)
            .withCharNgrams(0, 0);
    try (Classifier model = Training.train(guesses(400, 1).stream(), linear)) {
      assertEquals("400", model.info().get("examples held out to calibrate")); // in 10 folds
      double threshold = model.thresholdOfSets(0.9).orElseThrow();
      double coverage = model.evaluateSets(guesses(4000, 2).stream(), threshold).coverage();
      assertEquals(0.9, coverage, 0.05);
    }
  }
}
