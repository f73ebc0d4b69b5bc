// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.spark;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.file.Path;
import java.util.List;
import java.util.TreeSet;
import java.util.function.Predicate;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Encoders;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;
import org.blocksparse.Backend;
import org.blocksparse.Ranking;
import org.blocksparse.spark.Models.FeaturesAs;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The model on executors that are processes of their own. */
final class ScoringOnClusterTest {
  private static final int ROWS = 3000;

  @TempDir private static Path folder;
  private static SparkCluster cluster;
  private static Path file;

  @BeforeAll
  static void start() throws Exception {
    cluster = SparkCluster.start(folder, 2, 1);
    file = Models.save(folder.resolve("model.safetensors"), true);
  }

  @AfterAll
  static void stop() {
    cluster.close();
  }

  /** Which kernels the executors run: a line for each partition. */
  private static List<String> kernels(SparkSession spark) {
    return spark
        .range(0, 2, 1, 2)
        .selectExpr("reflect('org.blocksparse.Backend', 'instructionSet')")
        .as(Encoders.STRING())
        .collectAsList();
  }

  private static void assertScoresAsHere(SparkSession spark) throws Exception {
    float[][] rows = Models.rows(ROWS, 3);
    Ranking expected = Models.ranking(file, rows, 3);
    Dataset<Row> scored =
        HierarchicalSoftmaxClassificationModel.of(file)
            .setK(3)
            .transform(Models.dataset(spark, rows, FeaturesAs.DENSE, 4));
    List<Row> all = scored.collectAsList();
    assertEquals(ROWS, all.size());
    for (Row row : all) {
      int id = row.getInt(0);
      List<Row> topK = row.getList(row.fieldIndex("topK"));
      for (int rank = 0; rank < 3; rank++) {
        // Other kernels round in other places: what is equally likely but for that may change
        // places.
        float probability = (float) expected.probability(id, rank);
        assertEquals(probability, topK.get(rank).getFloat(1), 1e-5f * probability);
      }
      assertEquals(expected.label(id, 0), row.getAs("prediction"));
    }
  }

  @Test
  void asInOneProcess_alsoWhenAnExecutorIsKilled() throws Exception {
    try (SparkSession spark = cluster.session().getOrCreate()) {
      assertScoresAsHere(spark);
      assertEquals(2, cluster.executors().size());
      assertEquals(List.of(here(), here()), kernels(spark));
      cluster.executors().get(0).destroyForcibly();
      assertScoresAsHere(spark);
    }
  }

  @Test
  void withoutNativeLibraries_javaScores() throws Exception {
    Predicate<String> withoutNative = jar -> !jar.contains("linux-");
    try (SparkSession spark = cluster.session(withoutNative).getOrCreate()) {
      assertScoresAsHere(spark);
      assertEquals(List.of("java", "java"), kernels(spark));
    }
  }

  @Test
  void instructionSetsMayDiffer_andCanBeCapped() throws Exception {
    String options = SparkCluster.EXECUTOR_OPTIONS + " -Dblocksparse.isa=portable";
    try (SparkSession spark =
        cluster.session().config("spark.executor.extraJavaOptions", options).getOrCreate()) {
      assertScoresAsHere(spark);
      assertEquals("[portable]", new TreeSet<>(kernels(spark)).toString());
    }
  }

  private static String here() {
    return Backend.instructionSet();
  }
}
