// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.UnaryOperator;
import java.util.stream.IntStream;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.lifecycle.AfterContainer;
import net.jqwik.api.lifecycle.BeforeContainer;
import org.blocksparse.ElementType;
import org.blocksparse.FloatTensor;
import org.blocksparse.classifier.examples.Example;
import org.blocksparse.classifier.examples.InvalidInputException;
import org.blocksparse.classifier.examples.Texts;
import org.blocksparse.classifier.training.InternalOptions;
import org.blocksparse.classifier.training.Training;
import org.blocksparse.classifier.training.TrainingOptions;
import org.blocksparse.testing.FileChanges;
import org.blocksparse.testing.Folders;
import org.blocksparse.testing.ThreadHeap;

/**
 * Valid models with random changes: a file is loaded, answers and is saved; or it is rejected at
 * low cost by an {@link IOException} that names it. The core's HostileFileProperties cover the
 * layers.
 */
final class HostileModelProperties {
  /** Heap that a rejected file of some kilobytes may take, with loaded classes. */
  private static final long MOST_HEAP = 4 << 20;

  private static final Duration MOST_TIME = Duration.ofMinutes(10);
  private static final int LABELS = 9;

  private static final TrainingOptions SMALL =
      TrainingOptions.defaults()
          .withHead(ModelHead.EMBEDDING)
          .withDimension(4)
          .withEpochs(1)
          .withWordNgrams(1);

  /** The models by description. */
  private static final Map<String, byte[]> MODELS = new TreeMap<>();

  private static Path folder;
  private static Path file;

  // ------------------------------------------------------------------------------- right models

  @BeforeContainer
  static void save() throws IOException {
    folder = Files.createTempDirectory("hostile");
    file = folder.resolve("model");
    try (Classifier texts = ofTexts(SMALL);
        Classifier tree =
            ofTexts(InternalOptions.withClasses(SMALL.withLabelTree(), 3).withPlainWords());
        Classifier features =
            Training.train(
                IntStream.range(0, 30).mapToObj(HostileModelProperties::sparse), SMALL)) {
      add("texts", texts, ElementType.FLOAT32);
      add("label tree", tree, ElementType.FLOAT32);
      add("features", features, ElementType.FLOAT32);
      add("in fewer bits", texts, ElementType.INT8);
    }
  }

  private static Classifier ofTexts(TrainingOptions options) {
    return Training.train(Texts.examples(30, LABELS, 1), options);
  }

  private static Example sparse(int number) {
    List<String> labels = List.of("label" + number % LABELS);
    return Example.ofFeatures(new int[] {number % 7, 1 << number}, new float[] {1, 2}, labels);
  }

  private static void add(String name, Classifier model, ElementType weights) throws IOException {
    model.save(file, weights);
    MODELS.put(name, Files.readAllBytes(file));
    try (Classifier right = Classifier.load(file)) {
      useAll(right);
    }
  }

  @AfterContainer
  static void delete() throws IOException {
    Folders.delete(folder);
  }

  // ---------------------------------------------------------------------------------- arguments

  @Provide
  Arbitrary<String> models() {
    return Arbitraries.of(MODELS.keySet());
  }

  @Provide
  Arbitrary<List<UnaryOperator<byte[]>>> changes() {
    return FileChanges.all(List.copyOf(MODELS.values()));
  }

  // --------------------------------------------------------------------------------------- uses

  private interface Use {
    void run() throws IOException;
  }

  /** Runs a use that works with any numbers and names of a model, or names their flaw. */
  private static void use(Use use) throws IOException {
    try {
      use.run();
    } catch (InvalidInputException e) {
      assertEquals("model: its weights are not finite", e.getMessage());
    } catch (IllegalStateException e) { // in a mapped file, a name may be invalid text
      assertTrue(e.getMessage().matches("labels: .* is not UTF-8"), e.getMessage());
    }
  }

  private static void useAll(Classifier model) throws IOException {
    List<Example> examples =
        model.takesText()
            ? Texts.examples(9, LABELS, 2).toList()
            : IntStream.range(0, 9).mapToObj(HostileModelProperties::sparse).toList();
    use(() -> assertEquals(9, model.predict(examples, 3).size()));
    LabelFilter filter = LabelFilter.without(List.of("label1", "none"));
    use(() -> model.predict(examples, PredictionOptions.top(3).withFilter(filter)));
    use(() -> assertEquals(9, model.evaluate(examples.stream(), 2).rows()));
    use(
        () ->
            assertEquals(
                9, model.evaluate(examples.stream(), 2, 0.5, e -> {}).decisions().examples()));
    assertTrue(model.threshold().orElse(1) <= 1);
    use(() -> examples.forEach(model::knowsFeatureOf));
    use(() -> assertTrue(model.labels().stream().filter(model::knows).count() >= 0));
    use(() -> assertTrue(model.classes().stream().mapToInt(List::size).sum() > 0));
    assertEquals(Integer.toString(model.labels().size()), model.info().get("labels"));
    assertTrue(!model.labelPrefix().isEmpty());
    Path again = folder.resolve("again");
    use(
        () -> {
          model.save(again);
          Classifier.load(again).close();
        });
    if (model.weightType() == ElementType.FLOAT32) {
      try {
        use(() -> model.save(again, ElementType.INT8));
      } catch (IllegalArgumentException e) {
        assertTrue(e.getMessage().contains(", which INT8 weights cannot be"), e.getMessage());
      }
    }
  }

  // ---------------------------------------------------------------------------------- properties

  @Property
  void ofModels(
      @ForAll("models") String name, @ForAll("changes") List<UnaryOperator<byte[]>> changes)
      throws IOException {
    Files.write(file, FileChanges.apply(changes, MODELS.get(name)));
    assertTimeoutPreemptively(MOST_TIME, HostileModelProperties::readsOrRefuses);
  }

  private static void readsOrRefuses() throws IOException {
    long heap = ThreadHeap.taken();
    long memory = FloatTensor.allocatedBytes();
    Classifier model;
    try {
      model = Classifier.load(file);
    } catch (IOException refused) {
      long taken = ThreadHeap.taken() - heap;
      assertTrue(taken < MOST_HEAP, () -> taken + " bytes of the heap for " + refused);
      assertTrue(refused.getMessage().startsWith(file + ": "), refused::toString);
      assertTrue(FloatTensor.allocatedBytes() <= memory, () -> "memory is kept after " + refused);
      return;
    }
    try {
      useAll(model);
    } finally {
      model.close();
    }
  }
}
