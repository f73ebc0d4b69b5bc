// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.blocksparse.classifier.examples.Example;
import org.blocksparse.classifier.training.Training;
import org.blocksparse.classifier.training.TrainingOptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Predictions that none of a model's labels applies. */
final class NoneTest {
  private static final int LABELS = 16;
  private static final TrainingOptions LINEAR =
      TrainingOptions.defaults().withHead(ModelHead.LINEAR).withWordNgrams(1).withCharNgrams(0, 0);

  @TempDir private Path folder;

  /** Returns texts of labels in a range: three words of each label, two common ones. */
  private static List<Example> examples(int from, int to, int count, long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    return IntStream.range(0, count)
        .mapToObj(
            e -> {
              int label = from + random.nextInt(to - from);
              StringBuilder text = new StringBuilder();
              for (int i = 0; i < 3; i++) {
                text.append("l").append(label).append('w').append(random.nextInt(6)).append(' ');
              }
              text.append("all").append(random.nextInt(20)).append(" all");
              return Example.ofText(text.append(random.nextInt(20)).toString(), "l" + label);
            })
        .toList();
  }

  private static double none(List<Prediction> answer) {
    return answer.stream().filter(Prediction::isNone).findFirst().orElseThrow().probability();
  }

  @Test
  void textsOfOtherLabelsHaveNone_afterATrainingWithWithheldLabels() throws IOException {
    Path file = folder.resolve("model");
    try (Classifier trained =
        Training.train(examples(0, LABELS, 800, 1).stream(), LINEAR.withNone())) {
      trained.save(file);
    }
    List<Example> future = new ArrayList<>(examples(0, LABELS, 400, 2));
    future.addAll(examples(LABELS, 2 * LABELS, 400, 3));
    try (Classifier model = Classifier.load(file)) {
      assertTrue(model.hasNone());
      NoneMetrics metrics = model.evaluateNone(future.stream(), 0.5);
      assertEquals(800, metrics.examples());
      assertEquals(400, metrics.none());
      assertTrue(metrics.auroc() > 0.99, () -> "AUROC " + metrics.auroc());
      assertTrue(metrics.accuracy() > 0.9, () -> "accuracy " + metrics.accuracy());
      assertTrue(metrics.aurocOfFirst() > 0.5);
      assertTrue(metrics.accuracyOfFirst() >= 0.5);

      List<Example> both = List.of(future.get(0), future.get(799));
      PredictionOptions three = PredictionOptions.top(3).withNone(0.5);
      List<List<Prediction>> answers = model.predict(both, three);
      assertEquals(both.get(0).labels().get(0), answers.get(0).get(0).label());
      assertTrue(answers.get(1).get(0).isNone());
      List<Prediction> alone = model.predict(both.get(0), 3);
      assertEquals(4, answers.get(0).size());
      double ofAny = 1 - none(answers.get(0));
      assertEquals(alone.get(0).probability() * ofAny, answers.get(0).get(0).probability(), 1e-5);

      // The probability of no label does not depend on filters, thresholds or the number of labels.
      LabelFilter others = LabelFilter.without(both.get(0).labels());
      PredictionOptions one = PredictionOptions.top(1).withNone(0.5);
      for (PredictionOptions options : List.of(one, one.withThreshold(1), one.withFilter(others))) {
        List<List<Prediction>> same = model.predict(both, options);
        for (int e = 0; e < both.size(); e++) {
          assertEquals(none(answers.get(e)), none(same.get(e)), 1e-5);
        }
        assertEquals(options.threshold() == 1 ? 1 : 2, same.get(0).size());
      }

      // A smaller share multiplies the odds.
      double rare = none(model.predict(both.get(1), PredictionOptions.top(1).withNone(0.1)));
      double even = none(answers.get(1));
      assertEquals(even / (1 - even) / 9, rare / (1 - rare), 0.01 * rare / (1 - rare));
    }
  }

  @Test
  void givenExamplesWithoutALabel_takeThePlaceOfWithheldLabels() {
    Stream<Example> given =
        examples(LABELS, 2 * LABELS, 200, 4).stream().map(e -> Example.ofText(e.text()));
    Stream<Example> all = Stream.concat(given, examples(0, 2, 200, 5).stream()); // two labels
    try (Classifier model = Training.train(all, LINEAR.withNone())) {
      List<Example> future = new ArrayList<>(examples(0, 2, 100, 6));
      future.addAll(examples(LABELS, 2 * LABELS, 100, 7));
      assertTrue(model.evaluateNone(future.stream(), 0.5).accuracy() > 0.9);
      assertEquals("200", model.info().get("examples of no label for the odds of none"));
    }
  }

  @Test
  void oddsAreThoseOfTheShare_whateverTheShareOfTheFit() {
    SplittableRandom random = new SplittableRandom(10);
    List<double[]> known = new ArrayList<>();
    List<double[]> none = new ArrayList<>();
    for (int i = 0; i < 2000; i++) {
      boolean isKnown = i % 10 != 0;
      double signal = random.nextDouble() * 4 - (isKnown ? 1 : 3); // -1 to 3, or -3 to 1
      (isKnown ? known : none).add(new double[] {signal, 0, 0});
    }
    NoneOdds odds = NoneOdds.fit(known, none);
    double[] between = new double[3];
    assertEquals(0, odds.logOdds(between, 0.5), 0.3);
    assertEquals(odds.logOdds(between, 0.5) - Math.log(9), odds.logOdds(between, 0.1), 1e-9);
  }

  @Test
  void sparseFeaturesHaveNone_too() {
    List<Example> all = new ArrayList<>();
    for (int e = 0; e < 320; e++) {
      int label = e % LABELS;
      int[] indices = {3 * label, 3 * label + 1 + e / LABELS % 2};
      all.add(Example.ofFeatures(indices, new float[] {1, 2}, List.of("l" + label)));
    }
    TrainingOptions options = TrainingOptions.defaults().withHead(ModelHead.LINEAR).withNone();
    try (Classifier model = Training.train(all.stream(), options)) {
      Example unknown = Example.ofFeatures(new int[] {900}, new float[] {1}, List.of());
      PredictionOptions even = PredictionOptions.top(2).withNone(0.5);
      assertTrue(none(model.predict(unknown, even)) > none(model.predict(all.get(0), even)));
    }
  }

  @Test
  void metricsAreThoseOfAnswers() {
    NoneMetrics metrics = new NoneMetrics();
    assertTrue(Double.isNaN(metrics.auroc()));
    add(metrics, 0.9, 0.3, true, true);
    add(metrics, 0.4, 0.6, true, true);
    add(metrics, 0.4, 0.5, false, true);
    add(metrics, 0.1, 0.8, false, true);
    add(metrics, 0.2, 0.7, false, false);
    assertEquals(5.5 / 6, metrics.auroc(), 1e-12); // one tie counts a half
    assertEquals(5.0 / 6, metrics.aurocOfFirst(), 1e-12);
    assertEquals(3.0 / 5, metrics.accuracy(), 1e-12);
    assertEquals(3.0 / 5, metrics.accuracyOfFirst(), 1e-12); // none below 0.5
  }

  private static void add(
      NoneMetrics metrics, double none, double first, boolean isNone, boolean isRight) {
    Prediction label = new Prediction("a", (float) Math.log(first));
    Prediction joint = new Prediction("a", (float) Math.log(first * (1 - none)));
    Prediction ofNone = new Prediction(Prediction.NONE, (float) Math.log(none));
    boolean isFirst = ofNone.logProbability() > joint.logProbability();
    List<String> labels = List.of(isRight ? "a" : "b");
    metrics.add(isFirst ? List.of(ofNone, joint) : List.of(joint, ofNone), label, labels, isNone);
  }

  @ParameterizedTest
  @ValueSource(strings = {"1 2 3", "1 2 3 4 5", "1 2 3 NaN", "1 2 3 1e9", "1 2 3 x", ""})
  void aTextThatIsNotOdds_isRefused(String text) {
    assertThrows(IllegalArgumentException.class, () -> NoneOdds.decode(text));
  }

  @ParameterizedTest
  @ValueSource(doubles = {0, 1, -1, Double.NaN})
  void aShareOutsideIsRefused(double share) {
    assertEquals(
        "none: expected a share above 0 and below 1 but was " + share,
        assertThrows(IllegalArgumentException.class, () -> PredictionOptions.top(1).withNone(share))
            .getMessage());
  }

  @Test
  void modelsWithoutOdds_andTrainingsThatCannotHaveThem_areRefused() {
    List<Example> three = examples(0, 3, 60, 8);
    PredictionOptions even = PredictionOptions.top(1).withNone(0.5);
    try (Classifier model = Training.train(three.stream(), LINEAR)) {
      assertFalse(model.hasNone());
      assertEquals(
          "none: expected a model that was trained with TrainingOptions.withNone",
          refused(() -> model.predict(three, even)));
      assertEquals(
          "none: expected no initialModel as well, which learned from other examples",
          refused(() -> TrainingOptions.defaults().withInitialModel(model).withNone()));
    }
    assertEquals(
        "none: expected 4 labels, some of which are withheld, or 10 examples without a label, but"
            + " there are 3 and 0",
        refused(() -> Training.train(three.stream(), LINEAR.withNone())));
    List<Example> odd = new ArrayList<>(examples(0, LABELS, 200, 9));
    odd.add(Example.ofText("odd", Prediction.NONE));
    try (Classifier model = Training.train(odd.stream(), LINEAR.withNone())) {
      assertEquals(
          "none: expected no label '(none)' but the model has it",
          refused(() -> model.predict(three, even)));
    }
  }

  private static String refused(Runnable call) {
    return assertThrows(IllegalArgumentException.class, call::run).getMessage();
  }
}
