// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import java.util.Arrays;
import java.util.BitSet;
import java.util.SplittableRandom;
import java.util.function.IntUnaryOperator;
import java.util.random.RandomGenerator;
import java.util.stream.IntStream;
import org.blocksparse.internal.kernels.Engine;
import org.blocksparse.internal.kernels.Sums;
import org.blocksparse.internal.memory.Rows;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.schedule.GemmSchedule;
import org.blocksparse.internal.weights.Blocks;

/**
 * Balanced spherical k-means: divides vectors into groups of nearly equal size such that those of a
 * group point in similar directions (Dhillon and Modha, 2001, with a limit on the size of a group).
 *
 * <p>In each round, every vector is compared with the centroid of every group, as one dense
 * product. Then each joins the nearest group that has room: first those that would lose most
 * similarity by the second nearest, and last those whose few nearest groups are full by then.
 *
 * <p>A round costs vectors times groups times dimensions. Similarities are kept for the {@value
 * #NEAREST} nearest groups of each vector, and for all groups only of {@value #SLICE} vectors at a
 * time.
 *
 * <p>The groups do not depend on the workers.
 */
final class SphericalKMeans {
  /** The vectors that are compared at a time. */
  private static final int SLICE = 4096;

  /**
   * The centroids that are kept for each vector; if these groups are full, the others are tried.
   */
  public static final int NEAREST = 8;

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

  /** The vectors without a direction, which are equally similar to all groups. */
  private final BitSet withoutDirection = new BitSet();

  /** The number of vectors of each group. */
  private final int[] size;

  /**
   * Creates the search for a division.
   *
   * @param vectors (count, dims), finite; dims times groups and {@link #NEAREST} times count fit
   *     into arrays
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
    this.size = new int[groups];
    RandomGenerator random = new SplittableRandom(seed);
    int[] order = new int[count];
    for (int i = 0; i < count; i++) {
      int j = random.nextInt(i + 1);
      order[i] = order[j];
      order[j] = i;
    }
    float[] vector = new float[dims];
    for (int v = 0; v < count; v++) {
      withoutDirection.set(v, !unitVector(v, vector));
    }
    for (int g = 0; g < groups; g++) {
      unitVector(order[g], vector);
      System.arraycopy(vector, 0, centroids, g * dims, dims);
    }
  }

  /** Returns the group of each vector, after that many rounds. */
  public int[] divide(int rounds) {
    long slice = Math.min(SLICE, count);
    Storage[] memory = Storage.allocateAll(centroids.length, slice * dims, slice * groups);
    try {
      for (int round = 0; round < rounds; round++) {
        findNearest(memory);
        choose(memory);
        findCentroids();
      }
    } finally {
      Storage.closeAll(memory);
    }
    return groupOf;
  }

  /** Returns whether a vector has a direction: {@link #normalize}. */
  private boolean unitVector(int index, float[] into) {
    vectors.get(index, 0, into);
    return normalize(into, 0);
  }

  /**
   * Scales the vector at {@code start} to length 1; a vector without a direction becomes zero.
   *
   * @return whether it has one
   */
  private boolean normalize(float[] values, int start) {
    double squares = 0;
    for (int d = 0; d < dims; d++) {
      squares += (double) values[start + d] * values[start + d];
    }
    double factor = squares > 0 ? 1 / Math.sqrt(squares) : 0; // finite, as all floats are
    for (int d = 0; d < dims; d++) {
      values[start + d] = factor == 0 ? 0 : (float) (values[start + d] * factor);
    }
    return factor != 0;
  }

  /** Finds the nearest centroids of all vectors. */
  private void findNearest(Storage[] memory) {
    int[] all = IntStream.range(0, groups).toArray();
    for (int begin = 0; begin < count; begin = sliceEnd(begin, count)) {
      int first = begin;
      int rows = sliceEnd(begin, count) - begin;
      Rows toCentroids = compare(i -> first + i, rows, all, memory);
      engine.run(
          rows,
          (long) rows * groups,
          (from, to) -> {
            float[] row = new float[groups];
            for (int i = from; i < to; i++) {
              toCentroids.get(i, 0, row);
              keepNearest(first + i, row);
            }
          });
    }
  }

  /** Returns the end of the slice that begins at {@code begin}, without overflow. */
  private static int sliceEnd(int begin, int end) {
    return begin + Math.min(SLICE, end - begin);
  }

  /**
   * Returns the similarities of some vectors to the centroids of some groups, (rows, groups), in
   * memory.
   *
   * @param vectorOf the vector of each row
   * @param rows at most {@link #SLICE}
   */
  private Rows compare(IntUnaryOperator vectorOf, int rows, int[] among, Storage[] memory) {
    for (int g = 0; g < among.length; g++) {
      memory[0].putFloats((long) g * dims, centroids, among[g] * dims, dims);
    }
    Rows units = new Rows(memory[1], rows, dims);
    engine.run(
        rows,
        (long) rows * dims,
        (from, to) -> {
          float[] unit = new float[dims];
          for (int i = from; i < to; i++) {
            unitVector(vectorOf.applyAsInt(i), unit);
            units.put(i, 0, unit);
          }
        });
    Rows toCentroids = new Rows(memory[2], rows, among.length);
    Blocks weights = Blocks.dense(memory[0], 1, 1, among.length, dims).transpose();
    try (GemmSchedule dense = GemmSchedule.dense(rows)) {
      engine.gemm(dense, units, weights, Sums.of(toCentroids));
    }
    return toCentroids;
  }

  /** Keeps the nearest centroids of a row, in order, by insertion. */
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

  private void choose(Storage[] memory) {
    int kept = Math.min(NEAREST, groups);
    Arrays.fill(size, 0);
    int[] left = new int[count];
    int leftCount = 0;
    for (int vector : byRegret(kept)) {
      int i = vector * kept;
      int end = i + kept;
      while (i < end && size[nearest[i]] == capacity) {
        i++;
      }
      if (i < end) {
        put(vector, nearest[i]);
      } else {
        left[leftCount++] = vector;
      }
    }
    chooseOfAll(left, leftCount, memory);
    fillEmptyGroups();
  }

  private void put(int vector, int group) {
    groupOf[vector] = group;
    size[group]++;
  }

  /**
   * Puts vectors whose nearest groups are full into the nearest of the others. Most of them may
   * have no direction, such as those of labels that do not occur; these need no search.
   */
  private void chooseOfAll(int[] left, int leftCount, Storage[] memory) {
    for (int begin = 0; begin < leftCount; begin = sliceEnd(begin, leftCount)) {
      int first = begin;
      int end = sliceEnd(begin, leftCount);
      int[] open = IntStream.range(0, groups).filter(g -> size[g] < capacity).toArray();
      Rows toCentroids = compare(i -> left[first + i], end - begin, open, memory);
      float[] row = new float[open.length];
      int firstOpen = 0;
      for (int i = begin; i < end; i++) {
        while (size[open[firstOpen]] == capacity) {
          firstOpen++;
        }
        int best = firstOpen;
        if (!withoutDirection.get(left[i])) {
          toCentroids.get(i - begin, 0, row);
          best = mostSimilar(row, open, firstOpen);
        }
        put(left[i], open[best]);
      }
    }
  }

  /** Returns the place of the most similar open group, from {@code first} on, that has room. */
  private int mostSimilar(float[] row, int[] open, int first) {
    int best = first;
    for (int g = first + 1; g < open.length; g++) {
      if (row[g] > row[best] && size[open[g]] < capacity) {
        best = g;
      }
    }
    return best;
  }

  /**
   * Returns the vectors by what they lose if they get their second choice; equal ones by number.
   */
  private int[] byRegret(int kept) {
    long[] keys = new long[count];
    for (int v = 0; v < count; v++) {
      float regret = kept < 2 ? 0 : similarities[v * kept] - similarities[v * kept + 1];
      // The difference is not negative, so its bits have the same order.
      keys[v] = (long) -Float.floatToIntBits(Math.max(0, regret)) << 32 | v;
    }
    Arrays.sort(keys);
    return Arrays.stream(keys).mapToInt(key -> (int) key).toArray();
  }

  /** Gives each empty group a vector of a group that has several. */
  private void fillEmptyGroups() {
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

  /** Sums the vectors of each group, in their order, and scales the sum to length 1. */
  private void findCentroids() {
    int[] begin = new int[groups + 1];
    for (int g = 0; g < groups; g++) {
      begin[g + 1] = begin[g] + size[g];
    }
    int[] next = begin.clone();
    int[] members = new int[count];
    for (int v = 0; v < count; v++) {
      members[next[groupOf[v]]++] = v;
    }
    engine.run(
        groups,
        (long) count * dims,
        (from, to) -> {
          float[] unit = new float[dims];
          for (int g = from; g < to; g++) {
            Arrays.fill(centroids, g * dims, (g + 1) * dims, 0);
            for (int m = begin[g]; m < begin[g + 1]; m++) {
              unitVector(members[m], unit);
              for (int d = 0; d < dims; d++) {
                centroids[g * dims + d] += unit[d];
              }
            }
            normalize(centroids, g * dims);
          }
        });
  }
}
