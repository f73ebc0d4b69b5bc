// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import org.blocksparse.internal.softmax.Link;

/** Collects what a {@link HierarchicalSoftmax} is made of; see there. */
public final class HierarchicalSoftmaxBuilder
    extends LayerBuilder<HierarchicalSoftmax, SoftmaxPart, HierarchicalSoftmaxBuilder> {
  HierarchicalSoftmaxBuilder(int features, int outputs) {
    super(Link.SOFTMAX, features, outputs);
  }

  @Override
  HierarchicalSoftmaxBuilder self() {
    return this;
  }

  @Override
  HierarchicalSoftmax layer(LayerContent content) {
    return new HierarchicalSoftmax(content);
  }

  @Override
  SoftmaxPart part(PartMemory memory) {
    return new SoftmaxPart(memory);
  }
}
