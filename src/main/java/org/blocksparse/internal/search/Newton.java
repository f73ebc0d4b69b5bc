// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.search;

/**
 * Minimizes a smooth loss of few numbers by Newton's method. A step solves the equations of the
 * loss, which are positive definite, and is halved while the loss grows (Lin, Lin and Weng, 2007).
 * It costs a pass over the samples with derivatives, and one without for each try.
 */
public final class Newton {
  private static final int MOST_STEPS = 100;
  private static final double SMALLEST_PART = 0x1p-60;

  /** The decrease of the loss, relative to it, below which no further step is taken. */
  private static final double TOLERANCE = 1e-9;

  private Newton() {}

  /** A loss with its derivatives. */
  public interface Loss {
    /**
     * Returns the loss, and adds its derivatives to equations.
     *
     * @param equations a row for each number: its second derivatives, or bounds of them, then its
     *     first; null: only the loss is wanted
     */
    double at(double[] numbers, double[][] equations);
  }

  /** Returns the numbers with the smallest loss. */
  public static double[] minimum(double[] start, Loss loss) {
    int n = start.length;
    double[] now = start.clone();
    for (int step = 0; step < MOST_STEPS; step++) {
      double[][] equations = new double[n][n + 1];
      double before = loss.at(now, equations);
      double[] direction = solve(equations);
      double part = 1;
      double[] next = ahead(now, direction, part);
      double after = loss.at(next, null);
      while (!(after <= before) && part > SMALLEST_PART) {
        part /= 2;
        next = ahead(now, direction, part);
        after = loss.at(next, null);
      }
      if (!(after <= before)) {
        break;
      }
      now = next;
      if (before - after <= TOLERANCE * before) {
        break;
      }
    }
    return now;
  }

  private static double[] ahead(double[] from, double[] direction, double part) {
    double[] to = from.clone();
    for (int i = 0; i < to.length; i++) {
      to[i] -= part * direction[i];
    }
    return to;
  }

  /** Solves equations that are positive definite, by elimination. */
  private static double[] solve(double[][] equations) {
    int n = equations.length;
    for (int i = 0; i < n; i++) {
      for (int j = i + 1; j < n; j++) {
        double factor = equations[j][i] / equations[i][i];
        for (int k = i; k <= n; k++) {
          equations[j][k] -= factor * equations[i][k];
        }
      }
    }
    double[] solution = new double[n];
    for (int i = n - 1; i >= 0; i--) {
      double sum = equations[i][n];
      for (int k = i + 1; k < n; k++) {
        sum -= equations[i][k] * solution[k];
      }
      solution[i] = sum / equations[i][i];
    }
    return solution;
  }
}
