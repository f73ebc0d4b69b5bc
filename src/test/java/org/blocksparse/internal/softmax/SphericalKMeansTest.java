// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.softmax;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.Comparator;
import java.util.Random;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.blocksparse.internal.Engine;
import org.blocksparse.internal.Rows;
import org.blocksparse.internal.Scheduler;
import org.blocksparse.internal.memory.Storage;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** A round of the division, against its description. */
final class SphericalKMeansTest {
  /** Elements are 1 or -1, or all 0, so that unit vectors and their products are exact. */
  private static final int DIMS = 16;

  private final Random random = new Random(9);

  /** Vectors of which many point in similar directions, or in the same, and some in none. */
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

  /** The first round as it is described, step by step. */
  private static final class Described {
    final int[][] vectors;
    final int[][] centroids;
    final int capacity;
    final int[] groupOf;
    final int[] size;
    int left;

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

    /** The groups by descending similarity, then by number. */
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

  /** Without room to spare, no group stays empty. */
  @ParameterizedTest
  @CsvSource({"60, 3", "500, 20", "9000, 100"})
  void aRoundIsAsDescribed(int count, int groups) {
    int[][] vectors = crowded(count);
    float[] flat = new float[count * DIMS];
    for (int i = 0; i < flat.length; i++) {
      flat[i] = vectors[i / DIMS][i % DIMS];
    }
    Storage storage = Storage.allocate(flat.length);
    storage.putFloats(0, flat, 0, flat.length);
    Described described = new Described(vectors, groups, count / groups, 7);
    int[] expected = described.divide();
    assertTrue(groups < 9 || described.left > count / 20, described.left + " are left");
    Engine engine = Engine.of(Scheduler.common());
    Rows rows = new Rows(storage, count, DIMS);
    int[] found = new SphericalKMeans(engine, rows, groups, count / groups, 7).divide(1);
    assertArrayEquals(expected, found);
    storage.close();
  }
}
