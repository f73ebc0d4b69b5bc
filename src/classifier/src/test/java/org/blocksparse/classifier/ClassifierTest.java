// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.nio.file.FileSystem;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.blocksparse.Backend;
import org.blocksparse.ElementType;
import org.blocksparse.FileFormatException;
import org.blocksparse.MemoryUse;
import org.blocksparse.ModelHolder;
import org.blocksparse.SparseRows;
import org.blocksparse.Workers;
import org.blocksparse.bag.EmbeddingBag;
import org.blocksparse.classifier.examples.Example;
import org.blocksparse.classifier.examples.InvalidInputException;
import org.blocksparse.classifier.examples.Texts;
import org.blocksparse.classifier.features.CharacterNgrams;
import org.blocksparse.classifier.features.FeatureExtractor;
import org.blocksparse.classifier.features.FeatureVocabulary;
import org.blocksparse.classifier.features.InputRows;
import org.blocksparse.classifier.features.KeyTable;
import org.blocksparse.classifier.features.Words;
import org.blocksparse.classifier.training.InternalOptions;
import org.blocksparse.classifier.training.LearningPoint;
import org.blocksparse.classifier.training.Training;
import org.blocksparse.classifier.training.TrainingListener;
import org.blocksparse.classifier.training.TrainingOptions;
import org.blocksparse.io.LoadOptions;
import org.blocksparse.io.SaveOptions;
import org.blocksparse.mixture.Mixture;
import org.blocksparse.ranking.Metrics;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

final class ClassifierTest {
  private static final int LABELS = 40;
  private static final TrainingOptions SMALL =
      InternalOptions.withClasses(
          TrainingOptions.defaults().withHead(ModelHead.EMBEDDING).withDimension(16), 7);

  private static final LoadOptions MAPPED =
      LoadOptions.mapped().withWorkers(Workers.callingThread());

  @TempDir private Path folder;

  /** Returns a model of few examples, none of which is held out to calibrate an embedding. */
  private static Classifier uncalibrated(TrainingOptions options) {
    return Training.train(Texts.examples(499, LABELS, 1), options);
  }

  private static Classifier trained(TrainingOptions options) {
    return Training.train(Texts.examples(2000, LABELS, 1), options);
  }

  @Test
  void learnsWhichWordsGoWithALabel_andIsTheSameFromItsFile() throws IOException {
    Path file = folder.resolve("model");
    List<Example> heldOut = Texts.examples(200, LABELS, 2).toList();
    List<List<Prediction>> before;
    try (Classifier classifier = trained(SMALL)) {
      Metrics metrics = classifier.evaluate(heldOut.stream(), 3);
      assertTrue(metrics.precision(1) > 0.95, metrics::toString);
      before = classifier.predict(heldOut, 3);
      classifier.save(file);
    }
    try (Classifier loaded = Classifier.load(file, MAPPED)) {
      assertEquals(before, loaded.predict(heldOut, 3));
      for (int e = 0; e < heldOut.size(); e++) {
        assertEquals(before.get(e), loaded.predict(heldOut.get(e).text(), 3));
      }
      assertTrue(loaded.takesText());
      assertEquals(LABELS, loaded.labels().size());
      assertEquals(LABELS, loaded.classes().stream().mapToInt(List::size).sum());
      assertEquals("2000", loaded.info().get("examples"));
    }
  }

  /** The two models have equal sizes and names: parts of one fit those of the other. */
  @Test
  void aModelInAnArchive_isLoaded_asItWasSavedThere() throws IOException {
    TrainingOptions options =
        TrainingOptions.defaults().withHead(ModelHead.EMBEDDING).withDimension(4).withEpochs(1);
    URI archive = URI.create("jar:" + folder.resolve("models.zip").toUri());
    try (Classifier classifier = Training.train(Texts.examples(9, 3, 1), options);
        FileSystem zip = FileSystems.newFileSystem(archive, Map.of("create", "true"))) {
      classifier.save(zip.getPath("model"));
      classifier.save(zip.getPath("smaller"), ElementType.INT8);
      try (Classifier loaded = Classifier.load(zip.getPath("model"));
          Classifier smaller = Classifier.load(zip.getPath("smaller"), LoadOptions.copied())) {
        assertEquals(classifier.predict("my-own1", 3), loaded.predict("my-own1", 3));
        assertEquals(classifier.labels(), smaller.labels());
        assertEquals(ElementType.INT8, smaller.weightType());
        assertThrows(
            UnsupportedOperationException.class,
            () -> Classifier.load(zip.getPath("model"), MAPPED));
      }
    }
  }

  /** Parameters are either mapped from the file or this process's own, never both. */
  @Test
  void memoryIsMappedOrPrivate() throws IOException {
    Path file = folder.resolve("model");
    long parameters;
    try (Classifier classifier = trained(SMALL.withEpochs(1))) {
      classifier.save(file);
      parameters = 4L * 16 * (TrainedClassifier.require(classifier).bag().vocabulary() + LABELS);
      assertEquals(0, classifier.memoryUse().mappedBytes());
      assertTrue(classifier.memoryUse().privateBytes() > parameters);
    }
    try (Classifier mapped = Classifier.load(file, MAPPED);
        Classifier copied = Classifier.load(file, LoadOptions.copied())) {
      MemoryUse ofMapped = mapped.memoryUse();
      MemoryUse ofCopied = copied.memoryUse();
      assertTrue(ofMapped.mappedBytes() >= parameters, ofMapped::toString);
      assertTrue(ofMapped.privateBytes() < parameters / 10, ofMapped::toString);
      assertEquals(0, ofCopied.mappedBytes());
      assertEquals(ofMapped.mappedBytes() + ofMapped.privateBytes(), ofCopied.privateBytes());
      assertEquals(Long.toString(ofMapped.mappedBytes()), mapped.info().get("mapped bytes"));
      assertEquals(Long.toString(ofMapped.privateBytes()), mapped.info().get("private bytes"));
      copied.close();
      assertEquals(new MemoryUse(0, 0), copied.memoryUse());
    }
  }

  /** cp does this: it truncates the file that requests read. */
  @Test
  @EnabledOnOs({OS.LINUX, OS.MAC})
  void aSmallerFileCopiedOverAMappedOne_saysWhatToDo_andAReloadHelps() throws IOException {
    assumeTrue(Backend.isNative());
    Path file = folder.resolve("model");
    Path smaller = folder.resolve("smaller");
    try (Classifier classifier = trained(SMALL.withEpochs(1))) {
      classifier.save(file);
      classifier.save(smaller, ElementType.INT8);
    }
    try (ModelHolder<Classifier> holder = ModelHolder.load(file, f -> Classifier.load(f, MAPPED))) {
      String before = likeliest(holder);
      Files.write(file, Files.readAllBytes(smaller));
      UncheckedIOException thrown =
          assertThrows(UncheckedIOException.class, () -> likeliest(holder));
      String message = thrown.getCause().getMessage();
      assertTrue(message.startsWith(file.toString()), message);
      assertTrue(message.endsWith("; replace by rename, then reload"), message);
      holder.reload(file);
      assertEquals(before, likeliest(holder));
    }
  }

  private static String likeliest(ModelHolder<Classifier> holder) {
    try (ModelHolder.Lease<Classifier> lease = holder.acquire()) {
      return lease.get().predict("my-own1", 1).get(0).label();
    }
  }

  @Test
  void aFileThatIsReplacedWhileItIsLoaded_givesOneOfTheModels() throws IOException {
    Path file = folder.resolve("model");
    Path other = folder.resolve("other");
    List<Example> heldOut = Texts.examples(50, LABELS, 2).toList();
    List<List<Prediction>> answers;
    try (Classifier one = trained(SMALL.withEpochs(1));
        Classifier two = trained(SMALL.withEpochs(1).withSeed(1))) {
      one.save(file);
      two.save(other);
      answers = two.predict(heldOut, 3);
    }
    try (Classifier loaded = Classifier.load(file, replacing(file, other, 1))) {
      assertEquals(answers, loaded.predict(heldOut, 3));
    }
    IOException e =
        assertThrows(IOException.class, () -> Classifier.load(file, replacing(file, other, 100)));
    assertEquals(file + ": cannot be loaded: it is being replaced", e.getMessage());
  }

  /**
   * Returns options by which a file is replaced, up to so many times, while its first bytes are
   * read.
   */
  private static LoadOptions replacing(Path file, Path other, int times) {
    int[] left = {times};
    return LoadOptions.copied()
        .withProgress(
            (done, total) -> {
              if (left[0]-- > 0) {
                try {
                  Path copy = Files.copy(other, Path.of(file + "-copy"));
                  Files.move(copy, file, StandardCopyOption.REPLACE_EXISTING);
                } catch (IOException e) {
                  throw new UncheckedIOException(e);
                }
              }
            });
  }

  @Test
  void probabilitiesOfAllLabelsSumToOne_andAreInOrder() {
    try (Classifier classifier = uncalibrated(SMALL.withEpochs(1))) {
      List<Prediction> all = classifier.predict("my-own7 nothing else", 1000);
      assertEquals(LABELS, all.size());
      assertEquals(1, all.stream().mapToDouble(Prediction::probability).sum(), 1e-5);
      for (int i = 1; i < all.size(); i++) {
        assertTrue(all.get(i).probability() <= all.get(i - 1).probability());
      }
    }
  }

  @Test
  void aTextOfNoKnownWord_getsLabelsAsWell() {
    try (Classifier classifier = trained(SMALL.withEpochs(1))) {
      assertEquals(5, classifier.predict("", 5).size());
      assertEquals(classifier.predict("", 5), classifier.predict("qqqqqq", 5));
      assertFalse(classifier.knowsFeatureOf(Example.ofText("qqqqqq")));
      assertFalse(classifier.knowsFeatureOf(Example.ofText("")));
      assertTrue(classifier.knowsFeatureOf(Example.ofText("qqqqqq my-own7")));
    }
  }

  @Test
  void examplesOfNoKnownFeature_areToldWithTheAnswers() {
    List<Example> examples = new ArrayList<>(Texts.examples(300, LABELS, 2).toList());
    List<Example> unknown =
        List.of(Example.ofText("qqqqqq", "label1"), Example.ofText(""), Example.ofText("zzz zzz"));
    examples.addAll(0, unknown.subList(0, 2));
    examples.add(unknown.get(2)); // from another batch
    try (Classifier classifier = trained(SMALL.withEpochs(1))) {
      List<Example> told = new ArrayList<>();
      assertEquals(
          classifier.predict(examples, 3),
          classifier.predict(examples, PredictionOptions.top(3).withUnknown(told::add)));
      assertEquals(unknown, told);
      told.clear();
      assertEquals(
          classifier.evaluate(examples.stream(), 1).precision(1),
          classifier.evaluate(examples.stream(), 1, 0.5, told::add).ranking().precision(1));
      assertEquals(unknown, told);
    }
  }

  @Test
  void severalLabels_areLearnedEach() {
    SplittableRandom random = new SplittableRandom(5);
    Stream<Example> examples =
        IntStream.range(0, 2000)
            .mapToObj(
                e ->
                    Example.ofText(
                        Texts.of(e % LABELS, random), "even" + e % LABELS, "odd" + e % LABELS));
    try (Classifier classifier = Training.train(examples, SMALL.withEpochs(10))) {
      List<Example> heldOut =
          Texts.examples(200, LABELS, 6)
              .map(
                  e -> {
                    String number = e.labels().get(0).substring("label".length());
                    return Example.ofText(e.text(), "odd" + number, "even" + number);
                  })
              .toList();
      Metrics metrics = classifier.evaluate(heldOut.stream(), 2);
      assertTrue(metrics.precision(2) > 0.9, metrics::toString);
      assertTrue(metrics.recall(2) > 0.9, metrics::toString);
    }
  }

  @Test
  void sparseFeatures_areLearned_whateverTheirScale() {
    SplittableRandom random = new SplittableRandom(7);
    Stream<Example> examples = IntStream.range(0, 2000).mapToObj(e -> sparse(e % LABELS, random));
    try (Classifier classifier = Training.train(examples, SMALL)) {
      Metrics metrics =
          classifier.evaluate(IntStream.range(0, 200).mapToObj(e -> sparse(e % LABELS, random)), 1);
      assertTrue(metrics.precision(1) > 0.95, metrics::toString);
      assertEquals(
          classifier.predict(
              Example.ofFeatures(new int[] {100_003, 5}, new float[] {3, 1}, List.of()), 4),
          classifier.predict(
              Example.ofFeatures(new int[] {100_003, 5, 999}, new float[] {300, 100, 0}, List.of()),
              4));
      for (int exponent : new int[] {-145, 125}) { // values of any size, up to the limits of floats
        float[] values = {Math.scalb(3f, exponent), Math.scalb(1f, exponent)};
        assertEquals(
            classifier.predict(
                Example.ofFeatures(new int[] {100_003, 5}, new float[] {3, 1}, List.of()), 4),
            classifier.predict(Example.ofFeatures(new int[] {100_003, 5}, values, List.of()), 4));
      }
      assertThrows(IllegalArgumentException.class, () -> classifier.predict("a text", 1));
      assertTrue(classifier.knowsFeatureOf(sparse(3, random)));
      assertFalse(
          classifier.knowsFeatureOf(
              Example.ofFeatures(new int[] {999}, new float[] {1}, List.of())));
      assertThrows(
          IllegalArgumentException.class, () -> classifier.knowsFeatureOf(Example.ofText("a")));
    }
  }

  private static Example sparse(int label, SplittableRandom random) {
    int[] indices = {100_000 + label, random.nextInt(50)};
    return Example.ofFeatures(indices, new float[] {3, 1}, List.of("label" + label));
  }

  @Test
  void rareFeatures_areLeftOut() {
    Stream<Example> examples = Stream.of(text("a a b"), text("a c"), text("b d"));
    TrainingOptions options = SMALL.withWordNgrams(1).withEpochs(1).withMinCount(2);
    try (Classifier classifier = Training.train(examples, options)) {
      assertEquals("2", classifier.info().get("rows of the table")); // a and b
    }
    try (Classifier classifier =
        Training.train(Stream.of(text("a a b"), text("b d")), options.withMaxFeatures(1))) {
      assertEquals("1", classifier.info().get("rows of the table"));
    }
    assertEquals(
        "examples: none has a feature that is kept; withMinCount and withMaxFeatures leave out all"
            + " 2",
        refusal(Stream.of(text("x"), text("y")), options));
    assertEquals("examples: none has a feature", refusal(Stream.of(text("")), options));
  }

  private static String refusal(Stream<Example> examples, TrainingOptions options) {
    return assertThrows(IllegalArgumentException.class, () -> Training.train(examples, options))
        .getMessage();
  }

  @Test
  void fewExamples_makeOneClassAndKeepAllWords() {
    TrainingOptions options = TrainingOptions.defaults();
    try (Classifier classifier = trained(options.withHead(ModelHead.EMBEDDING).withEpochs(1))) {
      assertEquals(1, classifier.classes().size());
      assertEquals("1", classifier.info().get("min count"));
    }
  }

  private static Example text(String text) {
    return Example.ofText(text, "only");
  }

  @Test
  void validation_keepsTheBestModel_andEndsEarly() {
    List<LearningPoint> points = new ArrayList<>();
    List<Example> validation = Texts.examples(200, LABELS, 2).toList();
    TrainingOptions options =
        InternalOptions.withPatience(SMALL, 2)
            .withEpochs(50)
            .withValidation(validation.stream())
            .withListener(
                new TrainingListener() {
                  @Override
                  public void epoch(LearningPoint point) {
                    points.add(point);
                  }
                });
    try (Classifier classifier = trained(options)) {
      double best = points.stream().mapToDouble(LearningPoint::precision).max().orElseThrow();
      assertEquals(best, classifier.evaluate(validation.stream(), 1).precision(1));
    }
    int count = points.size();
    assertTrue(count < 50, "epochs: " + count);
    assertTrue(points.get(count - 3).best() && !points.get(count - 2).best());
  }

  @Test
  void stop_endsTheTrainingWithAModel() {
    int[] steps = {0};
    TrainingOptions options =
        SMALL
            .withEpochs(1000)
            .withStop(() -> steps[0] >= 5)
            .withListener(
                new TrainingListener() {
                  @Override
                  public void step(int examples, double loss) {
                    steps[0]++;
                  }
                });
    try (Classifier classifier = trained(options)) {
      assertEquals(5, steps[0]);
      assertEquals(3, classifier.predict("anything", 3).size());
    }
  }

  @Test
  void unknownLabels_countAsMissed_andExamplesWithoutDoNot() {
    try (Classifier classifier = trained(SMALL)) {
      Metrics metrics =
          classifier.evaluate(
              Stream.of(
                  Example.ofText("my-own3", "label3", "unknown"),
                  Example.ofText("my-own4", "unknown"),
                  Example.ofText("my-own5")),
              1);
      assertEquals(2, metrics.rows());
      assertEquals(0.5, metrics.precision(1));
      assertEquals(0.25, metrics.recall(1));
    }
  }

  @Test
  void weightsThatAreNotFinite_areTold() {
    try (Classifier classifier = trained(SMALL.withEpochs(1))) {
      TrainedClassifier.require(classifier).layer().W1().fill(Float.NaN);
      String message = "model: its weights are not finite";
      assertEquals(
          message,
          assertThrows(InvalidInputException.class, () -> classifier.predict("a", 1)).getMessage());
      Stream<Example> examples = Texts.examples(9, LABELS, 2);
      assertEquals(
          message,
          assertThrows(InvalidInputException.class, () -> classifier.evaluate(examples, 1))
              .getMessage());
      Path file = folder.resolve("model");
      assertEquals(
          message,
          assertThrows(InvalidInputException.class, () -> classifier.save(file)).getMessage());
      assertTrue(Files.notExists(file));
    }
  }

  @Test
  void uselessExamples_areRefused() {
    assertRefused("examples: none has a label", Stream.of(Example.ofText("a")));
    assertRefused("examples: none has a label", Stream.of());
    Example features = Example.ofFeatures(new int[] {1}, new float[] {1}, List.of("b"));
    assertRefused(
        "examples: some are texts and others have features",
        Stream.of(Example.ofText("a", "b"), features));
    assertRefused(
        "examples: some are texts and others have features",
        Stream.of(Example.ofText("without labels"), features));
  }

  private static void assertRefused(String message, Stream<Example> examples) {
    assertEquals(
        message,
        assertThrows(IllegalArgumentException.class, () -> Training.train(examples, SMALL).close())
            .getMessage());
  }

  @Test
  void otherFiles_areRefused_byName() throws IOException {
    Path file = folder.resolve("other");
    try (HierarchicalSoftmax layer = HierarchicalSoftmax.builder(4, 10).build()) {
      layer.save(file);
    }
    FileFormatException e = assertThrows(FileFormatException.class, () -> Classifier.load(file));
    assertEquals(
        file + ": classifier.format: is missing: not a file of a classifier", e.getMessage());
    assertEquals(file, e.file());
    assertEquals("classifier.format", e.part());
  }

  @Test
  void changedMetadata_isRefused() throws IOException {
    Path good = folder.resolve("good");
    try (Classifier classifier = trained(SMALL.withEpochs(1))) {
      classifier.save(good);
      for (Map.Entry<String, String> change :
          List.of(
              Map.entry("classifier.format", "1"),
              Map.entry("classifier.format", "3"),
              Map.entry("classifier.input", "neither"),
              Map.entry("classifier.wordNgrams", "9"),
              Map.entry("classifier.words", "parts"),
              Map.entry("classifier.labelPrefix", "a b"),
              Map.entry("classifier.labelCounts", "AAAA"),
              Map.entry("classifier.threshold", "2"),
              Map.entry("classifier.severalLabels", "yes"),
              Map.entry("classifier.vocabulary", "AAAA"),
              Map.entry("classifier.vocabulary", ""))) {
        Path bad = folder.resolve("bad");
        try (Mixture heads = Mixture.load(good, LoadOptions.copied())) {
          Map<String, String> metadata = new TreeMap<>(heads.metadata());
          metadata.put(change.getKey(), change.getValue());
          heads.save(bad, SaveOptions.defaults().withMetadata(metadata));
        }
        IOException e = assertThrows(IOException.class, () -> Classifier.load(bad));
        assertTrue(e.getMessage().startsWith(bad + ": " + change.getKey()), e.getMessage());
      }
    }
  }

  @ParameterizedTest
  @EnumSource(names = {"FLOAT16", "BFLOAT16", "INT8"})
  void inFewerBits_predictsNearlyTheSame(ElementType type) throws IOException {
    Path file = folder.resolve("model");
    Path smaller = folder.resolve("smaller");
    List<Example> heldOut = Texts.examples(200, LABELS, 2).toList();
    try (Classifier trained = trained(SMALL)) {
      trained.save(file);
      trained.save(smaller, type);
      assertEquals(ElementType.FLOAT32, trained.weightType());
      assertEquals("FLOAT32", trained.info().get("weights"));
    }
    assertTrue(Files.size(smaller) < Files.size(file));
    byte[] written = Files.readAllBytes(smaller);
    try (Classifier wide = Classifier.load(file);
        Classifier narrow = Classifier.load(smaller)) {
      assertEquals(type, narrow.weightType());
      assertEquals(type.toString(), narrow.info().get("weights"));
      for (Example example : heldOut) {
        Prediction best = wide.predict(example, 1).get(0);
        Prediction same = narrow.predict(example, 1).get(0);
        assertEquals(best.label(), same.label());
        assertEquals(best.probability(), same.probability(), 0.02);
      }
      narrow.save(file);
      assertArrayEquals(written, Files.readAllBytes(file));
      wide.save(file, type); // over the mapped file itself, which ends the mapping
      assertArrayEquals(written, Files.readAllBytes(file));
      ElementType other = type == ElementType.INT8 ? ElementType.FLOAT16 : ElementType.INT8;
      assertEquals(
          "weights: those of this model are "
              + type
              + " already; make "
              + other
              + " of the model that was trained",
          assertThrows(InvalidInputException.class, () -> narrow.save(file, other)).getMessage());
    }
  }

  @Test
  void aFileWithWeightsOfTwoTypes_isRefused() throws IOException {
    Path mixed = folder.resolve("mixed");
    try (Classifier classifier = trained(SMALL.withEpochs(1))) {
      classifier.save(mixed);
      try (Mixture heads = Mixture.load(mixed, LoadOptions.copied());
          EmbeddingBag bag =
              TrainedClassifier.require(classifier).bag().withWeights(ElementType.INT8)) {
        HierarchicalSoftmax layer = heads.scorer("embedding", HierarchicalSoftmax.class);
        Mixture.builder()
            .layer("embedding", bag, layer)
            .build()
            .save(mixed, SaveOptions.defaults().withMetadata(heads.metadata()));
      }
    }
    assertEquals(
        mixed + ": table: is of INT8 for a layer of FLOAT32",
        assertThrows(IOException.class, () -> Classifier.load(mixed)).getMessage());
  }

  @Test
  void whatToPredict_isChecked_evenIfThereIsNothing() {
    try (Classifier classifier = trained(SMALL.withEpochs(1))) {
      assertEquals(List.of(), classifier.predict(List.of(), 1));
      assertEquals(
          "k: expected at least 1 but was 0",
          assertThrows(IllegalArgumentException.class, () -> classifier.predict(List.of(), 0))
              .getMessage());
      assertEquals(
          "example",
          assertThrows(NullPointerException.class, () -> classifier.predict((Example) null, 1))
              .getMessage());
    }
  }

  @Test
  void aListIsLearnedAsItsStream_andHoldsNoNull() {
    List<Example> list = new ArrayList<>(Texts.examples(40, 4, 3).toList());
    TrainingOptions options = TrainingOptions.defaults().withHead(ModelHead.LINEAR);
    try (Classifier ofList = Training.train(list, options);
        Classifier ofStream = Training.train(list.stream(), options)) {
      assertEquals(ofStream.predict(list, 4), ofList.predict(list, 4));
    }
    list.set(3, null);
    assertEquals(
        "examples[3] is null",
        assertThrows(NullPointerException.class, () -> Training.train(list, options)).getMessage());
  }

  @Test
  void examplesOfTooManyFeatures_areRefused() {
    KeyTable keys = new KeyTable();
    IntStream.range(0, 10).forEach(keys::add);
    InputRows input =
        new InputRows(
            false,
            new FeatureExtractor(1, Words.PLAIN, CharacterNgrams.NONE),
            FeatureVocabulary.of(keys));
    Example three = Example.ofFeatures(new int[] {1, 2, 3}, new float[] {1, 1, 1}, List.of());
    try (SparseRows most = input.of(List.of(three, three), 6)) {
      assertEquals(2, most.rows());
    }
    assertEquals(
        "examples: together they have more than 5 features, which is the most; give fewer or"
            + " shorter ones at a time",
        assertThrows(
                IllegalArgumentException.class, () -> input.of(List.of(three, three), 5).close())
            .getMessage());
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void theFirstRowIsOneAsWell(boolean isText) {
    FeatureExtractor words = new FeatureExtractor(1, Words.PLAIN, CharacterNgrams.NONE);
    KeyTable keys = new KeyTable();
    if (isText) {
      words.of("first", keys::add);
    } else {
      keys.add(7);
    }
    InputRows input = new InputRows(isText, words, FeatureVocabulary.of(keys));
    Example first =
        isText
            ? Example.ofText("first")
            : Example.ofFeatures(new int[] {7}, new float[] {3}, List.of());
    assertTrue(input.hasRow(first));
    assertEquals(Map.of(0, isText ? "first" : "7"), input.names(first));
    assertEquals(0, input.shareOfUnknownWords(first));
    try (SparseRows rows = input.of(List.of(first))) {
      assertArrayEquals(new int[] {0}, rows.indices(0));
      assertArrayEquals(new float[] {1}, rows.values(0));
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void manyThreads_getBitForBitWhatOneGets(boolean common) throws Exception {
    int threads = 8;
    Path file = folder.resolve("model");
    try (Classifier classifier = trained(SMALL.withEpochs(1))) {
      classifier.save(file);
    }
    List<Example> examples = Texts.examples(300, LABELS, 2).toList();
    Workers workers = common ? Workers.common() : Workers.callingThread();
    ExecutorService pool = Executors.newFixedThreadPool(threads);
    LoadOptions options = LoadOptions.mapped().withWorkers(workers);
    try (Classifier classifier = Classifier.load(file, options)) {
      List<List<Prediction>> expected = classifier.predict(examples, 5);
      CyclicBarrier begin = new CyclicBarrier(threads);
      Callable<List<List<Prediction>>> oneByOne =
          () -> {
            begin.await();
            return examples.stream().map(example -> classifier.predict(example, 5)).toList();
          };
      for (Future<List<List<Prediction>>> answers :
          pool.invokeAll(Collections.nCopies(threads, oneByOne))) {
        assertEquals(expected, answers.get());
      }
    } finally {
      pool.shutdown();
    }
  }

  @Test
  void closed_refusesToPredict() {
    Classifier classifier = trained(SMALL.withEpochs(1));
    classifier.close();
    classifier.close();
    assertThrows(IllegalStateException.class, () -> classifier.predict("a", 1));
    assertThrows(IllegalStateException.class, () -> classifier.save(folder.resolve("model")));
  }
}
