// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.spark;

import static org.apache.spark.sql.functions.col;
import static org.apache.spark.sql.functions.expr;
import static org.blocksparse.spark.PartitionScorerTest.assertFails;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.IntStream;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.ml.linalg.Vectors;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Encoders;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.RowFactory;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.StructType;
import org.blocksparse.ElementType;
import org.blocksparse.FloatTensor;
import org.blocksparse.SparseRows;
import org.blocksparse.bag.EmbeddingBag;
import org.blocksparse.bag.EmbeddingBag.Mode;
import org.blocksparse.io.SaveOptions;
import org.blocksparse.ranking.Labels;
import org.blocksparse.ranking.Ranking;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.blocksparse.softmax.LabelTree;
import org.blocksparse.spark.Models.FeaturesAs;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** A model with a bag in front of its layer, in one JVM. */
final class BagScoringTest {
  private static final int K = 3;

  @TempDir private static Path folder;
  private static SparkSession spark;
  private static Path file;

  @BeforeAll
  static void start() throws IOException {
    spark = LocalSession.start(folder);
    file = Models.saveWithBag(folder.resolve("model.safetensors"), Mode.MEAN);
  }

  @AfterAll
  static void stop() {
    spark.stop();
  }

  private static HierarchicalSoftmaxClassificationModel model(Path of) throws IOException {
    return HierarchicalSoftmaxClassificationModel.of(of).setK(K);
  }

  /** Returns one batch, in the order of the numbers. */
  private static Dataset<Row> batch(float[][] rows, FeaturesAs as) {
    return Models.dataset(spark, rows, as, 1).orderBy("id").coalesce(1);
  }

  /** Asserts the same bits. */
  private static void assertScored(Dataset<Row> scored, Ranking expected) {
    List<Row> rows = scored.orderBy("id").collectAsList();
    assertEquals(expected.batch(), rows.size());
    for (Row row : rows) {
      int id = row.getInt(0);
      assertEquals(expected.label(id, 0), row.getAs("prediction"));
      List<Row> topK = row.getList(row.fieldIndex("topK"));
      assertEquals(expected.size(id), topK.size());
      for (int rank = 0; rank < topK.size(); rank++) {
        assertEquals(expected.label(id, rank), topK.get(rank).getString(0));
        assertEquals((float) expected.probability(id, rank), topK.get(rank).getFloat(1));
      }
    }
  }

  @ParameterizedTest
  @EnumSource
  void everyColumnOfFeatures_isScoredAsInOneProcess_bitByBit(FeaturesAs as) throws IOException {
    float[][] rows = Models.sparseRows(PartitionScorer.MOST_ROWS, 3);
    assertScored(model(file).transform(batch(rows, as)), Models.rankingWithBag(file, rows, K));
  }

  @ParameterizedTest
  @EnumSource
  void everyMode(Mode mode) throws IOException {
    Path other = Models.saveWithBag(folder.resolve(mode.name()), mode);
    float[][] rows = Models.sparseRows(50, 4);
    assertScored(
        model(other).transform(batch(rows, FeaturesAs.SPARSE)),
        Models.rankingWithBag(other, rows, K));
  }

  @ParameterizedTest
  @EnumSource(names = {"FLOAT32", "FLOAT16", "BFLOAT16", "INT8"})
  void everyTypeOfWeights(ElementType type) throws IOException {
    Path rounded = folder.resolve(type.name());
    try (HierarchicalSoftmax softmax = HierarchicalSoftmax.load(file);
        HierarchicalSoftmax narrow = softmax.withWeights(type);
        EmbeddingBag bag = EmbeddingBag.load(file);
        EmbeddingBag narrowBag = bag.withWeights(type)) {
      narrow.save(rounded, SaveOptions.defaults().with(narrowBag));
    }
    float[][] rows = Models.sparseRows(50, 5);
    assertScored(
        model(rounded).transform(batch(rows, FeaturesAs.SPARSE)),
        Models.rankingWithBag(rounded, rows, K));
  }

  @Test
  void batchesOfSeveralPartitions() throws IOException {
    float[][] rows = Models.sparseRows(2500, 6);
    Ranking expected = Models.rankingWithBag(file, rows, 1);
    Dataset<Row> scored =
        model(file).transform(Models.dataset(spark, rows, FeaturesAs.SPARSE, 2)).orderBy("id");
    List<String> best = scored.select("prediction").as(Encoders.STRING()).collectAsList();
    assertEquals(IntStream.range(0, 2500).mapToObj(i -> expected.label(i, 0)).toList(), best);
  }

  @Test
  void zerosThatAVectorLists_areNoEntries() throws IOException {
    float[] row = new float[Models.VOCABULARY];
    row[5] = 2;
    row[8] = 1;
    var vector =
        Vectors.sparse(Models.VOCABULARY, new int[] {3, 5, 6, 8}, new double[] {0, 2, -0.0, 1});
    Dataset<Row> listed =
        spark.createDataFrame(
            List.of(RowFactory.create(0, vector)),
            new StructType()
                .add("id", DataTypes.IntegerType)
                .add("features", FeaturesAs.SPARSE.type()));
    assertScored(
        model(file).transform(listed), Models.rankingWithBag(file, new float[][] {row}, K));
  }

  @Test
  void labelsOfAColumn_areLeftOut() throws IOException {
    float[][] rows = Models.sparseRows(20, 7);
    Ranking expected = Models.rankingWithBag(file, rows, 2);
    Dataset<Row> seen =
        model(file)
            .transform(batch(rows, FeaturesAs.SPARSE))
            .select(col("id"), col("features"), expr("array(topK[0].label)").as("seen"));
    for (Row row : model(file).setWithoutCol("seen").transform(seen).collectAsList()) {
      assertEquals(expected.label(row.getInt(0), 1), row.getAs("prediction"));
    }
  }

  @Test
  void wrongRows_areNamed() throws IOException {
    float[][] rows = Models.sparseRows(1100, 8);
    rows[1050][7] = Float.NaN;
    for (FeaturesAs as : FeaturesAs.values()) {
      assertFails(
          model(file).transform(batch(rows, as)),
          "row 1050 of partition 0 (id = 1050): features: expected finite floats but [7] is NaN");
    }
    Dataset<Row> good = batch(Models.sparseRows(2, 9), FeaturesAs.SPARSE);
    String of = "features: expected " + Models.VOCABULARY + " numbers but was ";
    assertFails(
        model(file).transform(good.withColumn("features", expr("array(1d, 2d)"))), of + "2");
    assertFails(
        model(file).transform(good.withColumn("features", expr("cast(null as array<float>)"))),
        of + "null");
    String withNull = "transform(sequence(1, " + Models.VOCABULARY + "), i -> if(i = 5, null, 1d))";
    assertFails(
        model(file).transform(good.withColumn("features", expr(withNull))),
        "features: expected finite numbers but [4] is null");
    assertFails(
        model(file).transform(Models.dataset(spark, Models.rows(2, 1), FeaturesAs.DENSE, 1)),
        of + Models.FEATURES); // the softmax's features
  }

  @Test
  void aLabelTree_mayHaveOneAsWell() throws IOException {
    Path ofTree = folder.resolve("tree");
    float[][] rows = Models.sparseRows(50, 11);
    Labels names = Labels.of(IntStream.range(0, Models.LABELS).mapToObj(Models::name).toList());
    try (LabelTree tree = LabelTree.builder(Models.FEATURES, Models.LABELS).labels(names).build();
        EmbeddingBag bag = EmbeddingBag.load(file);
        SparseRows entries = Models.entries(rows);
        FloatTensor x = bag.apply(entries)) {
      tree.save(ofTree, SaveOptions.defaults().with(bag));
      assertScored(
          LabelTreeClassificationModel.of(ofTree).setK(K).transform(batch(rows, FeaturesAs.SPARSE)),
          tree.topK(x, K));
    }
  }

  @Test
  void savedAndLoaded_theBagIsThere() throws IOException {
    HierarchicalSoftmaxClassificationModel model = model(file);
    Path saved = folder.resolve("saved");
    model.save(saved.toString());
    assertEquals(-1, Files.mismatch(file, saved.resolve("model.safetensors")));
    var loaded = HierarchicalSoftmaxClassificationModel.load(saved.toString());
    for (var each : List.of(model, loaded, loaded.copy(loaded.extractParamMap()))) {
      assertTrue(each.hasBag());
      assertEquals(Models.VOCABULARY, each.numFeatures());
    }
    float[][] rows = Models.sparseRows(10, 10);
    assertScored(
        loaded.transform(batch(rows, FeaturesAs.SPARSE)), Models.rankingWithBag(file, rows, K));
    try (EmbeddingBag bag = loaded.bag();
        HierarchicalSoftmax softmax = loaded.layer()) {
      assertEquals(Mode.MEAN, bag.mode());
      assertEquals(bag.features(), softmax.features());
    }
  }

  @Test
  void aSoftmaxAlone_hasNone() throws IOException {
    var alone = model(Models.save(folder.resolve("alone"), false));
    assertFalse(alone.hasBag());
    assertEquals(Models.FEATURES, alone.numFeatures());
    assertThrows(IllegalStateException.class, alone::bag);
  }

  @Test
  void aBagOfOtherFeatures_isNoneOfIt() throws IOException {
    Path wrong = folder.resolve("wrong");
    try (HierarchicalSoftmax softmax = HierarchicalSoftmax.load(file);
        EmbeddingBag bag = EmbeddingBag.builder(9, Models.FEATURES + 1).build()) {
      softmax.save(wrong, SaveOptions.defaults().with(bag));
    }
    Exception e = assertThrows(IOException.class, () -> model(wrong));
    assertEquals(wrong + ": table: has rows of 13 for a layer of 12 features", e.getMessage());
  }

  @Test
  void bothAreMapped_once() throws IOException {
    JavaSparkContext context = JavaSparkContext.fromSparkContext(spark.sparkContext());
    try (var in = Files.newInputStream(file)) {
      ModelBytes.Sent sent = ModelBytes.copyOf(EstimatorKind.SOFTMAX, in).to(context);
      ModelLayers layers = sent.model();
      assertSame(layers, sent.model());
      FloatTensor table = layers.bag().table();
      assertThrows(IllegalStateException.class, () -> table.set(1, 0, 0));
      FloatTensor W2 = layers.layer().W2();
      assertThrows(IllegalStateException.class, () -> W2.set(1, 0, 0, 0));
    }
  }

  @Test
  void longRows_orEnoughOfThem_endABatch() {
    int entries = FeatureBatch.MOST_VALUES / 8;
    var row =
        Vectors.sparse(
            entries,
            IntStream.range(0, entries).toArray(),
            IntStream.range(0, entries).mapToDouble(i -> 1).toArray());
    try (EmbeddingBag bag = EmbeddingBag.builder(entries, 1).build()) {
      FeatureBatch batch = new BagBatch(bag, 3);
      for (int repetition = 0; repetition < 2; repetition++) {
        batch.add(row);
        assertFalse(batch.isFull());
        batch.add(row);
        assertTrue(batch.isFull());
        try (FloatTensor x = batch.take()) {
          assertEquals(2, x.shape().dim(0));
        }
      }
      for (int r = 0; r < 3; r++) {
        assertFalse(batch.isFull());
        batch.add(Vectors.sparse(entries, new int[0], new double[0]));
      }
      assertTrue(batch.isFull());
    }
  }
}
