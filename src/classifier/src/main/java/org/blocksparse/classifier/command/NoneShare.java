// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.command;

import org.blocksparse.classifier.Classifier;
import org.blocksparse.classifier.examples.InvalidInputException;

/** The value of {@code --none}. */
final class NoneShare {
  private NoneShare() {}

  /**
   * Requires a share, and a model with the odds of no label.
   *
   * @throws InvalidInputException if the share is not between 0 and 1, or if the model has none
   */
  static double of(double share, Classifier model) {
    if (!(share > 0 && share < 1)) {
      throw new InvalidInputException(
          "--none: expected a share above 0 and below 1 but was " + share);
    }
    if (!model.hasNone()) {
      throw new InvalidInputException("--none: expected a model that train --none has written");
    }
    return share;
  }
}
