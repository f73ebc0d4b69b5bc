// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.concurrent.CancellationException;
import java.util.stream.IntStream;
import org.blocksparse.ElementType;
import org.blocksparse.Workers;
import org.blocksparse.io.LoadOptions;
import org.blocksparse.io.SaveOptions;
import org.blocksparse.linear.LinearLabelTree;
import org.blocksparse.ranking.Metrics;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/** Models with a linear head, alone or beside an embedding head. */
final class HeadsTest {
  private static final int LABELS = 120;
  private static final TrainingOptions SMALL =
      TrainingOptions.defaults().withDimension(16).withEpochs(4);

  @TempDir private Path folder;

  /** Texts with one to three labels, whose words say which, but for some of them. */
  private static List<Example> examples(int count, long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    List<Example> examples = new ArrayList<>();
    for (int e = 0; e < count; e++) {
      List<Integer> labels =
          random.ints(1 + random.nextInt(3), 0, LABELS).distinct().boxed().toList();
      StringBuilder text = new StringBuilder();
      for (int label : labels) {
        boolean isHidden = random.nextInt(5) == 0;
        text.append(isHidden ? "nothing " : Texts.of(label, random) + " ");
      }
      String[] names = labels.stream().map(label -> "label" + label).toArray(String[]::new);
      examples.add(Example.ofText(text.toString(), names));
    }
    return examples;
  }

  private static Classifier trained(ModelHead head) {
    return Classifier.train(examples(2400, 1).stream(), SMALL.withHead(head));
  }

  @ParameterizedTest
  @EnumSource(
      value = ModelHead.class,
      names = {"LINEAR", "BOTH"})
  void itRanksExactly_andItsProbabilitiesAreCalibrated(ModelHead head) throws IOException {
    List<Example> heldOut = examples(300, 2);
    Path file = folder.resolve("model");
    try (Classifier classifier = trained(head)) {
      assertEquals(head, classifier.head());
      assertEquals(head.name().toLowerCase(Locale.ROOT), classifier.info().get("head"));
      Metrics metrics = classifier.evaluate(heldOut.stream(), 3);
      assertTrue(metrics.precision(1) > 0.9, metrics::toString);

      // All labels are added up where as many are asked for.
      List<List<Prediction>> all = classifier.predict(heldOut, Integer.MAX_VALUE);
      List<List<Prediction>> first = classifier.predict(heldOut, 4);
      Set<String> some = Set.of("label1", "label2", "label7", "label100");
      LabelFilter filter = LabelFilter.without(some);
      long likely = 0;
      for (int e = 0; e < heldOut.size(); e++) {
        assertEquals(LABELS, all.get(e).size());
        assertEquals(all.get(e).subList(0, 4), first.get(e));
        assertEquals(
            all.get(e).stream().filter(p -> !some.contains(p.label())).limit(5).toList(),
            classifier.predict(heldOut.get(e), PredictionOptions.top(5).withFilter(filter)));
        likely += all.get(e).stream().filter(p -> p.isAtLeast(0.001)).count();
      }
      Decisions decisions =
          classifier.evaluate(heldOut.stream(), 1, 0.5, example -> {}).decisions();
      assertEquals(likely, decisions.reliability().stream().mapToLong(Decisions.Bin::count).sum());
      assertTrue(decisions.calibrationError() < 0.02, decisions.reliability()::toString);
      for (Decisions.Bin bin : decisions.reliability()) {
        if (bin.count() >= 150) { // else chance decides
          assertEquals(bin.meanProbability(), bin.rightRate(), 0.15, bin::toString);
        }
      }

      classifier.save(file);
      for (LoadOptions options : List.of(LoadOptions.mapped(), LoadOptions.copied())) {
        try (Classifier loaded = Classifier.load(file, options)) {
          assertEquals(first, loaded.predict(heldOut, 4));
          assertEquals(head, loaded.head());
        }
      }
    }
  }

  @ParameterizedTest
  @EnumSource(
      value = ModelHead.class,
      names = {"LINEAR", "BOTH"})
  void explanationsNameTheWordsOfALabel(ModelHead head) {
    try (Classifier classifier = trained(head)) {
      Example example = Example.ofText("nothing My-Own7 n3");
      List<FeatureContribution> why = classifier.explain(example, "label7");
      assertTrue(why.get(0).feature().contains("own7"), why::toString);
      assertTrue(why.get(0).logOdds() > 0, why::toString);
      for (int i = 1; i < why.size(); i++) {
        double before = Math.abs(why.get(i - 1).logOdds());
        assertTrue(Math.abs(why.get(i).logOdds()) <= before, why::toString);
      }
      // A word of a label may speak for the cluster of another one, but for that less.
      double others =
          classifier.explain(example, "label8").stream()
              .filter(feature -> feature.feature().equals("own7"))
              .mapToDouble(FeatureContribution::logOdds)
              .sum();
      double own =
          why.stream()
              .filter(feature -> feature.feature().equals("own7"))
              .mapToDouble(FeatureContribution::logOdds)
              .sum();
      assertTrue(own > others + 1, own + ", " + others);
      assertMessage("label: ", () -> classifier.explain(example, "label999"));
    }
    try (Classifier classifier = trained(ModelHead.EMBEDDING)) {
      assertMessage("linear", () -> classifier.explain(Example.ofText("a"), "label7"));
    }
  }

  /** An index that is listed n times with 1 is that index with n, in training and afterwards. */
  @ParameterizedTest
  @EnumSource(ModelHead.class)
  void valuesOfAnIndexAreAdded(ModelHead head) {
    SplittableRandom random = new SplittableRandom(3);
    List<Example> summed = new ArrayList<>();
    List<Example> listed = new ArrayList<>();
    for (int e = 0; e < 900; e++) {
      int label = e % 30;
      int[] features = {label, 30 + label % 7, 37 + random.nextInt(20)};
      float[] values = {1 + random.nextInt(12), 12, 1};
      List<Integer> entries = new ArrayList<>();
      for (int i = 0; i < features.length; i++) {
        entries.addAll(Collections.nCopies((int) values[i], features[i]));
      }
      Collections.shuffle(entries, new Random(e));
      float[] ones = new float[entries.size()];
      Arrays.fill(ones, 1);
      List<String> labels = List.of("label" + label);
      summed.add(Example.ofFeatures(features, values, labels));
      listed.add(
          Example.ofFeatures(entries.stream().mapToInt(Integer::intValue).toArray(), ones, labels));
    }
    TrainingOptions options = SMALL.withHead(head).withWorkers(Workers.callingThread());
    try (Classifier wanted = Classifier.train(summed.stream(), options);
        Classifier actual = Classifier.train(listed.stream(), options)) {
      assertEquals(wanted.predict(summed, 30), actual.predict(listed, 30));
      double right = actual.evaluate(listed.stream(), 1).precision(1);
      assertTrue(right > 0.95, "P@1 " + right);
    }
  }

  @Test
  void bothAreBetterThanEachAlone() {
    List<Example> heldOut = examples(300, 2);
    Map<ModelHead, Double> ndcg = new TreeMap<>();
    for (ModelHead head : ModelHead.values()) {
      try (Classifier classifier = trained(head)) {
        ndcg.put(head, classifier.evaluate(heldOut.stream(), 5).ndcg(5));
      }
    }
    double best = Math.max(ndcg.get(ModelHead.EMBEDDING), ndcg.get(ModelHead.LINEAR));
    assertTrue(ndcg.get(ModelHead.BOTH) > best - 0.01, ndcg::toString);
  }

  @ParameterizedTest
  @CsvSource({"LINEAR, FLOAT16", "LINEAR, BFLOAT16", "BOTH, FLOAT16", "BOTH, INT8"})
  void itIsSavedInFewerBits(ModelHead head, ElementType type) throws IOException {
    List<Example> heldOut = examples(300, 2);
    Path wide = folder.resolve("wide");
    Path narrow = folder.resolve("narrow");
    try (Classifier classifier = trained(head)) {
      classifier.save(wide);
      classifier.save(narrow, type);
      double precision = classifier.evaluate(heldOut.stream(), 1).precision(1);
      try (Classifier loaded = Classifier.load(narrow)) {
        assertEquals(type, loaded.weightType());
        assertEquals(precision, loaded.evaluate(heldOut.stream(), 1).precision(1), 0.02);
        assertTrue(loaded.memoryUse().mappedBytes() > 0);
      }
    }
    assertTrue(Files.size(narrow) < 0.9 * Files.size(wide));
  }

  @Test
  void itLearnsFeaturesAsTheyAre() {
    List<Example> examples =
        IntStream.range(0, 600)
            .mapToObj(
                e ->
                    Example.ofFeatures(
                        new int[] {e % 3, 10 + e % 2},
                        new float[] {2, 1},
                        List.of("label" + e % 3)))
            .toList();
    for (ModelHead head : List.of(ModelHead.LINEAR, ModelHead.BOTH)) {
      try (Classifier classifier =
          Classifier.train(examples.stream(), SMALL.withHead(head).withSharedRows(64))) {
        assertEquals(1, classifier.evaluate(examples.stream(), 1).precision(1));
        List<FeatureContribution> why = classifier.explain(examples.get(1), "label1");
        assertEquals("1", why.get(0).feature().split(", ", -1)[0]);
      }
    }
  }

  @Test
  void whatALinearHeadCannotDo_isRefused() throws IOException {
    List<Example> examples = examples(400, 1);
    Path file = folder.resolve("model");
    try (Classifier linear =
        Classifier.train(examples.stream(), SMALL.withHead(ModelHead.LINEAR))) {
      assertMessage("classes", linear::classes);
      assertMessage("train with ModelHead.EMBEDDING", () -> linear.export(folder.resolve("npz")));
      assertMessage("16 bits", () -> linear.save(file, ElementType.INT8));
      assertTrue(Files.notExists(file));
    }
    try (Classifier initial = Classifier.train(examples.stream(), SMALL)) {
      TrainingOptions options =
          TrainingOptions.defaults().withInitialModel(initial).withHead(ModelHead.BOTH);
      assertMessage("head: expected", () -> Classifier.train(examples.stream(), options));
    }
    TrainingOptions tree = SMALL.withHead(ModelHead.LINEAR).withLabelTree();
    assertMessage("head: expected", () -> Classifier.train(examples.stream(), tree));
  }

  @ParameterizedTest
  @CsvSource({"LINEAR, FLOAT32", "LINEAR, FLOAT16", "BOTH, FLOAT32", "BOTH, INT8"})
  void newLabelsAndWordsAreAdded_toALinearHead(ModelHead head, ElementType type)
      throws IOException {
    Path file = folder.resolve("model");
    try (Classifier first = Classifier.train(Texts.examples(1000, 20, 1), SMALL.withHead(head))) {
      first.save(file, type);
    }
    try (Classifier initial = Classifier.load(file)) {
      TrainingOptions options = TrainingOptions.defaults().withInitialModel(initial);
      List<Example> heldOut = Texts.examples(240, 24, 2).toList();
      List<Example> old = // no feature of these is new
          IntStream.range(0, 20).mapToObj(label -> Example.ofText("own" + label)).toList();
      LabelFilter known = LabelFilter.only(initial.labels());
      PredictionOptions ofKnown = PredictionOptions.top(5).withFilter(known);
      try (Classifier grown = Classifier.train(Texts.examples(600, 24, 3), options.withEpochs(3))) {
        assertEquals(head, grown.head());
        assertEquals(24, grown.labels().size());
        assertEquals(ElementType.FLOAT32, grown.weightType());
        assertTrue(grown.knowsFeatureOf(Example.ofText("word23")));
        double precision = grown.evaluate(heldOut.stream(), 1).precision(1);
        assertTrue(precision > 0.95, "P@1: " + precision);
        assertEquals(1600, grown.labelCountsOrNull().examples());
        if (head == ModelHead.LINEAR) {
          assertEquals(initial.predict(old, ofKnown), grown.predict(old, ofKnown));
        }
        grown.save(file);
        try (Classifier loaded = Classifier.load(file)) {
          assertEquals(grown.predict(heldOut, 3), loaded.predict(heldOut, 3));
        }
      }
    }
  }

  private static void assertMessage(String part, Executable call) {
    String message = assertThrows(RuntimeException.class, call).getMessage();
    assertTrue(message.contains(part), message);
  }

  @Test
  void whoStopsIt_hasTheEmbeddingOrNothing() {
    List<Example> examples = examples(400, 1);
    boolean[] isLinear = {false};
    TrainingOptions options =
        SMALL
            .withStop(() -> isLinear[0])
            .withListener(
                new TrainingListener() {
                  @Override
                  public void linear(double part) {
                    isLinear[0] = true;
                  }
                });
    try (Classifier classifier =
        Classifier.train(examples.stream(), options.withHead(ModelHead.BOTH))) {
      assertEquals(ModelHead.EMBEDDING, classifier.head());
    }
    isLinear[0] = false;
    assertThrows(
        CancellationException.class,
        () -> Classifier.train(examples.stream(), options.withHead(ModelHead.LINEAR)));
  }

  /** Where validation examples have other frequencies, probabilities are right for these. */
  @ParameterizedTest
  @EnumSource(
      value = ModelHead.class,
      names = {"LINEAR", "BOTH"})
  void probabilitiesAreThoseOfTheValidationExamples(ModelHead head) {
    List<Example> validation = hidden(600, 2);
    List<Example> future = hidden(600, 3);
    TrainingOptions options = SMALL.withHead(head);
    double own;
    try (Classifier classifier = Classifier.train(examples(2400, 1).stream(), options)) {
      own =
          classifier.evaluate(future.stream(), 1, 0.5, e -> {}).decisions().firstCalibrationError();
    }
    try (Classifier classifier =
        Classifier.train(examples(2400, 1).stream(), options.withValidation(validation.stream()))) {
      Decisions decisions = classifier.evaluate(future.stream(), 1, 0.5, e -> {}).decisions();
      double error = decisions.firstCalibrationError();
      assertTrue(error < 0.05 && error < own / 3, error + " of " + own);
      assertEquals("0", classifier.info().get("examples held out to calibrate"));
    }
  }

  /** Examples of which half have no word of their label. */
  private static List<Example> hidden(int count, long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    return IntStream.range(0, count)
        .mapToObj(
            e -> {
              int label = random.nextInt(LABELS);
              int shown = random.nextBoolean() ? label : random.nextInt(LABELS);
              return Example.ofText(Texts.of(shown, random), "label" + label);
            })
        .toList();
  }

  @Test
  void ofManyExamplesAFewAreHeldOut() {
    SplittableRandom random = new SplittableRandom(1);
    List<Example> many =
        IntStream.range(0, 20_000)
            .mapToObj(e -> Example.ofText(Texts.of(e % 20, random), "label" + e % 20))
            .toList();
    try (Classifier classifier =
        Classifier.train(many.stream(), SMALL.withHead(ModelHead.LINEAR))) {
      assertEquals("1000", classifier.info().get("examples held out to calibrate"));
      List<Prediction> found = classifier.predict(many.get(7), 2);
      assertEquals("label7", found.get(0).label());
      assertTrue(found.get(0).probability() > 0.9, found::toString);
    }
  }

  /** Examples that each have a label of their own and others that they share. */
  private static TrainingSet set(int examples, int shared, int own) {
    return TrainingSet.of(
        IntStream.range(0, examples)
            .mapToObj(
                e ->
                    Example.ofText(
                        "word",
                        IntStream.range(0, shared + own)
                            .mapToObj(i -> i < shared ? "shared" + i : e + "own" + i)
                            .toArray(String[]::new))),
        TrainingOptions.defaults());
  }

  @Test
  void theDefaultGoesByTheExamples() {
    TrainingOptions options = TrainingOptions.defaults();
    TrainingSet large = set(20_000, 2, 0);
    TrainingSet rare = set(20_000, 0, 2);
    assertEquals(ModelHead.BOTH, Training.head(large, options));
    assertEquals(ModelHead.LINEAR, Training.head(rare, options));
    assertEquals(ModelHead.BOTH, Training.head(rare, options.withDimension(8)));
    assertEquals(ModelHead.EMBEDDING, Training.head(set(19_999, 2, 0), options));
    assertEquals(ModelHead.EMBEDDING, Training.head(set(20_000, 1, 0), options));
    assertEquals(ModelHead.EMBEDDING, Training.head(large, options.withLabelTree()));
    assertEquals(ModelHead.EMBEDDING, Training.head(large, options.withSharedRows(9)));
    assertEquals(ModelHead.LINEAR, Training.head(large, options.withHead(ModelHead.LINEAR)));
  }

  @Test
  void aFileWhosePartsDoNotFit_isRefused() throws IOException {
    Path file = folder.resolve("model");
    try (Classifier classifier =
        Classifier.train(examples(400, 1).stream(), SMALL.withHead(ModelHead.LINEAR))) {
      classifier.save(file);
    }
    try (LinearLabelTree tree = LinearLabelTree.load(file)) {
      for (String blend :
          List.of("", "1", "1 2", "-1 0 0", "0 0 0", "NaN 0 0", "1 2 1 0 0", "1 x 0")) {
        Map<String, String> metadata = new TreeMap<>(tree.metadata());
        metadata.put("classifier.blend", blend);
        tree.save(file, SaveOptions.defaults().withMetadata(metadata));
        assertBad(file, "classifier.blend");
      }
      Map<String, String> metadata = new TreeMap<>(tree.metadata());
      metadata.put("classifier.head", "three");
      tree.save(file, SaveOptions.defaults().withMetadata(metadata));
      assertBad(file, "classifier.head");
      metadata.put("classifier.head", "both");
      tree.save(file, SaveOptions.defaults().withMetadata(metadata));
      assertBad(file, "LinearLabelTree");
    }
  }

  private static void assertBad(Path file, String part) {
    IOException e = assertThrows(IOException.class, () -> Classifier.load(file));
    assertTrue(e.getMessage().contains(part), e.getMessage());
  }

  @Test
  void probabilitiesOfABlendAscendWithScores() {
    SplittableRandom random = new SplittableRandom(1);
    Blend.Samples samples = new Blend.Samples(2);
    for (int s = 0; s < 5000; s++) {
      double[] ofHeads = {-5 * random.nextDouble(), -5 * random.nextDouble()};
      double odds = 1 + 2 * ofHeads[0] + ofHeads[1];
      samples.add(ofHeads, random.nextDouble() < 1 / (1 + Math.exp(-odds)));
    }
    Blend blend = Blend.fit(samples);
    assertEquals(2, blend.weights()[0], 0.3);
    assertEquals(1, blend.weights()[1], 0.3);
    Blend decoded = Blend.decode(blend.encoded(), 2);
    float before = Float.NEGATIVE_INFINITY;
    for (double score = -20; score <= 0; score += 0.01) {
      float now = blend.logProbability(score);
      assertTrue(now >= before, () -> blend.encoded());
      assertEquals(now, decoded.logProbability(score));
      double probability = Math.exp(now);
      assertTrue(decoded.leastScore(probability) <= score + 1e-6);
      before = now;
    }
    assertTrue(blend.leastScore(0.999999) > 0);
  }
}
