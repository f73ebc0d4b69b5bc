// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.testing;

import static org.blocksparse.testing.Bounded.U;

import org.blocksparse.bag.EmbeddingBag.Mode;

/** Sums of bags and their gradients in float64, with the error bounds of floats. */
public final class BagOracle {
  private final BagProblem p;

  private final Mode mode;

  public BagOracle(BagProblem problem, Mode mode) {
    this.p = problem;
    this.mode = mode;
  }

  private double value(int entry) {
    return p.values() == null ? 1 : p.values()[entry];
  }

  /** Returns the factor of the sum of a bag. */
  private double factor(int bag) {
    int size = p.offsets()[bag + 1] - p.offsets()[bag];
    if (size == 0) {
      return 0;
    }
    return switch (mode) {
      case SUM -> 1;
      case MEAN -> 1.0 / size;
      case ROOT_MEAN -> 1 / Math.sqrt(size);
    };
  }

  /** Returns the sums, (bags, features). */
  public Bounded sums() {
    Bounded result = Bounded.zeros(p.bags(), p.features());
    for (int bag = 0; bag < p.bags(); bag++) {
      int size = p.offsets()[bag + 1] - p.offsets()[bag];
      for (int e = p.offsets()[bag]; e < p.offsets()[bag + 1]; e++) {
        for (int q = 0; q < p.features(); q++) {
          double term = factor(bag) * value(e) * p.table()[p.indices()[e] * p.features() + q];
          add(result, bag * p.features() + q, term, size + 3);
        }
      }
    }
    return result;
  }

  /** Returns the gradient of the values, (entries). */
  public Bounded gradValues() {
    Bounded result = Bounded.zeros(p.indices().length);
    for (int bag = 0; bag < p.bags(); bag++) {
      for (int e = p.offsets()[bag]; e < p.offsets()[bag + 1]; e++) {
        for (int q = 0; q < p.features(); q++) {
          double term =
              factor(bag)
                  * p.table()[p.indices()[e] * p.features() + q]
                  * p.gradOut()[bag * p.features() + q];
          add(result, e, term, p.features() + 3);
        }
      }
    }
    return result;
  }

  /** Returns the gradient of the table, (vocabulary, features). */
  public Bounded gradTable() {
    int[] named = new int[p.vocabulary()];
    for (int index : p.indices()) {
      named[index]++;
    }
    Bounded result = Bounded.zeros(p.vocabulary(), p.features());
    for (int bag = 0; bag < p.bags(); bag++) {
      for (int e = p.offsets()[bag]; e < p.offsets()[bag + 1]; e++) {
        int index = p.indices()[e];
        for (int q = 0; q < p.features(); q++) {
          double term = factor(bag) * value(e) * p.gradOut()[bag * p.features() + q];
          add(result, index * p.features() + q, term, named[index] + 3);
        }
      }
    }
    return result;
  }

  private static void add(Bounded to, int i, double term, int roundings) {
    to.values()[i] += term;
    to.bounds()[i] += 1.01 * roundings * U * Math.abs(term);
  }

  /** Returns, for each element of the table, whether its row is named. */
  public boolean[] touched() {
    boolean[] touched = new boolean[p.table().length];
    for (int index : p.indices()) {
      for (int q = 0; q < p.features(); q++) {
        touched[index * p.features() + q] = true;
      }
    }
    return touched;
  }
}
