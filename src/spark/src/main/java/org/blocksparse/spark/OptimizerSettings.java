// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.spark;

import java.io.Serializable;
import java.util.Locale;
import org.blocksparse.Optimizer;

/** The settings of an {@link Optimizer}, serializable for tasks. */
record OptimizerSettings(String rule, float rate, float decay, float maxNorm)
    implements Serializable {
  /**
   * Returns the optimizer.
   *
   * @throws IllegalArgumentException if there is no such rule, or a number is outside its range
   */
  Optimizer optimizer() {
    if (!(rate > 0 && rate < Float.POSITIVE_INFINITY)) { // under the name that it has here
      throw new IllegalArgumentException(
          "stepSize: expected a float > 0 that is finite but was " + rate);
    }
    Optimizer plain =
        switch (rule.toLowerCase(Locale.ROOT)) {
          case "sgd" -> Optimizer.sgd(rate);
          case "adagrad" -> Optimizer.adagrad(rate);
          case "adam" -> Optimizer.adam(rate);
          default ->
              throw new IllegalArgumentException(
                  "optimizer: expected sgd, adagrad or adam but was " + rule);
        };
    return plain.withDecay(decay).withMaxNorm(maxNorm);
  }
}
