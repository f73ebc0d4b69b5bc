// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.spark;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Predicate;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Encoders;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;
import org.blocksparse.Backend;
import org.blocksparse.bag.EmbeddingBag.Mode;
import org.blocksparse.ranking.Ranking;
import org.blocksparse.softmax.ClassAssignment;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.blocksparse.spark.Models.FeaturesAs;
import org.blocksparse.spark.OneProcess.Example;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Scoring on executors in separate processes, with other kernels than this one; and training there,
 * with the same result except for rounding.
 */
@Tag("packaged")
final class ScoringOnClusterTest {
  private static final int ROWS = 3000;
  private static final int LABELS = 103;

  @TempDir private static Path folder;
  private static SparkCluster cluster;
  private static Path file;
  private static Path withBag;

  @BeforeAll
  static void start() throws Exception {
    cluster = SparkCluster.start(folder, 1, 1);
    cluster.addWorker(1, "-Dblocksparse.isa=portable");
    file = Models.save(folder.resolve("model.safetensors"), true);
    withBag = Models.saveWithBag(folder.resolve("with a bag"), Mode.ROOT_MEAN);
  }

  @AfterAll
  static void stop() {
    cluster.close();
  }

  /** Returns the kernels of the executors: a line for each partition. */
  private static List<String> kernels(SparkSession spark) {
    return spark
        .range(0, 2, 1, 2)
        .selectExpr("reflect('org.blocksparse.Backend', 'instructionSet')")
        .as(Encoders.STRING())
        .collectAsList();
  }

  private static void assertScoresAsHere(SparkSession spark) throws Exception {
    float[][] rows = Models.rows(ROWS, 3);
    assertScored(spark, file, rows, FeaturesAs.DENSE, Models.ranking(file, rows, 3));
    float[][] sparse = Models.sparseRows(ROWS, 3);
    Ranking expected = Models.rankingWithBag(withBag, sparse, 3);
    assertScored(spark, withBag, sparse, FeaturesAs.SPARSE, expected);
  }

  private static void assertScored(
      SparkSession spark, Path model, float[][] rows, FeaturesAs as, Ranking expected)
      throws IOException {
    Dataset<Row> scored =
        HierarchicalSoftmaxClassificationModel.of(model)
            .setK(3)
            .transform(Models.dataset(spark, rows, as, 4));
    List<Row> all = scored.collectAsList();
    assertEquals(ROWS, all.size());
    for (Row row : all) {
      int id = row.getInt(0);
      List<Row> topK = row.getList(row.fieldIndex("topK"));
      for (int rank = 0; rank < 3; rank++) {
        // Other kernels round differently: labels of nearly equal probability may change places.
        float probability = (float) expected.probability(id, rank);
        assertEquals(probability, topK.get(rank).getFloat(1), 1e-5f * probability);
      }
      assertEquals(expected.label(id, 0), row.getAs("prediction"));
    }
  }

  private static void assertTrainsAsHere(SparkSession spark) throws IOException {
    List<Example> examples = OneProcess.examples(1500, 40, LABELS, 4);
    ClassAssignment classes = ClassAssignment.contiguous(LABELS, 9);
    HierarchicalSoftmaxClassifier asked =
        new HierarchicalSoftmaxClassifier()
            .setWeightCol("weight")
            .setBatchSize(200)
            .setNumLabels(LABELS)
            .setClasses(classes.classCount())
            .setAssignment("contiguous");
    Path expected = folder.resolve("one process");
    OneProcess.save(asked, examples, classes, expected);
    var model = asked.fit(OneProcess.rows(spark, examples).repartition(3));
    try (HierarchicalSoftmax one = HierarchicalSoftmax.load(expected);
        HierarchicalSoftmax other = model.layer()) {
      assertEquals(classes, other.assignment());
      assertEquals(one.steps(), other.steps());
      assertArrayEquals(one.W1().toArray(), other.W1().toArray(), 1e-4f);
      assertArrayEquals(one.W2().toArray(), other.W2().toArray(), 1e-4f);
    }
  }

  @Test
  void asInOneProcess_alsoWhenAnExecutorIsKilled() throws Exception {
    // The session waits for both executors.
    try (SparkSession spark = cluster.session().config("spark.cores.max", 2).getOrCreate()) {
      assertEquals(
          Set.copyOf(List.of(Backend.instructionSet(), "portable")), Set.copyOf(kernels(spark)));
      assertScoresAsHere(spark);
      assertTrainsAsHere(spark);
      assertEquals(2, cluster.executors().size());
      cluster.executors().get(0).destroyForcibly();
      assertScoresAsHere(spark);
    }
  }

  @Test
  void withoutNativeLibraries_javaScoresAndTrains() throws Exception {
    Predicate<String> withoutNative = jar -> !jar.contains("linux-");
    try (SparkSession spark = cluster.session(withoutNative).getOrCreate()) {
      assertScoresAsHere(spark);
      assertTrainsAsHere(spark);
      assertEquals(List.of("java", "java"), kernels(spark));
    }
  }

  @Test
  void instructionSets_canBeCapped() throws Exception {
    String options = SparkCluster.EXECUTOR_OPTIONS + " -Dblocksparse.isa=portable";
    try (SparkSession spark =
        cluster.session().config("spark.executor.extraJavaOptions", options).getOrCreate()) {
      assertScoresAsHere(spark);
      assertEquals("[portable]", new TreeSet<>(kernels(spark)).toString());
    }
  }
}
