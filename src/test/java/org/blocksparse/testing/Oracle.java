// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.testing;

import java.util.Arrays;
import org.blocksparse.testing.BlockProblem.Sizes;

/**
 * Theano's loops in float64, one product at a time, with the error bound of a float computation of
 * the same sums in any order: k * 2^-24 * sum |h| |W|, where k is the number of roundings.
 *
 * <p>It shares no code with the library: no schedule, no tensor, no kernel.
 */
public final class Oracle {
  private Oracle() {}

  /** Returns the result of SparseBlockGemv on o. */
  public static Bounded gemv(BlockProblem p) {
    return gemv(p, p.o());
  }

  /** Returns the result of SparseBlockDot. */
  public static Bounded dot(BlockProblem p) {
    Sizes s = p.sizes();
    float[] start = new float[s.batch() * s.oWin() * s.oSize()];
    for (int row = 0; row < s.batch() * s.oWin(); row++) {
      System.arraycopy(p.b(), p.outputIdx()[row] * s.oSize(), start, row * s.oSize(), s.oSize());
    }
    return gemv(p, start);
  }

  private static Bounded gemv(BlockProblem p, float[] start) {
    Sizes s = p.sizes();
    Bounded out = Bounded.zeros(s.o());
    for (int sample = 0; sample < s.batch(); sample++) {
      for (int j = 0; j < s.oWin(); j++) {
        for (int q = 0; q < s.oSize(); q++) {
          int to = (sample * s.oWin() + j) * s.oSize() + q;
          double sum = start[to];
          double magnitude = Math.abs(sum);
          for (int i = 0; i < s.iWin(); i++) {
            int row = sample * s.iWin() + i;
            for (int e = 0; e < s.iSize(); e++) {
              double product =
                  (double) p.h()[row * s.iSize() + e]
                      * p.W()[p.at(p.inputIdx()[row], p.outputIdx()[sample * s.oWin() + j], e, q)];
              sum += product;
              magnitude += Math.abs(product);
            }
          }
          set(out, to, sum, (long) s.iWin() * s.iSize() + 1, magnitude);
        }
      }
    }
    return out;
  }

  /** Returns the gradient with respect to h. */
  public static Bounded gradH(BlockProblem p) {
    Sizes s = p.sizes();
    Bounded out = Bounded.zeros(s.h());
    for (int sample = 0; sample < s.batch(); sample++) {
      for (int i = 0; i < s.iWin(); i++) {
        int row = sample * s.iWin() + i;
        for (int e = 0; e < s.iSize(); e++) {
          double sum = 0;
          double magnitude = 0;
          for (int j = 0; j < s.oWin(); j++) {
            int outRow = sample * s.oWin() + j;
            for (int q = 0; q < s.oSize(); q++) {
              double product =
                  (double) p.gradOut()[outRow * s.oSize() + q]
                      * p.W()[p.at(p.inputIdx()[row], p.outputIdx()[outRow], e, q)];
              sum += product;
              magnitude += Math.abs(product);
            }
          }
          set(out, row * s.iSize() + e, sum, (long) s.oWin() * s.oSize() + 1, magnitude);
        }
      }
    }
    return out;
  }

  /** Returns the gradient with respect to W. */
  public static Bounded gradW(BlockProblem p) {
    return outer(p, new float[p.W().length], 1);
  }

  /** Returns the result of SparseBlockOuter on W, with x = h and y = gradOut. */
  public static Bounded outer(BlockProblem p, float alpha) {
    return outer(p, p.W(), alpha);
  }

  /** Sums of products, with the terms of their bounds. */
  private static final class Sums {
    private final Bounded out;
    private final double[] magnitude;
    private final long[] roundings;

    Sums(long... shape) {
      out = Bounded.zeros(shape);
      magnitude = new double[out.values().length];
      roundings = new long[magnitude.length];
    }

    void add(int to, double product) {
      out.values()[to] += product;
      magnitude[to] += Math.abs(product);
      roundings[to]++;
    }

    /**
     * Returns the start plus alpha times the sums; an element without a term is not even rounded.
     */
    Bounded addedTo(float[] start, float alpha) {
      for (int to = 0; to < start.length; to++) {
        if (roundings[to] == 0) {
          out.values()[to] = start[to];
          continue;
        }
        // Alpha adds one rounding, and the addition to the start another.
        set(
            out,
            to,
            start[to] + alpha * out.values()[to],
            roundings[to] + 2,
            Math.abs(start[to]) + Math.abs(alpha) * magnitude[to]);
      }
      return out;
    }
  }

  private static Bounded outer(BlockProblem p, float[] start, float alpha) {
    Sizes s = p.sizes();
    Sums sums = new Sums(s.W());
    for (int sample = 0; sample < s.batch(); sample++) {
      for (int i = 0; i < s.iWin(); i++) {
        for (int j = 0; j < s.oWin(); j++) {
          int x = sample * s.iWin() + i;
          int y = sample * s.oWin() + j;
          for (int e = 0; e < s.iSize(); e++) {
            for (int q = 0; q < s.oSize(); q++) {
              int to = p.at(p.inputIdx()[x], p.outputIdx()[y], e, q);
              double product = (double) p.h()[x * s.iSize() + e] * p.gradOut()[y * s.oSize() + q];
              sums.add(to, product);
            }
          }
        }
      }
    }
    return sums.addedTo(start, alpha);
  }

  /** Returns the gradient with respect to b. */
  public static Bounded gradB(BlockProblem p) {
    return addGradB(p, new float[p.b().length], 1);
  }

  /** Returns the result of addGradB. */
  public static Bounded addGradB(BlockProblem p, float alpha) {
    return addGradB(p, p.b(), alpha);
  }

  private static Bounded addGradB(BlockProblem p, float[] start, float alpha) {
    Sizes s = p.sizes();
    Sums sums = new Sums(s.b());
    for (int row = 0; row < s.batch() * s.oWin(); row++) {
      for (int q = 0; q < s.oSize(); q++) {
        int to = p.outputIdx()[row] * s.oSize() + q;
        double value = p.gradOut()[row * s.oSize() + q];
        sums.add(to, value);
      }
    }
    return sums.addedTo(start, alpha);
  }

  /**
   * Returns a bias of input blocks, (iBlocks, oSize), plus alpha times its gradient.
   *
   * @param gate (batch, iWin)
   */
  public static Bounded addGradInputBias(BlockProblem p, float[] gate, float[] start, float alpha) {
    Sizes s = p.sizes();
    Sums sums = new Sums(s.iBlocks(), s.oSize());
    for (int x = 0; x < s.batch() * s.iWin(); x++) {
      for (int q = 0; q < s.oSize(); q++) {
        int to = p.inputIdx()[x] * s.oSize() + q;
        sums.roundings[to]++;
        for (int j = 0; j < s.oWin(); j++) {
          int y = x / s.iWin() * s.oWin() + j;
          double product = (double) gate[x] * p.gradOut()[y * s.oSize() + q];
          sums.add(to, product);
        }
      }
    }
    return sums.addedTo(start, alpha);
  }

  /** Returns the gradient with respect to the gate of a bias of input blocks. */
  public static Bounded gradGate(BlockProblem p, float[] bias) {
    Sizes s = p.sizes();
    Bounded out = Bounded.zeros(s.batch(), s.iWin());
    for (int x = 0; x < s.batch() * s.iWin(); x++) {
      double sum = 0;
      double magnitude = 0;
      for (int j = 0; j < s.oWin(); j++) {
        int y = x / s.iWin() * s.oWin() + j;
        for (int q = 0; q < s.oSize(); q++) {
          double product =
              (double) bias[p.inputIdx()[x] * s.oSize() + q] * p.gradOut()[y * s.oSize() + q];
          sum += product;
          magnitude += Math.abs(product);
        }
      }
      set(out, x, sum, (long) s.oWin() * (s.oSize() + 1) + 2, magnitude);
    }
    return out;
  }

  private static void set(Bounded out, int at, double value, long roundings, double magnitude) {
    out.values()[at] = value;
    out.bounds()[at] = roundings * (Bounded.U * magnitude + Float.MIN_VALUE);
  }

  /** Returns the value of a scalar loss sum(gradOut * dot), for numeric gradients. */
  public static double lossOfDot(BlockProblem p) {
    double[] out = dot(p).values();
    double loss = 0;
    for (int i = 0; i < out.length; i++) {
      loss += out[i] * p.gradOut()[i];
    }
    return loss;
  }

  /** Returns the elements of a table in named rows, for tests that change all others. */
  public static boolean[] named(int[] indices, int bound) {
    boolean[] named = new boolean[bound];
    Arrays.stream(indices).forEach(index -> named[index] = true);
    return named;
  }
}
