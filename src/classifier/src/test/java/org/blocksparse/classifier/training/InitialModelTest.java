// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.training;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.function.UnaryOperator;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.blocksparse.ElementType;
import org.blocksparse.classifier.Classifier;
import org.blocksparse.classifier.LabelCounts;
import org.blocksparse.classifier.ModelHead;
import org.blocksparse.classifier.Prediction;
import org.blocksparse.classifier.TrainedClassifier;
import org.blocksparse.classifier.examples.Example;
import org.blocksparse.classifier.examples.Texts;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Training that continues from a model. */
final class InitialModelTest {
  private static final int LABELS = 20;
  private static final int ALL_LABELS = 24;
  private static final TrainingOptions SMALL =
      TrainingOptions.defaults().withHead(ModelHead.EMBEDDING).withDimension(8);

  @TempDir private Path folder;

  private static Classifier first(TrainingOptions options) {
    return Training.train(Texts.examples(1000, LABELS, 1), options);
  }

  /** Returns examples whose labels and words the first model mostly knows. */
  private static Stream<Example> newer() {
    return Texts.examples(600, ALL_LABELS, 3);
  }

  private static double precision(Classifier classifier, Stream<Example> examples) {
    return classifier.evaluate(examples, 1).precision(1);
  }

  @ParameterizedTest
  @CsvSource({"false, 1", "false, 4", "true, 1", "true, 4"})
  void newLabelsAndWords_areLearned_andOldOnesKept(boolean tree, int classes) throws IOException {
    TrainingOptions options = SMALL.withClasses(classes);
    Path file = folder.resolve("model");
    try (Classifier initial = first(tree ? options.withLabelTree() : options)) {
      List<Prediction> before = initial.predict("my-own3 n1", 3);
      float[] table = TrainedClassifier.require(initial).bag().table().toArray();
      TrainingOptions further =
          TrainingOptions.defaults().withInitialModel(initial).withRate(0.1).withSeed(5);
      try (Classifier grown = Training.train(newer(), further)) {
        assertEquals(ALL_LABELS, grown.labels().size());
        assertEquals(initial.labels(), grown.labels().subList(0, LABELS));
        assertEquals(classes, grown.classes().size());
        assertEquals(initial.info().get("layer"), grown.info().get("layer"));
        assertEquals("8", grown.info().get("dimension"));
        Stream<Example> old = Texts.examples(200, LABELS, 2);
        assertTrue(precision(grown, old) > 0.95, () -> "of old labels: " + grown);
        Stream<Example> news =
            Texts.examples(600, ALL_LABELS, 4).filter(e -> !initial.knows(e.labels().get(0)));
        assertTrue(precision(grown, news) > 0.95, () -> "of new labels: " + grown);
        assertTrue(grown.knowsFeatureOf(Example.ofText("word" + (ALL_LABELS - 1))));
        grown.save(file);
        try (Classifier loaded = Classifier.load(file)) {
          assertEquals(grown.predict("my-own23 n1", 3), loaded.predict("my-own23 n1", 3));
        }
      }
      assertEquals(before, initial.predict("my-own3 n1", 3)); // it is unchanged
      assertArrayEquals(table, TrainedClassifier.require(initial).bag().table().toArray());
      assertEquals(LABELS, initial.labels().size());
    }
  }

  @Test
  void trainingBegins_whereTheModelIs() {
    try (Classifier initial = first(SMALL.withEpochs(3));
        Classifier same =
            Training.train(
                Texts.examples(1000, LABELS, 1),
                TrainingOptions.defaults()
                    .withInitialModel(initial)
                    .withRate(1e-20)
                    .withEpochs(1))) {
      List<Example> heldOut = Texts.examples(50, LABELS, 2).toList();
      assertEquals(initial.predict(heldOut, 5), same.predict(heldOut, 5));
      TrainingOptions further = TrainingOptions.defaults().withInitialModel(initial);
      assertEquals(0.01, new TrainingDefaults(further).rate());
      assertEquals(0.2, new TrainingDefaults(SMALL).rate());
    }
  }

  @Test
  void labelCounts_areThoseOfAllExamples() {
    try (Classifier initial = first(SMALL.withEpochs(1));
        Classifier grown =
            Training.train(
                newer(), TrainingOptions.defaults().withInitialModel(initial).withEpochs(1))) {
      LabelCounts counts = TrainedClassifier.require(grown).labelCounts().orElseThrow();
      assertEquals(1600, counts.examples());
      long[] expected = new long[ALL_LABELS];
      Arrays.setAll(expected, label -> label < LABELS ? 50 + 25 : 25);
      assertArrayEquals(expected, counts.ofLabels());
    }
  }

  @Test
  void mostFeatures_areThoseOfBothTogether() {
    try (Classifier initial = first(SMALL.withEpochs(1))) {
      int rows = TrainedClassifier.require(initial).bag().vocabulary();
      TrainingOptions further = TrainingOptions.defaults().withInitialModel(initial).withEpochs(1);
      try (Classifier grown = Training.train(newer(), further.withMaxFeatures(rows + 2));
          Classifier full = Training.train(newer(), further.withMaxFeatures(1))) {
        assertEquals(rows + 2, TrainedClassifier.require(grown).bag().vocabulary());
        assertEquals(rows, TrainedClassifier.require(full).bag().vocabulary());
        assertFalse(full.knowsFeatureOf(Example.ofText("word23")));
      }
    }
  }

  @Test
  void modelsThatCannotBeTrained_areRefused() throws IOException {
    Path small = folder.resolve("small");
    try (Classifier initial = first(SMALL.withEpochs(1));
        Classifier tree = first(SMALL.withEpochs(1).withLabelTree())) {
      initial.save(small, ElementType.INT8);
      try (Classifier narrow = Classifier.load(small)) {
        assertRefused(
            "initialModel: expected weights of FLOAT32 but was INT8; take the model that these were"
                + " rounded from",
            () -> TrainingOptions.defaults().withInitialModel(narrow));
      }
      assertRefused(
          "examples: have features, but the initial model was trained on texts",
          () ->
              Training.train(
                  IntStream.range(0, 9).mapToObj(InitialModelTest::sparse),
                  TrainingOptions.defaults().withInitialModel(initial)));
    }
  }

  @Test
  void optionsThatTheModelDetermines_areRefused_inAnyOrder() {
    Map<String, UnaryOperator<TrainingOptions>> changes =
        Map.of(
            "dimension", options -> options.withDimension(8),
            "labelTree", options -> options.withLabelTree(),
            "wordNgrams", options -> options.withWordNgrams(2),
            "plainWords", options -> options.withPlainWords());
    TrainingOptions defaults = TrainingOptions.defaults();
    try (Classifier initial = first(SMALL.withEpochs(1))) {
      TrainingOptions further = defaults.withInitialModel(initial);
      changes.forEach(
          (name, change) -> {
            String message = name + ": expected no initialModel as well, which has it";
            TrainingOptions changed = change.apply(defaults);
            assertRefused(message, () -> changed.withInitialModel(initial));
            assertRefused(message, () -> assertNotNull(change.apply(further)));
          });
      assertEquals(8, new TrainingDefaults(further).dimension(LABELS, true));
    }
  }

  private static Example sparse(int number) {
    float value = new SplittableRandom(number).nextInt(1, 5);
    return Example.ofFeatures(new int[] {number % 3}, new float[] {value}, List.of("a"));
  }

  private static void assertRefused(String message, Runnable call) {
    assertEquals(message, assertThrows(IllegalArgumentException.class, call::run).getMessage());
  }
}
