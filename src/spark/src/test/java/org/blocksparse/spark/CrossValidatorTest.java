// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.spark;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.file.Path;
import java.util.Arrays;
import org.apache.spark.ml.evaluation.MulticlassClassificationEvaluator;
import org.apache.spark.ml.param.ParamMap;
import org.apache.spark.ml.tuning.CrossValidator;
import org.apache.spark.ml.tuning.CrossValidatorModel;
import org.apache.spark.ml.tuning.ParamGridBuilder;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** An estimator can be used in a {@code CrossValidator}. */
final class CrossValidatorTest {
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

  /** Returns a thousand rows of twenty labels, as numbers. */
  private static Dataset<Row> numbers() {
    return spark
        .range(1000)
        .selectExpr(
            "cast(id % 20 as double) label",
            "transform(sequence(0, 19), i -> if(i = id % 20, 2d, 0d)) features");
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
