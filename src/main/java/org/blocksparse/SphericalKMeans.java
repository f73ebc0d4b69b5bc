// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import java.util.Arrays;
import java.util.SplittableRandom;
import java.util.random.RandomGenerator;

/**
 * Balanced spherical k-means: divides vectors into groups of nearly equal size such that those of a
 * group point in similar directions (Dhillon and Modha, 2001, with a limit on the size of a group).
 *
 * <p>In each round, every vector is compared with the direction of every group, as one dense
 * product. Then vectors choose, those first that lose most if they do not get what they like best,
 * and a group that is full takes no more.
 */
final class SphericalKMeans {
  /** Vectors compared at a time. */
  private static final int SLICE = 4096;

  /** Groups that a vector remembers as its favourites; if all are full, it looks at the others. */
  private static final int FAVOURITES = 8;

  private final FloatTensor vectors;
  private final int count;
  private final int dims;
  private final int groups;
  private final int capacity;
  private final float[] directions;
  private final int[] favourites;
  private final float[] likings;
  private final int[] groupOf;

  /**
   * A division to be found.
   *
   * @param vectors (count, dims), contiguous
   * @param groups at least 1, with (groups - 1) * capacity &lt; count &lt;= groups * capacity
   */
  SphericalKMeans(FloatTensor vectors, int groups, int capacity, long seed) {
    this.vectors = vectors;
    this.count = (int) vectors.shape().dim(0);
    this.dims = (int) vectors.shape().dim(1);
    this.groups = groups;
    this.capacity = capacity;
    this.directions = new float[Math.multiplyExact(groups, dims)];
    this.favourites = new int[Math.multiplyExact(count, Math.min(FAVOURITES, groups))];
    this.likings = new float[favourites.length];
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
      System.arraycopy(vector, 0, directions, g * dims, dims);
    }
  }

  /** The group of each vector, after so many rounds. */
  int[] divide(int rounds) {
    for (int round = 0; round < rounds; round++) {
      compare();
      choose();
      findDirections();
    }
    return groupOf;
  }

  private void unitVector(int index, float[] into) {
    vectors.get((long) index * dims, into, 0, dims);
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

  /** Finds the favourites of all vectors. */
  private void compare() {
    try (FloatTensor rows = FloatTensor.of(directions, 1, 1, groups, dims);
        FloatTensor weights = rows.transposeBlocks();
        FloatTensor noBias = FloatTensor.zeros(1, groups)) {
      for (int begin = 0; begin < count; begin += SLICE) {
        compare(begin, Math.min(SLICE, count - begin), weights, noBias);
      }
    }
  }

  private void compare(int begin, int size, FloatTensor weights, FloatTensor noBias) {
    try (FloatTensor h = FloatTensor.zeros(size, 1, dims);
        IntTensor onlyBlock = IntTensor.zeros(size, 1);
        BlockPlan plan = BlockPlan.of(onlyBlock, onlyBlock, 1, 1)) {
      float[] vector = new float[dims];
      for (int i = 0; i < size; i++) {
        unitVector(begin + i, vector);
        h.put((long) i * dims, vector, 0, dims);
      }
      try (FloatTensor similarities = SparseBlockDot.apply(weights, h, noBias, plan)) {
        float[] row = new float[groups];
        for (int i = 0; i < size; i++) {
          similarities.get((long) i * groups, row, 0, groups);
          findFavourites(begin + i, row);
        }
      }
    }
  }

  /** Keeps the best few of a row, in order, by insertion. */
  private void findFavourites(int vector, float[] similarities) {
    int kept = Math.min(FAVOURITES, groups);
    int at = vector * kept;
    int found = 0;
    for (int g = 0; g < groups; g++) {
      if (found == kept && similarities[g] <= likings[at + kept - 1]) {
        continue;
      }
      int i = found < kept ? found++ : kept - 1;
      while (i > 0 && likings[at + i - 1] < similarities[g]) {
        likings[at + i] = likings[at + i - 1];
        favourites[at + i] = favourites[at + i - 1];
        i--;
      }
      likings[at + i] = similarities[g];
      favourites[at + i] = g;
    }
  }

  private void choose() {
    int kept = Math.min(FAVOURITES, groups);
    int[] size = new int[groups];
    for (int vector : byRegret(kept)) {
      int chosen = -1;
      for (int i = vector * kept; i < (vector + 1) * kept && chosen < 0; i++) {
        if (size[favourites[i]] < capacity) {
          chosen = favourites[i];
        }
      }
      if (chosen < 0) {
        chosen = bestWithRoom(vector, size);
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
      float regret = kept < 2 ? 0 : likings[v * kept] - likings[v * kept + 1];
      // Not negative, so its bits are in its order.
      keys[v] = (long) -Float.floatToIntBits(Math.max(0, regret)) << 32 | v;
    }
    Arrays.sort(keys);
    return Arrays.stream(keys).mapToInt(key -> (int) key).toArray();
  }

  private int bestWithRoom(int vector, int[] size) {
    float[] unit = new float[dims];
    unitVector(vector, unit);
    int best = -1;
    double bestSimilarity = 0;
    for (int g = 0; g < groups; g++) {
      if (size[g] < capacity) {
        double similarity = 0;
        for (int d = 0; d < dims; d++) {
          similarity += (double) unit[d] * directions[g * dims + d];
        }
        if (best < 0 || similarity > bestSimilarity) {
          best = g;
          bestSimilarity = similarity;
        }
      }
    }
    return best;
  }

  /** A group that nobody likes takes a vector of a group that has several. */
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

  private void findDirections() {
    Arrays.fill(directions, 0);
    float[] unit = new float[dims];
    for (int v = 0; v < count; v++) {
      unitVector(v, unit);
      for (int d = 0; d < dims; d++) {
        directions[groupOf[v] * dims + d] += unit[d];
      }
    }
    for (int g = 0; g < groups; g++) {
      normalize(directions, g * dims);
    }
  }
}
