// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.spark;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.apache.spark.ml.Pipeline;
import org.apache.spark.ml.PipelineModel;
import org.apache.spark.ml.PipelineStage;
import org.apache.spark.ml.evaluation.MulticlassClassificationEvaluator;
import org.apache.spark.ml.feature.HashingTF;
import org.apache.spark.ml.feature.Tokenizer;
import org.apache.spark.ml.param.ParamMap;
import org.apache.spark.ml.tuning.CrossValidator;
import org.apache.spark.ml.tuning.CrossValidatorModel;
import org.apache.spark.ml.tuning.ParamGridBuilder;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Encoders;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;
import org.blocksparse.HierarchicalSoftmax;
import org.blocksparse.LoadOptions;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The examples of the page, compiled and run. */
final class SparkExamplesTest {
  @TempDir private static Path folder;
  private static SparkSession spark;

  @BeforeAll
  static void start() {
    spark = LocalSession.start(folder);
  }

  @AfterAll
  static void stop() {
    spark.stop();
  }

  /** A thousand rows of twenty labels, as numbers. */
  private static Dataset<Row> numbers() {
    return spark
        .range(1000)
        .selectExpr(
            "cast(id % 20 as double) label",
            "transform(sequence(0, 19), i -> if(i = id % 20, 2d, 0d)) features");
  }

  /** Texts with the columns text and label, strings. */
  private static Dataset<Row> texts() {
    return spark
        .range(400)
        .selectExpr(
            "if(id % 2 = 0, 'cats purr and sleep', 'dogs bark and run') text",
            "if(id % 2 = 0, 'cat', 'dog') label");
  }

  // example: spark-train
  static HierarchicalSoftmaxClassificationModel train(Dataset<Row> rows) {
    return new HierarchicalSoftmaxClassifier()
        .setOptimizer("adagrad")
        .setStepSize(0.5)
        .setBatchSize(100)
        .setMaxIter(10)
        .setSeed(7)
        .fit(rows); // with the columns features and label
  }

  // end of example

  // example: spark-score
  static Dataset<Row> score(HierarchicalSoftmaxClassificationModel model, Dataset<Row> rows) {
    return model
        .setK(5)
        .setWithoutCol("seen") // labels that a row does not want, an array
        .transform(rows)
        .selectExpr("id", "prediction", "topK[0].probability AS probability");
  }

  // end of example

  // example: spark-pipeline
  static PipelineModel ofTexts(Dataset<Row> texts) {
    PipelineStage[] stages = {
      new Tokenizer().setInputCol("text").setOutputCol("words"),
      new HashingTF().setInputCol("words").setOutputCol("features").setNumFeatures(512),
      new HierarchicalSoftmaxClassifier().setStepSize(0.5).setBatchSize(50)
    };
    return new Pipeline().setStages(stages).fit(texts); // labels may be strings
  }

  // end of example

  // example: spark-files
  static int likeliest(Path savedByOneProcess, Dataset<Row> rows, String folder)
      throws IOException {
    // A file that HierarchicalSoftmax.save has written, on the driver.
    var model = HierarchicalSoftmaxClassificationModel.of(savedByOneProcess);
    model.transform(rows).show(3);
    // A folder in any file system of Hadoop's; here it is a local one.
    model.write().overwrite().save(folder);
    Path file = Path.of(folder, "model.safetensors");
    try (HierarchicalSoftmax layer = HierarchicalSoftmax.load(file, LoadOptions.mapped())) {
      return layer.outputs();
    }
  }

  // end of example

  @Test
  void numbersAreLearnt_scoredAndFiltered() {
    HierarchicalSoftmaxClassificationModel model = train(numbers());
    Dataset<Row> rows =
        numbers()
            .limit(20)
            .selectExpr("label AS id", "features", "array(cast(label AS int)) AS seen");
    for (Row row : model.transform(rows).collectAsList()) {
      assertEquals(row.getDouble(0), row.<Double>getAs("prediction"));
    }
    for (Row row : score(model, rows).collectAsList()) {
      assertNotNull(row.get(1));
      assertEquals(false, row.get(0).equals(row.get(1)));
    }
  }

  @Test
  void textsAreLearnt() throws IOException {
    Path saved = folder.resolve("pipeline");
    ofTexts(texts()).save(saved.toString());
    Dataset<Row> texts =
        spark.createDataset(List.of("dogs run", "cats sleep"), Encoders.STRING()).toDF("text");
    assertEquals(
        List.of("dog", "cat"),
        PipelineModel.load(saved.toString())
            .transform(texts)
            .select("prediction")
            .as(Encoders.STRING())
            .collectAsList());
  }

  @Test
  void filesOfOneProcess() throws IOException {
    Path file = Models.save(folder.resolve("one.safetensors"), false);
    Dataset<Row> rows = Models.dataset(spark, Models.rows(5, 1), Models.FeaturesAs.DENSE, 1);
    assertEquals(Models.LABELS, likeliest(file, rows, folder.resolve("saved").toString()));
  }

  @Test
  void theBetterRate_isChosen() {
    HierarchicalSoftmaxClassifier classifier =
        new HierarchicalSoftmaxClassifier().setBatchSize(100).setNumLabels(20);
    ParamMap[] grid =
        new ParamGridBuilder()
            .addGrid(
                classifier.stepSize(),
                scala.jdk.javaapi.CollectionConverters.asScala(Arrays.<Object>asList(1e-6, 0.5)))
            .build();
    CrossValidatorModel best =
        new CrossValidator()
            .setEstimator(classifier)
            .setEvaluator(new MulticlassClassificationEvaluator().setMetricName("accuracy"))
            .setEstimatorParamMaps(grid)
            .setNumFolds(2)
            .setSeed(1)
            .fit(numbers());
    assertEquals(1, best.avgMetrics()[1], 0);
    assertEquals(true, best.avgMetrics()[0] < 0.9);
  }
}
