// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import java.util.Locale;
import org.blocksparse.internal.kernels.Engine;
import org.blocksparse.internal.memory.GrowingArrays;
import org.blocksparse.internal.memory.Rows;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.schedule.Scheduler;
import org.blocksparse.internal.search.ClassTable;
import org.blocksparse.internal.sparse.Bags;

/** Classes of equal size of outputs that are similar; operands are checked and leased. */
final class Clustering {
  /** The number of rounds, after which few outputs still change their class. */
  private static final int ROUNDS = 10;

  private Clustering() {}

  /** Returns classes of outputs whose vectors point in similar directions. */
  public static ClassTable ofVectors(Rows vectors, int nClasses, long seed, Engine engine) {
    int outputs = (int) vectors.count();
    int slots = Scheduler.ceilDiv(outputs, nClasses);
    int classes = Scheduler.ceilDiv(outputs, slots);
    int[] classOf = new SphericalKMeans(engine, vectors, classes, slots, seed).divide(ROUNDS);
    return ClassTable.inOrder(classOf, classes, slots);
  }

  /** Returns classes of outputs that occur with similar features. */
  public static ClassTable ofFeatures(
      Bags features, Bags labels, int outputs, int nClasses, long seed, Engine engine) {
    Storage vectors = LabelCentroids.of(engine, features, labels, outputs, seed);
    try {
      Rows rows = new Rows(vectors, outputs, LabelCentroids.DIMENSIONS);
      return ofVectors(rows, nClasses, seed, engine);
    } finally {
      vectors.close();
    }
  }

  /**
   * Requires that the arrays of clustering can be made, before memory is taken for any of them.
   *
   * @throws IllegalArgumentException if they would be larger than an array can be
   */
  public static void requireRoom(String name, int outputs, int nClasses, int dimensions) {
    int slots = Scheduler.ceilDiv(outputs, nClasses);
    int classes = Scheduler.ceilDiv(outputs, slots);
    int most = GrowingArrays.MAX_LENGTH;
    int kept = Math.min(SphericalKMeans.NEAREST, classes);
    if ((long) outputs * kept > most) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "%s: %d outputs times the %d nearest classes that are kept are more than %d",
              name,
              outputs,
              kept,
              most));
    }
    if ((long) classes * dimensions > most) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "%s: %d classes times %d dimensions are more than %d",
              name,
              classes,
              dimensions,
              most));
    }
  }
}
