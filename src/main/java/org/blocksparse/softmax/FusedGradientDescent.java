// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import org.blocksparse.internal.kernels.OuterProduct;
import org.blocksparse.internal.kernels.RowSums;
import org.blocksparse.internal.training.LayerState;

/**
 * Computes gradient and update in one: plain gradient descent adds the products of a gradient
 * directly to the parameters, so that the gradient is never stored.
 */
final class FusedGradientDescent implements SoftmaxUpdate {
  private final LayerState.Step step;
  private final SoftmaxStorage parameters;
  private final SoftmaxSizes sizes;

  /**
   * Creates an update.
   *
   * @param step a step of a rule that is plain descent
   */
  public FusedGradientDescent(LayerState.Step step, SoftmaxStorage parameters, SoftmaxSizes sizes) {
    this.step = step;
    this.parameters = parameters;
    this.sizes = sizes;
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
    step.keep();
    gradient.weights(-step.rule().rate(), true, sizes.w1(parameters.w1()));
    gradient.biases(-step.rule().rate(), sizes.b1(parameters.b1()));
  }

  @Override
  public Worker begin(OpenedClassGradient gradients) {
    float factor = -step.rule().rate();
    OuterProduct ofW2 = gradients.weights(factor, true, sizes.w2(parameters.w2()));
    RowSums ofB2 = gradients.biases(factor, sizes.b2(parameters.b2()));
    return position -> {
      step.keep();
      gradients.descend(ofW2, position);
      gradients.add(ofB2, position);
    };
  }
}
