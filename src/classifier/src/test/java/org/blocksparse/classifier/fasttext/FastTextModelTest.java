// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.fasttext;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.blocksparse.ElementType;
import org.blocksparse.FloatTensor;
import org.blocksparse.Workers;
import org.blocksparse.classifier.Classifier;
import org.blocksparse.classifier.Evaluation;
import org.blocksparse.classifier.LabelFilter;
import org.blocksparse.classifier.Prediction;
import org.blocksparse.classifier.PredictionOptions;
import org.blocksparse.classifier.examples.Example;
import org.blocksparse.classifier.examples.InvalidInputException;
import org.blocksparse.classifier.training.TrainingOptions;
import org.blocksparse.io.LoadOptions;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Models of fastText's program give the same answers here. */
class FastTextModelTest {
  private static final int LABELS = 300;
  private static final int TEXTS = Integer.getInteger("blocksparse.fasttext.texts", 2000);
  private static final int TOP = 5;

  /** The number that fastText adds to each probability before its logarithm. */
  private static final double ADDED = 1e-5;

  @TempDir static Path folder;
  private static Path examples;
  private static Path texts;
  private static List<String> lines;

  @BeforeAll
  static void write() throws IOException {
    FastTextPrograms.assumeInstalled();
    examples =
        Files.writeString(folder.resolve("train"), FastTextPrograms.examples(2500, LABELS, 1));
    SplittableRandom random = new SplittableRandom(2);
    lines = new ArrayList<>(List.of("", " ", "unknown"));
    lines.add("__label__l1 topic2 __label__none x");
    lines.add("<> > < <a b>");
    while (lines.size() < TEXTS) {
      lines.add(FastTextPrograms.line(random.nextInt(LABELS), random));
    }
    texts = Files.writeString(folder.resolve("texts"), String.join("\n", lines) + "\n");
  }

  @ParameterizedTest
  @CsvSource({
    "softmax, -dim 10 -lr 0.5 -epoch 20, ",
    "one-class-of-words, -dim 10 -lr 0.5 -minCount 5 -wordNgrams 3 -bucket 1000, ",
    "parts, -dim 16 -lr 0.5 -epoch 9 -minn 2 -maxn 5 -wordNgrams 2 -bucket 2003, ",
    "first-characters, -dim 3 -minn 0 -maxn 1 -bucket 50, ",
    "hs, -dim 10 -lr 0.5 -epoch 20 -loss hs -wordNgrams 2 -bucket 999, ",
    "hs-small, -dim 1 -lr 0.5 -loss hs -minn 1 -maxn 3 -bucket 99, ",
    "ova, -dim 10 -lr 0.5 -epoch 20 -loss ova -minn 3 -maxn 3 -bucket 500, ",
    "ns, -dim 7 -lr 0.5 -epoch 20 -loss ns, ",
    "quantized, -dim 10 -lr 0.5 -epoch 20, -qnorm",
    "pruned, -dim 9 -lr 0.5 -minn 2 -maxn 4 -wordNgrams 2 -bucket 3000, -cutoff 900 -retrain",
    "pruned-norms, -dim 16 -lr 0.5 -loss hs -minn 2 -maxn 4 -bucket 3000, -qnorm -cutoff 900",
    "output, -dim 16 -lr 0.5 -epoch 20, -qnorm -qout -dsub 4",
    "output-hs, -dim 5 -lr 0.5 -epoch 20 -loss hs -wordNgrams 2 -bucket 500, -qout -dsub 3",
    "words-alone, -dim 8 -lr 0.5 -epoch 20, -cutoff 280",
  })
  void answersAsFastText(String name, String options, String quantization) throws Exception {
    Path model = FastTextPrograms.train(folder, name, examples, options);
    if (quantization != null) {
      List<Object> words = new ArrayList<>(List.of("quantize", "-input", examples));
      words.addAll(List.of("-output", folder.resolve(name)));
      words.addAll(List.of(quantization.split(" ")));
      FastTextPrograms.run(null, words.toArray());
      model = folder.resolve(name + ".ftz");
    }
    String[] answers = FastTextPrograms.run(texts, "predict-prob", model, "-", TOP).split("\n", -1);
    boolean isTree = options.contains("-loss hs");
    for (Workers workers : List.of(Workers.common(), Workers.callingThread())) {
      try (Classifier classifier =
          Classifier.load(model, LoadOptions.copied().withWorkers(workers))) {
        List<Example> all = lines.stream().map(Example::ofText).toList();
        List<List<Prediction>> predictions = classifier.predict(all, TOP);
        int differing = 0;
        for (int line = 0; line < lines.size(); line++) {
          List<Prediction> here = predictions.get(line);
          differing += differs(answers[line], here, isTree) ? 1 : 0;
          if (line < 50) {
            assertEquals(here, classifier.predict(lines.get(line), TOP));
          }
        }
        // If a logit is at a step of fastText's sigmoid, rounding decides.
        boolean hasSteps = options.contains("ova") || options.contains("ns");
        assertTrue(differing <= (hasSteps ? TEXTS / 500 : 0), differing + " differ");
      }
    }
  }

  /** Compares all labels of a small model, by all kinds of requests. */
  @ParameterizedTest
  @CsvSource({"-loss hs", "-loss ova", "-loss softmax"})
  void filtersAndThresholdsAreExact(String options) throws Exception {
    Path model = FastTextPrograms.train(folder, "all", examples, options + " -dim 4 -epoch 9");
    try (Classifier classifier = Classifier.load(model)) {
      assertEquals(options.equals("-loss ova"), classifier.hasLabelTree());
      for (String text : lines.subList(0, 40)) {
        Example example = Example.ofText(text);
        List<Prediction> all = classifier.predict(text, LABELS);
        assertEquals(LABELS, all.size());
        Set<String> some = Set.of(all.get(0).label(), all.get(7).label(), all.get(200).label());
        assertEquals(
            all.stream().filter(p -> some.contains(p.label())).toList(),
            classifier.predict(
                example, PredictionOptions.top(5).withFilter(LabelFilter.only(some))));
        assertEquals(
            all.stream().filter(p -> !some.contains(p.label())).limit(5).toList(),
            classifier.predict(
                example, PredictionOptions.top(5).withFilter(LabelFilter.without(some))));
        assertEquals(all.subList(0, 3), classifier.predict(text, 3));
        double threshold = all.get(2).probability();
        long likely = all.stream().filter(p -> p.isAtLeast(0.01)).count();
        Evaluation evaluation =
            classifier.evaluate(
                Stream.of(Example.ofText(text, all.get(2).label(), "none")), 3, 0.01, e -> {});
        assertEquals(1 / 3.0, evaluation.ranking().precision(3), 1e-9);
        double hit = threshold >= 0.01 ? 1.0 / likely : 0;
        assertEquals(hit, evaluation.decisions().precision(), 1e-9, text);
      }
    }
  }

  /** fastText's library does the same; its program would take the rest for another line. */
  @Test
  void theEndOfALineEndsAText() throws Exception {
    Path model = FastTextPrograms.train(folder, "end", examples, "-dim 4 -wordNgrams 2 -bucket 9");
    try (Classifier classifier = Classifier.load(model)) {
      assertEquals(
          classifier.predict("topic1", 5), classifier.predict("topic1 </s> topic2 topic2", 5));
      assertEquals(classifier.predict("a b", 5), classifier.predict("a __label__none b\n", 5));
      assertTrue(classifier.knowsFeatureOf(Example.ofText("")));
      assertEquals("__label__", classifier.labelPrefix());
    }
  }

  @Test
  void isOnlyRead() throws Exception {
    Path model = FastTextPrograms.train(folder, "read", examples, "-dim 2");
    try (Classifier classifier = Classifier.load(model)) {
      Path other = folder.resolve("other");
      for (Executable use :
          List.<Executable>of(
              () -> classifier.save(other),
              () -> classifier.save(other, ElementType.INT8),
              () -> classifier.classes(),
              () -> classifier.explain(Example.ofText("a"), classifier.labels().get(0)),
              () -> TrainingOptions.defaults().withInitialModel(classifier))) {
        InvalidInputException refused = assertThrows(InvalidInputException.class, use);
        assertTrue(refused.getMessage().startsWith("model: is of fastText"));
      }
      assertTrue(Files.notExists(other));
    }
    classifierIsClosed(model);
  }

  private static void classifierIsClosed(Path model) throws IOException {
    long before = FloatTensor.allocatedBytes();
    Classifier closed = Classifier.load(model);
    assertTrue(FloatTensor.allocatedBytes() > before);
    closed.close();
    assertThrows(IllegalStateException.class, () -> closed.predict("a", 1));
    assertEquals(before, FloatTensor.allocatedBytes());
  }

  /**
   * Returns whether an answer differs by more than 1e-5, besides the number that fastText adds.
   * Labels of about equal probability may have changed places.
   */
  private static boolean differs(String answer, List<Prediction> here, boolean isTree) {
    if (answer.isEmpty()) {
      return false; // no known feature: the prediction here is that of an empty text
    }
    String[] words = answer.split(" ", -1);
    // fastText's tree leaves out labels below 1e-5.
    assertEquals(isTree ? Math.min(words.length / 2, here.size()) : here.size(), words.length / 2);
    here.stream()
        .skip(words.length / 2)
        .forEach(omitted -> assertTrue(omitted.probability() < ADDED, answer));
    Map<String, Double> there = new HashMap<>();
    double last = 0;
    for (int i = 0; i < words.length; i += 2) {
      last = Double.parseDouble(words[i + 1]);
      there.put(words[i].substring("__label__".length()), last);
    }
    for (int rank = 0; rank < words.length / 2; rank++) {
      double probability = here.get(rank).probability();
      double atRank = Double.parseDouble(words[2 * rank + 1]);
      double ofLabel = there.getOrDefault(here.get(rank).label(), last);
      // The product has some twenty factors, to each of which fastText adds the number.
      double added = isTree ? 20 * ADDED : ADDED;
      for (double expected : new double[] {atRank, ofLabel}) {
        double difference = expected - probability;
        if (difference < -1e-5 || difference > added + 1e-5) {
          return true;
        }
      }
    }
    return false;
  }
}
