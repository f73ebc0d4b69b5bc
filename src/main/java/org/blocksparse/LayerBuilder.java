// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static java.util.Objects.requireNonNull;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Iterator;
import java.util.Map;
import org.blocksparse.internal.softmax.Link;

/**
 * Collects what a layer of two levels is made of: what the builders of both kinds have in common.
 *
 * @param <L> the layer
 * @param <P> a part of it
 * @param <B> the builder itself
 */
public abstract sealed class LayerBuilder<L, P extends LayerPart, B extends LayerBuilder<L, P, B>>
    permits HierarchicalSoftmaxBuilder, LabelTreeBuilder {
  private final Link link;
  private final int features;
  private final int outputs;
  private ClassAssignment classes;
  private Workers workers = Workers.common();
  private long seed;
  private Labels labels;

  LayerBuilder(Link link, int features, int outputs) {
    this.link = link;
    this.features = Check.dimension("features", features);
    this.outputs = Check.dimension("outputs", outputs);
  }

  abstract B self();

  abstract L layer(LayerContent content);

  abstract P part(PartMemory memory);

  /**
   * Which class each output belongs to. By default classes of equal size in the order of the
   * outputs, {@link ClassAssignment#defaultCount} of them. {@link ClassAssignment} tells what is
   * better if more is known of the outputs.
   *
   * @throws IllegalArgumentException if it is for another number of outputs
   */
  public B classes(ClassAssignment assignment) {
    if (requireNonNull(assignment, "classes").outputs() != outputs) {
      throw new IllegalArgumentException(
          "classes: expected an assignment of "
              + outputs
              + " outputs but was one of "
              + assignment.outputs());
    }
    this.classes = assignment;
    return self();
  }

  /**
   * Classes of equal size in the order of the outputs, as {@link ClassAssignment#contiguous}.
   *
   * @throws IllegalArgumentException unless 1 &lt;= nClasses &lt;= outputs
   */
  public B classes(int nClasses) {
    return classes(ClassAssignment.contiguous(outputs, nClasses));
  }

  /** The threads that work on every call; by default {@link Workers#common}. */
  public B workers(Workers all) {
    this.workers = requireNonNull(all, "workers");
    return self();
  }

  /**
   * The names of the outputs; none by default.
   *
   * @throws IllegalArgumentException unless there are as many as outputs
   */
  public B labels(Labels names) {
    if (requireNonNull(names, "labels").size() != outputs) {
      throw new IllegalArgumentException(
          "labels: expected " + outputs + " names but was " + names.size());
    }
    this.labels = names;
    return self();
  }

  /** Seed of the initial weights; 0 by default. Equal seeds give equal layers. */
  public B seed(long value) {
    this.seed = value;
    return self();
  }

  /**
   * A layer with random weights, uniform in [-1, 1] / sqrt(features), and biases of zero.
   *
   * @throws OutOfMemoryError if there is not enough memory, naming the bytes
   */
  public L build() {
    ClassAssignment assignment = orDefault();
    SoftmaxParameters random =
        SoftmaxParameters.random(features, assignment.classCount(), assignment.slots(), seed);
    return layer(LayerMemory.owning(features, assignment, workers, random, link));
  }

  /**
   * A layer with given parameters, which become its own: it changes them when it trains, and closes
   * them when it is closed. Give them to one layer only: two layers on the same tensors would train
   * each other's, and closing one breaks the other.
   *
   * @throws IllegalArgumentException if a shape does not fit, or if two of them share memory
   */
  public L build(FloatTensor W1, FloatTensor b1, FloatTensor W2, FloatTensor b2) {
    ClassAssignment assignment = orDefault();
    SoftmaxParameters given =
        new SoftmaxParameters(W1, b1, W2, b2)
            .require(features, assignment.classCount(), assignment.slots())
            .requireApart();
    return layer(new LayerMemory(features, assignment, workers, given, link));
  }

  private L layer(LayerMemory memory) {
    return layer(new LayerContent(memory, Map.of(), 0, labels));
  }

  /**
   * A part of the layer that {@link #build()} makes, with the same bits; the rest of the layer
   * takes no memory.
   *
   * @param number of a class, or {@link LayerPart#CLASS_LEVEL}
   * @throws IndexOutOfBoundsException if there is no such class
   * @throws OutOfMemoryError if there is not enough memory, naming the bytes
   */
  public P buildPart(int number) {
    return part(PartMemory.initial(link, number, features, orDefault(), seed, workers));
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
        orDefault(),
        labels,
        steps,
        requireNonNull(parts, "parts"),
        requireNonNull(options, "options"));
  }

  /** The classes that were given, or the default. */
  private ClassAssignment orDefault() {
    return classes != null
        ? classes
        : ClassAssignment.contiguous(outputs, ClassAssignment.defaultCount(outputs));
  }
}
