// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.spark;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.UnaryOperator;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.lifecycle.AfterContainer;
import net.jqwik.api.lifecycle.BeforeContainer;
import org.apache.hadoop.conf.Configuration;
import org.apache.spark.ml.linalg.Vectors;
import org.apache.spark.sql.SparkSession;
import org.blocksparse.ElementType;
import org.blocksparse.FileFormatException;
import org.blocksparse.FloatTensor;
import org.blocksparse.IntTensor;
import org.blocksparse.Optimizer;
import org.blocksparse.Workers;
import org.blocksparse.bag.EmbeddingBag;
import org.blocksparse.io.LoadOptions;
import org.blocksparse.io.SaveOptions;
import org.blocksparse.ranking.Labels;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.blocksparse.softmax.LabelTree;
import org.blocksparse.softmax.TwoLevelLayer;
import org.blocksparse.testing.FileChanges;
import org.blocksparse.testing.Folders;

/**
 * Valid models, and folders of saved ones, with random changes: a model scores, or is trained; or
 * it is rejected by its name with one of the documented exceptions. The core's
 * HostileFileProperties cover the layers.
 */
final class HostileFolderProperties {
  private static final int FEATURES = 5;
  private static final int LABELS = 11;

  /** The time limit of one try: the first of Spark's jobs takes seconds. */
  private static final Duration MOST_TIME = Duration.ofMinutes(10);

  private static final String MODEL = "model.safetensors";

  /** Replacements of a value in metadata. */
  private static final List<String> VALUES =
      List.of(
          ("null true 0 -1 1 2.5 1e99 9223372036854775808 \"\" \"x\" \"NaN\" [] {} [1,2]"
                  + " {\"type\":1} {\"type\":1,\"values\":[1.0]} \"org.apache.spark.ml.feature.IDF\""
                  + " \"features\"")
              .split(" "));

  private static final String VALUE = "(?<=:)(\"[^\"]*\"|[0-9.]+|\\{\\})";

  /** The models by description. */
  private static final Map<String, byte[]> MODELS = new TreeMap<>();

  private static SparkSession spark;
  private static Path folder;
  private static Path saved;

  /** The file in the folder that has the params. */
  private static String metadata;

  // ------------------------------------------------------------------------------- right models

  @BeforeContainer
  static void save() throws IOException {
    folder = Files.createTempDirectory("hostile");
    spark = LocalSession.start(folder);
    SaveOptions plain = SaveOptions.defaults();
    try (HierarchicalSoftmax softmax = HierarchicalSoftmax.builder(FEATURES, LABELS).build();
        LabelTree tree = LabelTree.builder(FEATURES, LABELS).build();
        EmbeddingBag bag = EmbeddingBag.builder(7, FEATURES).build();
        FloatTensor x = FloatTensor.zeros(1, FEATURES);
        IntTensor target = IntTensor.zeros(1)) {
      x.fill(1);
      softmax.step(x, target, Optimizer.adam(0.1f));
      add("softmax", softmax, plain.withOptimizerState());
      try (HierarchicalSoftmax narrow = softmax.withWeights(ElementType.INT8)) {
        add("in fewer bits", narrow, plain);
      }
      add("tree", tree, plain);
      softmax.setLabels(
          Labels.of(IntStream.range(0, LABELS).mapToObj(Models::name).toArray(String[]::new)));
      add("names", softmax, plain.withOptimizerState());
      add("bag", softmax, plain.with(bag));
      Path file = folder.resolve("whole");
      softmax.save(file);
      saved = folder.resolve("saved");
      HierarchicalSoftmaxClassificationModel.of(file).setK(3).save(saved.toString());
      metadata = saved.relativize(Models.metadataOf(saved)).toString();
    }
  }

  private static void add(String name, TwoLevelLayer<?> layer, SaveOptions options)
      throws IOException {
    Path file = folder.resolve("right");
    layer.save(file, options);
    MODELS.put(name, Files.readAllBytes(file));
  }

  @AfterContainer
  static void stop() throws IOException {
    spark.stop();
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

  /** Returns a replacement of one of the metadata's values, by its place. */
  @Provide
  Arbitrary<UnaryOperator<byte[]>> values() {
    return Combinators.combine(Arbitraries.integers().between(0, 40), Arbitraries.of(VALUES))
        .as((place, value) -> bytes -> withValue(new String(bytes, UTF_8), place, value));
  }

  private static byte[] withValue(String json, int place, String value) {
    List<MatchResult> found = Pattern.compile(VALUE).matcher(json).results().toList();
    MatchResult old = found.get(place % found.size());
    return (json.substring(0, old.start()) + value + json.substring(old.end())).getBytes(UTF_8);
  }

  // --------------------------------------------------------------------------------------- files

  private static Path written(String name, List<UnaryOperator<byte[]>> changes) throws IOException {
    return Files.write(folder.resolve("changed"), FileChanges.apply(changes, MODELS.get(name)));
  }

  /** Users do not know the temporary file that a model is copied into. */
  private static void assertNamesNoCopy(Exception e) {
    assertFalse(e.getMessage().contains("blocksparse-spark"), e::toString);
  }

  /** Scores rows as a task does, but outside of a task. */
  private static void score(Path file, EstimatorKind kind) throws IOException {
    LoadOptions options =
        LoadOptions.mapped().withWorkers(Workers.callingThread()).withoutOptimizerState();
    try (ModelLayers model = ModelLayers.load(kind, file, options)) {
      FeatureBatch batch = model.newBatch(PartitionScorer.mostRows(3, model.layer().outputs()));
      batch.add(Vectors.dense(new double[model.features()]));
      try (FloatTensor x = batch.take()) {
        var ranking = model.layer().topK(x, 3);
        for (int rank = 0; rank < ranking.size(0) && model.layer().hasLabels(); rank++) {
          assertTrue(ranking.label(0, rank) != null);
        }
      }
    }
  }

  @Property
  void ofFiles(
      @ForAll("models") String name, @ForAll("changes") List<UnaryOperator<byte[]>> changes)
      throws IOException {
    Path file = written(name, changes);
    assertTimeoutPreemptively(MOST_TIME, () -> scoresOrRefuses(file));
  }

  private static void scoresOrRefuses(Path file) {
    try {
      HierarchicalSoftmaxClassificationModel model =
          HierarchicalSoftmaxClassificationModel.of(file);
      assertTrue(model.numFeatures() > 0 && model.numClasses() > 0);
      score(model.file(), EstimatorKind.SOFTMAX);
    } catch (IllegalArgumentException e) {
      assertTrue(e.getMessage().matches("model: of \\d+ labels, \\d+ have names"), e::toString);
    } catch (IOException e) {
      assertTrue(e.getMessage().startsWith(file + ": "), e::toString);
      assertNamesNoCopy(e);
    }
  }

  /** If the driver has accepted a model, tasks reject only the state of its optimizer. */
  @Property
  void ofInitialModels(
      @ForAll("models") String name, @ForAll("changes") List<UnaryOperator<byte[]>> changes)
      throws IOException {
    Path file = written(name, changes);
    assertTimeoutPreemptively(MOST_TIME, () -> trainsOrRefuses(file));
  }

  private static void trainsOrRefuses(Path file) throws IOException {
    try {
      String place = file.toUri().toString();
      InitialModel initial = InitialModel.read(EstimatorKind.SOFTMAX, place, new Configuration());
      LoadOptions options = LoadOptions.mapped().withWorkers(Workers.callingThread());
      try (TwoLevelLayer<?> layer = EstimatorKind.SOFTMAX.load(initial.bytes().file(), options);
          TrainedPart<?> part =
              TrainedPart.of(layer, layer.classCount() - 1, Workers.callingThread())) {
        assertEquals(initial.features(), layer.features());
        part.toBytes();
      } catch (FileFormatException e) {
        assertTrue(e.part().matches("(adam|adagrad|state|optimizer|__metadata__).*"), e::toString);
      } catch (IllegalStateException e) { // a part is not finite, which fit reports
        String expected = "class \\d+: element \\d+ is (NaN|-?Infinity); it is not saved";
        assertTrue(e.getMessage().matches(expected), e::toString);
      }
    } catch (IllegalArgumentException e) {
      assertTrue(e.getMessage().startsWith("initialModel: "), e::toString);
      assertNamesNoCopy(e);
    }
  }

  // -------------------------------------------------------------------------------------- folders

  private static Path copyOfFolder() throws IOException {
    Path copy = folder.resolve("copy");
    if (Files.exists(copy)) {
      Folders.delete(copy);
    }
    List<Path> files;
    try (Stream<Path> all = Files.walk(saved)) {
      files = new ArrayList<>(all.toList());
    }
    files.removeIf(file -> file.toString().endsWith(".crc")); // would reveal each change
    for (Path file : files) {
      Files.copy(file, copy.resolve(saved.relativize(file)));
    }
    return copy;
  }

  private static void loadsOrRefuses(Path copy) {
    try {
      HierarchicalSoftmaxClassificationModel model =
          HierarchicalSoftmaxClassificationModel.load(copy.toString());
      assertEquals(LABELS, model.numClasses());
      var rows = Models.dataset(spark, new float[1][FEATURES], Models.FeaturesAs.DENSE, 1);
      try {
        model.transform(rows).schema();
      } catch (IllegalArgumentException e) { // columns are missing, or exist already
        assertTrue(e.getMessage().matches("\\w+Col: .*"), e::toString);
      }
    } catch (UncheckedIOException e) {
      assertTrue(e.getMessage().startsWith(copy + ": "), e::toString);
      assertNamesNoCopy(e);
    }
  }

  @Property(tries = 40)
  void ofMetadata(@ForAll("values") UnaryOperator<byte[]> change) throws IOException {
    Path copy = copyOfFolder();
    Path changed = copy.resolve(metadata);
    Files.write(changed, change.apply(Files.readAllBytes(changed)));
    assertTimeoutPreemptively(MOST_TIME, () -> loadsOrRefuses(copy));
  }

  @Property(tries = 40)
  void ofBytes(@ForAll boolean ofModel, @ForAll("changes") List<UnaryOperator<byte[]>> changes)
      throws IOException {
    Path copy = copyOfFolder();
    Path file = copy.resolve(ofModel ? MODEL : metadata);
    Files.write(file, FileChanges.apply(changes, Files.readAllBytes(file)));
    assertTimeoutPreemptively(MOST_TIME, () -> loadsOrRefuses(copy));
  }

  @Property
  void ofWhatIsNotThere(@ForAll("places") String place, @ForAll boolean folderInstead)
      throws IOException {
    Path copy = copyOfFolder();
    Folders.delete(copy.resolve(place));
    if (folderInstead) {
      Files.createDirectories(copy.resolve(place));
    }
    assertTimeoutPreemptively(MOST_TIME, () -> loadsOrRefuses(copy));
  }

  @Provide
  Arbitrary<String> places() {
    return Arbitraries.of("", "metadata", metadata, MODEL, "metadata/_SUCCESS");
  }
}
