// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.training;

import static java.util.stream.Collectors.joining;
import static java.util.stream.Collectors.toSet;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.blocksparse.ElementType;
import org.blocksparse.Workers;
import org.blocksparse.classifier.Classifier;
import org.blocksparse.classifier.ModelHead;
import org.blocksparse.classifier.Prediction;
import org.blocksparse.classifier.examples.Example;
import org.blocksparse.classifier.examples.Texts;
import org.blocksparse.io.LoadOptions;
import org.blocksparse.ranking.Metrics;
import org.blocksparse.softmax.LabelTree;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Examples with no, one or several labels, for both layers. */
final class SeveralLabelsTest {
  private static final int LABELS = 40;
  private static final TrainingOptions SOFTMAX =
      TrainingOptions.defaults().withHead(ModelHead.EMBEDDING).withDimension(32).withClasses(7);
  private static final TrainingOptions TREE = SOFTMAX.withLabelTree();

  @TempDir private Path folder;

  /** Returns examples with up to three labels, the same for the same seed. */
  private static List<Example> examples(int count, long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    return Stream.generate(() -> example(random)).limit(count).toList();
  }

  private static Example example(SplittableRandom random) {
    List<Integer> labels = random.ints(random.nextInt(4), 0, LABELS).distinct().boxed().toList();
    String noise = "n" + random.nextInt(50) + " n" + random.nextInt(50);
    return Example.ofText(
        noise + labels.stream().map(label -> " " + Texts.of(label, random)).collect(joining()),
        labels.stream().map(label -> "label" + label).toArray(String[]::new));
  }

  private static Classifier trained(TrainingOptions options) {
    return Training.train(examples(3000, 1).stream(), options);
  }

  private static Set<String> probable(List<Prediction> predictions) {
    return predictions.stream()
        .filter(prediction -> prediction.probability() >= 0.5)
        .map(Prediction::label)
        .collect(toSet());
  }

  /**
   * Returns precision and recall, over all labels of all examples, of labels with probability above
   * 1/2.
   */
  private static double[] ofProbable(Classifier classifier, List<Example> examples) {
    double both = 0;
    double found = 0;
    double right = 0;
    for (Example example : examples) {
      Set<String> probable = probable(classifier.predict(example, LABELS));
      Set<String> labels = new HashSet<>(example.labels());
      found += probable.size();
      right += labels.size();
      labels.retainAll(probable);
      both += labels.size();
    }
    return new double[] {both / found, both / right};
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 7}) // 0 means one class: one against all
  void aTree_tellsWhichLabelsAreThere_howeverManyThatAre(int classes) {
    List<Example> heldOut = examples(300, 2);
    try (Classifier classifier = trained(TREE.withClasses(classes).withDimension(64))) {
      assertEquals(Math.max(1, classes), classifier.classes().size());
      Metrics metrics = classifier.evaluate(heldOut.stream(), 3);
      assertTrue(metrics.precision(1) > 0.95, metrics::toString);
      assertTrue(metrics.recall(3) > 0.95, metrics::toString);
      double[] quality = ofProbable(classifier, heldOut);
      assertTrue(quality[0] > 0.95 && quality[1] > 0.9, () -> Arrays.toString(quality));
      assertEquals(Set.of(), probable(classifier.predict("n1 n2 n3", LABELS)));
    }
  }

  @Test
  void aSoftmax_ranksThem_andIsCalibratedForEachLabel() {
    List<Example> heldOut = examples(300, 2);
    try (Classifier classifier = trained(SOFTMAX.withDimension(64).withPlainWords())) {
      Metrics metrics = classifier.evaluate(heldOut.stream(), 3);
      assertTrue(metrics.precision(1) > 0.95, metrics::toString);
      assertTrue(metrics.recall(3) > 0.95, metrics::toString);
      double[] quality = ofProbable(classifier, heldOut);
      assertTrue(quality[0] > 0.9 && quality[1] > 0.9, () -> Arrays.toString(quality));
    }
  }

  @Test
  void aTree_isTheSameFromItsFile_mappedToo() throws IOException {
    Path file = folder.resolve("model");
    List<Example> heldOut = examples(200, 2);
    List<List<Prediction>> before;
    try (Classifier classifier = trained(TREE)) {
      before = classifier.predict(heldOut, 5);
      classifier.save(file);
      assertTrue(classifier.toString().contains("LabelTree("), classifier::toString);
    }
    byte[] written = Files.readAllBytes(file);
    LoadOptions mapped = LoadOptions.mapped().withWorkers(Workers.callingThread());
    try (Classifier loaded = Classifier.load(file, mapped)) {
      assertEquals(before, loaded.predict(heldOut, 5));
      assertEquals("LabelTree", loaded.info().get("layer"));
      assertEquals(LABELS, loaded.classes().stream().mapToInt(List::size).sum());
      loaded.save(file); // over the mapped file itself
      assertArrayEquals(written, Files.readAllBytes(file));
    }
    try (Classifier classifier = trained(SOFTMAX.withEpochs(1))) {
      assertEquals("HierarchicalSoftmax", classifier.info().get("layer"));
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void equalSeedsGiveEqualFiles_withAnyWorkers(boolean labelTree) throws IOException {
    TrainingOptions options = labelTree ? TREE : SOFTMAX;
    byte[] first = saved(options.withSeed(3));
    assertArrayEquals(first, saved(options.withSeed(3).withWorkers(Workers.callingThread())));
    assertFalse(Arrays.equals(first, saved(options.withSeed(4))));
  }

  private byte[] saved(TrainingOptions options) throws IOException {
    Path file = folder.resolve("seeded");
    try (Classifier classifier = trained(options.withEpochs(1))) {
      classifier.save(file);
    }
    return Files.readAllBytes(file);
  }

  @ParameterizedTest
  @EnumSource(names = {"FLOAT16", "BFLOAT16", "INT8"})
  void aTreeInFewerBits_predictsNearlyTheSame(ElementType type) throws IOException {
    Path smaller = folder.resolve("smaller");
    List<Example> heldOut = examples(200, 2);
    try (Classifier wide = trained(TREE)) {
      wide.save(smaller, type);
      try (Classifier narrow = Classifier.load(smaller)) {
        assertEquals(type, narrow.weightType());
        assertEquals("LabelTree", narrow.info().get("layer"));
        double[] before = ofProbable(wide, heldOut);
        double[] after = ofProbable(narrow, heldOut);
        assertArrayEquals(before, after, 0.01);
      }
    }
  }

  @Test
  void examplesWithoutALabel_areLearnedFrom_byATreeOnly() {
    long without = examples(3000, 1).stream().filter(e -> e.labels().isEmpty()).count();
    assertTrue(without > 500);
    try (Classifier tree = trained(TREE.withEpochs(1));
        Classifier softmax = trained(SOFTMAX.withEpochs(1))) {
      assertEquals("3000", tree.info().get("examples"));
      assertEquals(Long.toString(3000 - without), softmax.info().get("examples"));
    }
    List<Example> none = List.of(Example.ofText("a"), Example.ofText("b"));
    assertEquals(
        "examples: none has a label",
        assertThrows(
                IllegalArgumentException.class, () -> Training.train(none.stream(), TREE).close())
            .getMessage());
    try (Classifier first = // its kind is that of all models
        Training.train(Stream.of(none.get(0), Example.ofText("c", "x")), TREE)) {
      assertEquals(1, first.predict("c", 5).size());
    }
  }

  @Test
  void anEpochOfATree_learnsAllLabels_soThatItTakesFewer() {
    try (Classifier tree = trained(TREE);
        Classifier softmax = trained(SOFTMAX)) {
      assertEquals("7", tree.info().get("epochs planned")); // 20,000 by 3,000
      int more = Integer.parseInt(softmax.info().get("epochs planned"));
      assertTrue(more > 10, () -> "epochs of a softmax: " + more);
      assertEquals("0.0", tree.info().get("smoothing"));
      assertEquals("0.1", softmax.info().get("smoothing"));
    }
  }

  @Test
  void theBestTree_isKept_andTrainingEndsEarly() {
    List<LearningPoint> points = new ArrayList<>();
    TrainingListener listener =
        new TrainingListener() {
          @Override
          public void epoch(LearningPoint point) {
            points.add(point);
          }
        };
    List<Example> heldOut = examples(300, 2);
    try (Classifier classifier =
        trained(
            TREE.withListener(listener)
                .withEpochs(60)
                .withValidation(heldOut.stream())
                .withPatience(2))) {
      int epochs = points.size();
      assertTrue(epochs < 60, () -> "epochs: " + epochs);
      assertFalse(points.get(epochs - 1).best() || points.get(epochs - 2).best());
      LearningPoint best = points.get(epochs - 3);
      assertTrue(best.best());
      assertEquals(best.precision(), classifier.evaluate(heldOut.stream(), 1).precision(1));
      assertEquals("LabelTree", classifier.info().get("layer"));
    }
  }

  @Test
  void aTreeThatIsStopped_isAModel() {
    int[] steps = {0};
    TrainingListener listener =
        new TrainingListener() {
          @Override
          public void step(int examples, double loss) {
            steps[0]++;
          }
        };
    TrainingOptions options = TREE.withListener(listener).withStop(() -> steps[0] >= 5);
    try (Classifier classifier = trained(options.withEpochs(1000))) {
      assertEquals(5, steps[0]);
      assertEquals(3, classifier.predict("anything", 3).size());
    }
  }

  @Test
  void smoothing_isOfASoftmax() {
    assertEquals(0.1, new TrainingDefaults(SOFTMAX).smoothing());
    assertEquals(0, new TrainingDefaults(TREE).smoothing());
  }

  @Test
  void aTree_learnsFromSparseFeatures() {
    List<Example> examples = new ArrayList<>();
    SplittableRandom random = new SplittableRandom(7);
    for (int e = 0; e < 2000; e++) {
      int[] labels = random.ints(random.nextInt(3), 0, LABELS).distinct().sorted().toArray();
      int[] indices = Arrays.copyOf(labels, labels.length + 1);
      indices[labels.length] = 1000 + random.nextInt(50);
      float[] values = new float[indices.length];
      Arrays.fill(values, 3);
      examples.add(
          Example.ofFeatures(
              indices, values, Arrays.stream(labels).mapToObj(Integer::toString).toList()));
    }
    try (Classifier classifier = Training.train(examples.stream(), TREE)) {
      assertEquals(
          Set.of("3", "11"),
          probable(
              classifier.predict(
                  Example.ofFeatures(new int[] {3, 11, 1007}, new float[] {3, 3, 3}, List.of()),
                  LABELS)));
      assertEquals(
          Set.of(),
          probable(
              classifier.predict(
                  Example.ofFeatures(new int[] {1007}, new float[] {3}, List.of()), LABELS)));
    }
  }

  @Test
  void aLayerThatIsNoModel_isRefused() throws IOException {
    Path bad = folder.resolve("bad");
    try (LabelTree layer = LabelTree.builder(4, 10).build()) {
      layer.save(bad);
      assertRefused(bad, "classifier.format: is missing: not a file of a classifier");
    }
  }

  private static void assertRefused(Path file, String problem) {
    assertEquals(
        file + ": " + problem,
        assertThrows(IOException.class, () -> Classifier.load(file).close()).getMessage());
  }
}
