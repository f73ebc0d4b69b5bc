// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static java.util.Objects.requireNonNull;

import org.blocksparse.internal.events.Recorder;
import org.blocksparse.internal.events.StepEvent;
import org.blocksparse.internal.softmax.ClassTable;
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

  /** How the targets of a softmax are checked; all but them is checked here. */
  private LayerMemory.Targets check(FloatTensor x, IntTensor targets, Loss loss) {
    int batch = new Prediction(memory).checkX(x);
    requireNonNull(targets, "targets");
    requireNonNull(loss, "loss");
    ClassTable classes = memory.assignment().table();
    return workspace -> TargetBatch.check(batch, targets, loss, classes, workspace);
  }

  /** The same of a label tree. */
  private LayerMemory.Targets check(FloatTensor x, SparseRows targets, Loss loss) {
    int batch = new Prediction(memory).checkX(x);
    requireNonNull(targets, "targets");
    requireNonNull(loss, "loss");
    ClassTable classes = memory.assignment().table();
    return workspace -> TargetBatch.check(batch, targets, loss, classes, workspace);
  }

  double loss(FloatTensor x, IntTensor targets, Loss loss) {
    return loss(x, check(x, targets, loss));
  }

  double loss(FloatTensor x, SparseRows targets, Loss loss) {
    return loss(x, check(x, targets, loss));
  }

  private double loss(FloatTensor x, LayerMemory.Targets targets) {
    return memory.losses(x, targets, TrainingBatch::sum);
  }

  FloatTensor losses(FloatTensor x, IntTensor targets, Loss loss) {
    return losses(x, check(x, targets, loss));
  }

  FloatTensor losses(FloatTensor x, SparseRows targets, Loss loss) {
    return losses(x, check(x, targets, loss));
  }

  private FloatTensor losses(FloatTensor x, LayerMemory.Targets targets) {
    float[] result = memory.losses(x, targets, TrainingBatch::weighted);
    return FloatTensor.of(result, result.length);
  }

  SoftmaxGradients gradients(FloatTensor x, IntTensor targets, Loss loss) {
    return gradients(x, check(x, targets, loss));
  }

  SoftmaxGradients gradients(FloatTensor x, SparseRows targets, Loss loss) {
    return gradients(x, check(x, targets, loss));
  }

  private SoftmaxGradients gradients(FloatTensor x, LayerMemory.Targets targets) {
    ClassAssignment classes = memory.assignment();
    SoftmaxParameters result =
        SoftmaxParameters.zeros(memory.features(), classes.classCount(), classes.slots());
    FloatTensor gradX = null;
    try {
      gradX = FloatTensor.zeros(x.shape().dim(0), memory.features());
      double value = memory.gradients(x, targets, gradX, result);
      return new SoftmaxGradients(value, gradX, result.W1(), result.b1(), result.W2(), result.b2());
    } catch (Throwable e) {
      result.close();
      if (gradX != null) {
        gradX.close();
      }
      throw e;
    }
  }

  /**
   * A step; {@code gradX} may be null.
   *
   * @param number of the step, to be told if it is refused
   */
  double step(
      FloatTensor x,
      IntTensor targets,
      Loss loss,
      Optimizer optimizer,
      FloatTensor gradX,
      long number) {
    return step(x, check(x, targets, loss), optimizer, gradX, number);
  }

  double step(
      FloatTensor x,
      SparseRows targets,
      Loss loss,
      Optimizer optimizer,
      FloatTensor gradX,
      long number) {
    return step(x, check(x, targets, loss), optimizer, gradX, number);
  }

  private double step(
      FloatTensor x,
      LayerMemory.Targets targets,
      Optimizer optimizer,
      FloatTensor gradX,
      long number) {
    requireNonNull(optimizer, "optimizer");
    memory.requireTrainable("step");
    SoftmaxParameters parameters = memory.parameters();
    for (Parameter parameter : Parameter.values()) {
      Check.noOverlap(parameter.label(), parameters.of(parameter), "x", x);
    }
    if (gradX != null) {
      Check.shape("gradX", gradX, Prediction.X, x.shape().dim(0), memory.features());
      parameters.checkNoOverlap("gradX", gradX, x);
    }
    StepEvent event = Recorder.step();
    double value =
        memory.step(
            x,
            targets,
            gradX,
            optimizer,
            extent,
            (batch, losses) -> {
              double sum = batch.sum(losses);
              if (event != null) {
                String rule = optimizer.rule().kind().name();
                event.record(memory.kind(), batch.size(), batch.openedCount(), rule, sum);
              }
              return sum;
            });
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
