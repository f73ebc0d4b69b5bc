// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.HashSet;
import java.util.Set;
import org.blocksparse.internal.backend.KernelChoice;
import org.blocksparse.internal.memory.Slice;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.schedule.Scheduler;
import org.blocksparse.internal.sparse.Bags;
import org.junit.jupiter.api.Test;

/** The guarantees on vectors of labels, whatever the hash of their features is. */
final class LabelCentroidsTest {
  private static final int DIMENSIONS = LabelCentroids.DIMENSIONS;

  private static Slice ints(int... values) {
    Storage storage = Storage.allocate(values.length);
    storage.putInts(0, values, 0, values.length);
    return new Slice(storage, 0);
  }

  private static Slice floats(float... values) {
    Storage storage = Storage.allocate(values.length);
    storage.putFloats(0, values, 0, values.length);
    return new Slice(storage, 0);
  }

  private static Bags bags(float[] values, int[]... rows) {
    int[] offsets = new int[rows.length + 1];
    for (int row = 0; row < rows.length; row++) {
      offsets[row + 1] = offsets[row] + rows[row].length;
    }
    int[] indices = Arrays.stream(rows).flatMapToInt(Arrays::stream).toArray();
    return new Bags(
        rows.length,
        ints(offsets),
        ints(indices),
        values == null ? null : floats(values),
        indices.length);
  }

  private static int[] row(int... values) {
    return values;
  }

  private static float[][] vectors(Bags features, Bags labels, int count, long seed) {
    Storage storage =
        LabelCentroids.of(KernelChoice.engine(Scheduler.common()), features, labels, count, seed);
    float[][] vectors = new float[count][DIMENSIONS];
    for (int label = 0; label < count; label++) {
      storage.getFloats((long) label * DIMENSIONS, vectors[label], 0, DIMENSIONS);
    }
    storage.close();
    return vectors;
  }

  /**
   * Returns, for each of the features [0, count), the vector of a label that occurs with it alone.
   */
  private static float[][] ofSingleFeatures(int count, long seed) {
    int[][] own = new int[count][];
    Arrays.setAll(own, number -> row(number));
    return vectors(bags(null, own), bags(null, own), count, seed);
  }

  @Test
  void theSumOfTheRowsThatHaveTheLabelEachOfLengthOne() {
    float[][] single = ofSingleFeatures(4, 3);
    Bags features = bags(new float[] {3, 4, -2, 5}, row(0, 1), row(2), row(), row(3));
    Bags labels = bags(null, row(1, 3), row(3), row(0, 3), row(3, 0));
    float[][] found = vectors(features, labels, 5, 3);
    float[] all = new float[DIMENSIONS];
    float[] first = new float[DIMENSIONS];
    for (int d = 0; d < DIMENSIONS; d++) {
      first[d] = 0.6f * single[0][d] + 0.8f * single[1][d];
      all[d] = first[d] - single[2][d] + single[3][d];
    }
    assertArrayEquals(single[3], found[0]);
    assertArrayEquals(first, found[1], 1e-6f);
    assertArrayEquals(new float[DIMENSIONS], found[2], "a label that does not occur");
    assertArrayEquals(all, found[3], 1e-6f);
    assertArrayEquals(new float[DIMENSIONS], found[4]);
  }

  /** A feature has four numbers of 1 or -1, few of which collide in a dimension. */
  @Test
  void featuresAreSpreadOverAllDimensions() {
    int count = 8_192;
    float[][] vectors = ofSingleFeatures(count, 1);
    int[] hits = new int[DIMENSIONS];
    int[] positive = new int[DIMENSIONS];
    int together = 0;
    Set<String> different = new HashSet<>();
    for (float[] vector : vectors) {
      int places = 0;
      for (int d = 0; d < DIMENSIONS; d++) {
        assertEquals(vector[d], Math.rint(vector[d]));
        places += vector[d] != 0 ? 1 : 0;
        hits[d] += vector[d] != 0 ? 1 : 0;
        positive[d] += vector[d] > 0 ? 1 : 0;
      }
      assertTrue(places <= 4);
      together += places < 4 ? 1 : 0;
      different.add(Arrays.toString(vector));
    }
    // The expected share is 1 - (255 * 254 * 253) / 256^3, two in a hundred.
    assertTrue(together < count / 25, together + " have two in one place");
    assertTrue(different.size() > count - 5, different.size() + " are different");
    for (int d = 0; d < DIMENSIONS; d++) {
      // 128 hits are expected, with a standard deviation of 11; for half of them, 6.
      assertTrue(hits[d] > 64 && hits[d] < 192, hits[d] + " fall on " + d);
      assertTrue(
          positive[d] > hits[d] / 4 && positive[d] < hits[d] * 3 / 4, positive[d] + " of " + d);
    }
  }

  /** Cosines of vectors of different features are small: their variance is 1 / dimensions. */
  @Test
  void anglesAreNearlyRight() {
    float[][] vectors = ofSingleFeatures(600, 2);
    double squares = 0;
    int pairs = 0;
    for (int a = 0; a < vectors.length; a++) {
      for (int b = 0; b < a; b++) {
        double product = 0;
        for (int d = 0; d < DIMENSIONS; d++) {
          product += vectors[a][d] * vectors[b][d];
        }
        squares += product * product / (4 * 4);
        pairs++;
      }
    }
    assertEquals(1.0 / DIMENSIONS, squares / pairs, 0.1 / DIMENSIONS);
  }

  @Test
  void theSeedChoosesTheHash() {
    assertArrayEquals(ofSingleFeatures(3, 5), ofSingleFeatures(3, 5));
    assertFalse(Arrays.deepEquals(ofSingleFeatures(3, 5), ofSingleFeatures(3, 6)));
  }
}
