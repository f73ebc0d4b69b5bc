// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.softmax;

import org.blocksparse.internal.Blocks;
import org.blocksparse.internal.Rows;
import org.blocksparse.internal.memory.Scratch;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.optimizer.LayerState;
import org.blocksparse.internal.softmax.Workspace.Use;

/**
 * Parameters follow their gradients by the rule of an optimizer, which looks at each element: the
 * gradient of a block is made, used and forgotten.
 */
public final class OptimizerUpdate implements SoftmaxUpdate {
  private final LayerState.Step step;
  private final SoftmaxSizes sizes;
  private final Workspace workspace;

  /**
   * An update.
   *
   * @param workspace of the same call, for the gradient of the class level
   */
  public OptimizerUpdate(LayerState.Step step, SoftmaxSizes sizes, Workspace workspace) {
    this.step = step;
    this.sizes = sizes;
    this.workspace = workspace;
  }

  @Override
  public boolean finiteOnly() {
    return true;
  }

  @Override
  public void classLevel(ClassLevelGradient gradient) {
    int classes = sizes.classes();
    Storage ofWeights = workspace.get(Use.GRAD_W1, (long) sizes.features() * classes);
    gradient.weights(1, false, sizes.w1(ofWeights));
    step.update(Parameter.W1.index(), 0, ofWeights);
    Storage ofBiases = workspace.get(Use.GRAD_B1, classes);
    ofBiases.fill(0, classes, 0);
    gradient.biases(1, sizes.b1(ofBiases));
    step.update(Parameter.B1.index(), 0, ofBiases);
  }

  @Override
  public void openedClass(OpenedClassGradient gradient) {
    int classes = sizes.classes();
    int slots = sizes.slots();
    try (Scratch scratch = Scratch.borrow(Math.max(sizes.classWeights(), slots))) {
      Storage ofBlock = scratch.storage();
      gradient.weights(1, false, Blocks.shared(ofBlock, 1, classes, sizes.features(), slots));
      step.update(Parameter.W2.index(), gradient.classNumber(), ofBlock);
      ofBlock.fill(0, slots, 0);
      gradient.biases(1, new Rows(ofBlock, 0, classes, 0));
      step.update(Parameter.B2.index(), gradient.classNumber(), ofBlock);
    }
  }
}
