// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.spark;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.RowFactory;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.types.StructType;
import org.blocksparse.FloatTensor;
import org.blocksparse.IntTensor;
import org.blocksparse.Optimizer;
import org.blocksparse.io.LoadOptions;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.blocksparse.spark.Models.FeaturesAs;

/**
 * Measures rows per second of scoring, in this process without Spark and by {@code local[*]}: the
 * ten likeliest of 100,000 labels from 256 features, for rows that Spark has in memory. A second
 * query of several times as many rows separates the fixed cost of a query.
 */
final class ScoringSpeed {
  private static final int FEATURES = 256;
  private static final int LABELS = 100_000;
  private static final int BATCH = 1024;
  private static final int ROWS = 20 * BATCH;
  private static final int ROUNDS = 7;

  /** The multiple of the rows in the longer query. */
  private static final int TIMES = 6;

  private ScoringSpeed() {}

  public static void main(String[] args) throws IOException {
    System.out.println("Scores rows in one process and on Spark, many times: some minutes");
    Path file = Files.createTempFile("scoring-speed", ".safetensors");
    train(file);
    float[][] rows = rows(new Random(1), ROWS, null);
    try (SparkSession spark =
            SparkSession.builder()
                .master("local[*]")
                .config("spark.ui.enabled", false)
                .getOrCreate();
        HierarchicalSoftmax layer = HierarchicalSoftmax.load(file, LoadOptions.mapped())) {
      int slots = spark.sparkContext().defaultParallelism();
      Dataset<Row> input = dataset(spark, rows).repartition(slots).cache();
      input.count();
      Dataset<Row> longer = input;
      for (int i = 1; i < TIMES; i++) {
        longer = longer.union(input);
      }
      HierarchicalSoftmaxClassificationModel model =
          HierarchicalSoftmaxClassificationModel.of(file);
      double[] alone = new double[ROUNDS];
      double[] onSpark = new double[ROUNDS];
      double[] ofMany = new double[ROUNDS];
      for (int round = 0; round < ROUNDS; round++) {
        alone[round] = seconds(() -> score(layer, rows));
        onSpark[round] = seconds(model.transform(input));
        ofMany[round] = seconds(model.transform(longer));
      }
      double rest = (median(ofMany) - median(onSpark)) / (TIMES - 1);
      System.out.printf(
          "%d slots, rows per second: one process %.0f; Spark, a query of %d rows %.0f, ratio %.2f;"
              + " each %d more %.0f, ratio %.2f%n",
          slots,
          ROWS / median(alone),
          ROWS,
          ROWS / median(onSpark),
          median(alone) / median(onSpark),
          ROWS,
          ROWS / rest,
          median(alone) / rest);
    } finally {
      Files.delete(file);
    }
  }

  private static double seconds(Dataset<Row> query) {
    return seconds(() -> query.write().format("noop").mode("append").save());
  }

  private static double seconds(Runnable scoring) {
    long begin = System.nanoTime();
    scoring.run();
    return (System.nanoTime() - begin) * 1e-9;
  }

  /** Returns the median of the later half, when all is compiled. */
  private static double median(double[] values) {
    double[] warm = Arrays.copyOfRange(values, values.length / 2, values.length);
    Arrays.sort(warm);
    return warm[warm.length / 2];
  }

  private static void score(HierarchicalSoftmax layer, float[][] rows) {
    for (int begin = 0; begin < ROWS; begin += BATCH) {
      try (FloatTensor x = tensor(Arrays.copyOfRange(rows, begin, begin + BATCH))) {
        layer.topK(x, 10);
      }
    }
  }

  private static FloatTensor tensor(float[][] rows) {
    float[] all = new float[rows.length * FEATURES];
    for (int i = 0; i < rows.length; i++) {
      System.arraycopy(rows[i], 0, all, i * FEATURES, FEATURES);
    }
    return FloatTensor.of(all, rows.length, FEATURES);
  }

  private static void train(Path file) throws IOException {
    Random random = new Random(2);
    int[] labels = new int[BATCH];
    try (HierarchicalSoftmax layer = HierarchicalSoftmax.builder(FEATURES, LABELS).build()) {
      for (int step = 0; step < 150; step++) {
        float[][] rows = rows(random, BATCH, labels);
        try (FloatTensor x = tensor(rows);
            IntTensor targets = IntTensor.of(labels, BATCH)) {
          layer.step(x, targets, Optimizer.adagrad(0.3f));
        }
      }
      layer.save(file);
    }
  }

  /** Returns rows that belong to labels with adjacent numbers, and noise. */
  private static float[][] rows(Random random, int n, int[] labels) {
    float[][] rows = new float[n][FEATURES];
    for (int i = 0; i < n; i++) {
      int label = random.nextInt(LABELS);
      if (labels != null) {
        labels[i] = label;
      }
      Random ofNeighbours = new Random(label / 200);
      for (int f = 0; f < FEATURES; f++) {
        rows[i][f] = (float) (ofNeighbours.nextGaussian() + 0.3 * random.nextGaussian());
      }
    }
    return rows;
  }

  private static Dataset<Row> dataset(SparkSession spark, float[][] rows) {
    List<Row> content = new ArrayList<>();
    for (float[] row : rows) {
      content.add(RowFactory.create(FeaturesAs.DENSE.column(row)));
    }
    return spark.createDataFrame(
        content, new StructType().add("features", FeaturesAs.DENSE.type()));
  }
}
