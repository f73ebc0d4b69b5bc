// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static java.util.Objects.requireNonNull;

/** Collects what a {@link HierarchicalSoftmax} is made of; see there. */
public final class HierarchicalSoftmaxBuilder {
  private final int features;
  private final int outputs;
  private ClassAssignment classes;
  private Workers workers = Workers.common();
  private long seed;
  private Labels labels;

  HierarchicalSoftmaxBuilder(int features, int outputs) {
    this.features = features;
    this.outputs = outputs;
  }

  /**
   * Which class each output belongs to. By default classes of equal size in the order of the
   * outputs, {@link ClassAssignment#defaultCount} of them. {@link ClassAssignment} tells what is
   * better if more is known of the outputs.
   *
   * @throws IllegalArgumentException if it is for another number of outputs
   */
  public HierarchicalSoftmaxBuilder classes(ClassAssignment assignment) {
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
  public HierarchicalSoftmaxBuilder classes(int nClasses) {
    return classes(ClassAssignment.contiguous(outputs, nClasses));
  }

  /** The threads that work on every call; by default {@link Workers#common}. */
  public HierarchicalSoftmaxBuilder workers(Workers all) {
    this.workers = requireNonNull(all, "workers");
    return this;
  }

  /**
   * The names of the outputs; none by default.
   *
   * @throws IllegalArgumentException unless there are as many as outputs
   */
  public HierarchicalSoftmaxBuilder labels(Labels names) {
    if (requireNonNull(names, "labels").size() != outputs) {
      throw new IllegalArgumentException(
          "labels: expected " + outputs + " names but was " + names.size());
    }
    this.labels = names;
    return this;
  }

  /** Seed of the initial weights; 0 by default. Equal seeds give equal layers. */
  public HierarchicalSoftmaxBuilder seed(long value) {
    this.seed = value;
    return this;
  }

  /**
   * A layer with random weights, uniform in [-1, 1] / sqrt(features), and biases of zero.
   *
   * @throws OutOfMemoryError if there is not enough memory, naming the bytes
   */
  public HierarchicalSoftmax build() {
    ClassAssignment assignment = orDefault();
    return layer(
        assignment,
        SoftmaxParameters.random(features, assignment.classes(), assignment.slots(), seed));
  }

  /**
   * A layer with given parameters, which become its own: it changes them when it trains, and closes
   * them when it is closed. Give them to one layer only: two layers on the same tensors would train
   * each other's, and closing one breaks the other.
   *
   * @throws IllegalArgumentException if a shape does not fit, or if two of them share memory
   */
  public HierarchicalSoftmax build(FloatTensor W1, FloatTensor b1, FloatTensor W2, FloatTensor b2) {
    ClassAssignment assignment = orDefault();
    return layer(
        assignment,
        new SoftmaxParameters(W1, b1, W2, b2)
            .require(features, assignment.classes(), assignment.slots())
            .requireApart());
  }

  private HierarchicalSoftmax layer(ClassAssignment assignment, SoftmaxParameters parameters) {
    HierarchicalSoftmax layer = new HierarchicalSoftmax(features, assignment, workers, parameters);
    if (labels != null) {
      layer.setLabels(labels);
    }
    return layer;
  }

  private ClassAssignment orDefault() {
    return classes != null
        ? classes
        : ClassAssignment.contiguous(outputs, ClassAssignment.defaultCount(outputs));
  }
}
