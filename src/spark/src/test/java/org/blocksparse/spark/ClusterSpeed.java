// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.spark;

import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.lang.management.MemoryType;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Stream;
import org.apache.spark.ml.param.ParamMap;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;

/**
 * Measures training on a cluster of processes on this machine, with this one as the driver: {@code
 * executors 2} tells the time of that many executors; {@code million} trains a million labels, and
 * tells what memory it took.
 */
final class ClusterSpeed {
  private static final int FEATURES = 256;
  private static final int EPOCHS = 40;

  private ClusterSpeed() {}

  /**
   * Measures.
   *
   * @param args what, and of how many executors
   */
  public static void main(String[] args) throws Exception {
    System.out.println("Trains on a cluster of processes: some minutes; never run to its end");
    Path folder = Files.createTempDirectory("cluster-speed");
    try {
      switch (args[0]) {
        case "executors" -> executors(folder, Integer.parseInt(args[1]));
        case "million" -> million(folder);
        default -> throw new IllegalArgumentException("expected executors or million");
      }
    } finally {
      delete(folder);
    }
  }

  private static void executors(Path folder, int executors) throws Exception {
    HierarchicalSoftmaxClassifier asked =
        new HierarchicalSoftmaxClassifier()
            .setOptimizer("sgd")
            .setMaxIter(EPOCHS)
            .setNumLabels(20_000)
            .setClasses(200)
            .setAssignment("contiguous");
    try (SparkCluster cluster = SparkCluster.start(folder, executors, 1);
        SparkSession spark = session(cluster, executors)) {
      Dataset<Row> rows = rows(spark, 20_000, 20_000, 2).cache();
      asked.copy(new ParamMap().put(asked.maxIter().w(0))).fit(rows); // until all is compiled
      long begin = System.nanoTime();
      asked.fit(rows);
      System.out.printf("%d executors: %.1f s%n", executors, (System.nanoTime() - begin) * 1e-9);
    }
  }

  private static void million(Path folder) throws Exception {
    try (SparkCluster cluster = SparkCluster.start(folder, 2, 1);
        SparkSession spark = session(cluster, 2)) {
      Dataset<Row> rows = rows(spark, 200_000, 1_000_000, 4);
      long begin = System.nanoTime();
      HierarchicalSoftmaxClassificationModel model =
          new HierarchicalSoftmaxClassifier()
              .setOptimizer("sgd")
              .setMaxIter(1)
              .setNumLabels(1_000_000)
              .setAssignment("contiguous")
              .fit(rows);
      System.out.printf(
          "%.0f s, a file of %d MiB, driver's heap at most %d MiB of %d MiB%n",
          (System.nanoTime() - begin) * 1e-9,
          Files.size(model.file()) >> 20,
          heapPeak() >> 20,
          Runtime.getRuntime().maxMemory() >> 20);
      for (ProcessHandle executor : cluster.executors()) {
        System.out.println("an executor with a heap of 512 MiB: " + peak(executor));
      }
    }
  }

  private static SparkSession session(SparkCluster cluster, int executors) {
    return cluster
        .session()
        .config("spark.cores.max", executors)
        .config("spark.executor.extraJavaOptions", "-Dorg.bytedeco.javacpp.cachedir=javacpp-cache")
        .getOrCreate();
  }

  /** Rows that executors make: labels in no order, and numbers in [-1, 1). */
  private static Dataset<Row> rows(SparkSession spark, int count, int labels, int partitions) {
    return spark
        .range(0, count, 1, partitions)
        .selectExpr(
            "pmod(xxhash64(id), " + labels + ") AS label",
            "transform(sequence(1, "
                + FEATURES
                + "), i -> cast(xxhash64(id, i) / 9223372036854775808 AS float)) AS features");
  }

  /** The sum of what each pool of the heap has held at most: no less than the whole has. */
  private static long heapPeak() {
    return ManagementFactory.getMemoryPoolMXBeans().stream()
        .filter(pool -> pool.getType() == MemoryType.HEAP)
        .mapToLong(pool -> pool.getPeakUsage().getUsed())
        .sum();
  }

  /** The most memory that a process has had, as Linux tells. */
  private static String peak(ProcessHandle process) throws IOException {
    List<String> status = Files.readAllLines(Path.of("/proc/" + process.pid() + "/status"));
    return status.stream().filter(line -> line.startsWith("VmHWM")).findFirst().orElse("gone");
  }

  private static void delete(Path folder) throws IOException {
    try (Stream<Path> files = Files.walk(folder)) {
      for (Path file : (Iterable<Path>) files.sorted(Comparator.reverseOrder())::iterator) {
        Files.delete(file);
      }
    }
  }
}
