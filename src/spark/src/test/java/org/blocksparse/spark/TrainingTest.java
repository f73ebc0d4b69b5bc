// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.spark;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.ServiceLoader;
import java.util.stream.Stream;
import org.apache.spark.ml.Estimator;
import org.apache.spark.ml.Pipeline;
import org.apache.spark.ml.PipelineModel;
import org.apache.spark.ml.PipelineStage;
import org.apache.spark.ml.linalg.SQLDataTypes;
import org.apache.spark.ml.linalg.Vectors;
import org.apache.spark.ml.param.ParamMap;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.RowFactory;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.StructType;
import org.blocksparse.io.SaveOptions;
import org.blocksparse.softmax.ClassAssignment;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.blocksparse.spark.OneProcess.Example;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The file of a model that Spark trained equals that of one process, byte by byte. */
final class TrainingTest {
  private static final int FEATURES = 12;
  private static final int LABELS = 103; // in 9 classes of up to 12
  private static final int CLASSES = 9;
  private static final int EPOCHS = 3;
  private static final int BATCH_SIZE = 100;

  private static final List<Example> EXAMPLES = OneProcess.examples(1500, FEATURES, LABELS, 1);

  @TempDir private static Path warehouse;
  private static SparkSession spark;

  @TempDir Path folder;

  @BeforeAll
  static void start() {
    spark = LocalSession.start(warehouse);
  }

  @AfterAll
  static void stop() {
    spark.stop();
  }

  private static HierarchicalSoftmaxClassifier classifier(String rule, double rate) {
    return new HierarchicalSoftmaxClassifier()
        .setMaxIter(EPOCHS)
        .setBatchSize(BATCH_SIZE)
        .setOptimizer(rule)
        .setStepSize(rate)
        .setSeed(5)
        .setNumLabels(LABELS)
        .setClasses(CLASSES)
        .setAssignment("contiguous")
        .setKeepOptimizerState(true)
        .setNumPartitions(4);
  }

  private static ClassAssignment contiguous() {
    return ClassAssignment.contiguous(LABELS, CLASSES);
  }

  /** Returns the model of one process, with the classes that were used. */
  private Path expected(HierarchicalSoftmaxClassifier asked) throws IOException {
    Path file = folder.resolve("one process");
    OneProcess.save(asked, weightedOrNot(asked), contiguous(), file);
    return file;
  }

  private static void assertSame(Path expected, HierarchicalSoftmaxClassificationModel model)
      throws IOException {
    assertEquals(-1, Files.mismatch(expected, model.file()), "the first byte that differs");
  }

  static Stream<Arguments> rules() {
    return Stream.of(
        Arguments.of(classifier("sgd", 0.3), 4),
        Arguments.of(classifier("sgd", 0.3).setDecay(0.01).setWeightCol("weight"), 1),
        Arguments.of(classifier("adagrad", 0.2).setWeightCol("weight"), 7),
        Arguments.of(classifier("adagrad", 0.2).setMaxNorm(0.1).setReshuffle(false), 64),
        Arguments.of(classifier("adam", 0.02).setDecay(0.01).setMaxNorm(0.1), 2));
  }

  @ParameterizedTest
  @MethodSource("rules")
  void theFileIsThatOfOneProcess(HierarchicalSoftmaxClassifier asked, int partitions)
      throws IOException {
    Path expected = expected(asked);
    List<Example> permuted = new ArrayList<>(EXAMPLES);
    Collections.shuffle(permuted, new Random(partitions));
    Dataset<Row> rows = OneProcess.rows(spark, permuted).repartition(partitions);
    assertSame(expected, asked.setNumPartitions(partitions).fit(rows));
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 7})
  void clusteredClassesAreThoseOfOneProcess(int partitions) throws IOException {
    HierarchicalSoftmaxClassifier asked =
        classifier("sgd", 0.3)
            .setMaxIter(1)
            .setAssignment("clustered")
            .setNumPartitions(partitions);
    Path expected = folder.resolve("clustered");
    ClassAssignment classes = OneProcess.clustered(EXAMPLES, LABELS, CLASSES, 5);
    OneProcess.save(asked, weightedOrNot(asked), classes, expected);
    List<Example> permuted = new ArrayList<>(EXAMPLES);
    Collections.shuffle(permuted, new Random(partitions));
    Dataset<Row> rows = OneProcess.rows(spark, permuted).repartition(partitions);
    assertSame(expected, asked.fit(rows));
  }

  /** Returns the examples with all weights 1 if no column of weights is set, also in the hash. */
  private static List<Example> weightedOrNot(HierarchicalSoftmaxClassifier asked) {
    return asked.isSet(asked.weightCol()) ? EXAMPLES : OneProcess.unweighted(EXAMPLES);
  }

  @Test
  void featuresMayBeStoredInAnyWay() throws IOException {
    HierarchicalSoftmaxClassifier asked = classifier("sgd", 0.3);
    Path expected = expected(asked);
    List<Row> vectors = new ArrayList<>();
    for (int i = 0; i < EXAMPLES.size(); i++) {
      float[] x = EXAMPLES.get(i).features();
      double[] values = new double[x.length];
      for (int f = 0; f < x.length; f++) {
        values[f] = x[f];
      }
      var dense = Vectors.dense(values);
      vectors.add(
          RowFactory.create((long) EXAMPLES.get(i).label(), i % 2 == 0 ? dense : dense.toSparse()));
    }
    Dataset<Row> rows =
        spark.createDataFrame(
            vectors,
            new StructType()
                .add("label", DataTypes.LongType)
                .add("features", SQLDataTypes.VectorType()));
    assertSame(expected, asked.fit(rows));
  }

  @Test
  void stringsGetNumbersByFrequencyAndTheModelTellsThem() throws IOException {
    Dataset<Row> rows =
        OneProcess.rows(spark, EXAMPLES).selectExpr("concat('label ', label) AS label", "features");
    HierarchicalSoftmaxClassificationModel model =
        classifier("adagrad", 0.2).setAssignment("byFrequency").fit(rows);
    try (HierarchicalSoftmax layer = model.layer()) {
      assertEquals("label 0", layer.labels().name(0)); // a quarter of all
      assertEquals(0, layer.assignment().classOf(0));
    }
    Dataset<Row> answers = model.transform(rows);
    long right = answers.where("prediction = label").count();
    assertTrue(right > EXAMPLES.size() / 4, right + " are right of " + EXAMPLES.size());
  }

  /** The last labels have no rows, so that some classes make no step by another optimizer. */
  @ParameterizedTest
  @ValueSource(strings = {"adam", "adagrad", "sgd"})
  void trainingGoesOnFromAFile(String rule) throws IOException {
    assertTrainingGoesOn(rule, OneProcess.unweighted(EXAMPLES));
  }

  /** The optimizer is another one, but changes nothing: the previous state is kept. */
  @Test
  void trainingGoesOnWithRowsOfWhichNoneCounts() throws IOException {
    assertTrainingGoesOn(
        "adagrad", EXAMPLES.stream().map(e -> new Example(e.labels(), 0, e.features())).toList());
  }

  private void assertTrainingGoesOn(String rule, List<Example> examples) throws IOException {
    Path first = folder.resolve("once");
    Path expected = folder.resolve("twice");
    try (HierarchicalSoftmax layer =
        classifier("adam", 0.02).fit(OneProcess.rows(spark, EXAMPLES)).layer()) {
      layer.save(
          first, SaveOptions.defaults().withOptimizerState().withMetadata(Map.of("of", "mine")));
    }
    HierarchicalSoftmaxClassificationModel second =
        classifier(rule, 0.02)
            .setWeightCol("weight")
            .setInitialModel(first.toString())
            .fit(OneProcess.rows(spark, examples));
    try (HierarchicalSoftmax layer = HierarchicalSoftmax.load(first)) {
      int batches = (EXAMPLES.size() - 1) / BATCH_SIZE + 1;
      new OneProcess(
              new RowOrder(5, batches, true),
              EPOCHS,
              new OptimizerSettings(rule, 0.02f, 0, Float.POSITIVE_INFINITY).optimizer())
          .train(layer, examples);
      OneProcess.save(layer, expected);
    }
    assertSame(expected, second);
  }

  @Test
  void trainingGoesOnFromTheFolderOfASavedModelAsFromItsFile() throws IOException {
    Dataset<Row> rows = OneProcess.rows(spark, EXAMPLES);
    HierarchicalSoftmaxClassificationModel first = classifier("adam", 0.02).fit(rows);
    Path saved = folder.resolve("saved");
    first.save(saved.toString());
    HierarchicalSoftmaxClassifier goingOn = classifier("adam", 0.02);
    Path file = saved.resolve("model.safetensors");
    Path expected = folder.resolve("gone on");
    Files.copy(goingOn.setInitialModel(file.toString()).fit(rows).file(), expected);
    assertNotEquals(-1, Files.mismatch(file, expected));
    assertSame(expected, goingOn.setInitialModel(saved.toString()).fit(rows));
    assertSame(expected, goingOn.setInitialModel(saved.toUri().toString()).fit(rows));
    Files.delete(file);
    for (Path none : List.of(saved, file)) {
      Exception e =
          assertThrows(
              IllegalArgumentException.class,
              () -> goingOn.setInitialModel(none.toString()).fit(rows));
      assertTrue(e.getMessage().startsWith("initialModel: expected the folder"), e.getMessage());
    }
  }

  @Test
  void stringsDoNotGoOnWithAModelWhoseLabelsHaveNoNames() throws IOException {
    Dataset<Row> rows = OneProcess.rows(spark, EXAMPLES);
    HierarchicalSoftmaxClassificationModel first = classifier("sgd", 0.1).fit(rows);
    Dataset<Row> named = rows.selectExpr("concat('label ', label) AS label", "features");
    HierarchicalSoftmaxClassifier goingOn =
        classifier("sgd", 0.1).setInitialModel(first.file().toString());
    Exception e = assertThrows(IllegalArgumentException.class, () -> goingOn.fit(named));
    assertTrue(e.getMessage().startsWith("initialModel: its labels have no names"), e.getMessage());
  }

  /** The schema promises numbers, but the model has names. */
  @Test
  void numbersDoNotGoOnWithAModelWhoseLabelsHaveNames() throws IOException {
    Path named = Models.save(folder.resolve("named"), true);
    HierarchicalSoftmaxClassifier goingOn =
        classifier("sgd", 0.1).setInitialModel(named.toString());
    Dataset<Row> rows = OneProcess.rows(spark, EXAMPLES);
    Exception e = assertThrows(IllegalArgumentException.class, () -> goingOn.fit(rows));
    assertEquals(
        "initialModel: its labels have names, but column 'label' has numbers: give it the names, as"
            + " strings",
        e.getMessage());
  }

  @Test
  void aRowOfARetiredLabelIsNamed() throws IOException {
    Path file = Models.save(folder.resolve("retired"), false);
    int label = EXAMPLES.get(17).label();
    try (HierarchicalSoftmax layer = HierarchicalSoftmax.load(file)) {
      layer.retire(label);
      layer.save(file);
    }
    int row = 0;
    while (EXAMPLES.get(row).label() != label) {
      row++;
    }
    assertRefused(
        IllegalArgumentException.class,
        EXAMPLES,
        classifier("sgd", 0.1).setInitialModel(file.toString()),
        "row " + row + " of partition 0, with label " + label + ".0",
        "labelCol: label " + label + " is retired in initialModel");
  }

  @Test
  void decimalsAreNotRounded() {
    HierarchicalSoftmaxClassifier asked = classifier("sgd", 0.1);
    Dataset<Row> rows = OneProcess.rows(spark, EXAMPLES);
    asked.transformSchema(rows.selectExpr("cast(label as decimal(9)) label", "features").schema());
    StructType schema = rows.selectExpr("cast(label as decimal(9, 2)) label", "features").schema();
    Exception e = assertThrows(IllegalArgumentException.class, () -> asked.transformSchema(schema));
    assertEquals(
        "labelCol: expected whole numbers or strings but column 'label' is decimal(9,2): cast it",
        e.getMessage());
  }

  @Test
  void moreThanThereCanBeIsRefused() {
    HierarchicalSoftmaxClassifier asked =
        classifier("sgd", 0.1).setNumLabels(Integer.MAX_VALUE - 7);
    StructType schema = OneProcess.rows(spark, EXAMPLES).schema();
    Exception labels =
        assertThrows(IllegalArgumentException.class, () -> asked.transformSchema(schema));
    assertEquals("numLabels: expected at most 2147483639 but was 2147483640", labels.getMessage());
    assertRefused(
        IllegalArgumentException.class,
        EXAMPLES,
        classifier("sgd", 0.1).setMaxIter(Integer.MAX_VALUE),
        "maxIter and batchSize: ");
  }

  @Test
  void aWrongAssignmentIsToldBeforeAnythingIsRead() {
    HierarchicalSoftmaxClassifier asked = classifier("sgd", 0.1).setAssignment("clusterd");
    StructType schema = OneProcess.rows(spark, EXAMPLES).schema();
    Exception e = assertThrows(IllegalArgumentException.class, () -> asked.transformSchema(schema));
    assertTrue(e.getMessage().startsWith("assignment: "), e.getMessage());
  }

  @Test
  void numbersOfNoUseAreToldByTheNamesOfTheirParams() {
    for (double rate : new double[] {Double.NaN, 0, -1, 1e300, 1e-300}) {
      StructType schema = OneProcess.rows(spark, EXAMPLES).schema();
      HierarchicalSoftmaxClassifier asked = classifier("sgd", rate);
      String message =
          assertThrows(IllegalArgumentException.class, () -> asked.transformSchema(schema))
              .getMessage();
      assertTrue(message.startsWith("stepSize: expected a float > 0"), message);
    }
    assertRefused(
        IllegalArgumentException.class,
        EXAMPLES,
        classifier("sgd", 0.1).setClasses(LABELS + 1),
        "classes: expected at most as many as labels, 103, but was 104");
  }

  /** Only tasks read the state, into memory. */
  @Test
  void optimizerStateThatIsNoneIsToldAsTheModels() throws IOException {
    Path saved = folder.resolve("state");
    classifier("adam", 0.02).fit(OneProcess.rows(spark, EXAMPLES)).save(saved.toString());
    Path file = saved.resolve("model.safetensors");
    byte[] bytes = Files.readAllBytes(file);
    Arrays.fill(bytes, bytes.length - 400, bytes.length, (byte) 0xff); // NaN
    Path bad = Files.write(folder.resolve("bad-state"), bytes);
    assertRefused(
        IllegalArgumentException.class,
        EXAMPLES,
        classifier("adam", 0.02).setInitialModel(bad.toString()),
        "initialModel: " + bad + ": ");
  }

  /**
   * Spark's own reader instantiates any class in the metadata, such as this one, which creates a
   * file.
   */
  @Test
  void nothingIsMadeOfMetadataButAnEstimator() throws IOException {
    Path saved = folder.resolve("estimator of others");
    classifier("sgd", 0.1).save(saved.toString());
    Path metadata = Models.metadataOf(saved);
    Path made = folder.resolve("made");
    String json =
        Files.readString(metadata)
            .replaceFirst("\"class\":\"[^\"]*\"", "\"class\":\"java.io.FileOutputStream\"")
            .replaceFirst("\"uid\":\"[^\"]*\"", "\"uid\":\"" + made + "\"");
    Files.writeString(metadata, json);
    Files.delete(metadata.resolveSibling("." + metadata.getFileName() + ".crc"));
    String message =
        assertThrows(
                UncheckedIOException.class,
                () -> HierarchicalSoftmaxClassifier.load(saved.toString()))
            .getMessage();
    assertTrue(message.startsWith(saved + ": metadata: "), message);
    assertTrue(Files.notExists(made));
  }

  @Test
  void columnsMayHaveDotsInTheirNames() {
    Dataset<Row> rows =
        OneProcess.rows(spark, EXAMPLES)
            .withColumnRenamed("features", "x.dense")
            .withColumnRenamed("label", "y`.1");
    HierarchicalSoftmaxClassificationModel model =
        classifier("sgd", 0.1).setFeaturesCol("x.dense").setLabelCol("y`.1").fit(rows);
    assertEquals(EXAMPLES.size(), model.transform(rows).count());
  }

  @Test
  void whatCannotBeTrainedIsNamedAndTheSessionGoesOn() {
    List<Example> wrong = new ArrayList<>(EXAMPLES);
    float[] x = EXAMPLES.get(0).features().clone();
    x[3] = Float.NaN;
    wrong.set(17, new Example(41, 1, x));
    assertRefused(
        IllegalArgumentException.class,
        wrong,
        classifier("sgd", 1),
        "row 17 of partition 0, with label 41.0",
        "[3]");
    wrong.set(17, new Example(LABELS, 1, EXAMPLES.get(0).features()));
    assertRefused(
        IllegalArgumentException.class,
        wrong,
        classifier("sgd", 1),
        "row 17 of partition 0, with label 103.0",
        "[0, 103)");
    wrong.set(17, new Example(2_000_000_000, 1, EXAMPLES.get(0).features()));
    assertRefused(
        IllegalArgumentException.class,
        wrong,
        classifier("sgd", 1).setNumLabels(0),
        "labelCol: ",
        "is 2000000000: ");
    assertRefused(
        ArithmeticException.class, EXAMPLES, classifier("sgd", 3e38), "epoch ", "batch ", "class ");
    assertRefused(
        IllegalArgumentException.class, EXAMPLES.subList(0, 0), classifier("sgd", 1), "none");
    assertEquals(3, spark.range(3).count());
  }

  /** The first row is checked, too, which otherwise gives the number of features. */
  @Test
  void nullFeaturesAreToldOfTheirRow() {
    for (int row : new int[] {0, 1, EXAMPLES.size() - 1}) {
      List<Example> wrong = new ArrayList<>(EXAMPLES);
      int label = wrong.get(row).label();
      wrong.set(row, new Example(label, 1, null));
      assertRefused(
          IllegalArgumentException.class,
          wrong,
          classifier("sgd", 1),
          "row " + row + " of partition 0, with label " + label + ".0",
          "numbers but was null");
    }
    assertRefused(
        IllegalArgumentException.class,
        List.of(new Example(1, 1, null), new Example(2, 1, null)),
        classifier("sgd", 1),
        "featuresCol: expected numbers but was null in all rows");
  }

  private static void assertRefused(
      Class<? extends Exception> type,
      List<Example> examples,
      HierarchicalSoftmaxClassifier asked,
      String... words) {
    Dataset<Row> rows = OneProcess.rows(spark, examples).coalesce(1);
    Exception e = assertThrows(type, () -> asked.fit(rows));
    for (String word : words) {
      assertTrue(e.getMessage().contains(word), e.getMessage());
    }
  }

  @Test
  void theEstimatorIsSavedWithItsParams() throws IOException {
    HierarchicalSoftmaxClassifier asked = classifier("adam", 0.25).setMaxNorm(3);
    asked.save(folder.resolve("estimator").toString());
    HierarchicalSoftmaxClassifier loaded =
        HierarchicalSoftmaxClassifier.load(folder.resolve("estimator").toString());
    assertEquals(asked.explainParams(), loaded.explainParams());
    assertEquals(asked.uid(), loaded.uid());
  }

  @Test
  void copiesHaveParamsOfTheirOwn() {
    HierarchicalSoftmaxClassifier asked = classifier("adam", 0.25);
    HierarchicalSoftmaxClassifier copy = asked.copy(new ParamMap().put(asked.maxIter().w(7)));
    assertEquals(7, copy.settings().epochs());
    assertEquals(EPOCHS, asked.settings().epochs());
    assertEquals(asked.settings(), copy.setMaxIter(EPOCHS).settings());
    assertEquals(asked.uid(), copy.uid());
  }

  @Test
  void aPipelineThatIsToBeFittedIsSavedAndLoaded() throws IOException {
    HierarchicalSoftmaxClassifier asked = classifier("sgd", 0.3);
    Path saved = folder.resolve("pipeline");
    new Pipeline().setStages(new PipelineStage[] {asked}).save(saved.toString());
    PipelineModel fitted =
        Pipeline.load(saved.toString()).fit(OneProcess.rows(spark, EXAMPLES).drop("weight"));
    assertSame(expected(asked), (HierarchicalSoftmaxClassificationModel) fitted.stages()[0]);
  }

  /** Spark Connect finds its estimators as services. */
  @Test
  void theEstimatorIsFoundAsAService() {
    assertTrue(
        ServiceLoader.load(Estimator.class).stream()
            .map(ServiceLoader.Provider::type)
            .anyMatch(HierarchicalSoftmaxClassifier.class::equals));
  }
}
