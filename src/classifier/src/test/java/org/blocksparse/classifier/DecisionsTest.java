// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier;

import static java.util.stream.Collectors.toSet;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import org.blocksparse.SparseRows;
import org.blocksparse.classifier.examples.Example;
import org.blocksparse.classifier.examples.Texts;
import org.blocksparse.classifier.training.Training;
import org.blocksparse.classifier.training.TrainingOptions;
import org.blocksparse.io.LoadOptions;
import org.blocksparse.io.SaveOptions;
import org.blocksparse.mixture.Mixture;
import org.blocksparse.ranking.Labels;
import org.blocksparse.ranking.Ranking;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Figures of decisions and of rare labels, compared with counts answer by answer. */
final class DecisionsTest {
  private static final int LABELS = 12;
  private static final double CLOSE = 1e-9;
  private static final List<Example> HELD_OUT = new ArrayList<>();
  private static Classifier softmax;
  private static Classifier tree;

  @BeforeAll
  static void train() {
    TrainingOptions options =
        TrainingOptions.defaults().withHead(ModelHead.EMBEDDING).withDimension(8).withEpochs(2);
    softmax = Training.train(uneven(400, 1).stream(), options);
    tree = Training.train(uneven(400, 1).stream(), options.withLabelTree());
    HELD_OUT.addAll(uneven(150, 2));
    HELD_OUT.add(Example.ofText("of n1", "label1", "new", "new"));
    HELD_OUT.add(Example.ofText("of n2", "newer", "new"));
    HELD_OUT.add(Example.ofText("of n3"));
  }

  @AfterAll
  static void close() {
    softmax.close();
    tree.close();
  }

  /** Returns examples with one or two labels, the first of which are frequent. */
  private static List<Example> uneven(int count, long seed) {
    List<Example> examples = new ArrayList<>();
    List<Example> plain = Texts.examples(2 * count, LABELS, seed).toList();
    for (int e = 0; e < count; e++) {
      Example one = plain.get(e % 3 == 0 ? e : e % 4);
      Example two = plain.get(2 * count - 1 - e);
      examples.add(
          e % 2 == 0
              ? one
              : Example.ofText(
                  one.text() + " " + two.text(), one.labels().get(0), two.labels().get(0)));
    }
    return examples;
  }

  private static Decisions decisions(Classifier model, double threshold) {
    return model.evaluate(HELD_OUT.stream(), 1, threshold, example -> {}).decisions();
  }

  /**
   * Returns the numbers of right answers, answers and labels at a threshold, for one label or all.
   */
  private static double[] counted(Classifier model, double threshold, String label) {
    double[] counts = new double[3];
    for (Example example : HELD_OUT) {
      Set<String> right = new HashSet<>(example.labels());
      if (right.isEmpty()) {
        continue;
      }
      Set<String> found = new HashSet<>();
      PredictionOptions options = PredictionOptions.top(LABELS).withThreshold(threshold);
      model.predict(example, options).forEach(answer -> found.add(answer.label()));
      if (label != null) {
        right.retainAll(Set.of(label));
        found.retainAll(Set.of(label));
      }
      counts[1] += found.size();
      counts[2] += right.size();
      found.retainAll(right);
      counts[0] += found.size();
    }
    return counts;
  }

  private static double f1(double[] counts) {
    return counts[1] + counts[2] == 0 ? 0 : 2 * counts[0] / (counts[1] + counts[2]);
  }

  @ParameterizedTest
  @ValueSource(doubles = {0.001, 0.03, 0.2, 0.5, 1})
  void f1_isThatOfTheAnswers_atAThreshold(double threshold) {
    for (Classifier model : List.of(softmax, tree)) {
      Decisions decisions = decisions(model, threshold);
      double[] counts = counted(model, threshold, null);
      assertEquals(152, decisions.examples());
      assertEquals(f1(counts), decisions.microF1(), CLOSE);
      assertEquals(counts[1] == 0 ? 0 : counts[0] / counts[1], decisions.precision(), CLOSE);
      assertEquals(counts[0] / counts[2], decisions.recall(), CLOSE);

      double sum = 0;
      Set<String> ofExamples = new TreeSet<>();
      HELD_OUT.forEach(example -> ofExamples.addAll(example.labels()));
      for (String label : ofExamples) {
        sum += f1(counted(model, threshold, label));
      }
      assertEquals(sum / ofExamples.size(), decisions.macroF1(), CLOSE);
    }
  }

  @Test
  void figuresOfLabels_areThoseOfTheAnswers_theMostFrequentFirst() {
    List<Decisions.OfLabel> labels = decisions(softmax, 0.1).byLabel();
    List<String> names = new ArrayList<>(softmax.labels());
    names.addAll(List.of("new", "newer"));
    names.removeIf(
        name -> {
          double[] counts = counted(softmax, 0.1, name);
          return counts[1] + counts[2] == 0;
        });
    assertEquals(Set.copyOf(names), labels.stream().map(Decisions.OfLabel::label).collect(toSet()));
    for (Decisions.OfLabel label : labels) {
      double[] counts = counted(softmax, 0.1, label.label());
      assertEquals(counts[0], label.right());
      assertEquals(counts[1], label.predicted());
      assertEquals(counts[2], label.examples());
      assertEquals(f1(counts), label.f1(), CLOSE);
    }
    for (int i = 1; i < labels.size(); i++) {
      assertTrue(labels.get(i - 1).examples() >= labels.get(i).examples());
    }
    Decisions.OfLabel unknown = new Decisions.OfLabel("new", 2, 0, 0);
    assertTrue(labels.contains(unknown), labels::toString);
    assertEquals(0, unknown.precision() + unknown.recall() + unknown.f1());
  }

  @Test
  void noThreshold_hasAHigherF1ThanTheBest() {
    for (Classifier model : List.of(softmax, tree)) {
      Decisions decisions = decisions(model, 0.5);
      double best = decisions.bestThreshold();
      assertEquals(decisions.bestF1(), decisions(model, best).microF1(), CLOSE);
      for (int step = 1; step <= 1000; step += 37) {
        assertTrue(decisions(model, step / 1000.0).microF1() <= decisions.bestF1() + CLOSE);
      }
    }
  }

  @Test
  void reliability_comparesProbabilitiesWithTheRightOnes() {
    Decisions decisions = decisions(tree, 0.5);
    long[] count = new long[10];
    double[] probability = new double[10];
    double[] right = new double[10];
    PredictionOptions options =
        PredictionOptions.top(LABELS).withThreshold(Decisions.LEAST_THRESHOLD);
    for (Example example : HELD_OUT.subList(0, HELD_OUT.size() - 1)) {
      for (Prediction answer : tree.predict(example, options)) {
        int bin = Math.min(9, (int) (10 * answer.probability()));
        count[bin]++;
        probability[bin] += answer.probability();
        right[bin] += example.labels().contains(answer.label()) ? 1 : 0;
      }
    }
    double error = 0;
    long all = 0;
    for (int bin = 0; bin < 10; bin++) {
      Decisions.Bin found = decisions.reliability().get(bin);
      assertEquals(bin / 10.0, found.from());
      assertEquals(count[bin], found.count());
      assertEquals(probability[bin] / count[bin], found.meanProbability(), CLOSE);
      assertEquals(right[bin] / count[bin], found.rightRate(), CLOSE);
      error += Math.abs(probability[bin] - right[bin]);
      all += count[bin];
    }
    assertTrue(all > 1000, "answers: " + all);
    assertEquals(error / all, decisions.calibrationError(), CLOSE);
  }

  @Test
  void theErrorOfFirstPredictions_isThatOfTheFirstOfEachExample() {
    double[] difference = new double[10];
    int examples = 0;
    for (Example example : HELD_OUT.subList(0, HELD_OUT.size() - 1)) {
      Prediction first = tree.predict(example, 1).get(0);
      if (first.isAtLeast(Decisions.LEAST_THRESHOLD)) {
        int bin = Math.min(9, (int) (10 * first.probability()));
        boolean isRight = example.labels().contains(first.label());
        difference[bin] += first.probability() - (isRight ? 1 : 0);
      }
      examples++;
    }
    assertEquals(
        Arrays.stream(difference).map(Math::abs).sum() / examples,
        decisions(tree, 0.5).firstCalibrationError(),
        CLOSE);
  }

  @Test
  void rareLabels_countByTheirPropensity_inTheTraining() {
    assertTrue(softmax.hasPropensities());
    Map<String, Integer> counts = new TreeMap<>();
    uneven(400, 1)
        .forEach(
            e -> e.labels().stream().distinct().forEach(l -> counts.merge(l, 1, Integer::sum)));
    double found = 0;
    double most = 0;
    for (Example example : HELD_OUT) {
      List<String> right = example.labels().stream().distinct().toList();
      if (!right.isEmpty()) {
        String first = softmax.predict(example, 1).get(0).label();
        found += right.contains(first) ? weight(counts.getOrDefault(first, 0)) : 0;
        most += right.stream().mapToDouble(l -> weight(counts.getOrDefault(l, 0))).max().orElse(0);
      }
    }
    assertEquals(
        found / most, softmax.evaluate(HELD_OUT.stream(), 1).propensityScoredPrecision(1), CLOSE);
  }

  /** Returns 1 / propensity (Jain et al.) of a label with so many of 400 examples. */
  private static double weight(int count) {
    double c = (Math.log(400) - 1) * Math.pow(2.5, 0.55);
    return 1 + c * Math.pow(count + 1.5, -0.55);
  }

  @Test
  void aModelWithoutLabelCounts_hasNoPropensities(@TempDir Path folder) throws IOException {
    Path file = folder.resolve("model");
    Path without = folder.resolve("without");
    softmax.save(file);
    try (Mixture heads = Mixture.load(file, LoadOptions.copied())) {
      Map<String, String> metadata = new TreeMap<>(heads.metadata());
      assertTrue(metadata.remove("classifier.labelCounts") != null);
      heads.save(without, SaveOptions.defaults().withMetadata(metadata));
    }
    try (Classifier same = Classifier.load(file);
        Classifier loaded = Classifier.load(without)) {
      assertTrue(same.hasPropensities());
      assertFalse(loaded.hasPropensities());
      assertEquals(OptionalDouble.empty(), loaded.threshold());
      assertThrows(
          IllegalStateException.class,
          () -> loaded.evaluate(HELD_OUT.stream(), 1).propensityScoredPrecision(1));
    }
  }

  /** The threshold and the adjacent floats select the same answers here as in a prediction. */
  @Test
  void answersAtAThreshold_areThoseThatAPredictionHas() {
    Labels one = Labels.of(List.of("a"));
    for (int step = 1; step <= 1000; step++) {
      double threshold = step / 1000.0;
      float exact = (float) Math.log(threshold);
      for (float log : new float[] {Math.nextDown(exact), exact, Math.nextUp(exact)}) {
        if (log > 0) {
          continue; // it is no probability
        }
        boolean isPredicted = new Prediction("a", log).isAtLeast(threshold);
        assertEquals(log >= exact, isPredicted);
        Decisions decisions = new Decisions(one, threshold);
        try (SparseRows right = SparseRows.of(List.of(new int[] {0}))) {
          decisions.add(Ranking.of(new int[][] {{0}}, new float[][] {{log}}), right);
        }
        assertEquals(isPredicted ? 1 : 0, decisions.recall(), threshold + ", " + log);
        // The only answer is right: the best threshold is one that it reaches.
        boolean reachesAny = new Prediction("a", log).isAtLeast(Decisions.LEAST_THRESHOLD);
        assertEquals(reachesAny ? 1 : 0, decisions.bestF1());
        if (reachesAny) {
          double best = decisions.bestThreshold();
          assertTrue(new Prediction("a", log).isAtLeast(best), best + ", " + log);
        }
      }
    }
  }

  @Test
  void aParallelStream_isMeasuredAsASequentialOne() {
    List<Example> examples = new ArrayList<>();
    for (int e = 0; e < 20_000; e++) {
      examples.add(Example.ofText("of n" + e % 7, "label" + e % LABELS, "new" + e % 5000));
    }
    Evaluation expected = softmax.evaluate(examples.stream(), 3, 0.1, example -> {});
    Evaluation found = softmax.evaluate(examples.parallelStream(), 3, 0.1, example -> {});
    assertEquals(expected.ranking().ndcg(3), found.ranking().ndcg(3));
    assertEquals(expected.decisions().byLabel(), found.decisions().byLabel());
    assertEquals(LABELS + 5000, found.decisions().byLabel().size());
  }

  @ParameterizedTest
  @ValueSource(doubles = {-1, 0, 0.0009, 1.1, Double.NaN})
  void thresholdsOutside_areRefused(double threshold) {
    assertEquals(
        "threshold: expected a number in [0.001, 1] but was " + threshold,
        assertThrows(IllegalArgumentException.class, () -> decisions(softmax, threshold))
            .getMessage());
  }

  @Test
  void aPredictionWithAThreshold_leavesOutWhatIsBelow() {
    Example example = Example.ofText("my-own1 n3");
    List<Prediction> all = softmax.predict(example, LABELS);
    double threshold = all.get(4).probability();
    PredictionOptions options = PredictionOptions.top(LABELS).withThreshold(threshold);
    assertEquals(
        all.stream().filter(label -> label.isAtLeast(threshold)).toList(),
        softmax.predict(example, options));
    PredictionOptions two = PredictionOptions.top(2);
    assertEquals(all.subList(0, 2), softmax.predict(example, two.withThreshold(threshold)));
    assertEquals(List.of(), softmax.predict(example, two.withThreshold(1)));
    assertEquals(
        "threshold: expected a number in [0, 1] but was 1.5",
        assertThrows(IllegalArgumentException.class, () -> two.withThreshold(1.5)).getMessage());
  }

  @Test
  void manyPredictionsWithAThresholdAndAFilter_areThoseOfEach() {
    LabelFilter filter = LabelFilter.without(List.of("label1", "label3"));
    PredictionOptions options = PredictionOptions.top(4).withFilter(filter).withThreshold(0.05);
    List<List<Prediction>> expected = new ArrayList<>();
    for (Example example : HELD_OUT) {
      expected.add(
          tree.predict(example, LABELS).stream()
              .filter(p -> !p.label().equals("label1") && !p.label().equals("label3"))
              .filter(p -> p.isAtLeast(0.05))
              .limit(4)
              .toList());
    }
    assertEquals(expected, tree.predict(HELD_OUT, options));
  }

  @Test
  void labelCounts_areTheSameFromTheirText_andNothingElseIs() {
    long[] counts = {0, 1, 127, 128, 1L << 40, 5};
    String text = new LabelCounts(1L << 41, counts).encoded();
    LabelCounts decoded = LabelCounts.decode(text, counts.length);
    assertEquals(1L << 41, decoded.examples());
    assertEquals(List.of(0L, 1L, 127L, 128L, 1L << 40, 5L), box(decoded.ofLabels()));
    assertEquals("", new LabelCounts(9, new long[1 << 20]).encoded());
    for (String bad : List.of("", "AAA", text + "AA", "_____________w", "gA")) {
      assertThrows(
          IllegalArgumentException.class, () -> LabelCounts.decode(bad, counts.length), bad);
    }
  }

  private static List<Long> box(long[] values) {
    return Arrays.stream(values).boxed().toList();
  }
}
