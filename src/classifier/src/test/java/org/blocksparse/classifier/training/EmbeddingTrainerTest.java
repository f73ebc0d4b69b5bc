// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.training;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.management.ThreadMXBean;
import java.io.File;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.concurrent.Executor;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;
import org.blocksparse.Workers;
import org.blocksparse.classifier.Classifier;
import org.blocksparse.classifier.ModelHead;
import org.blocksparse.classifier.examples.Example;
import org.blocksparse.classifier.examples.Texts;
import org.blocksparse.internal.memory.Storage;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Trainings that are stopped or fail. */
final class EmbeddingTrainerTest {
  private static final int LABELS = 40;
  private static final List<Example> VALIDATION = Texts.examples(200, LABELS, 2).toList();

  private static final TrainingOptions SMALL =
      TrainingOptions.defaults().withHead(ModelHead.EMBEDDING).withDimension(8);

  @TempDir private Path folder;

  /** Remembers the events of a training. */
  private static class RecordedEvents implements TrainingListener {
    final List<LearningPoint> points = new ArrayList<>();
    final List<String> warnings = new ArrayList<>();

    @Override
    public void epoch(LearningPoint point) {
      points.add(point);
    }

    @Override
    public void warning(String message) {
      warnings.add(message);
    }
  }

  /** Throws in an epoch what a step does whose loss is not finite. */
  private static final class Diverging extends RecordedEvents {
    private final int epoch;

    Diverging(int epoch) {
      this.epoch = epoch;
    }

    @Override
    public void step(int examples, double loss) {
      if (points.size() == epoch - 1) {
        throw new ArithmeticException("loss: is NaN");
      }
    }
  }

  /** Throws after an epoch. */
  private static final class Failing extends RecordedEvents {
    private final int epoch;
    private final Error error;

    Failing(int epoch, Error error) {
      this.epoch = epoch;
      this.error = error;
    }

    @Override
    public void epoch(LearningPoint point) {
      super.epoch(point);
      if (point.epoch() == epoch) {
        throw error;
      }
    }
  }

  private static Classifier trained(TrainingOptions options) {
    return Training.train(Texts.examples(1000, LABELS, 1), options);
  }

  private static double precision(Classifier classifier) {
    return classifier.evaluate(VALIDATION.stream(), 1).precision(1);
  }

  @Test
  void stoppedWhileItReads_endsWithoutAModel() {
    int[] read = {0};
    Stream<Example> endless =
        Stream.generate(() -> Example.ofText("a b", "label" + read[0]++ % LABELS));
    assertThrows(
        CancellationException.class,
        () -> Training.train(endless, SMALL.withStop(() -> read[0] > 100)).close());
  }

  @Test
  void labelsThatAreNoText_areRefusedBeforeAnythingIsMadeOfThem() {
    Stream<Example> examples =
        Stream.concat(Texts.examples(1000, LABELS, 1), Stream.of(Example.ofText("a", "\ud83d")));
    TrainingListener listener =
        new TrainingListener() {
          @Override
          public void putIntoClasses(int labels, int classes) {
            throw new AssertionError("too late");
          }
        };
    assertThrows(
        IllegalArgumentException.class,
        () -> Training.train(examples, SMALL.withClasses(7).withListener(listener)).close());
  }

  @Test
  void labelsArePutIntoClassesByTheWorkersBeforeTrainingBegins() {
    List<String> recorded = new ArrayList<>();
    AtomicInteger helpers = new AtomicInteger();
    TrainingListener listener =
        new TrainingListener() {
          @Override
          public void leftOut(int features, boolean exactly, int examples) {
            recorded.add(
                (exactly ? "" : "up to ")
                    + features
                    + " features and "
                    + examples
                    + " examples left out");
          }

          @Override
          public void putIntoClasses(int labels, int classes) {
            recorded.add(labels + " labels into " + classes + " classes");
          }

          @Override
          public void begin(int examples, int epochs, int features, int labels, int classes) {
            recorded.add(
                labels + " labels in " + classes + (helpers.get() > 0 ? ", with help" : ""));
          }
        };
    Executor executor =
        task -> {
          helpers.incrementAndGet();
          task.run();
        };
    TrainingOptions options =
        SMALL
            .withListener(listener)
            .withWorkers(Workers.of(executor, 2))
            .withEpochs(1)
            .withMinCount(1);
    Training.train(Texts.examples(6000, 150, 1), options.withClasses(5)).close();
    helpers.set(0);
    trained(options.withClasses(1)).close();
    assertEquals(
        List.of(
            "0 features and 0 examples left out",
            "150 labels into 5 classes",
            "150 labels in 5, with help",
            "0 features and 0 examples left out",
            "40 labels in 1"),
        recorded);
  }

  @Test
  void stoppedBeforeTheFirstStep_endsWithoutAModel() {
    boolean[] begun = {false};
    RecordedEvents recorded =
        new RecordedEvents() {
          @Override
          public void begin(int examples, int epochs, int features, int labels, int classes) {
            begun[0] = true;
          }
        };
    TrainingOptions options = SMALL.withListener(recorded).withStop(() -> begun[0]);
    assertThrows(CancellationException.class, () -> trained(options).close());
    assertEquals(List.of(), recorded.points);
  }

  @Test
  void stoppedBeforeTheFirstStepOfAnEpoch_tellsNothingOfIt() {
    RecordedEvents recorded = new RecordedEvents();
    TrainingOptions options =
        SMALL.withListener(recorded).withEpochs(5).withStop(() -> recorded.points.size() == 2);
    try (Classifier classifier = trained(options)) {
      assertEquals(2, recorded.points.size());
      assertTrue(recorded.points.stream().allMatch(point -> Double.isFinite(point.loss())));
      assertTrue(precision(classifier) > 0.5);
    }
  }

  @Test
  void aLossThatIsNotFinite_endsWithTheBestModelBefore() {
    assertEndsWithTheBestModel(new Diverging(4), 5, 3, "loss: is NaN");
  }

  /**
   * Asserts that a training ends early, with the best model and a warning.
   *
   * @param epochs the epochs that it should have, all of which may pass without a better model
   * @param points the epochs that were learned and measured
   * @param reason the reason of the warning
   */
  private static void assertEndsWithTheBestModel(
      RecordedEvents recorded, int epochs, int points, String reason) {
    TrainingOptions options =
        SMALL
            .withListener(recorded)
            .withEpochs(epochs)
            .withValidation(VALIDATION.stream())
            .withPatience(epochs);
    try (Classifier classifier = trained(options)) {
      assertEquals(bestPrecision(recorded), precision(classifier));
    }
    assertEquals(points, recorded.points.size());
    assertEquals(
        List.of("training has ended early, with the best model before that: " + reason),
        recorded.warnings);
  }

  private static double bestPrecision(RecordedEvents recorded) {
    return recorded.points.stream().mapToDouble(LearningPoint::precision).max().orElseThrow();
  }

  @Test
  void aLossThatIsNotFinite_endsTheTraining_whereNoModelWasKept() {
    TrainingOptions first =
        SMALL.withListener(new Diverging(1)).withValidation(VALIDATION.stream()).withPatience(5);
    assertThrows(ArithmeticException.class, () -> trained(first).close());
    TrainingOptions unmeasured = SMALL.withListener(new Diverging(2));
    assertThrows(ArithmeticException.class, () -> trained(unmeasured).close());
  }

  @Test
  void tooLittleMemory_endsWithTheBestModelBefore() {
    assertEndsWithTheBestModel(new Failing(4, new OutOfMemoryError("no room")), 9, 4, "no room");
  }

  @Test
  void examplesOfValidation_takeNoMemory_whenTheBestModelIsLoaded() {
    List<Example> validation =
        Stream.generate(() -> Example.ofText("of ".repeat(4000), "label1")).limit(200).toList();
    long[] held = new long[2];
    RecordedEvents recorded =
        new RecordedEvents() {
          @Override
          public void epoch(LearningPoint point) {
            held[0] = Storage.allocatedBytes();
            for (File best : folder.toFile().listFiles()) {
              assertTrue(best.delete()); // makes loading it again log a warning
            }
            throw new OutOfMemoryError("no room");
          }

          @Override
          public void warning(String message) {
            super.warning(message);
            held[1] = Storage.allocatedBytes();
          }
        };
    TrainingOptions options =
        SMALL
            .withListener(recorded)
            .withValidation(validation.stream())
            .withPatience(3)
            .withTemporaryFolder(folder);
    assertThrows(OutOfMemoryError.class, () -> trained(options).close());
    assertEquals(1, recorded.warnings.size(), recorded.warnings::toString);
    assertTrue(
        recorded.warnings.get(0).startsWith("the best model stays in "), recorded.warnings.get(0));
    long numbers = 200L * 4000 * Integer.BYTES;
    assertTrue(held[0] - held[1] >= numbers, () -> "held: " + held[0] + ", then " + held[1]);
  }

  @Test
  void anotherError_leavesTheFileOfTheBestModelBefore() throws IOException {
    RecordedEvents recorded = new Failing(3, new AssertionError("a mistake"));
    TrainingOptions options =
        SMALL
            .withListener(recorded)
            .withEpochs(9)
            .withValidation(VALIDATION.stream())
            .withPatience(9)
            .withTemporaryFolder(folder);
    assertEquals(
        "a mistake",
        assertThrows(AssertionError.class, () -> trained(options).close()).getMessage());
    String warning = "training has failed; the best model before that stays in ";
    assertEquals(1, recorded.warnings.size());
    assertTrue(recorded.warnings.get(0).startsWith(warning), recorded.warnings.get(0));
    try (Classifier classifier =
        Classifier.load(Path.of(recorded.warnings.get(0).substring(warning.length())))) {
      assertEquals(bestPrecision(recorded), precision(classifier));
    }
  }

  @Test
  void anError_beforeAModelWasKept_isThrown() {
    RecordedEvents recorded = new Failing(1, new OutOfMemoryError("no room"));
    assertThrows(
        OutOfMemoryError.class, () -> trained(SMALL.withListener(recorded).withEpochs(9)).close());
    assertEquals(List.of(), recorded.warnings);
  }

  @Test
  void whatTheModelTells_isWhatWasLearned_andTheEpochThatWasChosen() {
    RecordedEvents recorded = new RecordedEvents();
    TrainingOptions stopped =
        SMALL.withListener(recorded).withEpochs(9).withStop(() -> recorded.points.size() == 2);
    try (Classifier classifier = trained(stopped)) {
      assertEquals("9", classifier.info().get("epochs planned"));
      assertEquals("2", classifier.info().get("epochs"));
      assertEquals("2", classifier.info().get("epoch of this model"));
    }
    RecordedEvents failing = new Failing(4, new OutOfMemoryError("no room"));
    try (Classifier classifier =
        trained(
            SMALL
                .withListener(failing)
                .withEpochs(9)
                .withValidation(VALIDATION.stream())
                .withPatience(9))) {
      long best =
          failing.points.stream()
              .filter(LearningPoint::best)
              .mapToInt(LearningPoint::epoch)
              .max()
              .orElseThrow();
      assertEquals("4", classifier.info().get("epochs"));
      assertEquals(Long.toString(best), classifier.info().get("epoch of this model"));
    }
    int[] steps = {0};
    RecordedEvents counting =
        new RecordedEvents() {
          @Override
          public void step(int examples, double loss) {
            steps[0]++;
          }
        };
    try (Classifier classifier =
        trained(
            SMALL
                .withListener(counting)
                .withEpochs(9)
                .withBatch(100)
                .withStop(() -> steps[0] == 15))) {
      assertEquals("1.67", classifier.info().get("epochs")); // 100 of 1,000 are held out
      assertEquals("2", classifier.info().get("epoch of this model"));
    }
  }

  @Test
  void ofEpochsThatTie_theOneCalledBest_isKept() {
    RecordedEvents recorded = new RecordedEvents();
    TrainingOptions options =
        SMALL
            .withListener(recorded)
            .withEpochs(20)
            .withValidation(VALIDATION.subList(0, 1).stream())
            .withPatience(3);
    try (Classifier classifier = trained(options)) {
      LearningPoint best =
          recorded.points.stream().filter(LearningPoint::best).reduce((a, b) -> b).orElseThrow();
      LearningPoint last = recorded.points.get(recorded.points.size() - 1);
      assertEquals(best.epoch() + 3, last.epoch());
      assertEquals(best.precision(), last.precision());
      assertEquals(best.ndcg(), last.ndcg());
      assertEquals(Integer.toString(best.epoch()), classifier.info().get("epoch of this model"));
    }
  }

  /** The first answer is wrong in all epochs, and the right one becomes the second. */
  @Test
  void whatIsBetterAmongTheFirstAnswers_isBetter_wherePrecisionIsTheSame() {
    Stream<Example> examples =
        Texts.examples(2000, LABELS, 1)
            .flatMap(
                e -> {
                  Example second = Example.ofText(e.text(), "second" + e.labels().get(0));
                  return Stream.of(e, e, e, second);
                });
    List<Example> seconds =
        VALIDATION.stream()
            .map(e -> Example.ofText(e.text(), "second" + e.labels().get(0)))
            .toList();
    RecordedEvents recorded = new RecordedEvents();
    Training.train(
            examples,
            SMALL
                .withListener(recorded)
                .withEpochs(6)
                .withRate(0.02)
                .withValidation(seconds.stream())
                .withPatience(1))
        .close();
    assertTrue(recorded.points.size() > 2, recorded.points::toString);
    LearningPoint first = recorded.points.get(0);
    assertTrue(
        recorded.points.stream()
            .anyMatch(p -> p.epoch() > 1 && p.best() && p.precision() == first.precision()),
        recorded.points::toString);
  }

  @Test
  void measuring_isToldWhileItGoesOn() {
    List<String> measured = new ArrayList<>();
    RecordedEvents recorded =
        new RecordedEvents() {
          @Override
          public void measured(int examples, int all) {
            measured.add((points.size() + 1) + ": " + examples + " of " + all);
          }
        };
    List<Example> validation = new ArrayList<>(Texts.examples(600, LABELS, 2).toList());
    validation.add(Example.ofText("without a label"));
    TrainingOptions options = SMALL.withListener(recorded).withEpochs(2);
    try (Classifier classifier =
        trained(options.withValidation(validation.stream()).withPatience(2))) {
      assertEquals(
          bestPrecision(recorded), classifier.evaluate(validation.stream(), 1).precision(1), 0);
    }
    assertEquals(
        List.of(
            "1: 256 of 600",
            "1: 512 of 600",
            "1: 600 of 600",
            "2: 256 of 600",
            "2: 512 of 600",
            "2: 600 of 600"),
        measured);
  }

  @Test
  void textsOfValidation_areCutOnce() {
    String text = "word ".repeat(4000);
    List<Example> validation =
        Stream.generate(() -> Example.ofText(text, "label1")).limit(200).toList();
    long[] taken = new long[2];
    RecordedEvents recorded =
        new RecordedEvents() {
          @Override
          public void step(int examples, double loss) {
            taken[0] = allocatedBytes();
          }

          @Override
          public void epoch(LearningPoint point) {
            taken[1] = allocatedBytes() - taken[0]; // bytes of measuring alone
          }
        };
    trained(
            SMALL
                .withListener(recorded)
                .withEpochs(1)
                .withValidation(validation.stream())
                .withPatience(1))
        .close();
    long ofTexts = 200L * text.length();
    assertTrue(taken[1] < ofTexts / 2, "bytes: " + taken[1] + ", those of the texts: " + ofTexts);
  }

  /** Returns the heap bytes that the thread has allocated. */
  private static long allocatedBytes() {
    return ((ThreadMXBean) ManagementFactory.getThreadMXBean()).getCurrentThreadAllocatedBytes();
  }

  @Test
  void patience_isAQuarterOfTheEpochs_unlessItIsSet() {
    TrainingOptions options = SMALL.withValidation(VALIDATION.stream());
    TrainingDefaults values = new TrainingDefaults(options);
    assertEquals(3, values.patience(5));
    assertEquals(3, values.patience(15));
    assertEquals(10, values.patience(40));
    assertEquals(2, new TrainingDefaults(options.withPatience(2)).patience(40));
    assertThrows(IllegalArgumentException.class, () -> SMALL.withPatience(0));
  }

  @Test
  void theBestModel_isTheResult_whenTheLastOneIsWorse() {
    // These labels contradict the training. They are too few for a calibration, whose result would
    // be the base rate, the answer when scores contradict all labels.
    List<Example> wrong =
        Texts.examples(99, LABELS, 2)
            .map(
                example -> {
                  int label = Integer.parseInt(example.labels().get(0).substring("label".length()));
                  return Example.ofText(example.text(), "label" + (label + 1) % LABELS);
                })
            .toList();
    RecordedEvents recorded = new RecordedEvents();
    TrainingOptions options =
        SMALL
            .withListener(recorded)
            .withEpochs(8)
            .withRate(0.01)
            .withMinCount(1)
            .withValidation(wrong.stream())
            .withPatience(8);
    try (Classifier classifier = trained(options)) {
      double best = recorded.points.stream().mapToDouble(LearningPoint::ndcg).max().orElseThrow();
      assertTrue(recorded.points.get(7).ndcg() < best, recorded.points::toString);
      assertEquals(best, classifier.evaluate(wrong.stream(), 5).ndcg(5));
    }
  }

  @Test
  void whereTheBestModelCannotBeKept_theLastOneIsTheResult() throws IOException {
    RecordedEvents recorded = new RecordedEvents();
    TrainingOptions options =
        SMALL
            .withListener(recorded)
            .withEpochs(3)
            .withValidation(VALIDATION.stream())
            .withPatience(3)
            .withTemporaryFolder(folder.resolve("none"));
    try (Classifier classifier = trained(options)) {
      assertEquals(recorded.points.get(2).precision(), precision(classifier));
    }
    assertFalse(recorded.warnings.isEmpty());
    assertTrue(recorded.warnings.get(0).startsWith("the best model so far cannot be kept: "));
  }

  @Test
  void theBestModel_isKeptInTheFolder_andIsGoneAtTheEnd() throws IOException {
    List<Integer> files = new ArrayList<>();
    RecordedEvents recorded =
        new RecordedEvents() {
          @Override
          public void step(int examples, double loss) {
            files.add(folder.toFile().list().length);
          }
        };
    trained(
            SMALL
                .withListener(recorded)
                .withEpochs(2)
                .withValidation(VALIDATION.stream())
                .withPatience(3)
                .withTemporaryFolder(folder))
        .close();
    assertEquals(0, files.get(0));
    assertEquals(1, files.get(files.size() - 1));
    try (Stream<Path> left = Files.list(folder)) {
      assertEquals(0, left.count());
    }
  }

  @Test
  void validationOfAnotherKind_isRefused_beforeTrainingBegins() {
    Example features = Example.ofFeatures(new int[] {1}, new float[] {1}, List.of("label1"));
    RecordedEvents recorded = new RecordedEvents();
    TrainingOptions options =
        SMALL
            .withListener(recorded)
            .withValidation(List.of(VALIDATION.get(0), features).stream())
            .withPatience(3);
    assertEquals(
        "validation: some have features, but the examples are texts",
        assertThrows(IllegalArgumentException.class, () -> trained(options).close()).getMessage());
    assertEquals(List.of(), recorded.points);
  }

  @Test
  void validationWithoutLabels_isRefused() {
    for (List<Example> examples : List.of(List.<Example>of(), List.of(Example.ofText("a")))) {
      assertThrows(IllegalArgumentException.class, () -> SMALL.withValidation(examples.stream()));
      assertEquals(
          "validation: none has a label",
          assertThrows(
                  IllegalArgumentException.class,
                  () -> SMALL.withValidation(examples.stream()).withPatience(3))
              .getMessage());
    }
  }
}
