// SPDX-License-Identifier: Apache-2.0
package consumer;

import static org.apache.spark.sql.functions.col;

import java.io.IOException;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;
import org.blocksparse.Backend;
import org.blocksparse.spark.HierarchicalSoftmaxClassifier;

/** Trains and scores as a user would, and fails unless what is learned is right. */
public final class Main {
  private Main() {}

  public static void main(String[] args) throws IOException {
    try (SparkSession spark =
        SparkSession.builder()
            .master("local[2]")
            .config("spark.ui.enabled", false)
            .config("spark.sql.shuffle.partitions", 2)
            .getOrCreate()) {
      Dataset<Row> rows =
          spark
              .range(1000)
              .selectExpr(
                  "cast(id % 100 as double) label",
                  "transform(sequence(0, 99), i -> if(i = id % 100, 1d, 0d)) features");
      long right =
          new HierarchicalSoftmaxClassifier()
              .setOptimizer("adagrad")
              .setStepSize(1)
              .setBatchSize(100)
              .setMaxIter(20)
              .fit(rows)
              .transform(rows.limit(100))
              .where(col("prediction").equalTo(col("label")))
              .count();
      System.out.printf(
          "Spark %s on JDK %d, %s kernels: %d of 100 rows are right%n",
          spark.version(),
          Runtime.version().feature(),
          Backend.isNative() ? "native" : "Java",
          right);
      if (right != 100) {
        throw new AssertionError("expected 100");
      }
    }
  }
}
