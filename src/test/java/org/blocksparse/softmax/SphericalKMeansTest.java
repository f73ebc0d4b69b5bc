// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.Comparator;
import java.util.HashSet;
import java.util.Random;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.blocksparse.internal.backend.KernelChoice;
import org.blocksparse.internal.kernels.Engine;
import org.blocksparse.internal.memory.Rows;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.schedule.Scheduler;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** One round of clustering, compared with its description. */
final class SphericalKMeansTest {
  /** Elements are 1 or -1, or all 0, so that unit vectors and their products are exact. */
  private static final int DIMS = 16;

  private final Random random = new Random(9);

  /**
   * Returns vectors, many of which point in similar directions or in the same, and some in none.
   */
  private int[][] crowded(int count) {
    int[][] vectors = new int[count][DIMS];
    for (int[] vector : vectors) {
      boolean zero = random.nextInt(5) == 0;
      for (int d = 0; d < DIMS && !zero; d++) {
        vector[d] = random.nextInt(8) == 0 ? -1 : 1;
      }
    }
    return vectors;
  }

  /** The first round, step by step as described. */
  private static final class Described {
    final int[][] vectors;
    final int[][] centroids;
    final int capacity;
    final int[] groupOf;
    final int[] size;
    int left;
    int filled;

    Described(int[][] vectors, int groups, int capacity, long seed) {
      this.vectors = vectors;
      this.capacity = capacity;
      this.groupOf = new int[vectors.length];
      this.size = new int[groups];
      SplittableRandom random = new SplittableRandom(seed);
      int[] order = new int[vectors.length];
      for (int i = 0; i < order.length; i++) {
        int j = random.nextInt(i + 1);
        order[i] = order[j];
        order[j] = i;
      }
      this.centroids =
          IntStream.range(0, groups).mapToObj(g -> vectors[order[g]]).toArray(int[][]::new);
    }

    int similarity(int vector, int group) {
      int sum = 0;
      for (int d = 0; d < DIMS; d++) {
        sum += vectors[vector][d] * centroids[group][d];
      }
      return sum;
    }

    /** Returns the groups by descending similarity, then by number. */
    int[] nearest(int vector) {
      return IntStream.range(0, size.length)
          .boxed()
          .sorted(Comparator.comparing(g -> -similarity(vector, g)))
          .mapToInt(Integer::intValue)
          .toArray();
    }

    int[] divide() {
      int count = vectors.length;
      int[][] nearest = IntStream.range(0, count).mapToObj(this::nearest).toArray(int[][]::new);
      int[] byRegret =
          IntStream.range(0, count)
              .boxed()
              .sorted(
                  Comparator.comparing(
                      v -> similarity(v, nearest[v][1]) - similarity(v, nearest[v][0])))
              .mapToInt(Integer::intValue)
              .toArray();
      int[] others = Arrays.stream(byRegret).filter(v -> !isPut(v, nearest[v], 8)).toArray();
      left = others.length;
      for (int vector : others) {
        assertTrue(isPut(vector, nearest[vector], size.length));
      }
      for (int g = 0, from = 0; g < size.length; g++) {
        if (size[g] == 0) { // takes the first vector that is not alone
          while (size[groupOf[from]] == 1) {
            from++;
          }
          size[groupOf[from]]--;
          groupOf[from] = g;
          size[g] = 1;
          filled++;
        }
      }
      return groupOf;
    }

    boolean isPut(int vector, int[] nearest, int most) {
      for (int i = 0; i < Math.min(most, nearest.length); i++) {
        if (size[nearest[i]] < capacity) {
          size[nearest[i]]++;
          groupOf[vector] = nearest[i];
          return true;
        }
      }
      return false;
    }
  }

  private static int[] divide(float[] vectors, int dims, int groups, int capacity, int rounds) {
    Storage storage = Storage.allocate(vectors.length);
    storage.putFloats(0, vectors, 0, vectors.length);
    Engine engine = KernelChoice.engine(Scheduler.common());
    Rows rows = new Rows(storage, vectors.length / dims, dims);
    long before = Storage.allocatedBytes();
    int[] found = new SphericalKMeans(engine, rows, groups, capacity, 7).divide(rounds);
    assertTrue(Storage.allocatedBytes() <= before, "memory stays");
    storage.close();
    return found;
  }

  private static float[] flat(int[][] vectors) {
    float[] flat = new float[vectors.length * DIMS];
    for (int i = 0; i < flat.length; i++) {
      flat[i] = vectors[i / DIMS][i % DIMS];
    }
    return flat;
  }

  /** The cases have no spare room, or so much that some groups are the nearest of no vector. */
  @ParameterizedTest
  @CsvSource({"60, 3, 20", "500, 20, 25", "9000, 100, 90", "58, 20, 3", "20, 20, 1", "7, 2, 6"})
  void aRoundIsAsDescribed(int count, int groups, int capacity) {
    int[][] vectors = crowded(count);
    Described described = new Described(vectors, groups, capacity, 7);
    int[] expected = described.divide();
    assertTrue(groups < 100 || described.left > count / 20, described.left + " are left");
    assertArrayEquals(expected, divide(flat(vectors), DIMS, groups, capacity, 1));
  }

  /**
   * All but a few vectors are equal: all but one of the groups that begin with that vector would be
   * empty.
   */
  @Test
  void emptyGroupsTakeAVectorOfOthers() {
    int[][] vectors = new int[40][DIMS];
    for (int v = 0; v < vectors.length; v++) {
      Arrays.fill(vectors[v], v % 20 == 3 ? -1 : 1);
    }
    Described described = new Described(vectors, 4, 39, 7);
    int[] expected = described.divide();
    assertEquals(2, described.filled);
    assertArrayEquals(expected, divide(flat(vectors), DIMS, 4, 39, 1));
  }

  /** The factors are powers of two, so that all bits of the unit vectors are unchanged. */
  @Test
  void theLengthOfVectorsDoesNotCount() {
    int dims = 5;
    float[] vectors = new float[600 * dims];
    float[] scaled = vectors.clone();
    for (int i = 0; i < vectors.length; i++) {
      vectors[i] = (float) random.nextGaussian();
      scaled[i] = Math.scalb(vectors[i], i / dims % 61 - 30);
    }
    int[] expected = divide(vectors, dims, 12, 50, 10);
    assertArrayEquals(expected, divide(scaled, dims, 12, 50, 10));
    assertFalse(Arrays.equals(expected, divide(vectors, dims, 12, 50, 1)), "rounds change nothing");
  }

  /** Vectors around each axis form a group, whatever vectors the groups begin with. */
  @Test
  void directionsThatAreFarApartAreGroups() {
    int dims = 6;
    float[] vectors = new float[dims * 50 * dims];
    for (int v = 0; v < dims * 50; v++) {
      for (int d = 0; d < dims; d++) {
        vectors[v * dims + d] = 0.1f * (float) random.nextGaussian() + (v % dims == d ? 1 : 0);
      }
    }
    int[] groupOf = divide(vectors, dims, dims, 50, 10);
    Set<Integer> groups = new HashSet<>();
    for (int v = 0; v < groupOf.length; v++) {
      assertEquals(groupOf[v % dims], groupOf[v], "vector " + v);
      groups.add(groupOf[v]);
    }
    assertEquals(dims, groups.size());
  }
}
