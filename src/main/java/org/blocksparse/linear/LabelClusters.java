// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.linear;

import java.util.Arrays;
import java.util.SplittableRandom;
import org.blocksparse.internal.kernels.Engine;
import org.blocksparse.internal.schedule.Scheduler;

/**
 * Puts labels that occur with similar features into clusters of equal size, as Parabel does
 * (Prabhu, Kag, Harsola, Agrawal and Varma, 2018). The vector of a label is the sum of the rows
 * that have it, each scaled to length 1, and scaled to length 1 itself. All labels are halved by
 * balanced spherical 2-means, then each half, and so on.
 *
 * <p>One array holds the labels, part after part; a halving reorders the labels of each part. It
 * takes at most {@value #MOST_ROUNDS} rounds, each linear in the entries of the vectors, and a sort
 * of the labels. There are as many halvings as the logarithm of the number of clusters.
 *
 * <p>The clusters do not depend on the workers.
 */
final class LabelClusters {
  /** The rounds of 2-means after which a half is final. */
  private static final int MOST_ROUNDS = 10;

  private final Engine engine;
  private final SparseMatrix vectors;
  private final int features;
  private final long seed;

  /** The labels, part by part. */
  private final int[] order;

  private LabelClusters(Engine engine, SparseMatrix vectors, int features, long seed) {
    this.engine = engine;
    this.vectors = vectors;
    this.features = features;
    this.seed = seed;
    this.order = new int[vectors.rows()];
    Arrays.setAll(order, label -> label);
  }

  /**
   * Returns the cluster of each label.
   *
   * @param rowsOf the rows that have each label, ascending
   * @param features the columns of x
   * @param halvings there are 2<sup>halvings</sup> clusters, no more than labels
   */
  static int[] of(
      Engine engine, SparseMatrix x, SparseMatrix rowsOf, int features, int halvings, long seed) {
    int labels = rowsOf.rows();
    int[] clusterOf = new int[labels];
    if (halvings == 0) {
      return clusterOf;
    }
    LabelClusters clusters =
        new LabelClusters(engine, vectors(engine, x, rowsOf, features), features, seed);
    for (int depth = 0; depth < halvings; depth++) {
      clusters.halve(1 << depth);
    }
    int count = 1 << halvings;
    for (int cluster = 0; cluster < count; cluster++) {
      for (int i = begin(cluster, count, labels); i < begin(cluster + 1, count, labels); i++) {
        clusterOf[clusters.order[i]] = cluster;
      }
    }
    return clusterOf;
  }

  /** Returns the begin of one of some equal parts: halving a part halves its range so, too. */
  private static int begin(int part, int parts, int labels) {
    return (int) ((long) part * labels / parts);
  }

  // ------------------------------------------------------------------------------------ vectors

  /** A sum of sparse rows. */
  private static final class Sum implements Scheduler.Share {
    final double[] values;
    final int[] touched;
    final boolean[] isTouched;
    int size;

    Sum(int features) {
      values = new double[features];
      touched = new int[features];
      isTouched = new boolean[features];
    }

    void add(SparseMatrix x, int row) {
      double squares = x.squaredNorm(row);
      double factor = squares > 0 ? 1 / Math.sqrt(squares) : 0;
      for (int entry = x.offsets()[row]; entry < x.offsets()[row + 1]; entry++) {
        int feature = x.columns()[entry];
        if (!isTouched[feature]) {
          isTouched[feature] = true;
          touched[size++] = feature;
        }
        values[feature] += factor * x.values()[entry];
      }
    }

    /** Puts the sum, scaled to length 1, into an array and resets it to zero. */
    void takeInto(int[] columns, float[] into, int begin) {
      Arrays.sort(touched, 0, size);
      double squares = 0;
      for (int i = 0; i < size; i++) {
        squares += values[touched[i]] * values[touched[i]];
      }
      double factor = squares > 0 ? 1 / Math.sqrt(squares) : 0;
      for (int i = 0; i < size; i++) {
        columns[begin + i] = touched[i];
        into[begin + i] = (float) (factor * values[touched[i]]);
      }
      clear();
    }

    void clear() {
      for (int i = 0; i < size; i++) {
        values[touched[i]] = 0;
        isTouched[touched[i]] = false;
      }
      size = 0;
    }

    @Override
    public void close() {}
  }

  private static SparseMatrix vectors(
      Engine engine, SparseMatrix x, SparseMatrix rowsOf, int features) {
    int labels = rowsOf.rows();
    int[] sizes = new int[labels];
    forEachLabel(
        engine,
        x,
        rowsOf,
        features,
        (label, sum) -> {
          sizes[label] = sum.size;
          sum.clear();
        });
    int[] offsets = SparseMatrix.offsets(sizes);
    int[] columns = new int[offsets[labels]];
    float[] values = new float[offsets[labels]];
    forEachLabel(
        engine, x, rowsOf, features, (label, sum) -> sum.takeInto(columns, values, offsets[label]));
    return new SparseMatrix(offsets, columns, values);
  }

  private interface Taker {
    void take(int label, Sum sum);
  }

  private static void forEachLabel(
      Engine engine, SparseMatrix x, SparseMatrix rowsOf, int features, Taker taker) {
    engine.run(
        rowsOf.rows(),
        (long) rowsOf.columns().length * Math.max(1, x.columns().length / Math.max(1, x.rows())),
        () -> new Sum(features),
        (sum, first, last) -> {
          for (int label = first; label < last; label++) {
            for (int i = rowsOf.offsets()[label]; i < rowsOf.offsets()[label + 1]; i++) {
              sum.add(x, rowsOf.columns()[i]);
            }
            taker.take(label, sum);
          }
        });
  }

  // ------------------------------------------------------------------------------------- halves

  /** The difference of the centroids of two halves, and buffers to compute it. */
  private static final class Difference implements Scheduler.Share {
    final float[] values;

    Difference(int features) {
      values = new float[features];
    }

    @Override
    public void close() {}
  }

  /** Halves each of {@code parts} parts. */
  private void halve(int parts) {
    engine.run(
        parts,
        (long) MOST_ROUNDS * vectors.columns().length,
        () -> new Difference(features),
        (difference, first, last) -> {
          for (int part = first; part < last; part++) {
            halve(
                begin(part, parts, order.length),
                begin(2 * part + 1, 2 * parts, order.length),
                begin(part + 1, parts, order.length),
                difference.values);
          }
        });
  }

  /** Orders the labels [begin, end) so that similar labels are in the same half. */
  private void halve(int begin, int middle, int end, float[] difference) {
    int count = end - begin;
    SplittableRandom random = new SplittableRandom(seed + 31L * begin + end);
    add(order[begin + random.nextInt(count)], 1, difference);
    // Two labels of one cluster would divide the labels of other groups by chance.
    add(leastLike(begin, end, difference), -1, difference);
    long[] keys = new long[count];
    int[] halves = new int[count];
    for (int round = 0; round < MOST_ROUNDS; round++) {
      for (int i = begin; i < end; i++) {
        keys[i - begin] = ((long) descending(product(order[i], difference)) << 32) | order[i];
      }
      Arrays.sort(keys);
      for (int i = 0; i < count; i++) {
        halves[i] = (int) keys[i];
      }
      Arrays.sort(halves, 0, middle - begin);
      Arrays.sort(halves, middle - begin, count);
      clear(begin, end, difference);
      boolean isSame = Arrays.equals(halves, 0, count, order, begin, end);
      System.arraycopy(halves, 0, order, begin, count);
      if (isSame) {
        return;
      }
      // The norm of the second half is computed before the centroid of the first.
      double second = norm(middle, end, difference);
      clear(middle, end, difference);
      double first = norm(begin, middle, difference);
      clear(begin, middle, difference);
      addAll(begin, middle, first, difference);
      addAll(middle, end, -second, difference);
    }
    clear(begin, end, difference);
  }

  /** Returns the label with the smallest product with a vector; of several the first. */
  private int leastLike(int begin, int end, float[] vector) {
    int least = order[begin];
    float smallest = Float.POSITIVE_INFINITY;
    for (int i = begin; i < end; i++) {
      float product = product(order[i], vector);
      if (product < smallest) {
        smallest = product;
        least = order[i];
      }
    }
    return least;
  }

  /** Returns numbers that descend as floats ascend. */
  private static int descending(float value) {
    int bits = Float.floatToIntBits(value);
    return ~(bits ^ (bits >> 31 & 0x7fff_ffff));
  }

  private float product(int label, float[] difference) {
    double sum = 0;
    for (int i = vectors.offsets()[label]; i < vectors.offsets()[label + 1]; i++) {
      sum += (double) vectors.values()[i] * difference[vectors.columns()[i]];
    }
    return (float) sum;
  }

  private void add(int label, double factor, float[] into) {
    for (int i = vectors.offsets()[label]; i < vectors.offsets()[label + 1]; i++) {
      into[vectors.columns()[i]] += (float) (factor * vectors.values()[i]);
    }
  }

  /** Adds the sum of some vectors, divided by its length. */
  private void addAll(int begin, int end, double length, float[] into) {
    for (int i = begin; length != 0 && i < end; i++) {
      add(order[i], 1 / length, into);
    }
  }

  /** Returns the length of the sum of some vectors, which is added to zeros. */
  private double norm(int begin, int end, float[] into) {
    addAll(begin, end, 1, into);
    double squares = 0;
    for (int i = begin; i < end; i++) {
      squares += product(order[i], into); // the sum times itself, vector by vector
    }
    return Math.sqrt(Math.max(0, squares));
  }

  private void clear(int begin, int end, float[] difference) {
    for (int i = begin; i < end; i++) {
      int label = order[i];
      for (int j = vectors.offsets()[label]; j < vectors.offsets()[label + 1]; j++) {
        difference[vectors.columns()[j]] = 0;
      }
    }
  }
}
