// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.spark;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.Function;
import java.util.stream.IntStream;
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
import org.blocksparse.Workers;
import org.blocksparse.io.SaveOptions;
import org.blocksparse.softmax.ClassAssignment;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.blocksparse.softmax.LabelTree;
import org.blocksparse.softmax.Loss;
import org.blocksparse.softmax.TwoLevelLayer;

/** Trains a whole layer in this process: Spark must give the same result, bit by bit. */
record OneProcess(RowOrder order, int epochs, Optimizer optimizer) {
  /** An example; for a softmax, with one label. */
  @SuppressWarnings("ArrayRecordComponent")
  record Example(int[] labels, float weight, float[] features) {
    Example(int label, float weight, float[] features) {
      this(new int[] {label}, weight, features);
    }

    int label() {
      return labels[0];
    }

    byte[] encoded() {
      return EncodedRow.of(set().stream().mapToInt(Integer::intValue).toArray(), weight, features);
    }

    Set<Integer> set() {
      return new TreeSet<>(IntStream.of(labels).boxed().toList());
    }
  }

  /** Returns examples: a quarter has label 0, and the last twenty labels have none. */
  static List<Example> examples(int count, int features, int labels, long seed) {
    Random random = new Random(seed);
    List<Example> examples = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      int label = random.nextInt(4) == 0 ? 0 : random.nextInt(labels - 20);
      float[] x = new float[features];
      for (int f = 0; f < features; f++) {
        x[f] = i % 3 == 0 && f > 2 ? 0 : (float) random.nextGaussian();
      }
      x[label % features] += 2;
      examples.add(new Example(label, random.nextInt(4) * 0.5f, x));
    }
    examples.addAll(examples.subList(0, 7)); // repeats some rows
    return examples;
  }

  /** Returns the examples with up to five labels, none, or one of them twice. */
  static List<Example> withSets(List<Example> examples, int labels, long seed) {
    Random random = new Random(seed);
    List<Example> all = new ArrayList<>();
    for (Example example : examples) {
      int[] set = new int[random.nextInt(6)];
      for (int i = 0; i < set.length; i++) {
        set[i] = i == 3 ? set[1] : (example.label() + i * i * random.nextInt(9)) % (labels - 20);
      }
      all.add(new Example(set, example.weight, example.features));
    }
    all.addAll(all.subList(0, 7)); // repeats some rows
    return all;
  }

  /** Returns the examples as rows of float arrays. */
  static Dataset<Row> rows(SparkSession spark, List<Example> examples) {
    return rows(spark, examples, DataTypes.IntegerType, Example::label);
  }

  /** Returns the examples as rows of float arrays, whose labels are arrays. */
  static Dataset<Row> rowsOfSets(SparkSession spark, List<Example> examples) {
    return rows(spark, examples, DataTypes.createArrayType(DataTypes.IntegerType), Example::labels);
  }

  private static Dataset<Row> rows(
      SparkSession spark, List<Example> examples, DataType type, Function<Example, ?> label) {
    List<Row> rows = new ArrayList<>();
    for (Example example : examples) {
      rows.add(RowFactory.create(label.apply(example), example.weight, example.features));
    }
    return spark.createDataFrame(
        rows,
        new StructType()
            .add("label", type)
            .add("weight", DataTypes.FloatType)
            .add("features", DataTypes.createArrayType(DataTypes.FloatType)));
  }

  /** Trains a layer. */
  void train(TwoLevelLayer<?> layer, List<Example> examples) {
    long[] hashes =
        examples.stream().mapToLong(example -> EncodedRow.hash(example.encoded())).toArray();
    for (int epoch = 0; epoch < epochs; epoch++) {
      long[] positions = new long[hashes.length];
      Integer[] ordered = new Integer[hashes.length];
      for (int i = 0; i < hashes.length; i++) {
        positions[i] = order.position(hashes[i], epoch);
        ordered[i] = i;
      }
      Arrays.sort(ordered, (a, b) -> Long.compareUnsigned(positions[a], positions[b]));
      Map<Integer, List<Example>> batches = new TreeMap<>();
      for (int i : ordered) {
        batches
            .computeIfAbsent(order.batch(positions[i]), batch -> new ArrayList<>())
            .add(examples.get(i));
      }
      batches.values().forEach(batch -> step(layer, batch));
    }
  }

  private void step(TwoLevelLayer<?> layer, List<Example> batch) {
    int features = layer.features();
    float[] x = new float[batch.size() * features];
    float[] weights = new float[batch.size()];
    for (int r = 0; r < weights.length; r++) {
      System.arraycopy(batch.get(r).features, 0, x, r * features, features);
      weights[r] = batch.get(r).weight;
    }
    try (FloatTensor xs = FloatTensor.of(x, weights.length, features);
        FloatTensor ws = FloatTensor.of(weights, weights.length)) {
      Loss loss = Loss.mean().withRowWeights(ws);
      if (layer instanceof HierarchicalSoftmax softmax) {
        int[] targets = batch.stream().mapToInt(Example::label).toArray();
        try (IntTensor ts = IntTensor.of(targets, targets.length)) {
          softmax.step(xs, ts, loss, optimizer, null);
        }
      } else {
        try (SparseRows ts = SparseRows.of(batch.stream().map(Example::labels).toList())) {
          ((LabelTree) layer).step(xs, ts, loss, optimizer, null);
        }
      }
    }
  }

  /** Saves a layer as Spark does if it is to keep the optimizer state. */
  static void save(TwoLevelLayer<?> layer, Path file) throws IOException {
    layer.save(file, SaveOptions.defaults().withOptimizerState());
  }

  /** Trains and saves a layer with the params of an estimator. */
  static void save(
      TwoLevelClassifier<?, ?> asked, List<Example> examples, ClassAssignment classes, Path file)
      throws IOException {
    CheckedTrainingParams settings = asked.settings();
    RowOrder order =
        new RowOrder(
            settings.seed(),
            (examples.size() - 1) / settings.batchSize() + 1,
            settings.reshuffle());
    int features = examples.get(0).features.length;
    try (TwoLevelLayer<?> layer =
        asked instanceof HierarchicalSoftmaxClassifier
            ? HierarchicalSoftmax.builder(features, classes.outputs())
                .classes(classes)
                .seed(settings.seed())
                .build()
            : LabelTree.builder(features, classes.outputs())
                .classes(classes)
                .seed(settings.seed())
                .build()) {
      new OneProcess(order, settings.epochs(), settings.optimizer().optimizer())
          .train(layer, examples);
      save(layer, file);
    }
  }

  /** Returns classes by the sums of rows of length 1, rounded to integers, which are exact here. */
  static ClassAssignment clustered(List<Example> examples, int labels, int classes, long seed) {
    int features = examples.get(0).features.length;
    double[][] sums = new double[labels][features];
    for (Example example : examples) {
      double squares = 0;
      for (float value : example.features) {
        squares += (double) value * value;
      }
      for (int label : example.set()) {
        for (int f = 0; f < features; f++) {
          sums[label][f] += Math.rint(example.features[f] * (0x1p30 / Math.sqrt(squares)));
        }
      }
    }
    try (FloatTensor vectors = FloatTensor.zeros(labels, features)) {
      for (int label = 0; label < labels; label++) {
        for (int f = 0; f < features; f++) {
          vectors.set((float) sums[label][f], label, f);
        }
      }
      return ClassAssignment.clustered(vectors, classes, seed, Workers.common());
    }
  }

  /** Returns the examples with weight 1 each. */
  static List<Example> unweighted(List<Example> examples) {
    return examples.stream().map(e -> new Example(e.labels, 1, e.features)).toList();
  }
}
