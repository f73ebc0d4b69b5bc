///usr/bin/env jbang "$0" "$@" ; exit $?
// SPDX-License-Identifier: Apache-2.0
//DEPS org.blocksparse:blocksparse-platform:0.1.0-SNAPSHOT
//DEPS org.blocksparse:blocksparse-spark_2.13:0.1.0-SNAPSHOT
//DEPS org.apache.spark:spark-mllib_2.13:4.2.0
//DEPS org.scala-lang:scala-library:2.13.18
//DEPS com.fasterxml.jackson.core:jackson-core:2.21.2

import java.io.IOException;
import java.nio.file.*;
import java.util.*;
import org.apache.spark.SparkConf;
import org.apache.spark.ml.*;
import org.apache.spark.ml.feature.*;
import org.apache.spark.sql.*;
import org.blocksparse.SparseRows;
import org.blocksparse.io.*;
import org.blocksparse.linear.*;
import org.blocksparse.softmax.*;
import org.blocksparse.spark.*;

public class Training {
  public static void main(String[] args) throws IOException {
    // Where nothing else is said, as spark-submit does, Spark runs in this process.
    SparkConf conf = new SparkConf().setIfMissing("spark.master", "local[2]");
    try (SparkSession spark = SparkSession.builder().config(conf).getOrCreate()) {
      Dataset<Row> rows =
          spark
              .range(1000)
              .selectExpr(
                  "id",
                  "id % 20 AS label",
                  "transform(sequence(0, 19), i -> if(i = id % 20, 2d, 0d)) AS features",
                  "array(cast(id % 20 AS int)) AS seen");
      var model = train(rows);
      System.out.println(model.transform(rows).filter("prediction = label").count()); // 1000
      System.out.println(score(model, rows).filter("prediction = id % 20").count()); // 0
      Dataset<Row> tagged = rows.selectExpr("features", "array(label, 20 + label % 2) AS label");
      var tree = new LabelTreeClassifier().setStepSize(0.5).setBatchSize(100).fit(tagged);
      String both = "size(filter(topK, entry -> entry.probability > 0.5)) = 2";
      System.out.println(tree.transform(tagged).filter(both).count()); // 1000
      try (var linear = linear(spark, tagged);
          SparseRows seven = SparseRows.of(List.of(new int[] {7}))) {
        System.out.println(linear.atLeast(seven, 0.5).size(0)); // 2
      }
      Dataset<Row> texts =
          spark
              .range(400)
              .selectExpr(
                  "if(id % 2 = 0, 'cats purr and sleep', 'dogs bark and run') text",
                  "if(id % 2 = 0, 'cat', 'dog') label");
      Dataset<Row> answers = ofTexts(texts).transform(texts);
      System.out.println(answers.filter("prediction = label").count()); // 400
      Path file = saved(model, Files.createTempDirectory("model"));
      try (var layer = HierarchicalSoftmax.load(file, LoadOptions.mapped())) { // in one process
        System.out.println(layer.outputs()); // 20
      }
      var again = HierarchicalSoftmaxClassificationModel.of(file); // of a file of one process
      System.out.println(again.transform(rows).filter("prediction = label").count()); // 1000
    }
  }

  static HierarchicalSoftmaxClassificationModel train(Dataset<Row> rows) {
    return new HierarchicalSoftmaxClassifier()
        .setOptimizer("adagrad")
        .setStepSize(0.5)
        .setBatchSize(100)
        .setMaxIter(10)
        .setSeed(7)
        .fit(rows); // with the columns features and label
  }

  static Dataset<Row> score(HierarchicalSoftmaxClassificationModel model, Dataset<Row> rows) {
    return model
        .setK(5)
        .setWithoutCol("seen") // labels that a row does not want, an array
        .transform(rows)
        .selectExpr("id", "prediction", "topK[0].probability AS probability");
  }

  static PipelineModel ofTexts(Dataset<Row> texts) {
    PipelineStage[] stages = {
      new Tokenizer().setInputCol("text").setOutputCol("words"),
      new HashingTF().setInputCol("words").setOutputCol("features").setNumFeatures(512),
      new HierarchicalSoftmaxClassifier().setStepSize(0.5).setBatchSize(50)
    };
    return new Pipeline().setStages(stages).fit(texts); // labels may be strings
  }

  static LinearLabelTree linear(SparkSession spark, Dataset<Row> tagged) {
    List<int[]> features = new ArrayList<>();
    List<int[]> labels = new ArrayList<>();
    for (Row row : tagged.collectAsList()) { // the driver has all rows
      features.add(new int[] {row.<Long>getList(1).get(0).intValue()});
      labels.add(row.<Long>getList(1).stream().mapToInt(Long::intValue).toArray());
    }
    try (SparseRows x = SparseRows.of(features);
        SparseRows targets = SparseRows.of(labels)) {
      var parts = LinearLabelTree.builder(20, 22).parts(x, targets);
      return LinearLabelTreeTraining.train(spark, parts);
    }
  }

  /** Saves a model in a folder of any file system of Hadoop's, here a local one; the file in it. */
  static Path saved(HierarchicalSoftmaxClassificationModel model, Path folder) throws IOException {
    model.write().overwrite().save(folder.toString());
    return folder.resolve("model.safetensors");
  }
}
