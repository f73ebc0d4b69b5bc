// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import org.blocksparse.internal.kernels.OuterProduct;
import org.blocksparse.internal.kernels.RowSums;

/** Writes the gradients to memory of the size of the parameters, which is zero before. */
final class DenseGradients implements SoftmaxUpdate {
  private final SoftmaxStorage into;
  private final SoftmaxSizes sizes;

  public DenseGradients(SoftmaxStorage into, SoftmaxSizes sizes) {
    this.into = into;
    this.sizes = sizes;
  }

  @Override
  public boolean finiteOnly() {
    return false;
  }

  @Override
  public void classLevel(ClassLevelGradient gradient) {
    gradient.weights(1, false, sizes.w1(into.w1()));
    gradient.biases(1, sizes.b1(into.b1()));
  }

  @Override
  public Worker begin(OpenedClassGradient gradients) {
    OuterProduct ofW2 = gradients.weights(1, false, sizes.w2(into.w2()));
    RowSums ofB2 = gradients.biases(1, sizes.b2(into.b2()));
    return position -> {
      gradients.writeX(position);
      gradients.write(ofW2, position);
      gradients.add(ofB2, position);
    };
  }
}
