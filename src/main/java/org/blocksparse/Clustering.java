// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static java.util.Objects.requireNonNull;

import java.util.Locale;
import org.blocksparse.internal.Engine;
import org.blocksparse.internal.Rows;
import org.blocksparse.internal.memory.HeapRoom;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.softmax.ClassTable;
import org.blocksparse.internal.softmax.LabelCentroids;
import org.blocksparse.internal.softmax.SphericalKMeans;

/** The clustered classes of {@link ClassAssignment}, whose arguments are checked here. */
final class Clustering {
  /** After this many, few outputs still change their class. */
  private static final int ROUNDS = 10;

  private Clustering() {}

  static ClassAssignment ofVectors(FloatTensor vectors, int nClasses, long seed, Engine engine) {
    Check.rank("vectors", vectors, "(outputs, dimensions)", 2);
    int outputs = (int) vectors.shape().dim(0);
    requireRoom("vectors", outputs, nClasses, (int) vectors.shape().dim(1));
    try (Lease lease = new Lease().of("vectors", vectors)) {
      Rows rows = KernelOperands.rows(vectors);
      Check.finite("vectors", rows);
      return of(rows, nClasses, seed, engine);
    } catch (OutOfMemoryError e) {
      throw noRoom(e, outputs, nClasses, (int) vectors.shape().dim(1));
    }
  }

  static ClassAssignment ofFeatures(
      SparseRows features, SparseRows labels, int outputs, int nClasses, long seed, Engine engine) {
    requireRoom("outputs", outputs, nClasses, LabelCentroids.DIMENSIONS);
    if (requireNonNull(labels, "labels").rows() != requireNonNull(features, "features").rows()) {
      throw new IllegalArgumentException(
          "labels: expected "
              + features.rows()
              + " rows, as features has, but was "
              + labels.rows());
    }
    labels.requireIndices("labels", "outputs", outputs);
    try (Lease lease = labels.lease(features.lease(new Lease(), "features"), "labels")) {
      features.requireFinite("features");
      Storage vectors = LabelCentroids.of(engine, features.bags(), labels.bags(), outputs, seed);
      try {
        return of(new Rows(vectors, outputs, LabelCentroids.DIMENSIONS), nClasses, seed, engine);
      } finally {
        vectors.close();
      }
    } catch (OutOfMemoryError e) {
      throw noRoom(e, outputs, nClasses, LabelCentroids.DIMENSIONS);
    }
  }

  static OutOfMemoryError noRoom(
      OutOfMemoryError error, int outputs, int nClasses, int dimensions) {
    int classes = ClassAssignment.ceilDiv(outputs, ClassAssignment.slotsFor(outputs, nClasses));
    long numbers = (long) outputs * SphericalKMeans.NEAREST + (long) classes * dimensions;
    return HeapRoom.named(
        error, Float.BYTES * numbers, "clusters of " + outputs + " outputs in " + classes);
  }

  /** The arrays of clustering can be made, before memory is taken for any of it. */
  static void requireRoom(String name, int outputs, int nClasses, int dimensions) {
    int slots = ClassAssignment.slotsFor(outputs, nClasses);
    int classes = ClassAssignment.ceilDiv(outputs, slots);
    int most = Check.LARGEST_ARRAY;
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

  private static ClassAssignment of(Rows vectors, int nClasses, long seed, Engine engine) {
    int outputs = (int) vectors.count();
    int slots = ClassAssignment.slotsFor(outputs, nClasses);
    int classes = ClassAssignment.ceilDiv(outputs, slots);
    int[] classOf = new SphericalKMeans(engine, vectors, classes, slots, seed).divide(ROUNDS);
    return new ClassAssignment(ClassTable.inOrder(classOf, classes, slots));
  }
}
