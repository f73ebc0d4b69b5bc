// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.spark;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
import org.apache.spark.ExecutorLostFailure;
import org.apache.spark.scheduler.AccumulableInfo;
import org.apache.spark.scheduler.SparkListener;
import org.apache.spark.scheduler.SparkListenerExecutorMetricsUpdate;
import org.apache.spark.scheduler.SparkListenerJobStart;
import org.apache.spark.scheduler.SparkListenerTaskEnd;
import org.apache.spark.scheduler.SparkListenerTaskStart;
import org.apache.spark.scheduler.StageInfo;
import org.apache.spark.scheduler.TaskInfo;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;
import org.blocksparse.softmax.ClassAssignment;
import org.blocksparse.softmax.LayerPart;
import org.blocksparse.spark.OneProcess.Example;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import scala.collection.immutable.Seq;
import scala.jdk.javaapi.CollectionConverters;

/** Training on two executors that are killed, with speculation, and that come and go. */
@Tag("packaged")
final class TrainingOnClusterTest {
  private static final int LABELS = 103;
  private static final int CLASSES = 9;
  private static final int TASKS = 5;

  /** The epochs of a task of half a second, long enough for several heartbeats. */
  private static final int EPOCHS_OF_LONG_TASKS = 500;

  private static final List<Example> EXAMPLES = OneProcess.examples(3000, 40, LABELS, 2);
  private static final List<Example> SETS = OneProcess.withSets(EXAMPLES, LABELS, 3);

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

  /** Returns a session that runs slow tasks twice. */
  private static SparkSession speculating() {
    return cluster
        .session()
        .config("spark.speculation", true)
        .config("spark.speculation.interval", "20ms")
        .config("spark.speculation.quantile", 0.3)
        .config("spark.speculation.multiplier", 1.1)
        .config("spark.speculation.minTaskRuntime", "20ms")
        .config("spark.executor.heartbeatInterval", "100ms")
        // On a busy machine many answers may come too late, which must not end the executor.
        .config("spark.executor.heartbeat.maxFailures", 1000)
        .getOrCreate();
  }

  /** Returns a session without executors, which requests them when there is work. */
  private static SparkSession allocating() {
    return cluster
        .session()
        .config("spark.dynamicAllocation.enabled", true)
        .config("spark.dynamicAllocation.shuffleTracking.enabled", true)
        .config("spark.dynamicAllocation.minExecutors", 0)
        .config("spark.dynamicAllocation.maxExecutors", 2)
        .config("spark.dynamicAllocation.schedulerBacklogTimeout", "1s")
        // Executors are released although they hold shuffled rows and trained parts.
        .config("spark.dynamicAllocation.executorIdleTimeout", "1s")
        .config("spark.dynamicAllocation.cachedExecutorIdleTimeout", "1s")
        .config("spark.dynamicAllocation.shuffleTracking.timeout", "1s")
        .getOrCreate();
  }

  private static HierarchicalSoftmaxClassifier classifier() {
    return configured(new HierarchicalSoftmaxClassifier());
  }

  private static <M extends TwoLevelClassificationModel<M>, E extends TwoLevelClassifier<M, E>>
      E configured(E asked) {
    return asked
        .setWeightCol("weight")
        .setBatchSize(200)
        .setNumLabels(LABELS)
        .setClasses(CLASSES)
        .setAssignment("contiguous")
        .setKeepOptimizerState(true)
        .setNumPartitions(TASKS);
  }

  private static void assertAsInOneProcess(SparkSession spark, TwoLevelClassifier<?, ?> asked)
      throws IOException {
    Path expected = folder.resolve("one process");
    OneProcess.save(asked, examples(asked), ClassAssignment.contiguous(LABELS, CLASSES), expected);
    Dataset<Row> rows =
        asked instanceof LabelTreeClassifier
            ? OneProcess.rowsOfSets(spark, SETS)
            : OneProcess.rows(spark, EXAMPLES);
    Path found = asked.fit(rows.repartition(6)).file();
    assertEquals(-1, Files.mismatch(expected, found), "the first byte that differs");
  }

  @Test
  void executorsThatComeAndGoChangeNothing() throws Exception {
    try (SparkSession spark = allocating()) {
      awaitNoExecutors(); // those of an earlier session take a moment to end
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

  private static List<Example> examples(TwoLevelClassifier<?, ?> asked) {
    return asked instanceof LabelTreeClassifier ? SETS : EXAMPLES;
  }

  static Stream<TwoLevelClassifier<?, ?>> kinds() {
    return Stream.of(classifier(), configured(new LabelTreeClassifier()));
  }

  @ParameterizedTest
  @MethodSource("kinds")
  void executorsThatAreKilledChangeNothing(TwoLevelClassifier<?, ?> asked) throws IOException {
    Killer killer = new Killer(examples(asked));
    try (SparkSession spark = speculating()) {
      spark.sparkContext().addSparkListener(killer);
      assertAsInOneProcess(spark, asked.setMaxIter(EPOCHS_OF_LONG_TASKS));
    } // closing it reports all events to the listener
    assertEquals(Set.of(Doing.values()), killer.victims.keySet());
    for (Doing doing : Doing.values()) {
      Task victim = killer.victims.get(doing);
      assertTrue(killer.isRepeated(victim), doing + ": " + victim);
      // Rows had been sent, and parts were not trained yet.
      assertEquals(doing != Doing.SENDING, killer.lost.contains(victim.id), doing + ": " + victim);
    }
  }

  /** The work of an executor at the moment it is killed. */
  private enum Doing {
    SENDING,
    TRAINING_THE_CLASS_LEVEL,
    TRAINING_CLASSES
  }

  /** One try of a task of a stage. */
  private record Task(int stage, int partition, long id) {}

  /**
   * Kills three executors: the first one to have sent the rows of a partition, while others are
   * still to be sent; one that trains the class level; and one that trains classes. A task trains
   * if a heartbeat of its executor reports that it has read all of its rows.
   */
  private static final class Killer extends SparkListener {
    private static final String READ = "internal.metrics.shuffle.read.recordsRead";

    /** The tasks whose work was lost. */
    private final Map<Doing, Task> victims = new EnumMap<>(Doing.class);

    private final Map<Long, TaskInfo> running = new HashMap<>();
    private final List<Task> successful = new ArrayList<>();
    private final Set<Long> lost = new HashSet<>();
    private final long[] rowsOfPartition;
    private int sending = -1;
    private int training = -1;

    Killer(List<Example> examples) {
      rowsOfPartition = rowsOfPartitions(examples);
    }

    private static long[] rowsOfPartitions(List<Example> examples) {
      ClassAssignment classes = ClassAssignment.contiguous(LABELS, CLASSES);
      long[] labelsOfClass = new long[CLASSES];
      long[] rowsOfClass = new long[CLASSES];
      for (Example example : examples) {
        example.set().forEach(label -> labelsOfClass[classes.classOf(label)]++);
        example.set().stream().map(classes::classOf).distinct().forEach(c -> rowsOfClass[c]++);
      }
      Packing packing = Packing.of(labelsOfClass, TASKS);
      long[] rows = new long[TASKS];
      for (int partition = 0; partition < TASKS; partition++) {
        for (int part : packing.parts(partition)) {
          rows[partition] += part == LayerPart.CLASS_LEVEL ? examples.size() : rowsOfClass[part];
        }
      }
      return rows;
    }

    @Override
    public void onJobStart(SparkListenerJobStart job) {
      if (job.properties().getProperty("spark.job.description", "").contains(" trains ")) {
        StageInfo last =
            CollectionConverters.asJava(job.stageInfos()).stream()
                .max(Comparator.comparingInt(StageInfo::stageId))
                .orElseThrow();
        training = last.stageId();
        sending = (int) last.parentIds().head();
      }
    }

    @Override
    public void onTaskStart(SparkListenerTaskStart task) {
      if (task.stageId() == training) {
        running.put(task.taskInfo().taskId(), task.taskInfo());
      }
    }

    @Override
    public void onTaskEnd(SparkListenerTaskEnd end) {
      TaskInfo task = end.taskInfo();
      running.remove(task.taskId());
      if (end.reason() instanceof ExecutorLostFailure) {
        lost.add(task.taskId());
      }
      if (task.successful()) {
        successful.add(new Task(end.stageId(), task.partitionId(), task.taskId()));
        if (end.stageId() == sending) {
          kill(Doing.SENDING, end.stageId(), task);
        }
      }
    }

    @Override
    public void onExecutorMetricsUpdate(SparkListenerExecutorMetricsUpdate heartbeat) {
      for (var progress : CollectionConverters.asJava(heartbeat.accumUpdates())) {
        TaskInfo task = running.get(progress._1());
        if (task != null && read(progress._4()) == rowsOfPartition[task.partitionId()]) {
          boolean level = task.partitionId() == 0;
          kill(level ? Doing.TRAINING_THE_CLASS_LEVEL : Doing.TRAINING_CLASSES, training, task);
        }
      }
    }

    private static long read(Seq<AccumulableInfo> counts) {
      return CollectionConverters.asJava(counts).stream()
          .filter(count -> count.name().contains(READ))
          .mapToLong(count -> (long) count.update().get())
          .sum();
    }

    private void kill(Doing doing, int stage, TaskInfo task) {
      if (!victims.containsKey(doing)) {
        victims.put(doing, new Task(stage, task.partitionId(), task.taskId()));
        cluster.kill(task.executorId());
      }
    }

    boolean isRepeated(Task task) {
      return successful.stream()
          .anyMatch(
              other ->
                  other.stage == task.stage
                      && other.partition == task.partition
                      && other.id != task.id);
    }
  }
}
