// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.spark;

import static org.apache.spark.sql.functions.col;
import static org.apache.spark.sql.functions.expr;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.ServiceLoader;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.apache.spark.ml.Estimator;
import org.apache.spark.ml.Pipeline;
import org.apache.spark.ml.PipelineModel;
import org.apache.spark.ml.PipelineStage;
import org.apache.spark.ml.param.ParamMap;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;
import org.blocksparse.FloatTensor;
import org.blocksparse.ranking.Ranking;
import org.blocksparse.softmax.ClassAssignment;
import org.blocksparse.softmax.LabelTree;
import org.blocksparse.spark.OneProcess.Example;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Rows with several labels: the file of a model that Spark trained equals that of one process, byte
 * by byte. {@link TrainingTest} covers the rest, with one label a row.
 */
final class LabelTreeTrainingTest {
  private static final int FEATURES = 12;
  private static final int LABELS = 103; // in 9 classes of up to 12
  private static final int CLASSES = 9;
  private static final int EPOCHS = 3;
  private static final int BATCH_SIZE = 100;

  private static final List<Example> EXAMPLES =
      OneProcess.withSets(OneProcess.examples(1000, FEATURES, LABELS, 1), LABELS, 2);

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

  private static LabelTreeClassifier classifier(String rule, double rate) {
    return new LabelTreeClassifier()
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

  /** Returns the examples with all weights 1 if no column of weights is set, also in the hash. */
  private static List<Example> weightedOrNot(LabelTreeClassifier asked) {
    return asked.isSet(asked.weightCol()) ? EXAMPLES : OneProcess.unweighted(EXAMPLES);
  }

  private Path expected(LabelTreeClassifier asked, ClassAssignment classes) throws IOException {
    Path file = folder.resolve("one process");
    OneProcess.save(asked, weightedOrNot(asked), classes, file);
    return file;
  }

  private static ClassAssignment contiguous() {
    return ClassAssignment.contiguous(LABELS, CLASSES);
  }

  private static void assertSame(Path expected, LabelTreeClassificationModel model)
      throws IOException {
    assertEquals(-1, Files.mismatch(expected, model.file()), "the first byte that differs");
  }

  private static Dataset<Row> permuted(int partitions) {
    List<Example> permuted = new ArrayList<>(EXAMPLES);
    Collections.shuffle(permuted, new Random(partitions));
    return OneProcess.rowsOfSets(spark, permuted).repartition(partitions);
  }

  static Stream<Arguments> rules() {
    return Stream.of(
        Arguments.of(classifier("sgd", 0.3).setDecay(0.01).setWeightCol("weight"), "int", 1),
        Arguments.of(classifier("adagrad", 0.2).setMaxNorm(0.1), "bigint", 7),
        Arguments.of(
            classifier("adam", 0.02)
                .setDecay(0.01)
                .setMaxNorm(0.1)
                .setWeightCol("weight")
                .setReshuffle(false),
            "double",
            2));
  }

  @ParameterizedTest
  @MethodSource("rules")
  void theFileIsThatOfOneProcess(LabelTreeClassifier asked, String type, int partitions)
      throws IOException {
    Dataset<Row> rows =
        permuted(partitions).withColumn("label", col("label").cast("array<" + type + ">"));
    assertSame(expected(asked, contiguous()), asked.setNumPartitions(partitions).fit(rows));
  }

  @Test
  void clusteredClassesAreThoseOfOneProcess() throws IOException {
    LabelTreeClassifier asked = classifier("sgd", 0.3).setMaxIter(1).setAssignment("clustered");
    ClassAssignment classes = OneProcess.clustered(EXAMPLES, LABELS, CLASSES, 5);
    assertSame(expected(asked, classes), asked.fit(permuted(3)));
  }

  /** A label counts once in a row, even if listed twice; rows without labels are rows, too. */
  @Test
  void labelsAreCountedOnceARowAndRowsWithoutLabelsAreRows() {
    for (String type : List.of("double", "string")) {
      Dataset<Row> labels =
          OneProcess.rowsOfSets(spark, EXAMPLES)
              .select(col("label").cast("array<" + type + ">").as("label"));
      boolean numbers = type.equals("double");
      LabelTable table =
          numbers ? LabelTable.ofNumbers(labels, LABELS) : LabelTable.ofStrings(labels, names());
      assertEquals(EXAMPLES.size(), table.rows());
      for (int label = 0; label < LABELS; label++) {
        int own = label;
        long expected = EXAMPLES.stream().filter(e -> e.set().contains(own)).count();
        assertEquals(expected, table.counts()[label], type + " " + label);
      }
    }
  }

  private static List<String> names() {
    return IntStream.range(0, LABELS).mapToObj(String::valueOf).toList();
  }

  /** The likeliest labels are checked for a row, and for many rows by names. */
  @Test
  void stringsGetNumbersByFrequencyAndTheModelFindsThem() throws IOException {
    Dataset<Row> rows =
        permuted(2).withColumn("label", expr("transform(label, l -> concat('label ', l))"));
    LabelTreeClassificationModel model =
        classifier("adagrad", 0.5).setMaxIter(10).setAssignment("byFrequency").fit(rows);
    try (LabelTree layer = model.layer()) {
      assertEquals("label 0", layer.labels().name(0));
      assertEquals(0, layer.assignment().classOf(0));
    }
    Dataset<Row> answers = model.transform(rows.where("size(label) > 0"));
    long right = answers.where("array_contains(label, prediction)").count();
    assertTrue(right > answers.count() / 4, right + " are right of " + answers.count());
  }

  @Test
  void trainingGoesOnFromAFileWithAnotherOptimizer() throws IOException {
    Dataset<Row> rows = OneProcess.rowsOfSets(spark, EXAMPLES);
    LabelTreeClassificationModel first = classifier("adam", 0.02).fit(rows);
    LabelTreeClassificationModel second =
        classifier("adagrad", 0.02).setInitialModel(first.file().toString()).fit(rows);
    Path expected = folder.resolve("twice");
    try (LabelTree layer = LabelTree.load(first.file())) {
      int batches = (EXAMPLES.size() - 1) / BATCH_SIZE + 1;
      new OneProcess(
              new RowOrder(5, batches, true),
              EPOCHS,
              new OptimizerSettings("adagrad", 0.02f, 0, Float.POSITIVE_INFINITY).optimizer())
          .train(layer, OneProcess.unweighted(EXAMPLES));
      OneProcess.save(layer, expected);
    }
    assertSame(expected, second);
  }

  @Test
  void whatCannotBeTrainedIsNamed() {
    Dataset<Row> rows = OneProcess.rowsOfSets(spark, EXAMPLES.subList(0, 3)).coalesce(1);
    assertRefused(
        rows.withColumn("features", expr("transform(features, x -> float('NaN'))")),
        "row 0 of partition 0, with label [",
        "expected finite floats but [0] is NaN");
    for (String labels :
        List.of(
            "array(7, 103)",
            "array(-1)",
            "array(0.5d)",
            "array(1, null)",
            "cast(null AS array<int>)")) {
      assertRefused(
          rows.withColumn("label", expr(labels)),
          "row 0 of partition 0, with label ",
          "labelCol: expected a whole number in [0, 103)");
    }
    for (String type : List.of("string", "int")) {
      Dataset<Row> none = rows.withColumn("label", expr("cast(array() AS array<" + type + ">)"));
      assertRefused(classifier("sgd", 1).setNumLabels(0), none, "labelCol: no row has a label");
    }
    assertRefused(
        classifier("sgd", 1).setNumLabels(0),
        rows.withColumn("label", expr("array(0.5d)")),
        "row 0 of partition 0, with label ");
    assertRefused(
        rows.withColumn("label", expr("array(0.5)")),
        "labelCol: expected arrays of whole numbers or strings but column 'label' is"
            + " array<decimal(1,1)>");
    for (String column : List.of("1", "'a'", "array(true)")) {
      assertRefused(
          rows.withColumn("label", expr(column)),
          "labelCol: expected arrays of numbers or strings but was ");
    }
  }

  /** Rows must have labels only if nothing else sets their number. */
  @Test
  void whereTheNumberOfLabelsIsSetRowsMayHaveNone() throws IOException {
    Dataset<Row> none =
        OneProcess.rowsOfSets(spark, EXAMPLES.subList(0, 3))
            .withColumn("label", expr("cast(array() AS array<int>)"));
    assertEquals(LABELS, classifier("sgd", 0.1).fit(none).numClasses());
  }

  @Test
  void labelsThatAreRetiredInTheInitialModelAreNamed() throws IOException {
    Path initial = folder.resolve("retired");
    try (LabelTree layer = LabelTree.builder(FEATURES, LABELS).build()) {
      layer.retire(41);
      layer.save(initial);
    }
    assertRefused(
        classifier("sgd", 0.1).setInitialModel(initial.toString()),
        OneProcess.rowsOfSets(spark, EXAMPLES.subList(0, 3))
            .withColumn("label", expr("array(40, 41)")),
        "labelCol: label 41 is retired in initialModel");
  }

  private static void assertRefused(Dataset<Row> rows, String... words) {
    assertRefused(classifier("sgd", 1), rows, words);
  }

  private static void assertRefused(LabelTreeClassifier asked, Dataset<Row> rows, String... words) {
    Exception e = assertThrows(IllegalArgumentException.class, () -> asked.fit(rows));
    for (String word : words) {
      assertTrue(e.getMessage().contains(word), e.getMessage());
    }
  }

  /** The pipeline, its estimator and the fitted model are all saved and loaded. */
  @Test
  void aPipelineIsSavedLoadedAndFittedAndItsModelScoresAsInOneProcess() throws IOException {
    LabelTreeClassifier asked = classifier("sgd", 0.3);
    Path saved = folder.resolve("pipeline");
    new Pipeline().setStages(new PipelineStage[] {asked}).save(saved.toString());
    Dataset<Row> rows = OneProcess.rowsOfSets(spark, EXAMPLES);
    PipelineModel fitted = Pipeline.load(saved.toString()).fit(rows.drop("weight"));
    Path savedModel = folder.resolve("model");
    fitted.save(savedModel.toString());
    PipelineModel loaded = PipelineModel.load(savedModel.toString());
    LabelTreeClassificationModel model = (LabelTreeClassificationModel) loaded.stages()[0];
    assertSame(expected(asked, contiguous()), model);
    assertEquals(asked.uid(), model.uid());
    LabelTreeClassificationModel copy = model.copy(new ParamMap().put(model.k().w(3)));
    assertEquals(10, model.getOrDefault(model.k()));
    assertScored(copy.transform(rows.coalesce(1)).collectAsList(), model);
    Dataset<Row> others = copy.setWithoutCol("label").transform(rows);
    assertEquals(0, others.where("array_contains(label, int(prediction))").count());
    assertThrows(IOException.class, () -> HierarchicalSoftmaxClassificationModel.of(model.file()));
  }

  /** All rows are in one batch, as in one process, so that the bits are equal. */
  private static void assertScored(List<Row> scored, LabelTreeClassificationModel model)
      throws IOException {
    float[] x = new float[EXAMPLES.size() * FEATURES];
    for (int r = 0; r < EXAMPLES.size(); r++) {
      System.arraycopy(EXAMPLES.get(r).features(), 0, x, r * FEATURES, FEATURES);
    }
    try (LabelTree layer = model.layer();
        FloatTensor rows = FloatTensor.of(x, EXAMPLES.size(), FEATURES)) {
      Ranking expected = layer.topK(rows, 3);
      for (int r = 0; r < scored.size(); r++) {
        Row row = scored.get(r);
        assertEquals((double) expected.output(r, 0), (double) row.getAs("prediction"));
        List<Row> topK = row.getList(row.fieldIndex("topK"));
        assertEquals(3, topK.size());
        for (int rank = 0; rank < 3; rank++) {
          assertEquals(expected.output(r, rank), topK.get(rank).getInt(0));
          assertEquals((float) expected.probability(r, rank), topK.get(rank).getFloat(1));
        }
      }
    }
  }

  @Test
  void theEstimatorIsSavedWithItsParamsCopiedAndFoundAsAService() throws IOException {
    LabelTreeClassifier asked = classifier("adam", 0.25).setMaxNorm(3);
    asked.save(folder.resolve("estimator").toString());
    LabelTreeClassifier loaded = LabelTreeClassifier.load(folder.resolve("estimator").toString());
    assertEquals(asked.explainParams(), loaded.explainParams());
    LabelTreeClassifier copy = asked.copy(new ParamMap().put(asked.maxIter().w(7)));
    assertEquals(7, copy.settings().epochs());
    assertEquals(asked.settings(), copy.setMaxIter(EPOCHS).settings());
    assertTrue(
        ServiceLoader.load(Estimator.class).stream()
            .map(ServiceLoader.Provider::type)
            .anyMatch(LabelTreeClassifier.class::equals));
  }
}
