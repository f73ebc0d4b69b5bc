// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import static java.util.Objects.requireNonNull;

import java.util.function.BiFunction;
import java.util.function.Function;
import org.blocksparse.FloatTensor;
import org.blocksparse.Optimizer;
import org.blocksparse.internal.events.Recorder;
import org.blocksparse.internal.events.StepEvent;
import org.blocksparse.internal.memory.Rows;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.tensors.Check;
import org.blocksparse.internal.tensors.KernelOperands;
import org.blocksparse.internal.tensors.OperandLease;
import org.blocksparse.internal.training.LayerState;
import org.blocksparse.internal.training.Parameter;

/**
 * Losses, gradients and steps of a {@link TwoLevelLayer} or a {@link LayerPart}; arguments are
 * checked here.
 *
 * @param <T> the targets
 */
final class SoftmaxTraining<T> {
  private final LayerMemory memory;
  private final TargetBatch.Checker<T> targets;

  SoftmaxTraining(LayerMemory memory, TargetBatch.Checker<T> targets) {
    this.memory = memory;
    this.targets = targets;
  }

  private int check(FloatTensor x, T given, Loss loss) {
    int batch = TwoLevelLayer.checkX(memory, x);
    requireNonNull(given, "targets");
    requireNonNull(loss, "loss");
    return batch;
  }

  private static Rows rowsOrNull(FloatTensor tensor) {
    return tensor == null ? null : KernelOperands.rows(tensor);
  }

  /** Computes something from the losses of a pass that does not change the layer. */
  private <R> R pass(
      FloatTensor x,
      T given,
      Loss loss,
      FloatTensor gradX,
      SoftmaxUpdate update,
      BiFunction<TrainingBatch, double[], R> result) {
    int count = check(x, given, loss);
    try (OperandLease lease = memory.lease(new OperandLease()).of("x", x).writing("gradX", gradX);
        Workspace workspace = memory.softmax().borrowWorkspace()) {
      TrainingBatch batch = targets.check(count, given, loss, memory.table(), workspace);
      Rows rows = KernelOperands.rows(x);
      return result.apply(
          batch, memory.pass(rows, batch, rowsOrNull(gradX), update, workspace).run());
    }
  }

  private Rows dropped(FloatTensor x, Dropout dropout, Workspace workspace) {
    Rows rows = KernelOperands.rows(x);
    if (dropout.isNone()) {
      return rows;
    }
    int features = memory.features();
    Storage storage = workspace.get(Workspace.Use.DROPPED_X, rows.count() * features);
    Rows kept = new Rows(storage, rows.count(), features);
    dropout.copy(rows, kept, features);
    return kept;
  }

  double loss(FloatTensor x, T given, Loss loss) {
    return pass(x, given, loss, null, SoftmaxUpdate.NONE, TrainingBatch::sum);
  }

  FloatTensor losses(FloatTensor x, T given, Loss loss) {
    float[] result = pass(x, given, loss, null, SoftmaxUpdate.NONE, TrainingBatch::weighted);
    return FloatTensor.of(result, result.length);
  }

  SoftmaxGradients gradients(FloatTensor x, T given, Loss loss) {
    int batch = check(x, given, loss);
    SoftmaxSizes sizes = memory.sizes();
    SoftmaxStorage result = SoftmaxStorage.zeros(sizes);
    FloatTensor gradX = null;
    try {
      gradX = FloatTensor.zeros(batch, memory.features());
      double value = pass(x, given, loss, gradX, memory.gradients(result), TrainingBatch::sum);
      return new SoftmaxGradients(
          value,
          gradX,
          sizes.tensor(Parameter.W1, result.w1()),
          sizes.tensor(Parameter.B1, result.b1()),
          sizes.tensor(Parameter.W2, result.w2()),
          sizes.tensor(Parameter.B2, result.b2()));
    } catch (Throwable e) {
      result.close();
      if (gradX != null) {
        gradX.close();
      }
      throw e;
    }
  }

  /**
   * Makes a step and returns its loss; {@code gradX} may be null.
   *
   * @param run runs the needed parts of the pass
   * @param number the number of the step, for the message if it is rejected
   */
  double step(
      FloatTensor x,
      T given,
      Loss loss,
      Optimizer optimizer,
      FloatTensor gradX,
      Function<TrainingPass, double[]> run,
      long number) {
    int count = check(x, given, loss);
    requireNonNull(optimizer, "optimizer");
    memory.requireTrainable("step");
    for (Parameter parameter : Parameter.values()) {
      Check.noOverlap(parameter.label(), memory.parameters().of(parameter), "x", x);
    }
    if (gradX != null) {
      Check.shape("gradX", gradX, TwoLevelLayer.X, count, memory.features());
      TwoLevelLayer.checkNoOverlap(memory, "gradX", gradX, x);
    }
    StepEvent event = Recorder.step();
    double value;
    try (OperandLease lease =
            memory.leaseToTrain(new OperandLease()).of("x", x).writing("gradX", gradX);
        Workspace workspace = memory.softmax().borrowWorkspace();
        LayerState.Step step = memory.begin(optimizer)) {
      TrainingBatch batch = targets.check(count, given, loss, memory.table(), workspace);
      SoftmaxUpdate update = memory.update(step, workspace);
      Rows rows = dropped(x, loss.dropout(), workspace);
      Rows gradient = rowsOrNull(gradX);
      value = batch.sum(run.apply(memory.pass(rows, batch, gradient, update, workspace)));
      if (gradX != null && !loss.dropout().isNone()) {
        loss.dropout().copy(gradient, gradient, memory.features());
      }
      if (event != null) {
        String rule = optimizer.kind().name();
        event.record(memory.kind(), batch.size(), batch.openedCount(), rule, value);
      }
    }
    if (!Double.isFinite(value)) {
      throw new ArithmeticException(
          "step "
              + number
              + ": the loss is "
              + value
              + "; x or the parameters hold values that are not"
              + " finite, or the learning rate "
              + optimizer.rate()
              + " is too high");
    }
    return value;
  }
}
