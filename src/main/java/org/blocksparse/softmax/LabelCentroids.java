// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import org.blocksparse.internal.kernels.Engine;
import org.blocksparse.internal.memory.Rows;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.sparse.Bags;

/**
 * Vectors of labels from the sparse features that they occur with: the sum of the rows of features
 * that have the label, each scaled to length 1, so that long rows do not count more.
 *
 * <p>There may be millions of features. They are hashed into a few dimensions, each to several with
 * a sign (Weinberger et al., 2009; Kane and Nelson, 2014), which keeps the angles between sums
 * nearly as they are: cosines are off by about 1 / sqrt(dimensions).
 */
final class LabelCentroids {
  private static final int BITS = 8;

  /** The dimensions of the vectors. */
  public static final int DIMENSIONS = 1 << BITS;

  /** The dimensions that a feature is added to: as many as a hash has bits for. */
  private static final int EACH = 4;

  private final Bags features;
  private final Bags labels;
  private final long seed;

  /** The bounds of the rows of each label: rows [begin[l], begin[l + 1]) have label l. */
  private final int[] begin;

  private final int[] rows;

  private LabelCentroids(Bags features, Bags labels, int count, long seed) {
    this.features = features;
    this.labels = labels;
    this.seed = seed;
    this.begin = new int[count + 1];
    this.rows = new int[labels.entries()];
    sortByLabel();
  }

  private void sortByLabel() {
    for (int entry = 0; entry < rows.length; entry++) {
      begin[labels.indices().getInt(entry)]++;
    }
    int sum = 0;
    for (int label = 0; label < begin.length; label++) {
      sum += begin[label];
      begin[label] = sum; // its end, from which it is filled down to its beginning
    }
    int entry = rows.length;
    for (int row = labels.count() - 1; row >= 0; row--) {
      for (int first = labels.offsets().getInt(row); entry > first; entry--) {
        rows[--begin[labels.indices().getInt(entry - 1)]] = row;
      }
    }
  }

  /**
   * Returns the vectors, (count, {@link #DIMENSIONS}), in new memory; zero for labels that do not
   * occur.
   *
   * @param labels as many rows as features, of labels in [0, count)
   * @param seed the seed of the hash
   */
  public static Storage of(Engine engine, Bags features, Bags labels, int count, long seed) {
    LabelCentroids centroids = new LabelCentroids(features, labels, count, seed);
    Storage result = Storage.allocate((long) count * DIMENSIONS);
    Rows into = new Rows(result, count, DIMENSIONS);
    engine.run(
        count,
        (long) count * DIMENSIONS + (long) labels.entries() * DIMENSIONS,
        (first, last) -> {
          float[] vector = new float[DIMENSIONS];
          for (int label = first; label < last; label++) {
            centroids.sum(label, vector);
            into.put(label, 0, vector);
          }
        });
    return result;
  }

  private void sum(int label, float[] into) {
    double[] sum = new double[DIMENSIONS];
    for (int i = begin[label]; i < begin[label + 1]; i++) {
      int from = features.offsets().getInt(rows[i]);
      int to = features.offsets().getInt(rows[i] + 1L);
      double squares = 0;
      for (int entry = from; entry < to; entry++) {
        squares += (double) features.value(entry) * features.value(entry);
      }
      double factor = squares > 0 ? 1 / Math.sqrt(squares) : 0;
      for (int entry = from; entry < to; entry++) {
        add(features.indices().getInt(entry), factor * features.value(entry), sum);
      }
    }
    for (int d = 0; d < DIMENSIONS; d++) {
      into[d] = (float) sum[d];
    }
  }

  private void add(int feature, double value, double[] sum) {
    long hash = mix(mix(seed) + feature);
    for (int i = 0; i < EACH; i++, hash >>>= Long.SIZE / EACH) {
      boolean negative = (hash >> BITS & 1) != 0;
      sum[(int) hash & (DIMENSIONS - 1)] += negative ? -value : value;
    }
  }

  /**
   * Returns a hash of which each bit depends on all bits: the last steps of MurmurHash3, with
   * Stafford's constants.
   */
  private static long mix(long value) {
    long mixed = (value ^ value >>> 30) * 0xbf58476d1ce4e5b9L;
    mixed = (mixed ^ mixed >>> 27) * 0x94d049bb133111ebL;
    return mixed ^ mixed >>> 31;
  }
}
