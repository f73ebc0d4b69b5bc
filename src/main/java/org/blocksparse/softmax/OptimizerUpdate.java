// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import org.blocksparse.internal.kernels.OuterProduct;
import org.blocksparse.internal.kernels.RowSums;
import org.blocksparse.internal.memory.Rows;
import org.blocksparse.internal.memory.Scratch;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.training.LayerState;
import org.blocksparse.internal.training.Parameter;
import org.blocksparse.internal.weights.Blocks;
import org.blocksparse.softmax.Workspace.Use;

/**
 * Updates parameters by the rule of an optimizer, which needs the gradient of each element: that of
 * a block is computed, applied and dropped.
 */
final class OptimizerUpdate implements SoftmaxUpdate {
  private final LayerState.Step step;
  private final SoftmaxSizes sizes;
  private final Storage ofClassWeights;
  private final Storage ofClassBiases;

  /**
   * Creates an update. All its memory is taken from the workspace here, before anything is updated.
   *
   * @param workspace the workspace of the same call, for the gradient of the class level
   */
  public OptimizerUpdate(LayerState.Step step, SoftmaxSizes sizes, Workspace workspace) {
    this.step = step;
    this.sizes = sizes;
    this.ofClassWeights = workspace.get(Use.GRAD_W1, (long) sizes.features() * sizes.classes());
    this.ofClassBiases = workspace.get(Use.GRAD_B1, sizes.classes());
  }

  @Override
  public boolean finiteOnly() {
    return true;
  }

  @Override
  public void noRows() {
    step.keep();
  }

  @Override
  public void classLevel(ClassLevelGradient gradient) {
    gradient.weights(1, false, sizes.w1(ofClassWeights));
    step.update(Parameter.W1.index(), 0, ofClassWeights);
    ofClassBiases.fill(0, sizes.classes(), 0);
    gradient.biases(1, sizes.b1(ofClassBiases));
    step.update(Parameter.B1.index(), 0, ofClassBiases);
  }

  @Override
  public Worker begin(OpenedClassGradient gradients) {
    return new ClassWorker(gradients);
  }

  /** A worker with memory for the gradient of one class. */
  private final class ClassWorker implements Worker {
    private final OpenedClassGradient gradients;
    private final Scratch scratch;
    private final Storage gradient;
    private final OuterProduct ofBlock;
    private final RowSums ofBiases;

    ClassWorker(OpenedClassGradient gradients) {
      int classes = sizes.classes();
      this.gradients = gradients;
      this.scratch = Scratch.borrow(Math.max(sizes.classWeights(), sizes.slots()));
      this.gradient = scratch.storage();
      Blocks block = Blocks.shared(gradient, 1, classes, sizes.features(), sizes.slots());
      this.ofBlock = gradients.weights(1, false, block);
      this.ofBiases = gradients.biases(1, new Rows(gradient, 0, classes, 0));
    }

    @Override
    public void take(int position) {
      int classNumber = gradients.classNumber(position);
      gradients.writeX(position);
      gradients.write(ofBlock, position);
      step.update(Parameter.W2.index(), classNumber, gradient);
      gradient.fill(0, sizes.slots(), 0);
      gradients.add(ofBiases, position);
      step.update(Parameter.B2.index(), classNumber, gradient);
    }

    @Override
    public void close() {
      scratch.close();
    }
  }
}
