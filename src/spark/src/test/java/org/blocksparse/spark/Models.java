// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.spark;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.apache.spark.ml.linalg.SQLDataTypes;
import org.apache.spark.ml.linalg.Vector;
import org.apache.spark.ml.linalg.Vectors;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.RowFactory;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.StructType;
import org.blocksparse.FloatTensor;
import org.blocksparse.IntTensor;
import org.blocksparse.Optimizer;
import org.blocksparse.SparseRows;
import org.blocksparse.bag.EmbeddingBag;
import org.blocksparse.io.SaveOptions;
import org.blocksparse.ranking.Labels;
import org.blocksparse.ranking.Ranking;
import org.blocksparse.softmax.HierarchicalSoftmax;

/** Models that are trained without Spark, and rows for them. */
final class Models {
  static final int FEATURES = 12;
  static final int LABELS = 500;

  /** The number of features in rows for a model with a bag. */
  static final int VOCABULARY = 97;

  private Models() {}

  /** Returns the name of a label. */
  static String name(int label) {
    return "label " + label;
  }

  /** Trains a model a little and saves it. */
  static Path save(Path file, boolean named) throws IOException {
    float[][] rows = rows(2000, 1);
    try (HierarchicalSoftmax layer = HierarchicalSoftmax.builder(FEATURES, LABELS).build();
        FloatTensor x = tensor(rows);
        IntTensor targets =
            IntTensor.of(new Random(2).ints(rows.length, 0, LABELS).toArray(), rows.length)) {
      for (int step = 0; step < 10; step++) {
        layer.step(x, targets, Optimizer.adagrad(0.5f));
      }
      if (named) {
        layer.setLabels(Labels.of(IntStream.range(0, LABELS).mapToObj(Models::name).toList()));
      }
      layer.save(file);
    }
    return file;
  }

  /** Saves a model with names and an untrained bag. */
  static Path saveWithBag(Path file, EmbeddingBag.Mode mode) throws IOException {
    try (HierarchicalSoftmax layer = HierarchicalSoftmax.load(save(file, true));
        EmbeddingBag bag =
            EmbeddingBag.builder(VOCABULARY, FEATURES)
                .mode(mode)
                .build(tensor(rows(VOCABULARY, 5)))) {
      layer.save(file, SaveOptions.defaults().with(bag));
    }
    return file;
  }

  /**
   * Returns random features for a bag: none, one or all in the first rows, and some in the others.
   */
  static float[][] sparseRows(int n, long seed) {
    Random random = new Random(seed);
    float[][] rows = new float[n][VOCABULARY];
    for (int r = 0; r < n; r++) {
      int percent = r == 0 ? 0 : r == 1 ? 100 : random.nextInt(20);
      for (int i = 0; i < VOCABULARY; i++) {
        rows[r][i] = random.nextInt(100) < percent ? (float) random.nextGaussian() : 0;
      }
    }
    return rows;
  }

  /** Returns the file with the params, in the folder of a saved object. */
  static Path metadataOf(Path folder) throws IOException {
    try (Stream<Path> files = Files.list(folder.resolve("metadata"))) {
      return files
          .filter(file -> file.getFileName().toString().startsWith("part-"))
          .findFirst()
          .orElseThrow();
    }
  }

  /** Returns the ranking by the bag and the layer of a file in this process. */
  static Ranking rankingWithBag(Path file, float[][] rows, int k) throws IOException {
    try (HierarchicalSoftmax layer = HierarchicalSoftmax.load(file);
        EmbeddingBag bag = EmbeddingBag.load(file);
        SparseRows entries = entries(rows);
        FloatTensor x = bag.apply(entries)) {
      return layer.topK(x, k);
    }
  }

  /** Returns the features of each row that are not 0. */
  static SparseRows entries(float[][] rows) {
    List<int[]> indices = new ArrayList<>();
    List<float[]> values = new ArrayList<>();
    for (float[] row : rows) {
      int[] entries = IntStream.range(0, row.length).filter(i -> row[i] != 0).toArray();
      float[] ofEntries = new float[entries.length];
      for (int i = 0; i < entries.length; i++) {
        ofEntries[i] = row[entries[i]];
      }
      indices.add(entries);
      values.add(ofEntries);
    }
    return SparseRows.of(indices, values);
  }

  /** Returns random features, some of them 0. */
  static float[][] rows(int n, long seed) {
    Random random = new Random(seed);
    float[][] rows = new float[n][FEATURES];
    for (float[] row : rows) {
      for (int i = 0; i < FEATURES; i++) {
        row[i] = random.nextInt(3) == 0 ? 0 : (float) (2 * random.nextGaussian());
      }
    }
    return rows;
  }

  static FloatTensor tensor(float[][] rows) {
    float[] all = new float[rows.length * FEATURES];
    for (int i = 0; i < rows.length; i++) {
      System.arraycopy(rows[i], 0, all, i * FEATURES, FEATURES);
    }
    return FloatTensor.of(all, rows.length, FEATURES);
  }

  /** Returns the ranking by the layer of a file in this process. */
  static Ranking ranking(Path file, float[][] rows, int k) throws IOException {
    try (HierarchicalSoftmax layer = HierarchicalSoftmax.load(file);
        FloatTensor x = tensor(rows)) {
      return layer.topK(x, k);
    }
  }

  /** Returns rows with the columns id and features, in some partitions. */
  static Dataset<Row> dataset(SparkSession spark, float[][] rows, FeaturesAs as, int partitions) {
    List<Row> content = new ArrayList<>();
    for (int i = 0; i < rows.length; i++) {
      content.add(RowFactory.create(i, as.column(rows[i])));
    }
    StructType schema =
        new StructType().add("id", DataTypes.IntegerType).add("features", as.type());
    return spark.createDataFrame(content, schema).repartition(partitions);
  }

  /** The kind of vectors in the column of features. */
  enum FeaturesAs {
    DENSE,
    SPARSE,
    FLOATS,
    DOUBLES;

    DataType type() {
      return switch (this) {
        case DENSE, SPARSE -> SQLDataTypes.VectorType();
        case FLOATS -> DataTypes.createArrayType(DataTypes.FloatType);
        case DOUBLES -> DataTypes.createArrayType(DataTypes.DoubleType);
      };
    }

    Object column(float[] row) {
      double[] values = IntStream.range(0, row.length).mapToDouble(i -> row[i]).toArray();
      Vector dense = Vectors.dense(values);
      return switch (this) {
        case DENSE -> dense;
        case SPARSE -> dense.toSparse();
        case FLOATS -> row;
        case DOUBLES -> values;
      };
    }
  }
}
