// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.spark;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static java.nio.file.StandardCopyOption.REPLACE_EXISTING;
import static org.apache.spark.sql.functions.col;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.management.ThreadMXBean;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.management.ManagementFactory;
import java.nio.file.FileSystem;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.ml.Pipeline;
import org.apache.spark.ml.PipelineModel;
import org.apache.spark.ml.PipelineStage;
import org.apache.spark.ml.feature.SQLTransformer;
import org.apache.spark.ml.param.ParamMap;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.functions;
import org.apache.spark.sql.streaming.Trigger;
import org.apache.spark.sql.types.Metadata;
import org.apache.spark.sql.types.MetadataBuilder;
import org.blocksparse.FileFormatException;
import org.blocksparse.ranking.Ranking;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.blocksparse.softmax.LabelTree;
import org.blocksparse.spark.Models.FeaturesAs;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Scoring with a model, in one JVM. */
final class PartitionScorerTest {
  @TempDir private static Path folder;
  private static SparkSession spark;
  private static Path file;
  private static Path named;

  @BeforeAll
  static void start() throws IOException {
    spark = LocalSession.start(folder);
    file = Models.save(folder.resolve("numbers.safetensors"), false);
    named = Models.save(folder.resolve("names.safetensors"), true);
  }

  @AfterAll
  static void stop() {
    spark.stop();
  }

  private static HierarchicalSoftmaxClassificationModel model(Path of) throws IOException {
    return HierarchicalSoftmaxClassificationModel.of(of).setK(3);
  }

  private static void assertScored(Dataset<Row> scored, Ranking expected, boolean names) {
    List<Row> rows = scored.orderBy("id").collectAsList();
    assertEquals(expected.batch(), rows.size());
    for (Row row : rows) {
      int id = row.getInt(0);
      Object best = names ? expected.label(id, 0) : (Object) (double) expected.output(id, 0);
      assertEquals(best, row.getAs("prediction"));
      List<Row> topK = row.getList(row.fieldIndex("topK"));
      assertEquals(expected.size(id), topK.size());
      for (int rank = 0; rank < topK.size(); rank++) {
        Object label = names ? expected.label(id, rank) : (Object) expected.output(id, rank);
        assertEquals(label, topK.get(rank).get(0));
        float probability = (float) expected.probability(id, rank);
        assertEquals(probability, topK.get(rank).getFloat(1), 1e-6f * probability);
      }
    }
  }

  @ParameterizedTest
  @EnumSource
  void everyColumnOfFeatures_isScoredAsInOneProcess(FeaturesAs as) throws IOException {
    float[][] rows = Models.rows(2500, 3); // several batches in a partition
    Dataset<Row> scored = model(file).transform(Models.dataset(spark, rows, as, 2));
    assertScored(scored, Models.ranking(file, rows, 3), false);
  }

  @Test
  void labelsWithNames_areStrings() throws IOException {
    float[][] rows = Models.rows(100, 4);
    Dataset<Row> scored = model(named).transform(Models.dataset(spark, rows, FeaturesAs.DENSE, 3));
    assertScored(scored, Models.ranking(named, rows, 3), true);
  }

  @Test
  void noRows_noPartitions_noColumns() throws IOException {
    Dataset<Row> none = Models.dataset(spark, new float[0][], FeaturesAs.DENSE, 1);
    assertEquals(0, model(file).transform(none).count());
    Dataset<Row> rows = Models.dataset(spark, Models.rows(5, 1), FeaturesAs.DENSE, 1);
    Dataset<Row> plain = model(file).setTopKCol("").setPredictionCol("").transform(rows);
    assertEquals(List.of("id", "features"), List.of(plain.columns()));
    assertEquals(5, plain.count());
  }

  @Test
  void labelsOfAColumn_areLeftOut() throws IOException {
    float[][] rows = Models.rows(50, 5);
    Dataset<Row> plain = model(file).transform(Models.dataset(spark, rows, FeaturesAs.DENSE, 2));
    Dataset<Row> seen =
        plain.select(
            col("id"), col("features"), functions.array(col("topK.label").getItem(0)).as("seen"));
    for (String type : List.of("array<int>", "array<bigint>")) {
      List<Row> without =
          model(file)
              .setWithoutCol("seen")
              .transform(seen.withColumn("seen", col("seen").cast(type)))
              .orderBy("id")
              .collectAsList();
      Ranking expected = Models.ranking(file, rows, 4);
      for (Row row : without) {
        int id = row.getInt(0);
        assertEquals(expected.output(id, 1), (int) (double) row.<Double>getAs("prediction"));
        List<Row> topK = row.getList(row.fieldIndex("topK"));
        assertEquals(
            List.of(expected.output(id, 1), expected.output(id, 2), expected.output(id, 3)),
            topK.stream().map(entry -> entry.getInt(0)).toList());
      }
    }
  }

  @Test
  void namesOfAColumn_areLeftOut_unknownOnesToo_andNullsAreNone() throws IOException {
    float[][] rows = Models.rows(3, 6);
    Ranking expected = Models.ranking(named, rows, 2);
    Dataset<Row> input =
        Models.dataset(spark, rows, FeaturesAs.DENSE, 1)
            .withColumn(
                "seen",
                functions
                    .when(
                        col("id").equalTo(0),
                        functions.array(
                            functions.lit(expected.label(0, 0)), functions.lit("no label")))
                    .otherwise(functions.lit(null)));
    List<Row> scored =
        model(named).setWithoutCol("seen").transform(input).orderBy("id").collectAsList();
    assertEquals(expected.label(0, 1), scored.get(0).getAs("prediction"));
    assertEquals(expected.label(1, 0), scored.get(1).getAs("prediction"));
  }

  @Test
  void anUnknownNameLeavesOutNothing_norTheFirstLabel() throws IOException {
    float[][] rows = Models.rows(10, 6);
    Ranking expected = Models.ranking(named, rows, Models.LABELS);
    Dataset<Row> input =
        Models.dataset(spark, rows, FeaturesAs.DENSE, 1)
            .withColumn("seen", functions.expr("array('no label', 'label 7', 'nor this')"));
    List<Row> scored =
        model(named)
            .setWithoutCol("seen")
            .setK(Models.LABELS)
            .transform(input)
            .orderBy("id")
            .collectAsList();
    for (int i = 0; i < rows.length; i++) {
      int row = i;
      List<String> all =
          IntStream.range(0, Models.LABELS)
              .mapToObj(rank -> expected.label(row, rank))
              .filter(label -> !label.equals("label 7"))
              .toList();
      List<Row> topK = scored.get(i).getList(scored.get(i).fieldIndex("topK"));
      assertEquals(all, topK.stream().map(entry -> entry.getString(0)).toList());
    }
  }

  @Test
  void everythingLeftOut_isNull() throws IOException {
    Dataset<Row> input =
        Models.dataset(spark, Models.rows(2, 7), FeaturesAs.DENSE, 1)
            .withColumn("seen", functions.expr("sequence(0, " + (Models.LABELS - 1) + ")"));
    for (Row row : model(file).setWithoutCol("seen").transform(input).collectAsList()) {
      assertNull(row.getAs("prediction"));
      assertEquals(List.of(), row.getList(row.fieldIndex("topK")));
    }
  }

  @Test
  void moreLabelsThanThereAre_areAll() throws IOException {
    float[][] rows = Models.rows(20, 13);
    Dataset<Row> scored =
        model(file)
            .setK(Integer.MAX_VALUE)
            .transform(Models.dataset(spark, rows, FeaturesAs.DENSE, 1));
    assertScored(scored, Models.ranking(file, rows, Models.LABELS), false);
  }

  @Test
  void theMoreLabelsAreAsked_theFewerRowsABatchHas() {
    assertEquals(1024, PartitionScorer.mostRows(10, 1 << 20));
    assertEquals(1024, PartitionScorer.mostRows(Integer.MAX_VALUE, 500));
    assertEquals(8, PartitionScorer.mostRows(Integer.MAX_VALUE, 1 << 20));
    assertEquals(1, PartitionScorer.mostRows(Integer.MAX_VALUE, Integer.MAX_VALUE));
  }

  @Test
  void answersBecomeRows_oneAtATime() throws IOException {
    Dataset<Row> rows = Models.dataset(spark, Models.rows(1000, 14), FeaturesAs.DENSE, 1);
    ScoringColumns all = new ScoringColumns(1, -1, true, true, Models.LABELS, false);
    JavaSparkContext context = JavaSparkContext.fromSparkContext(spark.sparkContext());
    ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    try (var in = Files.newInputStream(file)) {
      PartitionScorer scoring =
          new PartitionScorer(
              ModelBytes.copyOf(EstimatorKind.SOFTMAX, in).to(context), rows.schema(), all);
      Iterator<Row> scored = scoring.call(rows.collectAsList().iterator());
      long before = threads.getCurrentThreadAllocatedBytes();
      scored.next();
      long allocated = threads.getCurrentThreadAllocatedBytes() - before;
      assertTrue(allocated < 20 << 20, allocated + " bytes"); // all rows together take 40 MB
    }
  }

  @Test
  void wrongRows_areNamed() throws IOException {
    float[][] rows = Models.rows(1500, 8);
    rows[1203][5] = Float.NaN;
    for (FeaturesAs as : FeaturesAs.values()) {
      Dataset<Row> input = Models.dataset(spark, rows, as, 1).orderBy("id").coalesce(1);
      assertFails(
          model(file).transform(input),
          "row 1203 of partition 0 (id = 1203): features: expected finite floats but [5] is NaN");
    }
    Dataset<Row> good = Models.dataset(spark, Models.rows(2, 9), FeaturesAs.DENSE, 1).coalesce(1);
    assertFails(
        model(file).transform(good.withColumn("features", functions.expr("array(1d, 2d)"))),
        "features: expected 12 numbers but was 2");
    assertFails(
        model(file)
            .transform(good.withColumn("features", functions.expr("cast(null as array<float>)"))),
        "features: expected 12 numbers but was null");
    assertFails(
        model(file)
            .setWithoutCol("seen")
            .transform(good.withColumn("seen", functions.expr("array(7, 500)"))),
        "seen: expected labels in [0, 500) but was 500");
    assertFails(
        model(named)
            .setWithoutCol("seen")
            .transform(good.withColumn("seen", functions.expr("array(cast(null as string))"))),
        "seen: expected names of labels but was null");
    String huge = "transform(sequence(1, 12), i -> 3e38d * (i % 2 * 2 - 1))";
    assertFails(
        model(file).transform(good.withColumn("features", functions.expr(huge))),
        "a probability is NaN, since the model or what it makes of the features is not finite");
    assertEquals(2, model(file).transform(good).count()); // the session continues
  }

  static void assertFails(Dataset<Row> rows, String message) {
    Exception e = assertThrows(Exception.class, rows::collectAsList);
    StringBuilder all = new StringBuilder();
    for (Throwable cause = e; cause != null; cause = cause.getCause()) {
      all.append(cause.getMessage()).append('\n');
    }
    assertTrue(all.toString().contains(message), all::toString);
  }

  @Test
  void wrongColumns_areNamed() throws IOException {
    Dataset<Row> rows = Models.dataset(spark, Models.rows(2, 9), FeaturesAs.DENSE, 1);
    assertRefuses(
        model(file).setFeaturesCol("x"),
        rows,
        "featuresCol: there is no column 'x' among id, feat");
    assertRefuses(
        model(file).setFeaturesCol("id"), rows, "featuresCol: column 'id': expected a vector or");
    assertRefuses(
        model(file).setWithoutCol("id"),
        rows,
        "withoutCol: column 'id': expected an array of ints");
    assertRefuses(
        model(file).setPredictionCol("id"), rows, "predictionCol: there is a column 'id' already");
  }

  private static void assertRefuses(
      HierarchicalSoftmaxClassificationModel model, Dataset<Row> rows, String message) {
    Exception e = assertThrows(IllegalArgumentException.class, () -> model.transform(rows));
    assertTrue(e.getMessage().startsWith(message), e::getMessage);
  }

  @Test
  void otherColumns_keepTheirMetadata() throws IOException {
    Metadata metadata = new MetadataBuilder().putString("of", "features").build();
    Dataset<Row> rows =
        Models.dataset(spark, Models.rows(2, 9), FeaturesAs.DENSE, 1)
            .withColumn("features", col("features").as("features", metadata));
    Dataset<Row> scored = model(file).transform(rows);
    assertEquals(metadata, scored.schema().apply("features").metadata());
    assertEquals(model(file).transformSchema(rows.schema()), scored.schema());
  }

  @Test
  void otherColumns_mayHaveTheSameName() throws IOException {
    Dataset<Row> rows = Models.dataset(spark, Models.rows(2, 9), FeaturesAs.DENSE, 1);
    Dataset<Row> twice = rows.select(col("id"), col("id"), col("features"));
    assertEquals(5, model(file).transform(twice).collectAsList().get(0).size());
    Metadata metadata = new MetadataBuilder().putString("of", "a test").build();
    Dataset<Row> told = twice.withColumn("features", col("features").as("features", metadata));
    Dataset<Row> scored = model(file).transform(told);
    assertEquals(5, scored.collectAsList().get(0).size());
    assertEquals(metadata, scored.schema().fields()[2].metadata());
  }

  @Test
  void whereOnlySomeLabelsHaveNames_thereIsNoModel() throws IOException {
    Path grown = folder.resolve("grown");
    try (HierarchicalSoftmax layer = HierarchicalSoftmax.load(named)) {
      layer.addOutputs(2);
      layer.save(grown);
    }
    Exception e = assertThrows(IllegalArgumentException.class, () -> model(grown));
    assertEquals(
        "model: of %s labels, %s have names".formatted(Models.LABELS + 2, Models.LABELS),
        e.getMessage());
  }

  @Test
  void aFileThatHoldsNone_isNamed() throws IOException {
    Path none = Files.write(folder.resolve("none"), new byte[99]);
    Path tree = folder.resolve("tree");
    try (LabelTree layer = LabelTree.builder(3, 5).build()) {
      layer.save(tree);
    }
    for (Path wrong : List.of(none, tree)) {
      assertNamed(wrong, () -> HierarchicalSoftmaxClassificationModel.of(wrong));
    }
    for (Path wrong : List.of(none, file)) {
      assertNamed(wrong, () -> LabelTreeClassificationModel.of(wrong));
    }
  }

  /**
   * Asserts that the exception names the requested file even if the flaw was found in the copy,
   * since the file may have changed since.
   */
  private static void assertNamed(Path wrong, Executable made) {
    IOException e = assertThrows(IOException.class, made);
    FileFormatException ofCopy = (FileFormatException) e.getCause().getCause();
    assertNotEquals(wrong, ofCopy.file());
    assertEquals(wrong + ": " + ofCopy.part() + ": " + ofCopy.reason(), e.getMessage());
  }

  @Test
  void aNameThatIsNoText_isToldBeforeAnyTask() throws IOException {
    String content = Files.readString(named, ISO_8859_1);
    Path changed = folder.resolve("changed");
    String name = Models.name(499);
    Files.writeString(changed, content.replace(name, "\u00ff" + name.substring(1)), ISO_8859_1);
    IOException e = assertThrows(IOException.class, () -> model(changed));
    assertEquals(changed + ": labels: the name of output 499 is not UTF-8", e.getMessage());
    Path saved = folder.resolve("savedThenChanged");
    model(named).save(saved.toString());
    Files.copy(changed, saved.resolve("model.safetensors"), REPLACE_EXISTING);
    Files.deleteIfExists(saved.resolve(".model.safetensors.crc"));
    Exception ofFolder =
        assertThrows(
            UncheckedIOException.class,
            () -> HierarchicalSoftmaxClassificationModel.load(saved.toString()));
    assertEquals(saved + ": labels: the name of output 499 is not UTF-8", ofFolder.getMessage());
  }

  @Test
  void aFileOfAnotherFileSystem_isOne() throws IOException {
    try (FileSystem zip =
        FileSystems.newFileSystem(folder.resolve("models.zip"), Map.of("create", "true"))) {
      Path packed = Files.copy(file, zip.getPath("/model"));
      assertEquals(Models.LABELS, model(packed).numClasses());
    }
  }

  @Test
  void savedAndLoaded_itIsTheSame_andItsFileIsThatOfALayer() throws IOException {
    Path saved = folder.resolve("saved");
    HierarchicalSoftmaxClassificationModel model = model(named).setTopKCol("best");
    model.save(saved.toString());
    assertEquals(-1, Files.mismatch(named, saved.resolve("model.safetensors")));
    try (HierarchicalSoftmax layer = HierarchicalSoftmax.load(saved.resolve("model.safetensors"))) {
      assertEquals(Models.name(7), layer.labels().name(7));
    }
    assertThrows(IOException.class, () -> model.save(saved.toString()));
    model.write().overwrite().save(saved.toString());
    HierarchicalSoftmaxClassificationModel loaded =
        HierarchicalSoftmaxClassificationModel.load(saved.toString());
    assertEquals(model.uid(), loaded.uid());
    assertEquals(model.extractParamMap().toString(), loaded.extractParamMap().toString());
    assertEquals(Models.FEATURES, loaded.numFeatures());
    assertEquals(Models.LABELS, loaded.numClasses());
    float[][] rows = Models.rows(10, 10);
    assertScored(
        loaded.setTopKCol("topK").transform(Models.dataset(spark, rows, FeaturesAs.DENSE, 1)),
        Models.ranking(named, rows, 3),
        true);
    Files.write(saved.resolve("model.safetensors"), new byte[99]);
    Files.deleteIfExists(saved.resolve(".model.safetensors.crc"));
    Exception e =
        assertThrows(
            Exception.class, () -> HierarchicalSoftmaxClassificationModel.load(saved.toString()));
    FileFormatException ofCopy = (FileFormatException) e.getCause().getCause();
    assertEquals(saved + ": " + ofCopy.part() + ": " + ofCopy.reason(), e.getMessage());
  }

  @Test
  void copiesHaveParamsOfTheirOwn() throws IOException {
    HierarchicalSoftmaxClassificationModel model = model(file);
    HierarchicalSoftmaxClassificationModel copy =
        model.copy(new ParamMap().put(model.topKCol().w("best")));
    assertEquals("best", copy.getOrDefault(copy.topKCol()));
    assertEquals("topK", model.getOrDefault(model.topKCol()));
    assertEquals(3, copy.getOrDefault(copy.k()));
    assertEquals(model.uid(), copy.uid());
    assertEquals(Files.size(file), copy.estimatedSize());
    assertThrows(IllegalArgumentException.class, () -> model.setK(0));
  }

  @Test
  void aPipelineOfIt_isSavedAndLoaded() throws IOException {
    SQLTransformer before = new SQLTransformer().setStatement("SELECT id, features FROM __THIS__");
    PipelineModel pipeline =
        new Pipeline()
            .setStages(new PipelineStage[] {before, model(file)})
            .fit(Models.dataset(spark, Models.rows(1, 1), FeaturesAs.DENSE, 1));
    Path saved = folder.resolve("pipeline");
    pipeline.save(saved.toString());
    float[][] rows = Models.rows(20, 11);
    assertScored(
        PipelineModel.load(saved.toString())
            .transform(Models.dataset(spark, rows, FeaturesAs.SPARSE, 2)),
        Models.ranking(file, rows, 3),
        false);
  }

  @Test
  void aStreamIsScored() throws Exception {
    float[][] rows = Models.rows(200, 12);
    Dataset<Row> all = Models.dataset(spark, rows, FeaturesAs.DENSE, 4);
    String parquet = folder.resolve("stream").toString();
    all.write().parquet(parquet);
    Dataset<Row> stream =
        spark.readStream().schema(all.schema()).option("maxFilesPerTrigger", 1).parquet(parquet);
    model(file)
        .transform(stream)
        .writeStream()
        .format("memory")
        .queryName("scored")
        .trigger(Trigger.AvailableNow())
        .start()
        .awaitTermination();
    assertScored(spark.table("scored"), Models.ranking(file, rows, 3), false);
  }

  @Test
  void filesOfModels_areDeletedWithThem() throws Exception {
    Path copy = copyOf(file);
    for (int i = 0; Files.exists(copy) && i < 100; i++) {
      System.gc();
      Thread.sleep(50);
    }
    assertFalse(Files.exists(copy));
  }

  private static Path copyOf(Path model) throws IOException {
    try (var in = Files.newInputStream(model)) {
      return ModelBytes.copyOf(EstimatorKind.SOFTMAX, in).file();
    }
  }
}
