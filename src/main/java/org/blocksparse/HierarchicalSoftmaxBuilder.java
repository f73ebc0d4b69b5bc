// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import org.blocksparse.internal.softmax.Link;

/** Collects what a {@link HierarchicalSoftmax} is made of; see there. */
public final class HierarchicalSoftmaxBuilder
    extends LayerBuilder<HierarchicalSoftmax, HierarchicalSoftmaxBuilder> {
  HierarchicalSoftmaxBuilder(int features, int outputs) {
    super(Link.SOFTMAX, features, outputs);
  }

  @Override
  HierarchicalSoftmaxBuilder self() {
    return this;
  }

  @Override
  HierarchicalSoftmax layer(LayerMemory memory, Labels names) {
    HierarchicalSoftmax layer = new HierarchicalSoftmax(memory);
    if (names != null) {
      layer.setLabels(names);
    }
    return layer;
  }
}
