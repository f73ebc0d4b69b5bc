// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.training;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.concurrent.CancellationException;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.blocksparse.ElementType;
import org.blocksparse.FileFormatException;
import org.blocksparse.SparseRows;
import org.blocksparse.Workers;
import org.blocksparse.classifier.Classifier;
import org.blocksparse.classifier.Decisions;
import org.blocksparse.classifier.Explanation;
import org.blocksparse.classifier.LabelFilter;
import org.blocksparse.classifier.ModelHead;
import org.blocksparse.classifier.Prediction;
import org.blocksparse.classifier.PredictionOptions;
import org.blocksparse.classifier.TrainedClassifier;
import org.blocksparse.classifier.examples.Example;
import org.blocksparse.classifier.examples.Texts;
import org.blocksparse.io.LoadOptions;
import org.blocksparse.io.SaveOptions;
import org.blocksparse.linear.LinearLabelTree;
import org.blocksparse.linear.SparseWeights;
import org.blocksparse.mixture.Mixture;
import org.blocksparse.mixture.MixtureBuilder;
import org.blocksparse.mixture.ScoreCalibration;
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

  private static final TrainingOptions LINEAR =
      TrainingOptions.defaults().withHead(ModelHead.LINEAR);

  @TempDir private Path folder;

  /** Returns options with a head, without those of an embedding, which a linear head rejects. */
  private static TrainingOptions with(ModelHead head, TrainingOptions ofEmbedding) {
    return head == ModelHead.LINEAR ? LINEAR : ofEmbedding.withHead(head);
  }

  /** Returns texts with one to three labels, most of which have a word of their own. */
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
    return Training.train(examples(2400, 1).stream(), with(head, SMALL));
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

      // All labels are summed if that many are requested.
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
        if (bin.count() >= 150) { // with fewer, chance decides
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
  @EnumSource(ModelHead.class)
  void explanationsNameTheWordsOfALabel(ModelHead head) {
    try (Classifier classifier = trained(head)) {
      Example example = Example.ofText("nothing My-Own7 n3");
      Explanation why = classifier.explain(example, "label7");
      assertEquals(classifier.predict(example, 1).get(0), why.prediction());
      assertEquals(
          head == ModelHead.BOTH
              ? List.of("embedding", "linear")
              : List.of(head.name().toLowerCase(Locale.ROOT)),
          why.shares().stream().map(Explanation.Share::head).toList());
      assertAddsUp(why);
      for (Explanation.Share share : why.shares()) {
        assertTrue(share.score() > 1, share::toString);
        assertTrue(share.features().get(0).name().contains("own7"), share::toString);
        // A label's word may support the cluster of another one, but it supports that one less.
        assertTrue(own7(share) > 0.3, share::toString);
      }
      Explanation other = classifier.explain(example, "label8");
      for (int i = 0; i < why.shares().size(); i++) {
        assertTrue(own7(why.shares().get(i)) > own7(other.shares().get(i)) + 0.3, other::toString);
      }
      Explanation empty = classifier.explain(Example.ofText("unheard"), "label7");
      assertEquals(why.prior(), empty.score(), 1e-4);
      assertEquals(empty.prior(), empty.score(), 1e-4);
      double last = Double.POSITIVE_INFINITY;
      for (Prediction prediction : classifier.predict(example, LABELS)) {
        double score = classifier.explain(example, prediction.label()).score();
        assertTrue(score <= last + 1e-4, () -> prediction + ", " + score);
        last = score;
      }
      assertMessage("label: ", () -> classifier.explain(example, "label999"));
    }
  }

  private static double own7(Explanation.Share share) {
    return share.features().stream()
        .filter(feature -> feature.name().contains("own7"))
        .mapToDouble(Explanation.Feature::score)
        .sum();
  }

  private static void assertAddsUp(Explanation why) {
    double sum = why.prior();
    for (Explanation.Share share : why.shares()) {
      sum += share.score();
      double last = Double.POSITIVE_INFINITY;
      double ofFeatures = 0;
      for (Explanation.Feature feature : share.features()) {
        assertTrue(Math.abs(feature.score()) <= last, share::toString);
        last = Math.abs(feature.score());
        ofFeatures += feature.score();
      }
      if (!share.head().equals("embedding")) {
        assertEquals(share.score(), ofFeatures, 1e-4 * (1 + Math.abs(ofFeatures)));
      }
    }
    assertEquals(why.score(), sum, 1e-9 * (1 + Math.abs(sum)));
  }

  /**
   * An index that is listed n times with value 1 equals that index with value n, in training and
   * later.
   */
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
    TrainingOptions options = with(head, SMALL).withWorkers(Workers.callingThread());
    try (Classifier wanted = Training.train(summed.stream(), options);
        Classifier actual = Training.train(listed.stream(), options)) {
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
      try (Classifier classifier = Training.train(examples.stream(), with(head, SMALL))) {
        assertEquals(1, classifier.evaluate(examples.stream(), 1).precision(1));
        for (Explanation.Share share : classifier.explain(examples.get(1), "label1").shares()) {
          assertEquals("1", share.features().get(0).name().split(", ", -1)[0]);
        }
      }
    }
  }

  @Test
  void whatALinearHeadCannotDo_isRefused() throws IOException {
    List<Example> examples = examples(400, 1);
    Path file = folder.resolve("model");
    try (Classifier linear = Training.train(examples.stream(), LINEAR)) {
      assertMessage("classes", linear::classes);
      assertMessage("FLOAT16", () -> linear.save(file, ElementType.INT8));
      assertTrue(Files.notExists(file));
    }
    try (Classifier initial =
        Training.train(examples.stream(), SMALL.withHead(ModelHead.EMBEDDING))) {
      TrainingOptions options =
          TrainingOptions.defaults().withInitialModel(initial).withHead(ModelHead.BOTH);
      assertMessage("head: expected", () -> Training.train(examples.stream(), options));
    }
    TrainingOptions tree = LINEAR.withLabelTree();
    assertMessage(
        "labelTree: expected no head LINEAR as well, which has no embedding",
        () -> Training.train(examples.stream(), tree));
  }

  @ParameterizedTest
  @CsvSource({"LINEAR, FLOAT32", "LINEAR, FLOAT16", "BOTH, FLOAT32", "BOTH, INT8"})
  void newLabelsAndWordsAreAdded_toALinearHead(ModelHead head, ElementType type)
      throws IOException {
    Path file = folder.resolve("model");
    try (Classifier first = Training.train(Texts.examples(1000, 20, 1), with(head, SMALL))) {
      first.save(file, type);
    }
    try (Classifier initial = Classifier.load(file)) {
      TrainingOptions options = TrainingOptions.defaults().withInitialModel(initial);
      List<Example> heldOut = Texts.examples(240, 24, 2).toList();
      List<Example> old = // has no new feature
          IntStream.range(0, 20).mapToObj(label -> Example.ofText("own" + label)).toList();
      LabelFilter known = LabelFilter.only(initial.labels());
      PredictionOptions ofKnown = PredictionOptions.top(5).withFilter(known);
      try (Classifier grown =
          Training.train(
              Texts.examples(600, 24, 3),
              head == ModelHead.LINEAR ? options : options.withEpochs(3))) {
        assertEquals(head, grown.head());
        assertEquals(24, grown.labels().size());
        assertEquals(ElementType.FLOAT32, grown.weightType());
        assertTrue(grown.knowsFeatureOf(Example.ofText("word23")));
        double precision = grown.evaluate(heldOut.stream(), 1).precision(1);
        assertTrue(precision > 0.95, "P@1: " + precision);
        assertEquals(1600, TrainedClassifier.require(grown).labelCounts().orElseThrow().examples());
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
  void whoStopsIt_hasTheLinearHeadOrNothing() {
    List<Example> examples = examples(400, 1);
    boolean[] isStopped = {false};
    TrainingOptions options = SMALL.withStop(() -> isStopped[0]);
    TrainingListener inEmbedding =
        new TrainingListener() {
          @Override
          public void step(int count, double loss) {
            isStopped[0] = true;
          }
        };
    try (Classifier classifier =
        Training.train(
            examples.stream(), options.withHead(ModelHead.BOTH).withListener(inEmbedding))) {
      assertEquals(ModelHead.BOTH, classifier.head());
      assertTrue(Double.parseDouble(classifier.info().get("epochs")) < 1);
    }
    TrainingListener beforeEmbedding =
        new TrainingListener() {
          @Override
          public void begin(int count, int epochs, int features, int labels, int classes) {
            isStopped[0] = epochs > 0;
          }
        };
    isStopped[0] = false;
    try (Classifier classifier =
        Training.train(
            examples.stream(), options.withHead(ModelHead.BOTH).withListener(beforeEmbedding))) {
      assertEquals(ModelHead.LINEAR, classifier.head());
    }
    TrainingListener inLinear =
        new TrainingListener() {
          @Override
          public void linear(double part) {
            isStopped[0] = true;
          }
        };
    isStopped[0] = false;
    assertThrows(
        CancellationException.class,
        () -> Training.train(examples.stream(), options.withListener(inLinear)));
  }

  /** The linear head exists, and is calibrated on the finished folds. */
  @Test
  void whoStopsItBetweenFolds_hasTheLinearHead() {
    List<Example> examples = examples(1000, 1);
    boolean[] isStopped = {false};
    TrainingListener inEmbedding =
        new TrainingListener() {
          @Override
          public void step(int count, double loss) {
            isStopped[0] = true;
          }
        };
    TrainingListener inFolds =
        new TrainingListener() {
          @Override
          public void linear(double part) {
            isStopped[0] = part > 0.5;
          }
        };
    TrainingOptions options = TrainingOptions.defaults().withStop(() -> isStopped[0]);
    for (TrainingListener listener : List.of(inEmbedding, inFolds)) {
      isStopped[0] = false;
      try (Classifier classifier =
          Training.train(examples.stream(), options.withListener(listener))) {
        assertEquals(ModelHead.LINEAR, classifier.head());
        int heldOut = Integer.parseInt(classifier.info().get("examples held out to calibrate"));
        assertTrue(listener == inFolds ? heldOut > 100 && heldOut < 1000 : heldOut == 100);
      }
    }
  }

  /** Receives the gain of the embedding. */
  private static final class Gain implements TrainingListener {
    private Boolean isLarge;
    private double mean;
    private double standardError;
    private int epochs;
    private String timed;

    @Override
    public void answerTimes(String part, double with, double without) {
      assertTrue(with > 0 && without > 0, () -> with + " and " + without);
      timed = part;
    }

    @Override
    public void chosen(boolean both, double gain, double error) {
      isLarge = both;
      mean = gain;
      standardError = error;
    }

    @Override
    public void epoch(LearningPoint point) {
      epochs++;
    }
  }

  /** Vectors of length 1 do not show how often the only word occurs; a sum of vectors does. */
  @Test
  void theEmbeddingIsAdded_whereItGains() {
    List<Example> examples =
        IntStream.range(0, 800)
            .mapToObj(e -> Example.ofText("w ".repeat(e % 2 == 0 ? 1 : 16), "label" + e % 2))
            .toList();
    Gain gain = new Gain();
    TrainingOptions options =
        TrainingOptions.defaults().withWordNgrams(1).withEpochs(9).withListener(gain);
    try (Classifier classifier = Training.train(examples.stream(), options)) {
      assertEquals(ModelHead.BOTH, classifier.head());
      assertEquals(1, classifier.evaluate(examples.stream(), 1).precision(1));
      assertTrue(gain.isLarge);
      assertTrue(gain.mean > gain.standardError && gain.mean > 0.1, () -> "gain " + gain.mean);
      assertEquals(9, gain.epochs);
      assertEquals("the embedding", gain.timed);
      String inCard = classifier.info().get("nDCG@5 gained by the embedding");
      assertTrue(inCard.startsWith(String.format(Locale.ROOT, "%.4f", gain.mean)), inCard);
    }
  }

  @Test
  void theEmbeddingIsLeftEarly_whereItDoesNotGain() {
    Gain gain = new Gain();
    TrainingOptions options = TrainingOptions.defaults().withEpochs(9).withListener(gain);
    try (Classifier classifier = Training.train(Texts.examples(1000, 20, 1), options)) {
      assertEquals(ModelHead.LINEAR, classifier.head());
      assertEquals(false, gain.isLarge);
      assertEquals(3, gain.epochs);
    }
    Gain none = new Gain();
    try (Classifier classifier =
        Training.train(Texts.examples(499, 20, 1), options.withListener(none))) {
      assertEquals(ModelHead.LINEAR, classifier.head());
      assertEquals(null, none.isLarge); // too few examples to try it
      assertEquals("490", classifier.info().get("examples held out to calibrate")); // in 10 folds
    }
  }

  /** Copies of texts of random words, with some of these replaced; a text has three labels. */
  private static List<Example> copies(int each, long seed) {
    SplittableRandom words = new SplittableRandom(1);
    SplittableRandom changes = new SplittableRandom(seed);
    List<Example> examples = new ArrayList<>();
    for (int text = 0; text < 400; text++) {
      int[] of = words.ints(8, 0, 300).toArray();
      for (int copy = 0; copy < each; copy++) {
        int[] changed = of.clone();
        for (int i = 0; i < 3; i++) {
          changed[changes.nextInt(8)] = changes.nextInt(300);
        }
        examples.add(
            Example.ofText(
                IntStream.of(changed).mapToObj(w -> "w" + w).collect(Collectors.joining(" ")),
                "a" + text,
                "b" + text,
                "c" + text));
      }
    }
    Collections.shuffle(examples, new Random(seed));
    return examples;
  }

  /** Each label has two examples, and there are more labels than examples. */
  @Test
  void neighboursAreAdded_whereLabelsOutnumberExamplesAndTheyGain() throws IOException {
    double[] gain = new double[2];
    TrainingOptions options =
        TrainingOptions.defaults()
            .withListener(
                new TrainingListener() {
                  @Override
                  public void neighbours(boolean stay, double mean, double standardError) {
                    assertEquals(mean > standardError, stay);
                    gain[0] = mean;
                    gain[1] = standardError;
                  }
                });
    List<Example> future = copies(1, 3);
    try (Classifier near = Training.train(copies(2, 2).stream(), options);
        Classifier linear =
            Training.train(copies(2, 2).stream(), options.withHead(ModelHead.LINEAR))) {
      assertTrue(gain[0] > gain[1] && gain[1] > 0, () -> Arrays.toString(gain));
      assertEquals(ModelHead.LINEAR, near.head());
      assertEquals("200 of 800", near.info().get("neighbours"));
      int heldOut = Integer.parseInt(near.info().get("examples held out to calibrate"));
      assertTrue(heldOut > 400, () -> heldOut + " of several folds");
      double ndcg = near.evaluate(future.stream(), 5).ndcg(5);
      double alone = linear.evaluate(future.stream(), 5).ndcg(5);
      assertTrue(ndcg > alone + 0.02, () -> ndcg + " and " + alone);
      assertEquals(
          "initialModel: expected no neighbours, which learn no further; train it with"
              + " ModelHead.LINEAR",
          assertThrows(IllegalArgumentException.class, () -> options.withInitialModel(near))
              .getMessage());
      assertTrue(near.info().containsKey("nDCG@5 gained by neighbours"));
      Example known = future.get(0);
      Explanation why = near.explain(known, near.predict(known, 1).get(0).label());
      assertEquals(
          List.of("linear", "neighbours"),
          why.shares().stream().map(Explanation.Share::head).toList());
      assertTrue(why.shares().get(1).score() > 0, why::toString);
      assertAddsUp(why);
      Path file = folder.resolve("near");
      for (ElementType type : List.of(ElementType.FLOAT32, ElementType.FLOAT16)) {
        near.save(file, type);
        try (Classifier loaded = Classifier.load(file)) {
          assertEquals(type, loaded.weightType());
          double now = loaded.evaluate(future.stream(), 5).ndcg(5);
          assertEquals(ndcg, now, type == ElementType.FLOAT32 ? 0 : 0.01);
          if (type == ElementType.FLOAT32) {
            assertEquals(near.predict(future, 5), loaded.predict(future, 5));
          }
        }
      }
      byte[] bytes = Files.readAllBytes(file);
      String uncalibrated =
          new String(bytes, StandardCharsets.ISO_8859_1)
              .replace("mixture.knots", "mixture.knotz")
              .replace("mixture.topTwo", "mixture.topTwz");
      Files.write(file, uncalibrated.getBytes(StandardCharsets.ISO_8859_1));
      assertEquals(
          "neighbours",
          assertThrows(FileFormatException.class, () -> Classifier.load(file)).part());
    }
  }

  @ParameterizedTest
  @EnumSource(names = {"LINEAR", "BOTH"})
  void twoTrees_addUp_andDifferInTheirClusters(ModelHead head) throws IOException {
    List<Example> heldOut = examples(300, 2);
    Path file = folder.resolve("two");
    List<Example> training = examples(2400, 1);
    TrainingOptions two = with(head, SMALL).withTrees(2);
    try (Classifier classifier = Training.train(training.stream(), two)) {
      TrainedClassifier own = TrainedClassifier.require(classifier);
      assertEquals(head, own.head());
      List<String> names = new ArrayList<>(List.of("linear", "linear2"));
      if (head == ModelHead.BOTH) {
        names.add(0, "embedding");
      }
      assertEquals(names, own.heads().scorers());
      assertEquals("2", own.info().get("linear trees"));
      assertTrue(own.info().containsKey("nDCG@5 gained by a second tree"));
      assertTrue(own.heads().calibration().isPresent());
      Decisions decisions = own.evaluate(heldOut.stream(), 1, 0.5, example -> {}).decisions();
      assertTrue(decisions.calibrationError() < 0.02, decisions.reliability()::toString);

      Example one = heldOut.get(0);
      Explanation why = own.explain(one, own.predict(one, 1).get(0).label());
      assertAddsUp(why);
      assertEquals(names, why.shares().stream().map(Explanation.Share::head).toList());
      double first = linearScore(own, "linear", one);
      assertNotEquals(first, linearScore(own, "linear2", one)); // by other clusters

      own.save(file);
      try (Classifier loaded = Classifier.load(file)) {
        assertEquals(own.predict(heldOut, 5), loaded.predict(heldOut, 5));
      }
      ElementType narrow = head == ModelHead.BOTH ? ElementType.INT8 : ElementType.FLOAT16;
      own.save(file, narrow);
      try (Classifier loaded = Classifier.load(file)) {
        assertEquals(names, TrainedClassifier.require(loaded).heads().scorers());
        for (LinearLabelTree tree : TrainedClassifier.require(loaded).trees()) {
          assertEquals(ElementType.FLOAT16, tree.weightType());
        }
      }
      if (head == ModelHead.LINEAR) {
        assertGrows(own);
      }
    }
  }

  private static double linearScore(TrainedClassifier model, String tree, Example example) {
    try (SparseRows row = model.input().of(List.of(example))) {
      return model.heads().scorer(tree, LinearLabelTree.class).topK(row, 1).probability(0, 0);
    }
  }

  /** Both trees of a model learn a new label, and the model is refused another number of trees. */
  private static void assertGrows(TrainedClassifier model) {
    TrainingOptions further = TrainingOptions.defaults().withInitialModel(model);
    List<Example> more = new ArrayList<>(examples(100, 3));
    IntStream.range(0, 20).forEach(i -> more.add(Example.ofText("quite new " + i, "new")));
    try (Classifier grown = Training.train(more.stream(), further)) {
      assertEquals("new", grown.predict("quite new", 1).get(0).label());
      for (LinearLabelTree tree : TrainedClassifier.require(grown).trees()) {
        assertEquals(LABELS + 1, tree.outputs());
      }
    }
    assertEquals(
        "trees: expected no initialModel as well, which has it",
        assertThrows(IllegalArgumentException.class, () -> further.withTrees(2)).getMessage());
  }

  @Test
  void twoTrees_ofFewExamples_areCalibratedByFolds() {
    List<Example> few = examples(300, 1);
    try (Classifier classifier = Training.train(few.stream(), LINEAR.withTrees(2))) {
      TrainedClassifier own = TrainedClassifier.require(classifier);
      int heldOut = Integer.parseInt(own.info().get("examples held out to calibrate"));
      assertTrue(heldOut > 200, () -> heldOut + " of several folds");
      assertEquals(2, own.trees().size());
      assertTrue(own.evaluate(examples(100, 2).stream(), 1).precision(1) > 0.5);
    }
  }

  @Test
  void twoTrees_areRefusedWithoutALinearHead() {
    TrainingOptions two = TrainingOptions.defaults().withTrees(2);
    for (TrainingOptions each : List.of(two.withHead(ModelHead.EMBEDDING), two.withLabelTree())) {
      assertEquals(
          "head: expected LINEAR or BOTH with two trees but was EMBEDDING, as with a label tree"
              + " or pretrained vectors",
          assertThrows(IllegalArgumentException.class, () -> Training.train(examples(50, 1), each))
              .getMessage());
    }
    assertEquals(
        "trees: expected a number in [1, 2] but was 3",
        assertThrows(IllegalArgumentException.class, () -> two.withTrees(3)).getMessage());
  }

  /** A second tree needs a first one, over features and labels as its own. */
  @Test
  void filesWithAWrongSecondTree_areRefused() throws IOException {
    Path file = folder.resolve("wrong");
    try (TrainedClassifier model =
        TrainedClassifier.require(Training.train(examples(300, 1).stream(), LINEAR.withTrees(2)))) {
      Map<String, String> metadata = model.metadata();
      LinearLabelTree tree = model.tree();
      Mixture alone = Mixture.builder().tree("linear2", tree).build();
      alone.save(file, SaveOptions.defaults().withMetadata(metadata));
      assertEquals("scorers", refusedPart(file));
      try (SparseRows x = SparseRows.of(List.of(new int[] {0}, new int[] {1}));
          SparseRows targets = SparseRows.of(List.of(new int[] {0}, new int[] {1}));
          LinearLabelTree other =
              LinearLabelTree.builder(tree.features() + 1, tree.outputs())
                  .labels(tree.labels())
                  .tfIdf()
                  .train(x, targets)) {
        Mixture both = Mixture.builder().tree("linear", tree).tree("linear2", other).build();
        both.save(file, SaveOptions.defaults().withMetadata(metadata));
        assertEquals("linear2", refusedPart(file));
      }
    }
  }

  private static String refusedPart(Path file) {
    return assertThrows(FileFormatException.class, () -> Classifier.load(file)).part();
  }

  /** A name for each of 60 labels. */
  private static Stream<Example> names() {
    return IntStream.range(0, 60).mapToObj(l -> Example.ofText("The name" + l, "label" + l));
  }

  /** Returns texts of labels in a range: most have a word of the label, many its name. */
  private static List<Example> named(int count, int first, int end, long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    List<Example> examples = new ArrayList<>();
    for (int e = 0; e < count; e++) {
      int label = random.nextInt(first, end);
      String own = random.nextInt(5) > 0 ? " own" + label : "";
      String name = random.nextInt(5) > 0 ? " name" + label : "";
      String text = "n" + random.nextInt(50) + own + name + " n" + random.nextInt(50);
      examples.add(Example.ofText(text, "label" + label));
    }
    return examples;
  }

  @ParameterizedTest
  @EnumSource(names = {"LINEAR", "BOTH"})
  void labelsWithoutExamples_areFoundByTheirTexts(ModelHead head) throws IOException {
    Boolean[] counts = new Boolean[1];
    TrainingOptions options =
        TrainingOptions.defaults()
            .withMinCount(3)
            .withHead(head)
            .withLabelTexts(names())
            .withListener(
                new TrainingListener() {
                  @Override
                  public void labelTexts(boolean stay, double gain, double standardError) {
                    assertTrue(gain > standardError && standardError > 0, () -> gain + " gained");
                    counts[0] = stay;
                  }
                });
    List<Example> known = named(300, 0, 50, 2);
    List<Example> others = named(300, 50, 60, 3);
    List<Example> examples = named(1000, 0, 50, 1);
    try (Classifier model = Training.train(examples.stream(), options)) {
      assertEquals(true, counts[0]);
      assertEquals(head, model.head());
      assertEquals("60", model.info().get("labels"));
      assertTrue(model.info().containsKey("nDCG@5 gained by label texts"));
      assertTrue(Double.parseDouble(model.info().get("weight of label texts")) > 0.05);
      double ofKnown = model.evaluate(known.stream(), 1).precision(1);
      double ofOthers = model.evaluate(others.stream(), 1).precision(1);
      assertTrue(ofKnown > 0.9, () -> ofKnown + " of labels with examples");
      assertTrue(ofOthers > 0.7, () -> ofOthers + " of others, and 0.8 have names");
      Explanation why = model.explain(Example.ofText("The name55"), "label55");
      assertAddsUp(why);
      Explanation.Share ofTexts = why.shares().get(head == ModelHead.BOTH ? 2 : 1);
      assertEquals("texts", ofTexts.head());
      assertEquals("name55", ofTexts.features().get(0).name());
      assertTrue(ofTexts.score() > why.shares().get(0).score(), why::toString);
      assertMessage("label texts", () -> TrainingOptions.defaults().withInitialModel(model));
      Path file = folder.resolve("texts");
      for (ElementType type : List.of(ElementType.FLOAT32, ElementType.FLOAT16)) {
        model.save(file, type);
        try (Classifier loaded = Classifier.load(file)) {
          assertEquals(type, loaded.weightType());
          assertEquals(ofOthers, loaded.evaluate(others.stream(), 1).precision(1), 0.02);
          if (type == ElementType.FLOAT32) {
            assertEquals(model.predict(others, 5), loaded.predict(others, 5));
          }
        }
      }
      String uncalibrated =
          new String(Files.readAllBytes(file), StandardCharsets.ISO_8859_1)
              .replace("mixture.knots", "mixture.knotz")
              .replace("mixture.topTwo", "mixture.topTwz");
      Files.write(file, uncalibrated.getBytes(StandardCharsets.ISO_8859_1));
      assertEquals(
          "texts", assertThrows(FileFormatException.class, () -> Classifier.load(file)).part());
    }
    counts[0] = null;
    TrainingOptions stopped = options.withStop(() -> counts[0] != null);
    assertThrows( // the tree lacks the withheld labels
        CancellationException.class, () -> Training.train(examples.stream(), stopped));
  }

  @ParameterizedTest
  @CsvSource({
    "50, 60, 50, 9", // a sixth of the labels
    "50, 60, 30, 5",
    "50, 60, 2, 1",
    "50, 60, 1, 0", // the only label with a text is learned
    "50, 50, 50, 0",
    "39, 40, 39, 1",
    "16, 18, 9, 1",
    "20, 40, 20, 10",
    "20, 40, 19, 9",
    "10, 40, 10, 5" // at most half of the labels
  })
  void theShareOfLabelsWithoutExamplesIsWithheld(int known, int all, int able, int withheld) {
    List<Example> examples =
        IntStream.range(0, 10 * known)
            .mapToObj(e -> Example.ofText("own" + e % known + " n" + e, "label" + e % known))
            .toList();
    Stream<Example> texts = // texts of labels with examples first, some of them without a word
        IntStream.range(0, all)
            .mapToObj(l -> Example.ofText(l < able || l >= known ? "name" + l : "", "label" + l));
    TrainingOptions options = TrainingOptions.defaults().withMinCount(1).withLabelTexts(texts);
    TrainingSet set = TrainingSet.of(examples.stream(), options);
    List<String> names = set.labelNames();
    assertEquals(all, names.size());
    BitSet found = new HeadTraining(set, options).withheld();
    assertEquals(withheld, found.cardinality());
    Set<String> may =
        IntStream.range(0, able).mapToObj(l -> "label" + l).collect(Collectors.toSet());
    found.stream().mapToObj(names::get).forEach(name -> assertTrue(may.contains(name), name));
  }

  @Test
  void labelTextsThatGainNothing_areLeftOut() {
    TrainingOptions options = TrainingOptions.defaults().withMinCount(3).withHead(ModelHead.LINEAR);
    Stream<Example> foreign =
        IntStream.range(0, 60).mapToObj(l -> Example.ofText("foreign" + l, "label" + l));
    List<Example> examples = named(1000, 0, 50, 1);
    List<Example> others = named(100, 0, 50, 2);
    try (Classifier plain = Training.train(examples, options);
        Classifier model = Training.train(examples, options.withLabelTexts(foreign))) {
      assertFalse(model.info().containsKey("weight of label texts"));
      assertTrue(model.info().containsKey("nDCG@5 gained by label texts"));
      double ofPlain = plain.evaluate(others.stream(), 1).precision(1);
      assertEquals(ofPlain, model.evaluate(others.stream(), 1).precision(1), 0.01);
    }
  }

  /** Each word belongs to one label; without the label, no trained part knows the word. */
  @Test
  void aSetWithoutLabels_hasTheOtherLabelsOfEachExample() {
    List<Example> examples =
        List.of(
            Example.ofText("a b", "x", "y"), Example.ofText("b", "y"), Example.ofText("c", "z"));
    TrainingSet set = TrainingSet.of(examples.stream(), TrainingOptions.defaults());
    assertSame(set, set.without(new BitSet()));
    BitSet withheld = new BitSet();
    withheld.set(set.labelNames().indexOf("y"));
    TrainingSet left = set.without(withheld);
    assertSame(set, left.whole());
    assertEquals(set.labelNames(), left.labelNames());
    assertArrayEquals(new long[] {1, 0, 1}, left.labelCounts());
    assertEquals(0, left.withSeveralLabels());
    assertFalse(left.hasLabel(1, label -> true));
    try (SparseRows labels = left.labels(new int[] {0, 1, 2}, 0, 3)) {
      assertArrayEquals(new int[] {0}, labels.indices(0));
      assertEquals(0, labels.size(1));
      assertArrayEquals(new int[] {2}, labels.indices(2));
    }
  }

  @Test
  void labelTextsThatCannotBe_areRefused() {
    TrainingOptions defaults = TrainingOptions.defaults();
    Example a = Example.ofText("tea", "a");
    Example two = Example.ofText("tea", "b", "c");
    assertMessage(
        "labelTexts: expected one label but 'tea' has 2",
        () -> defaults.withLabelTexts(Stream.of(a, two)));
    assertMessage(
        "labelTexts: expected one label but 'coffee' has none",
        () -> defaults.withLabelTexts(Stream.of(a, Example.ofText("coffee"))));
    assertMessage(
        "labelTexts: expected one text of each label but 'a' has two",
        () -> defaults.withLabelTexts(Stream.of(a, a)));
    assertMessage("there is none", () -> defaults.withLabelTexts(Stream.of()));
    TrainingOptions ofOthers =
        defaults.withLabelTexts(Stream.of(a, Example.ofText(" ", "label1"))); // no word
    assertMessage(
        "labelTexts: expected one of a label that examples have but there is none",
        () -> Training.train(named(100, 0, 50, 1).stream(), ofOthers));
    TrainingOptions named = defaults.withLabelTexts(names());
    Map<String, TrainingOptions> refused =
        Map.of(
            "head: expected LINEAR or BOTH with label texts but was EMBEDDING",
                named.withLabelTree(),
            "expected at most 9 different words but there are 61", named.withMaxFeatures(9));
    refused.forEach(
        (message, options) ->
            assertMessage(message, () -> Training.train(named(100, 0, 50, 1).stream(), options)));
    assertMessage(
        "labelTexts: expected 10 examples",
        () -> Training.train(named(9, 0, 50, 1).stream(), named));
    Example features = Example.ofFeatures(new int[] {1}, new float[] {1}, List.of("a"));
    assertMessage(
        "labelTexts: expected texts, but",
        () -> Training.train(Collections.nCopies(20, features).stream(), named));
    assertMessage(
        "labelTexts: expected texts but one has features",
        () -> defaults.withLabelTexts(Stream.of(features)));
  }

  /** The words do not predict the label, but heads remember the labels of what they learned. */
  @ParameterizedTest
  @EnumSource(
      value = ModelHead.class,
      names = {"LINEAR", "BOTH"})
  void eachFoldIsScoredByHeadsThatHaveNotLearnedIt(ModelHead head) {
    List<Example> future = ofChance(500, 2);
    TrainingOptions options = TrainingOptions.defaults().withHead(head);
    try (Classifier classifier = Training.train(ofChance(300, 1).stream(), options)) {
      assertEquals("300", classifier.info().get("examples held out to calibrate")); // 10 folds
      double first =
          classifier.predict(future, 1).stream()
              .mapToDouble(answers -> answers.get(0).probability())
              .average()
              .orElseThrow();
      assertEquals(0.25, first, 0.07); // of 300: a standard error of 0.025
    }
  }

  @ParameterizedTest
  @EnumSource(
      value = ModelHead.class,
      names = {"LINEAR", "BOTH"})
  void progressOfTheLinearHeadNeverFallsAndReachesItsEnd(ModelHead head) {
    double[] last = {0};
    TrainingListener progress =
        new TrainingListener() {
          @Override
          public void linear(double part) {
            assertTrue(part >= last[0], () -> part + " after " + last[0]);
            last[0] = part;
          }
        };
    TrainingOptions options = TrainingOptions.defaults().withHead(head).withListener(progress);
    Training.train(ofChance(300, 1).stream(), options).close();
    assertEquals(1, last[0]);
  }

  /** Returns texts of random words, each with one of four labels at random. */
  private static List<Example> ofChance(int count, long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    return IntStream.range(0, count)
        .mapToObj(
            e -> {
              String text =
                  random.ints(8, 0, 60).mapToObj(w -> "w" + w).collect(Collectors.joining(" "));
              return Example.ofText(text, "label" + random.nextInt(4));
            })
        .toList();
  }

  @ParameterizedTest
  @EnumSource(ModelHead.class)
  void probabilitiesOfARareLabelAreLow(ModelHead head) {
    List<Example> future = uneven(4000, 2);
    TrainingOptions options = with(head, TrainingOptions.defaults().withDimension(8));
    try (Classifier classifier = Training.train(uneven(8000, 1).stream(), options)) {
      double mean =
          classifier.predict(future, 2).stream()
              .flatMap(List::stream)
              .filter(prediction -> prediction.label().equals("rare"))
              .mapToDouble(Prediction::probability)
              .average()
              .orElseThrow();
      // A tenth is 800 examples, 8 of them with the label: a standard error of .0035.
      assertTrue(mean > 0.002 && mean < 0.022, "mean " + mean);
    }
  }

  /** With that many examples, the linear head is not retrained on all of them. */
  @Test
  void textsThatAreFrequent_areLearned_andTheirProbabilitiesAreHigh() {
    List<Example> lines =
        IntStream.range(0, 20_000)
            .mapToObj(e -> Example.ofText("line" + e % 20, "label" + e % 20))
            .toList();
    TrainingOptions options = TrainingOptions.defaults().withHead(ModelHead.LINEAR);
    try (Classifier classifier = Training.train(lines.stream(), options)) {
      for (int text = 0; text < 20; text++) {
        Prediction first = classifier.predict("line" + text, 1).get(0);
        assertEquals("label" + text, first.label());
        assertTrue(first.probability() > 0.9, first::toString);
      }
    }
  }

  /** Returns examples of which one in a hundred has the rare label, whose words say little. */
  private static List<Example> uneven(int count, long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    return IntStream.range(0, count)
        .mapToObj(
            e -> {
              boolean isRare = random.nextInt(100) == 0;
              String text =
                  random
                      .ints(6, 0, 100)
                      .mapToObj(word -> random.nextInt(isRare ? 10 : 20) == 0 ? "r" : "w" + word)
                      .collect(Collectors.joining(" "));
              return Example.ofText(text, isRare ? "rare" : "common");
            })
        .toList();
  }

  @Test
  void anEmbeddingAloneIsCalibrated_andItsFileKeepsThat() throws IOException {
    List<Example> heldOut = examples(300, 2);
    Path file = folder.resolve("model");
    try (Classifier classifier = trained(ModelHead.EMBEDDING)) {
      Decisions decisions = classifier.evaluate(heldOut.stream(), 1, 0.5, e -> {}).decisions();
      assertTrue(decisions.firstCalibrationError() < 0.1, decisions.reliability()::toString);
      classifier.save(file);
      try (Classifier loaded = Classifier.load(file)) {
        assertEquals(classifier.predict(heldOut, 3), loaded.predict(heldOut, 3));
      }
    }
  }

  @Test
  void aFileOfBothHeads_hasTheirWeightsAndCalibration() throws IOException {
    List<Example> heldOut = examples(300, 2);
    Path file = folder.resolve("model");
    try (Classifier trained = trained(ModelHead.BOTH)) {
      ScoreCalibration calibration =
          ScoreCalibration.of(new float[] {-6, -2.5f, -0.5f}, new float[] {-7, -1, 2})
              .withTopTwo(1.5, -0.25, 0.125, 0.5);
      TrainedClassifier model = TrainedClassifier.require(trained);
      Classifier changed = // has the same layers
          model.with(model.heads().withWeights(new float[] {0.75f, 0.25f}, calibration));
      changed.save(file);
      try (Classifier loaded = Classifier.load(file)) {
        assertEquals(ModelHead.BOTH, loaded.head());
        assertEquals(changed.predict(heldOut, 5), loaded.predict(heldOut, 5));
      }
    }
  }

  /** There are too few examples to hold any out: probabilities stay those of the heads. */
  @ParameterizedTest
  @EnumSource(ModelHead.class)
  void withoutExamplesToCalibrate_probabilitiesStay(ModelHead head) throws IOException {
    List<Example> few =
        List.of(
            Example.ofText("green leaves", "tea"),
            Example.ofText("black leaves", "tea"),
            Example.ofText("roasted beans", "coffee"),
            Example.ofText("ground beans", "coffee"));
    Path file = folder.resolve("model");
    TrainingOptions options = with(head, TrainingOptions.defaults().withEpochs(50));
    try (Classifier classifier = Training.train(few.stream(), options)) {
      List<Prediction> found = classifier.predict("green leaves", 2);
      assertEquals("tea", found.get(0).label());
      assertTrue(found.get(0).probability() > 0.6, found::toString);
      assertEquals(null, classifier.info().get("nDCG@5 gained by the embedding"));
      double probability = found.get(0).probability();
      PredictionOptions likely = PredictionOptions.top(2).withThreshold(0.99 * probability);
      assertEquals(1, classifier.predict(few.subList(0, 1), likely).get(0).size());
      classifier.save(file);
      try (Classifier loaded = Classifier.load(file)) {
        assertEquals(head, loaded.head());
        assertEquals(found, loaded.predict("green leaves", 2));
        TrainingOptions more = TrainingOptions.defaults().withInitialModel(loaded);
        try (Classifier continued = Training.train(few.stream(), more)) {
          assertEquals(head, continued.head());
          assertTrue(continued.predict("green leaves", 1).get(0).probability() > 0.6);
        }
      }
    }
  }

  /** If validation examples have other frequencies, probabilities are right for these. */
  @ParameterizedTest
  @EnumSource(
      value = ModelHead.class,
      names = {"LINEAR", "BOTH"})
  void probabilitiesAreThoseOfTheValidationExamples(ModelHead head) {
    List<Example> validation = hidden(600, 2);
    List<Example> future = hidden(600, 3);
    TrainingOptions options = with(head, SMALL);
    double own;
    try (Classifier classifier = Training.train(examples(2400, 1).stream(), options)) {
      own =
          classifier.evaluate(future.stream(), 1, 0.5, e -> {}).decisions().firstCalibrationError();
    }
    try (Classifier classifier =
        Training.train(examples(2400, 1).stream(), options.withValidation(validation.stream()))) {
      Decisions decisions = classifier.evaluate(future.stream(), 1, 0.5, e -> {}).decisions();
      double error = decisions.firstCalibrationError();
      assertTrue(error < 0.05 && error < own / 3, error + " of " + own);
      assertEquals("0", classifier.info().get("examples held out to calibrate"));
    }
  }

  /** Returns examples of which half have no word of their label. */
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
    try (Classifier classifier = Training.train(many.stream(), LINEAR)) {
      assertEquals("1000", classifier.info().get("examples held out to calibrate"));
      List<Prediction> found = classifier.predict(many.get(7), 2);
      assertEquals("label7", found.get(0).label());
      assertTrue(found.get(0).probability() > 0.9, found::toString);
    }
  }

  @Test
  void aFileWhosePartsDoNotFit_isRefused() throws IOException {
    Path file = folder.resolve("model");
    try (Classifier classifier = Training.train(examples(400, 1).stream(), LINEAR)) {
      classifier.save(file);
    }
    try (LinearLabelTree tree = LinearLabelTree.load(file)) {
      Map<String, String> old = new TreeMap<>(tree.metadata());
      old.put("classifier.format", "1");
      assertBad(saved(tree, old), "classifier.format: expected 2");
      assertBad(saved(tree, tree.metadata()), "blocksparse.mixture.scorers");
      for (String name : List.of("linear", "other")) {
        try (SparseRows rows = SparseRows.of(List.of(new int[] {0}));
            SparseWeights weights = SparseWeights.of(rows, 1)) {
          MixtureBuilder builder = Mixture.builder().weights(name, weights);
          Mixture heads =
              name.equals("other") ? builder.tree("linear", tree).build() : builder.build();
          heads.save(file, SaveOptions.defaults().withMetadata(tree.metadata()));
          assertBad(file, "scorers");
        }
      }
    }
  }

  private Path saved(LinearLabelTree tree, Map<String, String> metadata) throws IOException {
    Path file = folder.resolve("changed");
    tree.save(file, SaveOptions.defaults().withMetadata(metadata));
    return file;
  }

  private static void assertBad(Path file, String part) {
    IOException e = assertThrows(IOException.class, () -> Classifier.load(file));
    assertTrue(e.getMessage().contains(part), e.getMessage());
  }
}
