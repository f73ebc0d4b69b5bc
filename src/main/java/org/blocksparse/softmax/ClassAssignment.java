// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import static java.util.Objects.requireNonNull;

import java.util.Arrays;
import org.blocksparse.FloatTensor;
import org.blocksparse.Shape;
import org.blocksparse.SparseRows;
import org.blocksparse.Workers;
import org.blocksparse.internal.kernels.Engine;
import org.blocksparse.internal.memory.Rows;
import org.blocksparse.internal.schedule.Scheduler;
import org.blocksparse.internal.search.ClassTable;
import org.blocksparse.internal.tensors.Check;
import org.blocksparse.internal.tensors.CsrRows;
import org.blocksparse.internal.tensors.KernelOperands;
import org.blocksparse.internal.tensors.OperandLease;

/**
 * The class of each output of a {@link HierarchicalSoftmax}, and its slot within the class.
 *
 * <p>Outputs keep the caller's ids; classes and slots are internal to the layer. Each class has
 * {@link #slots} slots, the size of the largest class. Smaller classes have empty slots, which cost
 * memory and time but get no probability.
 *
 * <p>An output that was {@linkplain TwoLevelLayer#retire retired} has class and slot -1.
 *
 * <p>Immutable.
 */
public final class ClassAssignment {
  private final ClassTable table;

  ClassAssignment(ClassTable table) {
    this.table = table;
  }

  /**
   * Returns Theano's assignment: classes of equal size in the order of the outputs; the last class
   * may be smaller.
   *
   * @param outputs the number of outputs
   * @param nClasses the wanted number of classes; there are fewer if equal sizes need fewer
   * @throws IllegalArgumentException unless 1 &lt;= nClasses &lt;= outputs &lt;= 2<sup>31</sup> - 9
   */
  public static ClassAssignment contiguous(int outputs, int nClasses) {
    int slots = slotsFor(Check.dimension("outputs", outputs), nClasses);
    requireHeap(outputs);
    int[] classOf = new int[outputs];
    for (int output = 0; output < outputs; output++) {
      classOf[output] = output / slots;
    }
    return new ClassAssignment(
        ClassTable.inOrder(classOf, Scheduler.ceilDiv(outputs, slots), slots));
  }

  /** Throws before any memory is allocated if the whole heap could not hold the table. */
  private static void requireHeap(int outputs) {
    long needed = (long) Integer.BYTES * outputs;
    long heap = Runtime.getRuntime().maxMemory();
    if (needed > heap) {
      throw new OutOfMemoryError(
          "outputs: the classes of "
              + outputs
              + " outputs take "
              + needed
              + " bytes of the Java heap, which has "
              + heap
              + "; java -Xmx sets its size");
    }
  }

  /**
   * Returns classes from the caller's table.
   *
   * @param classOf the class of each output; classes are numbered from 0 without gaps
   * @throws IllegalArgumentException if there is no output, if a class is negative, or if a class
   *     below the highest has no outputs
   */
  public static ClassAssignment of(int... classOf) {
    requireNonNull(classOf, "classOf");
    Check.atLeast(1, "outputs", classOf.length);
    int highest = 0;
    for (int output = 0; output < classOf.length; output++) {
      if (classOf[output] < 0 || classOf[output] >= classOf.length) {
        throw new IllegalArgumentException(
            "classOf["
                + output
                + "] = "
                + classOf[output]
                + " is outside [0, outputs = "
                + classOf.length
                + ")");
      }
      highest = Math.max(highest, classOf[output]);
    }
    return new ClassAssignment(ClassTable.inOrder(classOf.clone(), highest + 1, 1));
  }

  /**
   * Returns classes of equal size by frequency: the most frequent outputs share the first class,
   * and so on. Probable outputs are then in few classes, which makes prediction fast.
   *
   * @param counts how often each output occurs
   * @param nClasses as for {@link #contiguous}
   * @throws IllegalArgumentException if a count is negative, or unless 1 &lt;= nClasses &lt;=
   *     outputs
   */
  public static ClassAssignment byFrequency(long[] counts, int nClasses) {
    int[] order = byDescendingCount(counts);
    int slots = slotsFor(counts.length, nClasses);
    int[] classOf = new int[counts.length];
    for (int rank = 0; rank < order.length; rank++) {
      classOf[order[rank]] = rank / slots;
    }
    return new ClassAssignment(
        ClassTable.inOrder(classOf, Scheduler.ceilDiv(counts.length, slots), slots));
  }

  /**
   * Returns classes of unequal size by frequency, each with the same share of the square roots of
   * the counts: small classes for frequent outputs, large ones for rare ones (Mikolov et al.,
   * 2011). No class gets larger than four times the average, since all take the memory of the
   * largest.
   *
   * @param counts how often each output occurs
   * @param nClasses the wanted number of classes; there may be a few more or fewer
   * @throws IllegalArgumentException if a count is negative, or unless 1 &lt;= nClasses &lt;=
   *     outputs
   */
  public static ClassAssignment bySquareRootOfFrequency(long[] counts, int nClasses) {
    int[] order = byDescendingCount(counts);
    int limit = Math.toIntExact(Math.min(counts.length, 4L * slotsFor(counts.length, nClasses)));
    double total = 0;
    for (long count : counts) {
      total += Math.sqrt(count + 1.0);
    }
    int[] classOf = new int[counts.length];
    int current = 0;
    int size = 0;
    double sum = 0;
    for (int output : order) {
      if (size == limit || (size > 0 && sum * nClasses >= total * (current + 1))) {
        current++;
        size = 0;
      }
      classOf[output] = current;
      size++;
      sum += Math.sqrt(counts[output] + 1.0);
    }
    return new ClassAssignment(ClassTable.inOrder(classOf, current + 1, 1));
  }

  /**
   * Returns classes of equal size of outputs whose vectors point in similar directions. Vectors may
   * be embeddings, or mean features of the outputs. The class is then easier to predict, so quality
   * is better than with classes by frequency.
   *
   * @param vectors (outputs, dimensions), all finite
   * @param nClasses as for {@link #contiguous}
   * @param seed equal seeds give equal classes
   * @param workers the threads that compute; the classes do not depend on them
   * @throws IllegalArgumentException if vectors has not rank 2, if an element is not finite, unless
   *     1 &lt;= nClasses &lt;= outputs, or if 8 numbers for each output or a vector for each class
   *     are more than an array can hold, 2<sup>31</sup> - 9
   * @throws IllegalStateException if vectors is closed
   * @throws OutOfMemoryError if there is not enough memory
   */
  public static ClassAssignment clustered(
      FloatTensor vectors, int nClasses, long seed, Workers workers) {
    requireNonNull(workers, "workers");
    Shape shape = Check.rank("vectors", vectors, "(outputs, dimensions)", 2).shape();
    slotsFor((int) shape.dim(0), nClasses);
    Clustering.requireRoom("vectors", (int) shape.dim(0), nClasses, (int) shape.dim(1));
    try (OperandLease lease = new OperandLease().of("vectors", vectors)) {
      Rows rows = KernelOperands.rows(vectors);
      Check.finite("vectors", rows);
      return new ClassAssignment(Clustering.ofVectors(rows, nClasses, seed, Engine.from(workers)));
    }
  }

  /**
   * Clusters as {@link #clustered(FloatTensor, int, long, Workers)} does, with the {@link
   * #defaultCount} of classes, by {@link Workers#common}.
   *
   * @throws IllegalArgumentException if vectors has not rank 2 or no rows, or if an element is not
   *     finite
   * @throws IllegalStateException if vectors is closed
   */
  public static ClassAssignment clustered(FloatTensor vectors, long seed) {
    Check.rank("vectors", vectors, "(outputs, dimensions)", 2);
    int outputs = (int) vectors.shape().dim(0);
    return clustered(vectors, defaultCount(outputs), seed, Workers.common());
  }

  /**
   * Returns classes of equal size of outputs that occur with similar sparse features, such as the
   * words of the texts of a label. The vector of an output is the sum of the feature rows that have
   * it as a label, each scaled to length 1. Vectors are hashed into 256 dimensions for comparison.
   * Give rare features larger values, for example by TF-IDF: they separate outputs better than
   * frequent features.
   *
   * <p>Outputs without features are put into classes that have room.
   *
   * @param features the features of each example, with finite values
   * @param labels the outputs of each example, any number; values are ignored
   * @param outputs the number of outputs
   * @param nClasses as for {@link #contiguous}
   * @param seed equal seeds give equal classes
   * @param workers the threads that compute; the classes do not depend on them
   * @throws IllegalArgumentException if labels and features have different numbers of rows, if a
   *     value of features is not finite, and as {@link #clustered(FloatTensor, int, long, Workers)}
   * @throws IndexOutOfBoundsException if a label is outside [0, outputs)
   * @throws IllegalStateException if features or labels are closed
   * @throws OutOfMemoryError if there is not enough memory
   */
  public static ClassAssignment clustered(
      SparseRows features,
      SparseRows labels,
      int outputs,
      int nClasses,
      long seed,
      Workers workers) {
    requireNonNull(workers, "workers");
    slotsFor(outputs, nClasses);
    Clustering.requireRoom("outputs", outputs, nClasses, LabelCentroids.DIMENSIONS);
    if (requireNonNull(labels, "labels").rows() != requireNonNull(features, "features").rows()) {
      throw new IllegalArgumentException(
          "labels: expected "
              + features.rows()
              + " rows, as features has, but was "
              + labels.rows());
    }
    CsrRows.from(labels).requireIndices("labels", "outputs", outputs);
    try (OperandLease lease =
        CsrRows.from(labels)
            .lease(CsrRows.from(features).lease(new OperandLease(), "features"), "labels")) {
      CsrRows.from(features).requireFinite("features");
      return new ClassAssignment(
          Clustering.ofFeatures(
              CsrRows.from(features).bags(),
              CsrRows.from(labels).bags(),
              outputs,
              nClasses,
              seed,
              Engine.from(workers)));
    }
  }

  /**
   * Clusters as {@link #clustered(SparseRows, SparseRows, int, int, long, Workers)} does, with the
   * {@link #defaultCount} of classes, by {@link Workers#common}.
   */
  public static ClassAssignment clustered(
      SparseRows features, SparseRows labels, int outputs, long seed) {
    return clustered(features, labels, outputs, defaultCount(outputs), seed, Workers.common());
  }

  /**
   * Returns the number of classes for the fastest training, by a cost model for batches of 1024
   * rows: 100 for 10,000 outputs, 2000 for a million. The model has fixed costs from one machine,
   * so layers have the same classes on every machine.
   *
   * @throws IllegalArgumentException if {@code outputs} is less than 1
   */
  public static int defaultCount(int outputs) {
    return ClassCount.REFERENCE.fastest(Check.atLeast(1, "outputs", outputs), ClassCount.BATCH);
  }

  private static int slotsFor(int outputs, int nClasses) {
    Check.atLeast(1, "outputs", outputs);
    if (nClasses < 1 || nClasses > outputs) {
      throw new IllegalArgumentException(
          "nClasses: expected a number in [1, outputs = " + outputs + "] but was " + nClasses);
    }
    return Scheduler.ceilDiv(outputs, nClasses);
  }

  /** Returns the outputs by descending count, those of equal count by number. */
  private static int[] byDescendingCount(long[] counts) {
    requireNonNull(counts, "counts");
    Integer[] order = new Integer[counts.length];
    for (int output = 0; output < counts.length; output++) {
      if (counts[output] < 0) {
        throw new IllegalArgumentException(
            "counts[" + output + "] = " + counts[output] + " is negative");
      }
      order[output] = output;
    }
    Arrays.sort(order, (a, b) -> Long.compare(counts[b], counts[a]));
    return Arrays.stream(order).mapToInt(Integer::intValue).toArray();
  }

  /** Returns the number of outputs. */
  public int outputs() {
    return table.outputs();
  }

  /** Returns the number of classes. */
  public int classCount() {
    return table.classes();
  }

  /**
   * Returns the number of slots in every class: the size of the largest class, or the class size of
   * {@link #contiguous}.
   */
  public int slots() {
    return table.slots();
  }

  /**
   * Returns the number of outputs in a class.
   *
   * @throws IndexOutOfBoundsException if there is no such class
   */
  public int size(int classNumber) {
    return table.size(Check.index("classNumber", classNumber, "classes", classCount()));
  }

  /**
   * Returns whether an output is retired; see {@link TwoLevelLayer#retire}.
   *
   * @throws IndexOutOfBoundsException if there is no such output
   */
  public boolean isRetired(int output) {
    return classOf(output) == ClassTable.RETIRED;
  }

  /**
   * Returns the class of an output; -1 if it is retired.
   *
   * @throws IndexOutOfBoundsException if there is no such output
   */
  public int classOf(int output) {
    return table.classOf()[Check.index("output", output, "outputs", outputs())];
  }

  /**
   * Returns the slot of an output within its class; -1 if it is retired.
   *
   * @throws IndexOutOfBoundsException if there is no such output
   */
  public int slotOf(int output) {
    return table.slotOf()[Check.index("output", output, "outputs", outputs())];
  }

  /**
   * Returns the output in a slot of a class.
   *
   * @throws IndexOutOfBoundsException if there is no such class, or the slot is empty
   */
  public int output(int classNumber, int slot) {
    int[] outputs =
        table.members()[Check.index("classNumber", classNumber, "classes", classCount())];
    return outputs[Check.index("slot", slot, "size", outputs.length)];
  }

  /** Returns the table that computations use. */
  ClassTable table() {
    return table;
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof ClassAssignment that
        && slots() == that.slots()
        && Arrays.equals(table.classOf(), that.table.classOf())
        && Arrays.equals(table.slotOf(), that.table.slotOf());
  }

  @Override
  public int hashCode() {
    return 31 * Arrays.hashCode(table.classOf()) + slots();
  }

  @Override
  public String toString() {
    int retired = outputs() - table.live();
    return outputs()
        + " outputs in "
        + classCount()
        + " classes of up to "
        + slots()
        + (retired == 0 ? "" : ", " + retired + " of them retired");
  }
}
