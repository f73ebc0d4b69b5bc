// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.command;

import java.util.OptionalDouble;
import org.blocksparse.classifier.Classifier;
import org.blocksparse.classifier.examples.InvalidInputException;

/** The value of {@code --coverage}. */
final class Coverage {
  private Coverage() {}

  /**
   * Returns the threshold of a model's sets.
   *
   * @throws InvalidInputException if the coverage is not between 0 and 1, or if the model has none
   */
  static OptionalDouble threshold(double coverage, Classifier model) {
    if (!(coverage > 0 && coverage < 1)) {
      throw new InvalidInputException(
          "--coverage: expected a number above 0 and below 1 but was " + coverage);
    }
    OptionalDouble threshold = model.thresholdOfSets(coverage);
    if (threshold.isEmpty()) {
      throw new InvalidInputException(
          "--coverage: expected a model whose training held out examples; train one with 10 examples"
              + " or more, or with --validation");
    }
    return threshold;
  }
}
