// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static java.util.Objects.requireNonNull;

import org.blocksparse.internal.events.Recorder;
import org.blocksparse.internal.events.StepEvent;
import org.blocksparse.internal.softmax.Parameter;
import org.blocksparse.internal.softmax.TrainingBatch;
import org.blocksparse.internal.softmax.TrainingPass;

/** How a {@link HierarchicalSoftmax} or a {@link LabelTree} trains; arguments are checked here. */
final class Training {
  private final LayerMemory memory;
  private final LayerMemory.Extent extent;

  Training(LayerMemory memory) {
    this(memory, TrainingPass::run);
  }

  /** With steps that go as far as is said. */
  Training(LayerMemory memory, LayerMemory.Extent extent) {
    this.memory = memory;
    this.extent = extent;
  }

  /** The checked batch of a softmax. */
  private TrainingBatch check(FloatTensor x, IntTensor targets, Loss loss) {
    return TargetBatch.check(
        new Prediction(memory).checkX(x),
        targets,
        requireNonNull(loss, "loss"),
        memory.assignment().table());
  }

  /** The checked batch of a label tree. */
  TrainingBatch check(FloatTensor x, SparseRows targets, Loss loss) {
    return TargetBatch.check(
        new Prediction(memory).checkX(x),
        targets,
        requireNonNull(loss, "loss"),
        memory.assignment().table());
  }

  double loss(FloatTensor x, IntTensor targets, Loss loss) {
    return loss(x, check(x, targets, loss));
  }

  double loss(FloatTensor x, TrainingBatch batch) {
    return batch.sum(memory.losses(x, batch));
  }

  FloatTensor losses(FloatTensor x, IntTensor targets, Loss loss) {
    return losses(x, check(x, targets, loss));
  }

  FloatTensor losses(FloatTensor x, TrainingBatch batch) {
    float[] result = batch.weighted(memory.losses(x, batch));
    return FloatTensor.of(result, result.length);
  }

  SoftmaxGradients gradients(FloatTensor x, IntTensor targets, Loss loss) {
    return gradients(x, check(x, targets, loss));
  }

  SoftmaxGradients gradients(FloatTensor x, TrainingBatch batch) {
    ClassAssignment classes = memory.assignment();
    SoftmaxParameters result =
        SoftmaxParameters.zeros(memory.features(), classes.classes(), classes.slots());
    FloatTensor gradX = null;
    try {
      gradX = FloatTensor.zeros(batch.size(), memory.features());
      double value = batch.sum(memory.gradients(x, batch, gradX, result));
      return new SoftmaxGradients(value, gradX, result.W1(), result.b1(), result.W2(), result.b2());
    } catch (Throwable e) {
      result.close();
      if (gradX != null) {
        gradX.close();
      }
      throw e;
    }
  }

  double step(
      FloatTensor x,
      IntTensor targets,
      Loss loss,
      Optimizer optimizer,
      FloatTensor gradX,
      long number) {
    requireNonNull(optimizer, "optimizer");
    return step(x, check(x, targets, loss), optimizer, gradX, number);
  }

  /**
   * A step; {@code gradX} may be null.
   *
   * @param number of the step, to be told if it is refused
   */
  double step(
      FloatTensor x, TrainingBatch batch, Optimizer optimizer, FloatTensor gradX, long number) {
    requireNonNull(optimizer, "optimizer");
    memory.requireTrainable("step");
    SoftmaxParameters parameters = memory.parameters();
    for (Parameter parameter : Parameter.values()) {
      Check.noOverlap(parameter.label(), parameters.of(parameter), "x", x);
    }
    if (gradX != null) {
      Check.shape("gradX", gradX, Prediction.X, batch.size(), memory.features());
      parameters.checkNoOverlap("gradX", gradX, x);
    }
    StepEvent event = Recorder.step();
    double value = batch.sum(memory.step(x, batch, gradX, optimizer, extent));
    if (event != null) {
      int opened = batch.openedClasses().length;
      event.record(memory.kind(), batch.size(), opened, optimizer.rule().kind().name(), value);
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
