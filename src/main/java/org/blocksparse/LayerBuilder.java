// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static java.util.Objects.requireNonNull;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import org.blocksparse.internal.format.NameTable;
import org.blocksparse.internal.layer.InitialWeights;
import org.blocksparse.internal.layer.LayerContent;
import org.blocksparse.internal.layer.LayerMemory;
import org.blocksparse.internal.layer.PartMemory;
import org.blocksparse.internal.layer.PartsFile;
import org.blocksparse.internal.softmax.ClassTable;
import org.blocksparse.internal.softmax.Link;
import org.blocksparse.internal.softmax.Parameter;
import org.blocksparse.internal.softmax.SoftmaxSizes;
import org.blocksparse.internal.softmax.SoftmaxStorage;

/**
 * Builds a layer of two levels.
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
   * Which class each output belongs to. By default classes of equal size in the order of the
   * outputs, {@link ClassAssignment#defaultCount} of them. {@link ClassAssignment} describes better
   * ones, if more is known of the outputs.
   *
   * @throws IllegalArgumentException if it is for another number of outputs
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
   * Classes of equal size in the order of the outputs, as {@link ClassAssignment#contiguous}.
   *
   * @throws IllegalArgumentException unless 1 &lt;= nClasses &lt;= outputs
   */
  public LayerBuilder<T, L> classes(int nClasses) {
    return classes(ClassAssignment.contiguous(outputs, nClasses));
  }

  /** The threads that work on every call; by default {@link Workers#common}. */
  public LayerBuilder<T, L> workers(Workers all) {
    this.workers = requireNonNull(all, "workers");
    return this;
  }

  /**
   * The names of the outputs; none by default.
   *
   * @throws IllegalArgumentException unless there are as many as outputs
   */
  public LayerBuilder<T, L> labels(Labels names) {
    if (requireNonNull(names, "labels").size() != outputs) {
      throw new IllegalArgumentException(
          "labels: expected " + outputs + " names but was " + names.size());
    }
    this.labels = names;
    return this;
  }

  /** Seed of the initial weights; 0 by default. Equal seeds give equal layers. */
  public LayerBuilder<T, L> seed(long value) {
    this.seed = value;
    return this;
  }

  /**
   * A layer with random weights, uniform in [-1, 1] / sqrt(features), and biases of zero.
   *
   * @throws OutOfMemoryError if there is not enough memory; the message has the number of bytes
   */
  public L build() {
    SoftmaxStorage random = InitialWeights.parameters(sizes(), seed);
    return layer(LayerMemory.owning(workers.engine(), link, features, orDefault().table(), random));
  }

  /**
   * A layer that takes ownership of the given parameters: training changes them, and closing the
   * layer closes them. Give them to one layer only: two layers on the same tensors would train each
   * other's, and closing one breaks the other.
   *
   * @throws IllegalArgumentException if a shape does not fit, or if two of them share memory
   */
  public L build(FloatTensor W1, FloatTensor b1, FloatTensor W2, FloatTensor b2) {
    SoftmaxStorage given = KernelOperands.parameters(W1, b1, W2, b2, sizes());
    requireApart(W1, b1, W2, b2);
    return layer(new LayerMemory(workers.engine(), link, features, orDefault().table(), given));
  }

  /** Tensors, in the order of {@link Parameter}, that may be trained together. */
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
    return labels == null ? null : labels.table();
  }

  private L layer(LayerMemory memory) {
    return layer.apply(new LayerContent(memory, Map.of(), 0, names()));
  }

  /**
   * A part of the layer that {@link #build()} makes, with the same bits; the rest of the layer
   * takes no memory.
   *
   * @param number of a class, or {@link LayerPart#CLASS_LEVEL}
   * @throws IndexOutOfBoundsException if there is no such class
   * @throws OutOfMemoryError if there is not enough memory; the message has the number of bytes
   */
  public LayerPart<T> buildPart(int number) {
    ClassTable table = LayerPart.requireNumber(number, orDefault()).table();
    return new LayerPart<>(
        PartMemory.initial(workers.engine(), link, number, features, table, seed), targets);
  }

  /**
   * Puts parts together into a file that the layer's {@code load} opens, and never holds more than
   * one of them. It has the bytes that {@link TwoLevelLayer#save(Path, SaveOptions)} writes of the
   * whole layer: a class whose optimizer is of another kind than that of the class level has made
   * no step by it, and has no optimizer state in the file.
   *
   * @param steps of training that the layer has taken
   * @param parts what {@link LayerPart#toBytes} returned: the class level first, then each class
   *     once, in any order
   * @param options may ask for the optimizer state, and have metadata and a {@link Progress}
   * @throws IllegalArgumentException if steps are negative, if a part is missing, is there twice,
   *     is one of the other kind of layer, has other sizes or numbers that are not finite, or if
   *     the options ask for a bag or another type of weights
   * @throws IOException if the file cannot be written; an old one is unchanged, also by all that is
   *     refused
   */
  public void saveParts(Path file, long steps, Iterator<byte[]> parts, SaveOptions options)
      throws IOException {
    if (steps < 0) {
      throw new IllegalArgumentException("steps: expected at least 0 but was " + steps);
    }
    PartsFile.save(
        requireNonNull(file, "file"),
        link,
        features,
        orDefault().table(),
        names(),
        steps,
        requireNonNull(parts, "parts"),
        requireNonNull(options, "options").settings());
  }

  /** The classes that were given, or the default. */
  private ClassAssignment orDefault() {
    return classes != null
        ? classes
        : ClassAssignment.contiguous(outputs, ClassAssignment.defaultCount(outputs));
  }
}
