// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.softmax;

import java.util.Arrays;
import java.util.SplittableRandom;
import java.util.random.RandomGenerator;
import org.blocksparse.internal.Blocks;
import org.blocksparse.internal.Engine;
import org.blocksparse.internal.Rows;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.schedule.GemmSchedule;

/**
 * Balanced spherical k-means: divides vectors into groups of nearly equal size such that those of a
 * group point in similar centroids (Dhillon and Modha, 2001, with a limit on the size of a group).
 *
 * <p>In each round, every vector is compared with the centroid of every group, as one dense
 * product. Then each joins the nearest group that has room: first those that would lose most
 * similarity by the second nearest.
 */
public final class SphericalKMeans {
  /** Vectors compared at a time. */
  private static final int SLICE = 4096;

  /** Centroids that are kept for each vector; if these groups are full, the others are tried. */
  private static final int NEAREST = 8;

  /** Vectors that are remembered, of those whose nearest groups are full; a power of two. */
  private static final int REMEMBERED = 1 << 12;

  private final Engine engine;
  private final Rows vectors;
  private final int count;
  private final int dims;
  private final int groups;
  private final int capacity;
  private final float[] centroids;
  private final int[] nearest;
  private final float[] similarities;
  private final int[] groupOf;

  /**
   * A division to be found.
   *
   * @param vectors (count, dims)
   * @param groups at least 1, with (groups - 1) * capacity &lt; count &lt;= groups * capacity
   */
  public SphericalKMeans(Engine engine, Rows vectors, int groups, int capacity, long seed) {
    this.engine = engine;
    this.vectors = vectors;
    this.count = Math.toIntExact(vectors.count());
    this.dims = Math.toIntExact(vectors.stride());
    this.groups = groups;
    this.capacity = capacity;
    this.centroids = new float[Math.multiplyExact(groups, dims)];
    this.nearest = new int[Math.multiplyExact(count, Math.min(NEAREST, groups))];
    this.similarities = new float[nearest.length];
    this.groupOf = new int[count];
    RandomGenerator random = new SplittableRandom(seed);
    int[] order = new int[count];
    for (int i = 0; i < count; i++) {
      int j = random.nextInt(i + 1);
      order[i] = order[j];
      order[j] = i;
    }
    float[] vector = new float[dims];
    for (int g = 0; g < groups; g++) {
      unitVector(order[g], vector);
      System.arraycopy(vector, 0, centroids, g * dims, dims);
    }
  }

  /** The group of each vector, after that many rounds. */
  public int[] divide(int rounds) {
    for (int round = 0; round < rounds; round++) {
      compare();
      choose();
      findCentroids();
    }
    return groupOf;
  }

  private void unitVector(int index, float[] into) {
    vectors.get(index, 0, into);
    normalize(into, 0);
  }

  /** Scales the vector at {@code start} to length 1; one without a direction becomes zero. */
  private void normalize(float[] values, int start) {
    double squares = 0;
    for (int d = 0; d < dims; d++) {
      squares += (double) values[start + d] * values[start + d];
    }
    double factor = squares > 0 && squares < Double.POSITIVE_INFINITY ? 1 / Math.sqrt(squares) : 0;
    for (int d = 0; d < dims; d++) {
      values[start + d] = factor == 0 ? 0 : (float) (values[start + d] * factor);
    }
  }

  /** Finds the nearest centroids of all vectors. */
  private void compare() {
    long slice = Math.min(SLICE, count);
    Storage[] memory = Storage.allocateAll(centroids.length, slice * dims, slice * groups);
    try {
      memory[0].putFloats(0, centroids, 0, centroids.length);
      Blocks weights = Blocks.dense(memory[0], 1, 1, groups, dims).transpose();
      for (int begin = 0; begin < count; begin += SLICE) {
        int size = Math.min(SLICE, count - begin);
        compare(begin, new Rows(memory[1], size, dims), weights, new Rows(memory[2], size, groups));
      }
    } finally {
      for (Storage storage : memory) {
        storage.close();
      }
    }
  }

  private void compare(int begin, Rows units, Blocks weights, Rows toCentroids) {
    int size = (int) units.count();
    float[] vector = new float[dims];
    for (int i = 0; i < size; i++) {
      unitVector(begin + i, vector);
      units.put(i, 0, vector);
    }
    try (GemmSchedule dense = GemmSchedule.dense(size)) {
      engine.gemm(dense, units, weights, null, false, toCentroids);
    }
    float[] row = new float[groups];
    for (int i = 0; i < size; i++) {
      toCentroids.get(i, 0, row);
      keepNearest(begin + i, row);
    }
  }

  /** Keeps the best few of a row, in order, by insertion. */
  private void keepNearest(int vector, float[] toCentroids) {
    int kept = Math.min(NEAREST, groups);
    int at = vector * kept;
    int found = 0;
    for (int g = 0; g < groups; g++) {
      if (found == kept && toCentroids[g] <= similarities[at + kept - 1]) {
        continue;
      }
      int i = found < kept ? found++ : kept - 1;
      while (i > 0 && similarities[at + i - 1] < toCentroids[g]) {
        similarities[at + i] = similarities[at + i - 1];
        nearest[at + i] = nearest[at + i - 1];
        i--;
      }
      similarities[at + i] = toCentroids[g];
      nearest[at + i] = g;
    }
  }

  private void choose() {
    int kept = Math.min(NEAREST, groups);
    int[] size = new int[groups];
    int[] searched = new int[REMEMBERED];
    Arrays.fill(searched, -1);
    float[] unit = new float[dims];
    float[] other = new float[dims];
    for (int vector : byRegret(kept)) {
      int chosen = -1;
      for (int i = vector * kept; i < (vector + 1) * kept && chosen < 0; i++) {
        if (size[nearest[i]] < capacity) {
          chosen = nearest[i];
        }
      }
      if (chosen < 0) {
        unitVector(vector, unit);
        int place = Arrays.hashCode(unit) & (REMEMBERED - 1);
        chosen = groupOfTheSame(searched[place], unit, other);
        // Groups only fill: one that was the best is it as long as it has room.
        if (chosen < 0 || size[chosen] == capacity) {
          chosen = bestWithRoom(unit, size);
        }
        searched[place] = vector;
      }
      groupOf[vector] = chosen;
      size[chosen]++;
    }
    fillEmptyGroups(size);
  }

  /** Vectors by what they lose if they get their second choice; those with the same by number. */
  private int[] byRegret(int kept) {
    long[] keys = new long[count];
    for (int v = 0; v < count; v++) {
      float regret = kept < 2 ? 0 : similarities[v * kept] - similarities[v * kept + 1];
      // Not negative, so its bits are in its order.
      keys[v] = (long) -Float.floatToIntBits(Math.max(0, regret)) << 32 | v;
    }
    Arrays.sort(keys);
    return Arrays.stream(keys).mapToInt(key -> (int) key).toArray();
  }

  /**
   * The group that a vector was put into, if it has this direction. Very many may have: labels that
   * occur in the same texts, or that have no direction at all.
   */
  private int groupOfTheSame(int vector, float[] unit, float[] buffer) {
    if (vector < 0) {
      return -1;
    }
    unitVector(vector, buffer);
    return Arrays.equals(unit, buffer) ? groupOf[vector] : -1;
  }

  private int bestWithRoom(float[] unit, int[] size) {
    int best = -1;
    double bestSimilarity = 0;
    for (int g = 0; g < groups; g++) {
      if (size[g] < capacity) {
        double similarity = 0;
        for (int d = 0; d < dims; d++) {
          similarity += (double) unit[d] * centroids[g * dims + d];
        }
        if (best < 0 || similarity > bestSimilarity) {
          best = g;
          bestSimilarity = similarity;
        }
      }
    }
    return best;
  }

  /** A group that is nobody's nearest takes a vector of a group that has several. */
  private void fillEmptyGroups(int[] size) {
    int vector = 0;
    for (int g = 0; g < groups; g++) {
      if (size[g] == 0) {
        while (size[groupOf[vector]] < 2) {
          vector++;
        }
        size[groupOf[vector]]--;
        groupOf[vector] = g;
        size[g] = 1;
      }
    }
  }

  private void findCentroids() {
    Arrays.fill(centroids, 0);
    float[] unit = new float[dims];
    for (int v = 0; v < count; v++) {
      unitVector(v, unit);
      for (int d = 0; d < dims; d++) {
        centroids[groupOf[v] * dims + d] += unit[d];
      }
    }
    for (int g = 0; g < groups; g++) {
      normalize(centroids, g * dims);
    }
  }
}
