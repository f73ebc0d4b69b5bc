// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.linear;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.blocksparse.internal.backend.KernelChoice;
import org.blocksparse.internal.kernels.Engine;
import org.blocksparse.internal.schedule.Scheduler;
import org.blocksparse.testing.Seed;
import org.junit.jupiter.api.Test;

/** Labels with similar features share a cluster, and clusters have equal sizes. */
final class LabelClustersTest {
  private static final int FEATURES_OF_GROUP = 10;

  /** Rows with one label each: features of the label's group, and noise. */
  private record Problem(SparseMatrix x, SparseMatrix rowsOf, int features, int[] groupOf) {
    static Problem of(int groups, int labelsOfGroup, int rowsOfLabel, int noise, long seed) {
      SplittableRandom random = new SplittableRandom(seed);
      int labels = groups * labelsOfGroup;
      int[] groupOf = IntStream.range(0, labels).map(label -> label % groups).toArray();
      for (int label = labels - 1; label > 0; label--) {
        int other = random.nextInt(label + 1);
        int group = groupOf[label];
        groupOf[label] = groupOf[other];
        groupOf[other] = group;
      }
      int features = (groups + 1) * FEATURES_OF_GROUP; // the features after the groups are noise
      int rows = labels * rowsOfLabel;
      int entries = 3 + noise;
      int[] columns = new int[rows * entries];
      float[] values = new float[rows * entries];
      for (int row = 0; row < rows; row++) {
        int group = groupOf[row / rowsOfLabel];
        int[] own = random.ints(0, FEATURES_OF_GROUP).distinct().limit(3).toArray();
        int[] ofRow =
            IntStream.concat(
                    Arrays.stream(own).map(f -> group * FEATURES_OF_GROUP + f),
                    random
                        .ints(0, FEATURES_OF_GROUP)
                        .distinct()
                        .limit(noise)
                        .map(f -> groups * FEATURES_OF_GROUP + f))
                .sorted()
                .toArray();
        for (int i = 0; i < entries; i++) {
          columns[row * entries + i] = ofRow[i];
          values[row * entries + i] = 0.5f + random.nextFloat();
        }
      }
      int[] offsets = IntStream.rangeClosed(0, rows).map(row -> row * entries).toArray();
      SparseMatrix rowsOf =
          SparseMatrix.transposed(labels, rows, (row, sink) -> sink.take(row / rowsOfLabel));
      return new Problem(new SparseMatrix(offsets, columns, values), rowsOf, features, groupOf);
    }

    int[] clusters(int halvings, long seed) {
      Engine engine = KernelChoice.engine(Scheduler.common());
      return LabelClusters.of(engine, x, rowsOf, features, halvings, seed);
    }

    /** Returns the sum, over the clusters, of the norm of the sum of their labels' vectors. */
    double objective(int[] clusterOf, int clusters) {
      double[][] sums = new double[clusters][features];
      for (int label = 0; label < clusterOf.length; label++) {
        double[] vector = new double[features];
        for (int i = rowsOf.offsets()[label]; i < rowsOf.offsets()[label + 1]; i++) {
          int row = rowsOf.columns()[i];
          double norm = Math.sqrt(x.squaredNorm(row));
          for (int e = x.offsets()[row]; e < x.offsets()[row + 1]; e++) {
            vector[x.columns()[e]] += x.values()[e] / norm;
          }
        }
        double length = Math.sqrt(Arrays.stream(vector).map(v -> v * v).sum());
        for (int f = 0; f < features; f++) {
          sums[clusterOf[label]][f] += vector[f] / length;
        }
      }
      return Arrays.stream(sums)
          .mapToDouble(sum -> Math.sqrt(Arrays.stream(sum).map(v -> v * v).sum()))
          .sum();
    }
  }

  @Test
  void twoGroupsOfLabelsComeApart() {
    for (int seed = 0; seed < 20; seed++) {
      Problem problem = Problem.of(2, 9, 4, 2, Seed.value() + seed);
      int[] clusterOf = problem.clusters(1, seed);
      for (int label = 0; label < clusterOf.length; label++) {
        assertEquals(
            clusterOf[0] == clusterOf[label],
            problem.groupOf()[0] == problem.groupOf()[label],
            Seed.howToRepeat());
      }
    }
  }

  /** The objective is nearer to that of the groups than to that of random clusters. */
  @Test
  void clustersAreMoreAlikeThanRandomOnesAndOfEqualSize() {
    for (int halvings = 1; halvings <= 4; halvings++) {
      int clusters = 1 << halvings;
      double gain = 0; // the mean gain, relative to that of the groups
      for (int seed = 0; seed < 5; seed++) {
        Problem problem = Problem.of(clusters, 6, 3, 2, Seed.value() + seed);
        int[] clusterOf = problem.clusters(halvings, seed);
        int[] sizes = new int[clusters];
        Arrays.stream(clusterOf).forEach(cluster -> sizes[cluster]++);
        assertTrue(Arrays.stream(sizes).allMatch(size -> size == 6), Arrays.toString(sizes));
        int[] dealt = IntStream.range(0, 6 * clusters).map(label -> label % clusters).toArray();
        double best = problem.objective(problem.groupOf(), clusters);
        double random = problem.objective(dealt, clusters);
        double found = problem.objective(clusterOf, clusters);
        gain += (found - random) / (best - random) / 5;
      }
      assertTrue(gain > 0.25, gain + " " + Seed.howToRepeat());
    }
  }
}
