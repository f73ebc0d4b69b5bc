// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import org.blocksparse.internal.softmax.Link;

/** Collects what a {@link LabelTree} is made of; see there. */
public final class LabelTreeBuilder
    extends LayerBuilder<LabelTree, LabelTreePart, LabelTreeBuilder> {
  LabelTreeBuilder(int features, int outputs) {
    super(Link.LOGISTIC, features, outputs);
  }

  @Override
  LabelTreeBuilder self() {
    return this;
  }

  @Override
  LabelTree layer(LayerContent content) {
    return new LabelTree(content);
  }

  @Override
  LabelTreePart part(PartMemory memory) {
    return new LabelTreePart(memory);
  }
}
