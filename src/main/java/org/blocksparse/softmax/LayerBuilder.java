// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import static java.util.Objects.requireNonNull;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import org.blocksparse.FloatTensor;
import org.blocksparse.Workers;
import org.blocksparse.internal.files.NameTable;
import org.blocksparse.internal.files.SaveSettings;
import org.blocksparse.internal.kernels.Engine;
import org.blocksparse.internal.kernels.Link;
import org.blocksparse.internal.search.ClassTable;
import org.blocksparse.internal.tensors.Check;
import org.blocksparse.internal.training.Parameter;
import org.blocksparse.io.SaveOptions;
import org.blocksparse.ranking.Labels;

/**
 * Builds a two-level layer.
 *
 * @param <T> the targets
 * @param <L> the layer
 */
public final class LayerBuilder<T, L extends TwoLevelLayer<T>> {
  private final Link link;
  private final int features;
  private final int outputs;
  private final Function<LayerContent, L> layer;
  private final TargetBatch.Checker<T> targets;
  private ClassAssignment classes;
  private Workers workers = Workers.common();
  private long seed;
  private Labels labels;

  LayerBuilder(
      Link link,
      int features,
      int outputs,
      Function<LayerContent, L> layer,
      TargetBatch.Checker<T> targets) {
    this.link = link;
    this.features = Check.dimension("features", features);
    this.outputs = Check.dimension("outputs", outputs);
    this.layer = layer;
    this.targets = targets;
  }

  /**
   * Returns the class of each output. By default, {@link ClassAssignment#defaultCount} classes of
   * equal size in the order of the outputs. If you know frequencies or features of the outputs,
   * {@link ClassAssignment} has better methods.
   *
   * @throws IllegalArgumentException if the assignment has another number of outputs
   */
  public LayerBuilder<T, L> classes(ClassAssignment assignment) {
    if (requireNonNull(assignment, "classes").outputs() != outputs) {
      throw new IllegalArgumentException(
          "classes: expected an assignment of "
              + outputs
              + " outputs but was one of "
              + assignment.outputs());
    }
    this.classes = assignment;
    return this;
  }

  /**
   * Sets classes of equal size in the order of the outputs, as {@link ClassAssignment#contiguous}.
   *
   * @throws IllegalArgumentException unless 1 &lt;= nClasses &lt;= outputs
   */
  public LayerBuilder<T, L> classes(int nClasses) {
    return classes(ClassAssignment.contiguous(outputs, nClasses));
  }

  /** Returns the threads that run every call; by default {@link Workers#common}. */
  public LayerBuilder<T, L> workers(Workers all) {
    this.workers = requireNonNull(all, "workers");
    return this;
  }

  /**
   * Returns the names of the outputs; none by default.
   *
   * @throws IllegalArgumentException unless there is one name per output
   */
  public LayerBuilder<T, L> labels(Labels names) {
    this.labels = NameTable.from(requireNonNull(names, "labels")).forAll(outputs);
    return this;
  }

  /** Sets the seed of the initial weights; 0 by default. Equal seeds give equal layers. */
  public LayerBuilder<T, L> seed(long value) {
    this.seed = value;
    return this;
  }

  /**
   * Returns a layer with random weights, uniform in [-1, 1] / sqrt(features), and biases of zero.
   *
   * @throws OutOfMemoryError if there is not enough native memory; the message names the bytes
   */
  public L build() {
    SoftmaxStorage random = SoftmaxStorage.random(sizes(), seed);
    return layer(
        LayerMemory.owning(Engine.from(workers), link, features, orDefault().table(), random));
  }

  /**
   * Returns a layer that takes ownership of the given parameters: training changes them, and
   * closing the layer closes them. Pass tensors to one layer only: two layers with the same tensors
   * would both train them, and closing one would break the other.
   *
   * @throws IllegalArgumentException if a shape does not fit, or if two of them share memory
   */
  public L build(FloatTensor W1, FloatTensor b1, FloatTensor W2, FloatTensor b2) {
    SoftmaxStorage given = sizes().storage(W1, b1, W2, b2);
    requireApart(W1, b1, W2, b2);
    return layer(new LayerMemory(Engine.from(workers), link, features, orDefault().table(), given));
  }

  /** Checks that tensors, in the order of {@link Parameter}, may be trained together. */
  private static void requireApart(FloatTensor... parameters) {
    List<Parameter> names = List.of(Parameter.values());
    for (int i = 0; i < parameters.length; i++) {
      for (int j = 0; j < i; j++) {
        if (Check.overlap(parameters[i], parameters[j])) {
          throw new IllegalArgumentException(
              names.get(i).label() + ": shares memory with " + names.get(j).label());
        }
      }
    }
  }

  private SoftmaxSizes sizes() {
    ClassAssignment assignment = orDefault();
    return new SoftmaxSizes(features, assignment.classCount(), assignment.slots());
  }

  private NameTable names() {
    return labels == null ? null : NameTable.from(labels);
  }

  private L layer(LayerMemory memory) {
    return layer.apply(new LayerContent(memory, Map.of(), 0, names()));
  }

  /**
   * Returns a part of the layer that {@link #build()} would return, with bitwise equal parameters;
   * the rest of the layer takes no memory.
   *
   * @param number a class, or {@link LayerPart#CLASS_LEVEL}
   * @throws IndexOutOfBoundsException if there is no such class
   * @throws OutOfMemoryError if there is not enough native memory; the message names the bytes
   */
  public LayerPart<T> buildPart(int number) {
    ClassTable table = LayerPart.requireNumber(number, orDefault()).table();
    return new LayerPart<>(
        PartMemory.initial(Engine.from(workers), link, number, features, table, seed), targets);
  }

  /**
   * Joins parts into a file that the layer's {@code load} opens, with at most one part in memory.
   * The file is byte-equal to that of {@link TwoLevelLayer#save(Path, SaveOptions)} for the whole
   * layer. If the optimizer of a class differs in kind from that of the class level, the file has
   * no optimizer state of this class.
   *
   * @param steps the number of training steps of the layer
   * @param parts results of {@link LayerPart#toBytes}: the class level first, then each class once,
   *     in any order
   * @param options may have the optimizer state, metadata and a {@link org.blocksparse.Progress}
   * @throws IllegalArgumentException if steps is negative; if a part is missing or repeated,
   *     belongs to another kind of layer, or has other sizes or values that are not finite; or if
   *     the options have a bag or another type of weights
   * @throws IOException if the file cannot be written; an old one is unchanged, also if an argument
   *     is rejected
   */
  public void saveParts(Path file, long steps, Iterator<byte[]> parts, SaveOptions options)
      throws IOException {
    if (steps < 0) {
      throw new IllegalArgumentException("steps: expected at least 0 but was " + steps);
    }
    ModelFileFromParts.save(
        requireNonNull(file, "file"),
        link,
        features,
        orDefault().table(),
        names(),
        steps,
        requireNonNull(parts, "parts"),
        SaveSettings.from(requireNonNull(options, "options")));
  }

  /** Returns the given classes, or the default. */
  private ClassAssignment orDefault() {
    return classes != null
        ? classes
        : ClassAssignment.contiguous(outputs, ClassAssignment.defaultCount(outputs));
  }
}
