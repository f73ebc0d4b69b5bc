// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.spark;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.stream.IntStream;
import org.apache.spark.ExecutorLostFailure;
import org.apache.spark.scheduler.SparkListener;
import org.apache.spark.scheduler.SparkListenerTaskEnd;
import org.apache.spark.scheduler.SparkListenerTaskStart;
import org.apache.spark.sql.SparkSession;
import org.blocksparse.FloatTensor;
import org.blocksparse.SparseRows;
import org.blocksparse.linear.LinearLabelTree;
import org.blocksparse.linear.LinearLabelTreeBuilder;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A linear label tree that is trained on two executors, one of which is killed. */
@Tag("packaged")
final class LinearLabelTreeOnClusterTest {
  private static final int FEATURES = 300;
  private static final int LABELS = 150;
  private static final int ROWS = 3000;

  @TempDir static Path folder;

  /** Returns rows whose labels follow from some of their features. */
  private static List<int[]> features(Random random) {
    return IntStream.range(0, ROWS)
        .mapToObj(row -> random.ints(1 + random.nextInt(20), 0, FEATURES).toArray())
        .toList();
  }

  private static List<int[]> labels(List<int[]> features, Random random) {
    return features.stream()
        .map(of -> new int[] {of[0] % LABELS, (of[of.length - 1] + random.nextInt(2)) % LABELS})
        .toList();
  }

  /** Kills the executor of a task that has begun, while most tasks have not begun. */
  private static final class Killer extends SparkListener {
    private final SparkCluster cluster;
    private final int after;
    private final Set<Integer> lost = new HashSet<>();
    private final Set<Integer> successful = new HashSet<>();
    private int begun;

    Killer(SparkCluster cluster, int after) {
      this.cluster = cluster;
      this.after = after;
    }

    @Override
    public void onTaskStart(SparkListenerTaskStart task) {
      if (++begun == after) {
        cluster.kill(task.taskInfo().executorId());
      }
    }

    @Override
    public void onTaskEnd(SparkListenerTaskEnd end) {
      Set<Integer> tasks = end.reason() instanceof ExecutorLostFailure ? lost : successful;
      tasks.add(end.taskInfo().partitionId());
    }
  }

  private static void assertSame(LinearLabelTree expected, LinearLabelTree found)
      throws IOException {
    Path one = folder.resolve("one process");
    Path other = folder.resolve("cluster");
    expected.save(one);
    found.save(other);
    assertEquals(-1, Files.mismatch(one, other), "the first byte that differs");
  }

  @Test
  void anExecutorThatIsKilledChangesNothing() throws Exception {
    Random random = new Random(5);
    List<int[]> features = features(random);
    LinearLabelTreeBuilder builder =
        LinearLabelTree.builder(FEATURES, LABELS).clusterSize(8).tfIdf().cost(100).threshold(0);
    try (SparseRows x = SparseRows.of(features);
        SparseRows targets = SparseRows.of(labels(features, random));
        FloatTensor weights = FloatTensor.zeros(ROWS);
        SparkCluster cluster = SparkCluster.start(folder, 2, 1)) {
      weights.fill(2);
      Killer killer = new Killer(cluster, 3);
      try (LinearLabelTree expected = builder.train(x, targets, weights)) {
        try (SparkSession spark = cluster.session().getOrCreate()) {
          spark.sparkContext().addSparkListener(killer);
          var parts = builder.parts(x, targets, weights);
          assertTrue(parts.count() > 32, parts::toString); // two levels, and clusters
          try (LinearLabelTree found = LinearLabelTreeTraining.train(spark, parts)) {
            assertSame(expected, found);
          }
        } // closing it reports all events to the listener
      }
      assertTrue(!killer.lost.isEmpty(), "no task was lost");
      assertTrue(killer.successful.containsAll(killer.lost), killer.lost::toString);
    }
  }
}
