// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.softmax;

/** Gradients as they are, into memory of the size of the parameters that is zero before. */
public final class DenseGradients implements SoftmaxUpdate {
  private final SoftmaxStorage into;
  private final Dimensions dimensions;

  public DenseGradients(SoftmaxStorage into, Dimensions dimensions) {
    this.into = into;
    this.dimensions = dimensions;
  }

  @Override
  public boolean finiteOnly() {
    return false;
  }

  @Override
  public void classLevel(ClassLevelGradient gradient) {
    gradient.weights(1, false, dimensions.w1(into.w1()));
    gradient.biases(1, dimensions.b1(into.b1()));
  }

  @Override
  public void openedClass(OpenedClassGradient gradient) {
    gradient.weights(1, false, dimensions.w2(into.w2()));
    gradient.biases(1, dimensions.b2(into.b2()));
  }
}
