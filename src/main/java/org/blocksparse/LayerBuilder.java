// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static java.util.Objects.requireNonNull;

import java.util.Map;
import org.blocksparse.internal.softmax.Link;

/**
 * Collects what a layer of two levels is made of.
 *
 * @param <L> the layer
 * @param <B> the builder itself
 */
abstract sealed class LayerBuilder<L, B extends LayerBuilder<L, B>>
    permits HierarchicalSoftmaxBuilder, LabelTreeBuilder {
  private final Link link;
  final int features;
  private final int outputs;
  private ClassAssignment classes;
  Workers workers = Workers.common();
  long seed;
  Labels labels;

  LayerBuilder(Link link, int features, int outputs) {
    this.link = link;
    this.features = Check.dimension("features", features);
    this.outputs = Check.dimension("outputs", outputs);
  }

  abstract B self();

  abstract L layer(LayerContent content);

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

  /** The classes that were given, or the default. */
  final ClassAssignment orDefault() {
    return classes != null
        ? classes
        : ClassAssignment.contiguous(outputs, ClassAssignment.defaultCount(outputs));
  }
}
