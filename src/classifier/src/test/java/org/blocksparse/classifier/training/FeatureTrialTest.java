// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.training;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.SplittableRandom;
import java.util.function.IntFunction;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.blocksparse.classifier.Classifier;
import org.blocksparse.classifier.Explanation;
import org.blocksparse.classifier.ModelHead;
import org.blocksparse.classifier.examples.Example;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** A trial's held-out examples choose the features. */
final class FeatureTrialTest {
  private static final int LABELS = 10;

  @TempDir private Path folder;

  /** Returns texts of one word each, all different: the label depends on the stem alone. */
  private static List<Example> inflected(int count, long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    return IntStream.range(0, count)
        .mapToObj(
            e -> {
              int label = random.nextInt(LABELS);
              String stem = "käsi" + (char) ('a' + label) + (char) ('a' + label);
              return Example.ofText(
                  stem + Integer.toString(random.nextInt(1 << 30), 36), "l" + label);
            })
        .toList();
  }

  /** Returns texts whose label depends on two adjacent words, and on neither alone. */
  private static List<Example> pairs(int count, long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    return IntStream.range(0, count)
        .mapToObj(
            e -> {
              boolean isOne = random.nextBoolean();
              boolean isFirst = random.nextBoolean();
              return Example.ofText(
                  isOne == isFirst ? "red tea . green sea" : "red sea . green tea",
                  isOne == isFirst ? "one" : "other");
            })
        .toList();
  }

  private static final int NAMED = 40;

  /**
   * Four texts for each label, of words that say nothing; of three labels in four, the name is in
   * every other text.
   *
   * @param name of a label, which is in its texts as it is spoken
   */
  private static List<Example> named(IntFunction<String> name) {
    SplittableRandom random = new SplittableRandom(5);
    return IntStream.range(0, 4 * NAMED)
        .mapToObj(
            e -> {
              int label = e / 4;
              String spoken = e % 2 == 0 && label % 4 != 0 ? "open parcel" + label : "please";
              return Example.ofText(
                  spoken + " word" + random.nextInt(1000) + " word" + random.nextInt(1000),
                  name.apply(label));
            })
        .toList();
  }

  private static TrainingOptions chosen(List<Example> examples, TrainingOptions options) {
    FeatureTrial.Choice choice = FeatureTrial.choose(examples.stream(), options);
    assertEquals(examples, choice.examples().toList());
    return choice.options();
  }

  @Test
  void charactersStayWhereTheyGain_andPairsToo() {
    TrainingOptions options = TrainingOptions.defaults();
    TrainingOptions ofInflected = chosen(inflected(600, 1), options);
    assertFalse(ofInflected.textFeatures().characters().areNone());
    TrainingOptions ofPairs = chosen(pairs(600, 1), options);
    assertTrue(ofPairs.textFeatures().characters().areNone());
    assertEquals(2, ofPairs.textFeatures().wordNgrams());
  }

  @Test
  void whatIsSetStays_andFewExamplesShowNothing() {
    TrainingOptions options = TrainingOptions.defaults();
    TrainingOptions none = chosen(inflected(600, 1), options.withCharNgrams(0, 0));
    assertTrue(none.textFeatures().characters().areNone());
    TrainingOptions set = options.withWordNgrams(1).withCharNgrams(2, 2);
    assertEquals("2-2", chosen(pairs(600, 1), set).textFeatures().characters().toString());
    assertEquals(1, chosen(pairs(600, 1), options.withWordNgrams(1)).textFeatures().wordNgrams());
    assertTrue(chosen(inflected(99, 1), options).textFeatures().characters().areNone());
    assertThrows(IllegalArgumentException.class, () -> options.withCharNgrams(0, 3));
    assertThrows(IllegalArgumentException.class, () -> options.withCharNgrams(3, 2));
    assertThrows(IllegalArgumentException.class, () -> options.withCharNgrams(3, 11));
  }

  @Test
  void namesOfLabels_areExamples_whereTheyGain() {
    TrainingOptions options = TrainingOptions.defaults().withHead(ModelHead.LINEAR);
    for (String written : List.of("parcel%d", "OpenParcel%d", "open_parcel%d")) {
      List<Example> examples = named(written::formatted);
      assertTrue(chosen(examples, options).labelNames());
      try (Classifier model = Training.train(examples, options)) {
        assertEquals(Integer.toString(4 * NAMED), model.info().get("examples"));
        for (int label = 0; label < NAMED; label += 4) { // no text has their names
          String first = model.predict("parcel" + label, 1).get(0).label();
          assertEquals(written.formatted(label), first);
        }
      }
    }
    List<Example> numbered =
        IntStream.range(0, 4 * NAMED)
            .mapToObj(e -> Example.ofText("parcel" + e / 4 + " word" + e, Integer.toString(e / 4)))
            .toList();
    assertFalse(chosen(numbered, options).labelNames());
  }

  @Test
  void anErrorCosts_whatHeldOutExamplesAskFor() {
    TrainingOptions options = TrainingOptions.defaults();
    // The label is that of one word; the others are noise, and so is one label in three.
    SplittableRandom random = new SplittableRandom(3);
    List<Example> noisy =
        IntStream.range(0, 1000)
            .mapToObj(
                e -> {
                  int label = random.nextInt(LABELS);
                  int seen = random.nextInt(3) == 0 ? random.nextInt(LABELS) : label;
                  int[] words = {label, 10 + random.nextInt(990), 10 + random.nextInt(990)};
                  return Example.ofFeatures(words, new float[] {1, 1, 1}, List.of("l" + seen));
                })
            .toList();
    assertEquals(0.5f, chosen(noisy, options).cost());
    assertEquals(1, chosen(noisy.subList(0, 99), options).cost());
    // A rare label has a word of its own, beside one that nearly always means the frequent label.
    List<Example> rare =
        IntStream.range(0, 1000)
            .mapToObj(
                e -> {
                  int label = Math.max(0, random.nextInt(300) - 280);
                  int[] words = {30, label, 40 + random.nextInt(10)};
                  return Example.ofFeatures(words, new float[] {5, 1, 1}, List.of("l" + label));
                })
            .toList();
    assertEquals(4, chosen(rare, options).cost());
    // No feature of a sample occurs so often.
    assertEquals(50_000, chosen(rare, options.withMinCount(50_000)).minCount());
  }

  @Test
  void examplesWithFeatures_areHandedOn() {
    List<Example> examples =
        IntStream.range(0, 200)
            .mapToObj(e -> Example.ofFeatures(new int[] {e}, new float[] {1}, List.of("a")))
            .toList();
    assertEquals(
        examples,
        FeatureTrial.choose(examples.stream(), TrainingOptions.defaults()).examples().toList());
    assertEquals(
        0, FeatureTrial.choose(Stream.of(), TrainingOptions.defaults()).examples().count());
  }

  @ParameterizedTest
  @EnumSource(ModelHead.class)
  void everyHeadTakesThem_fromItsFile_andLearnsOn(ModelHead head) throws IOException {
    List<Example> heldOut = inflected(200, 2);
    TrainingOptions options = TrainingOptions.defaults().withHead(head).withCharNgrams(3, 5);
    TrainingOptions small =
        head == ModelHead.LINEAR ? options : options.withDimension(16).withEpochs(3);
    Path file = folder.resolve("model");
    try (Classifier model = Training.train(inflected(800, 1).stream(), small)) {
      assertTrue(model.evaluate(heldOut.stream(), 1).precision(1) > 0.9);
      model.save(file);
      try (Classifier loaded = Classifier.load(file)) {
        assertEquals(model.predict(heldOut, 3), loaded.predict(heldOut, 3));
        Explanation why = loaded.explain(heldOut.get(0), heldOut.get(0).labels().get(0));
        assertTrue(
            why.shares().stream()
                .flatMap(share -> share.features().stream())
                .anyMatch(feature -> feature.name().matches("\\*.{2,5}\\*")),
            why::toString);
        List<Example> more =
            Stream.concat(
                    inflected(200, 3).stream(),
                    IntStream.range(0, 100).mapToObj(e -> Example.ofText("uusisana" + e, "new")))
                .toList();
        TrainingOptions on = TrainingOptions.defaults().withInitialModel(loaded);
        try (Classifier grown = Training.train(more.stream(), on)) {
          grown.save(file);
          try (Classifier again = Classifier.load(file)) {
            assertEquals(grown.predict(heldOut, 3), again.predict(heldOut, 3));
            assertEquals("new", again.predict("uusisana7", 1).get(0).label());
            again.explain(more.get(250), "new");
          }
        }
      }
    }
  }
}
