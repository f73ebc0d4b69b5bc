// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.search.ClassTable;

/**
 * The prior of label smoothing over classes: the share of all outputs that each has. Within a class
 * it is uniform, so that all outputs of one class get the same.
 */
final class SmoothingPrior {
  private SmoothingPrior() {}

  /** Returns (classes) probabilities in new memory. */
  public static Storage of(ClassTable classes) {
    Storage prior = Storage.allocate(classes.classes());
    int live = classes.live();
    for (int c = 0; c < classes.classes(); c++) {
      prior.putFloat(c, (float) classes.size(c) / live);
    }
    return prior;
  }
}
