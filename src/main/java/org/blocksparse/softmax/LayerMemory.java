// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import java.util.stream.Stream;
import org.blocksparse.Optimizer;
import org.blocksparse.internal.files.Dimensions;
import org.blocksparse.internal.kernels.Engine;
import org.blocksparse.internal.kernels.Link;
import org.blocksparse.internal.memory.Rows;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.memory.StorageLease;
import org.blocksparse.internal.search.ClassTable;
import org.blocksparse.internal.training.LayerState;
import org.blocksparse.internal.training.Parameter;
import org.blocksparse.internal.weights.ReadOnlyWeights;
import org.blocksparse.internal.weights.WeightType;

/** The memory of a hierarchical softmax or a label tree, and the computations on it. */
final class LayerMemory implements AutoCloseable {
  private final ClassTable table;
  private final Storage valid;

  /** The prior of label smoothing, or null. */
  private final Storage prior;

  private final TwoLevelSoftmax softmax;
  private final LayerState state;
  private volatile boolean closed;

  /** Creates the memory of a layer with given parameters, without optimizer state. */
  public LayerMemory(
      Engine engine, Link link, int features, ClassTable table, SoftmaxStorage parameters) {
    this(engine, link, features, table, parameters, parameters.optimizerState(table.classes()));
  }

  private LayerMemory(
      Engine engine,
      Link link,
      int features,
      ClassTable table,
      SoftmaxStorage parameters,
      LayerState state) {
    this.table = table;
    this.state = state;
    int classes = table.classes();
    this.valid = Storage.allocate(classes);
    this.prior = link == Link.SOFTMAX ? SmoothingPrior.of(table) : null;
    for (int c = 0; c < classes; c++) {
      valid.putInt(c, table.size(c));
    }
    SoftmaxSizes sizes = new SoftmaxSizes(features, classes, table.slots());
    this.softmax = new TwoLevelSoftmax(engine, link, parameters, sizes, valid);
  }

  /**
   * Returns a layer with parameters made for it: if there is no memory for the rest, they are
   * closed.
   */
  public static LayerMemory owning(
      Engine engine, Link link, int features, ClassTable table, SoftmaxStorage fresh) {
    try {
      return new LayerMemory(engine, link, features, table, fresh);
    } catch (Throwable e) {
      fresh.close();
      throw e;
    }
  }

  /**
   * Returns the same parameters and state, whose outputs live elsewhere; {@link #closeTables}
   * follows.
   */
  LayerMemory with(ClassTable other) {
    return new LayerMemory(engine(), link(), features(), other, parameters(), state);
  }

  /** Returns new parameters of the same layer, without state. */
  LayerMemory with(ClassTable other, SoftmaxStorage fresh) {
    return owning(engine(), link(), features(), other, fresh);
  }

  /** Returns the size of a row of x. */
  public int features() {
    return sizes().features();
  }

  /** Returns where each output lives. */
  public ClassTable table() {
    return table;
  }

  /** Returns the function from logits to probabilities. */
  public Link link() {
    return softmax.link();
  }

  /** Returns the name of the layer's kind in events. */
  public String kind() {
    return kind(link());
  }

  static String kind(Link link) {
    return link == Link.SOFTMAX ? "softmax" : "label tree";
  }

  /** Returns the engine of the layer. */
  public Engine engine() {
    return softmax.engine();
  }

  /** Returns the sizes of the parameters. */
  public SoftmaxSizes sizes() {
    return softmax.sizes();
  }

  /** Returns the parameters. */
  public SoftmaxStorage parameters() {
    return softmax.parameters();
  }

  /** Returns all memory of the layer; null stands for none. */
  public Stream<Storage> storages() {
    return Stream.of(Stream.of(parameters().all()), Stream.of(valid, prior), state.memory())
        .flatMap(each -> each);
  }

  /** Returns the computations of the layer. */
  public TwoLevelSoftmax softmax() {
    return softmax;
  }

  /** Returns the state of the optimizer. */
  public LayerState state() {
    return state;
  }

  /**
   * Returns the memory of a parameter of floats.
   *
   * @throws IllegalStateException if the weights are of a type that is only read
   */
  public Storage floats(Parameter parameter) {
    if (parameter.isWeight() && isReadOnly()) {
      throw ReadOnlyWeights.notFloats(parameter.label(), parameters().type());
    }
    return parameters().of(parameter);
  }

  /** Returns whether the weights are of a type that is only read. */
  boolean isReadOnly() {
    return parameters().type() != WeightType.FLOAT32;
  }

  /**
   * Requires that the weights can be written.
   *
   * @throws IllegalStateException if they are of a type that is only read
   */
  public void requireTrainable(String operation) {
    if (isReadOnly()) {
      throw ReadOnlyWeights.notTrained(operation, parameters().type());
    }
  }

  /**
   * Adds all that is the layer's own to a lease, to be read.
   *
   * @throws IllegalStateException if the layer is closed; what was added before is released then
   */
  public <L extends StorageLease> L lease(L lease) {
    SoftmaxStorage all = parameters();
    for (Parameter parameter : Parameter.values()) {
      if (closed || !lease.tryHold(all.of(parameter))) {
        lease.close();
        throw closed(parameter);
      }
    }
    if (!lease.tryHold(all.w1Scales())
        || !lease.tryHold(all.w2Scales())
        || !lease.tryHold(valid)
        || !lease.tryHold(prior)) {
      lease.close();
      throw closed(Parameter.W1);
    }
    return lease;
  }

  /** Returns the exception for a closed layer or a closed parameter. */
  private IllegalStateException closed(Parameter parameter) {
    return new IllegalStateException(
        closed
            ? "layer: the layer is closed"
            : parameter.label()
                + ": the tensor "
                + Dimensions.text(sizes().dims(parameter))
                + " is closed");
  }

  /**
   * Leases as {@link #lease} does, to write the parameters.
   *
   * @throws IllegalStateException also if a parameter is mapped read-only
   */
  public <L extends StorageLease> L leaseToTrain(L lease) {
    lease(lease);
    for (Parameter parameter : Parameter.values()) {
      Storage storage = parameters().of(parameter);
      if (storage.isReadOnly()) {
        lease.requireWritable(parameter.label(), storage, Dimensions.text(sizes().dims(parameter)));
      }
    }
    return lease;
  }

  /**
   * Begins a step of training.
   *
   * @throws IllegalStateException if the layer is closed
   * @throws OutOfMemoryError that names the bytes, if there is no memory for the state of another
   *     kind of rule
   */
  public LayerState.Step begin(Optimizer rule) {
    return state.begin(rule, engine().kernels());
  }

  /** Returns the update that applies gradients to the parameters. */
  public SoftmaxUpdate update(LayerState.Step step, Workspace workspace) {
    return step.isPlainDescent()
        ? new FusedGradientDescent(step, parameters(), sizes())
        : new OptimizerUpdate(step, sizes(), workspace);
  }

  /** Writes gradients into memory of zeros. */
  public SoftmaxUpdate gradients(SoftmaxStorage into) {
    return new DenseGradients(into, sizes());
  }

  /**
   * Returns a pass over a batch.
   *
   * @param gradX receives the gradient with respect to x, or null
   */
  public TrainingPass pass(
      Rows x, TrainingBatch batch, Rows gradX, SoftmaxUpdate update, Workspace workspace) {
    return new TrainingPass(softmax, prior, x, batch, gradX, update, workspace);
  }

  /** Frees everything but the parameters and their state, which another object has taken over. */
  void closeTables() {
    closed = true;
    valid.close();
    if (prior != null) {
      prior.close();
    }
    softmax.close();
  }

  @Override
  public void close() {
    closeTables();
    parameters().close();
    state.close();
  }
}
