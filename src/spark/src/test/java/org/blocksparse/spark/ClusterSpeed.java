// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.spark;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.management.ManagementFactory;
import java.lang.management.MemoryType;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Comparator;
import java.util.Map;
import java.util.Timer;
import java.util.TimerTask;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.Stream;
import org.apache.spark.ml.param.ParamMap;
import org.apache.spark.scheduler.SparkListener;
import org.apache.spark.scheduler.SparkListenerTaskEnd;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;

/**
 * Measures training on a cluster of processes on this machine, with this one as the driver: {@code
 * executors} prints how much faster two executors are than one; {@code million} trains a million
 * labels, and prints the memory it took.
 */
final class ClusterSpeed {
  private static final int FEATURES = 256;
  private static final int EPOCHS = 60;
  private static final int ROUNDS = 3;

  private ClusterSpeed() {}

  /**
   * Runs a measurement.
   *
   * @param args what
   */
  public static void main(String[] args) throws Exception {
    System.out.println("Trains on a cluster of processes: two to four minutes");
    Path folder = Files.createTempDirectory("cluster-speed");
    try (SparkCluster cluster = SparkCluster.start(folder, 2, 1)) {
      switch (args[0]) {
        case "executors" -> {
          double one = executors(cluster, 1);
          System.out.printf("two are %.2f times as fast%n", one / executors(cluster, 2));
        }
        case "million" -> million(cluster);
        default -> throw new IllegalArgumentException("expected executors or million");
      }
    } finally {
      delete(folder);
    }
  }

  /** Returns the seconds of {@code fit}. */
  private static double executors(SparkCluster cluster, int executors) throws IOException {
    HierarchicalSoftmaxClassifier asked =
        new HierarchicalSoftmaxClassifier()
            .setOptimizer("sgd")
            .setMaxIter(EPOCHS)
            .setNumLabels(20_000)
            .setClasses(200)
            .setAssignment("contiguous");
    try (SparkSession spark = session(cluster, executors, "")) {
      Dataset<Row> rows = rows(spark, 20_000, 20_000, 2).cache();
      asked.copy(new ParamMap().put(asked.maxIter().w(3))).fit(rows); // until all is compiled
      Tasks tasks = new Tasks();
      spark.sparkContext().addSparkListener(tasks);
      double[] seconds = new double[ROUNDS];
      for (int round = 0; round < ROUNDS; round++) {
        long begin = System.nanoTime();
        asked.fit(rows);
        seconds[round] = (System.nanoTime() - begin) * 1e-9;
      }
      Arrays.sort(seconds);
      System.out.printf(
          "%d executors: %.1f s, in three runs from %.1f to %.1f s; tasks of a run take %.1f s of"
              + " the processor in %.1f s%n",
          executors,
          seconds[ROUNDS / 2],
          seconds[0],
          seconds[ROUNDS - 1],
          tasks.processorNanos.get() * 1e-9 / ROUNDS,
          tasks.millis.get() * 1e-3 / ROUNDS);
      return seconds[ROUNDS / 2];
    }
  }

  /** The time of all tasks. */
  private static final class Tasks extends SparkListener {
    private final AtomicLong processorNanos = new AtomicLong();
    private final AtomicLong millis = new AtomicLong();

    @Override
    public void onTaskEnd(SparkListenerTaskEnd task) {
      processorNanos.addAndGet(task.taskMetrics().executorCpuTime());
      millis.addAndGet(task.taskMetrics().executorRunTime());
    }
  }

  private static void million(SparkCluster cluster) throws IOException {
    // The whole heap is resident from the beginning: growth is not of the heap.
    try (SparkSession spark = session(cluster, 2, "-Xms512m -XX:+AlwaysPreTouch");
        Memory memory = new Memory(cluster)) {
      HierarchicalSoftmaxClassifier asked =
          new HierarchicalSoftmaxClassifier()
              .setOptimizer("sgd")
              .setMaxIter(1)
              .setAssignment("contiguous");
      asked.fit(rows(spark, 1000, 1000, 4));
      System.out.println("executors that have trained a thousand labels: " + memory.most());
      long begin = System.nanoTime();
      HierarchicalSoftmaxClassificationModel model =
          asked.setNumLabels(1_000_000).fit(rows(spark, 200_000, 1_000_000, 4));
      System.out.printf(
          "%.0f s, a file of %d MiB, driver's heap at most %d MiB of %d MiB%n",
          (System.nanoTime() - begin) * 1e-9,
          Files.size(model.file()) >> 20,
          heapPeak() >> 20,
          Runtime.getRuntime().maxMemory() >> 20);
      System.out.println("executors that have trained a million: " + memory.most());
    }
  }

  /** The maximum memory that an executor used, sampled ten times a second; on Linux. */
  private static final class Memory implements AutoCloseable {
    private final Map<String, Long> kibibytes = new ConcurrentHashMap<>();
    private final Timer timer = new Timer(true);

    Memory(SparkCluster cluster) {
      TimerTask look =
          new TimerTask() {
            @Override
            public void run() {
              cluster.executors().forEach(executor -> look(executor));
            }
          };
      timer.schedule(look, 0, 100);
    }

    private void look(ProcessHandle executor) {
      try (Stream<String> lines = Files.lines(Path.of("/proc/" + executor.pid() + "/status"))) {
        lines
            .map(line -> line.split("\\s+", 3))
            .filter(line -> line[0].equals("RssAnon:") || line[0].equals("RssFile:"))
            .forEach(line -> kibibytes.merge(line[0], Long.valueOf(line[1]), Math::max));
      } catch (IOException | UncheckedIOException e) {
        // The process has ended.
      }
    }

    String most() {
      return "%d MiB of their own, %d MiB of mapped files"
          .formatted(kibibytes.get("RssAnon:") >> 10, kibibytes.get("RssFile:") >> 10);
    }

    @Override
    public void close() {
      timer.cancel();
    }
  }

  private static SparkSession session(SparkCluster cluster, int executors, String options) {
    return cluster
        .session()
        .config("spark.cores.max", executors)
        .config(
            "spark.executor.extraJavaOptions",
            "-Dorg.bytedeco.javacpp.cachedir=javacpp-cache " + options)
        .getOrCreate();
  }

  /** Returns rows that executors make: labels in random order, and numbers in [-1, 1). */
  private static Dataset<Row> rows(SparkSession spark, int count, int labels, int partitions) {
    return spark
        .range(0, count, 1, partitions)
        .selectExpr(
            "pmod(xxhash64(id), " + labels + ") AS label",
            "transform(sequence(1, "
                + FEATURES
                + "), i -> cast(xxhash64(id, i) / 9223372036854775808 AS float)) AS features");
  }

  /** Returns the sum of the peaks of the heap's pools, at least the peak of the heap. */
  private static long heapPeak() {
    return ManagementFactory.getMemoryPoolMXBeans().stream()
        .filter(pool -> pool.getType() == MemoryType.HEAP)
        .mapToLong(pool -> pool.getPeakUsage().getUsed())
        .sum();
  }

  private static void delete(Path folder) throws IOException {
    try (Stream<Path> files = Files.walk(folder)) {
      for (Path file : (Iterable<Path>) files.sorted(Comparator.reverseOrder())::iterator) {
        Files.delete(file);
      }
    }
  }
}
