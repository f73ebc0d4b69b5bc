// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.spark;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.spark.ExecutorLostFailure;
import org.apache.spark.scheduler.SparkListener;
import org.apache.spark.scheduler.SparkListenerStageSubmitted;
import org.apache.spark.scheduler.SparkListenerTaskEnd;
import org.apache.spark.scheduler.SparkListenerTaskStart;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;
import org.blocksparse.ClassAssignment;
import org.blocksparse.spark.OneProcess.Example;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Training on two executors that are killed, with speculation, and that come and go. */
final class TrainingOnClusterTest {
  private static final int LABELS = 103;
  private static final int CLASSES = 9;
  private static final List<Example> EXAMPLES = OneProcess.examples(3000, 40, LABELS, 2);

  @TempDir static Path folder;
  private static SparkCluster cluster;

  @BeforeAll
  static void start() throws Exception {
    cluster = SparkCluster.start(folder, 2, 1);
  }

  @AfterAll
  static void stop() {
    if (cluster != null) {
      cluster.close();
    }
  }

  /** A session that lets slow tasks run twice. */
  private static SparkSession speculating() {
    return cluster
        .session()
        .config("spark.speculation", true)
        .config("spark.speculation.interval", "20ms")
        .config("spark.speculation.quantile", 0.3)
        .config("spark.speculation.multiplier", 1.1)
        .config("spark.speculation.minTaskRuntime", "20ms")
        .getOrCreate();
  }

  /** A session without executors, which asks for them when there is work. */
  private static SparkSession allocating() {
    return cluster
        .session()
        .config("spark.dynamicAllocation.enabled", true)
        .config("spark.dynamicAllocation.shuffleTracking.enabled", true)
        .config("spark.dynamicAllocation.minExecutors", 0)
        .config("spark.dynamicAllocation.maxExecutors", 2)
        .config("spark.dynamicAllocation.schedulerBacklogTimeout", "1s")
        // They go though they have shuffled rows and trained parts.
        .config("spark.dynamicAllocation.executorIdleTimeout", "1s")
        .config("spark.dynamicAllocation.cachedExecutorIdleTimeout", "1s")
        .config("spark.dynamicAllocation.shuffleTracking.timeout", "1s")
        .getOrCreate();
  }

  private static HierarchicalSoftmaxClassifier classifier() {
    return new HierarchicalSoftmaxClassifier()
        .setWeightCol("weight")
        .setBatchSize(200)
        .setNumLabels(LABELS)
        .setClasses(CLASSES)
        .setAssignment("contiguous")
        .setKeepOptimizerState(true)
        .setNumPartitions(5);
  }

  private static void assertAsInOneProcess(SparkSession spark, HierarchicalSoftmaxClassifier asked)
      throws IOException {
    Path expected = folder.resolve("one process");
    OneProcess.save(asked, EXAMPLES, ClassAssignment.contiguous(LABELS, CLASSES), expected);
    Dataset<Row> rows = OneProcess.rows(spark, EXAMPLES).repartition(3);
    assertEquals(
        -1, Files.mismatch(expected, asked.fit(rows).file()), "the first byte that differs");
  }

  @Test
  void executorsThatComeAndGoChangeNothing() throws Exception {
    try (SparkSession spark = allocating()) {
      awaitNoExecutors(); // those of a session before take a moment to end
      assertAsInOneProcess(
          spark, classifier().setMaxIter(30).setOptimizer("adam").setStepSize(0.02));
      awaitNoExecutors();
    }
  }

  private static void awaitNoExecutors() throws InterruptedException {
    for (int i = 0; !cluster.executors().isEmpty() && i < 300; i++) {
      Thread.sleep(100);
    }
    assertEquals(List.of(), cluster.executors());
  }

  @Test
  void executorsThatAreKilledChangeNothing() throws IOException {
    Killer killer = new Killer();
    try (SparkSession spark = speculating()) {
      spark.sparkContext().addSparkListener(killer);
      assertAsInOneProcess(spark, classifier().setMaxIter(60));
    }
    assertEquals(3, killer.kills.get());
    assertTrue(killer.stagesWithLosses.size() >= 2, killer.stagesWithLosses.toString());
  }

  /**
   * Kills all executors when the rows are sent, when the class level begins, and once more when
   * classes are trained.
   */
  private static final class Killer extends SparkListener {
    private final Set<Integer> stagesWithLosses = ConcurrentHashMap.newKeySet();
    private final AtomicInteger kills = new AtomicInteger();
    private final AtomicInteger started = new AtomicInteger();
    private int sending = -1;
    private int training = -1;

    @Override
    public void onStageSubmitted(SparkListenerStageSubmitted stage) {
      String job = stage.properties().getProperty("spark.job.description", "");
      if (job.contains(" trains ") && stage.stageInfo().attemptNumber() == 0) {
        if (stage.stageInfo().numTasks() == 5) {
          training = stage.stageInfo().stageId();
        } else {
          sending = stage.stageInfo().stageId();
        }
      }
    }

    @Override
    public void onTaskStart(SparkListenerTaskStart task) {
      int expectedKills = task.stageId() == sending ? 0 : started.get() < 3 ? 1 : 2;
      if (task.stageId() == training) {
        started.incrementAndGet();
      } else if (task.stageId() != sending) {
        return;
      }
      if (kills.compareAndSet(expectedKills, expectedKills + 1)) {
        cluster.executors().forEach(ProcessHandle::destroyForcibly);
      }
    }

    @Override
    public void onTaskEnd(SparkListenerTaskEnd task) {
      if (task.reason() instanceof ExecutorLostFailure) {
        stagesWithLosses.add(task.stageId());
      }
    }
  }
}
