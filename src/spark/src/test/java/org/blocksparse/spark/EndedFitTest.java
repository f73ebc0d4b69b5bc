// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.spark;

import static org.apache.spark.sql.functions.col;
import static org.apache.spark.sql.functions.udf;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.api.java.UDF1;
import org.apache.spark.sql.types.DataTypes;
import org.blocksparse.spark.Models.FeaturesAs;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Training that is ended from outside, while its rows are encoded. */
final class EndedFitTest {
  private static final int ROWS = 20;

  /** The calls in this JVM, in which the tasks run as well. */
  private static final AtomicInteger CALLS = new AtomicInteger();

  private static CountDownLatch began;
  private static CountDownLatch goesOn;

  @TempDir private Path folder;
  private SparkSession spark;
  private boolean interrupted;

  @BeforeEach
  void start() {
    spark = LocalSession.start(folder);
    CALLS.set(0);
    began = new CountDownLatch(1);
    goesOn = new CountDownLatch(1);
  }

  @AfterEach
  void stop() {
    goesOn.countDown();
    spark.stop();
  }

  /**
   * Returns rows that come once, to have their labels counted, and a second time only when they
   * may.
   */
  private Dataset<Row> rows() {
    UDF1<Integer, Integer> label =
        id -> {
          if (CALLS.incrementAndGet() > ROWS) {
            began.countDown();
            goesOn.await();
          }
          return id % 5;
        };
    return Models.dataset(spark, Models.rows(ROWS, 1), FeaturesAs.DENSE, 1)
        .withColumn("label", udf(label, DataTypes.IntegerType).apply(col("id")));
  }

  /** Returns the exception that ends fit. */
  private Throwable ended(Consumer<Thread> ending) throws Exception {
    Dataset<Row> rows = rows();
    CompletableFuture<Throwable> thrown = new CompletableFuture<>();
    Thread fit =
        new Thread(
            () -> {
              try {
                new HierarchicalSoftmaxClassifier().fit(rows);
                thrown.complete(null);
              } catch (Throwable e) {
                interrupted = Thread.currentThread().isInterrupted();
                thrown.complete(e);
              }
            });
    fit.start();
    began.await();
    ending.accept(fit);
    return thrown.get(10, TimeUnit.MINUTES);
  }

  @Test
  void byAnInterrupt_whichIsNotForgotten() throws Exception {
    Throwable e = ended(Thread::interrupt);
    assertEquals(InterruptedException.class, e.getCause().getClass());
    assertTrue(interrupted);
  }

  @Test
  void byTheEndOfTheSession() throws Exception {
    Throwable e = ended(thread -> spark.stop());
    assertTrue(e.getMessage().contains("SparkContext was shut down"), e::toString);
  }

  @Test
  void asItsJobIsCancelled() throws Exception {
    Throwable e = ended(thread -> spark.sparkContext().cancelAllJobs());
    assertTrue(e.getMessage().contains("SPARK_JOB_CANCELLED"), e::toString);
  }
}
