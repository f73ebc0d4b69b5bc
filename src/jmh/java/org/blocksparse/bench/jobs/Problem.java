// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench.jobs;

import java.nio.FloatBuffer;
import java.util.SplittableRandom;
import java.util.function.IntToDoubleFunction;
import java.util.stream.IntStream;
import org.blocksparse.ElementType;
import org.blocksparse.FloatTensor;
import org.blocksparse.Weights;

/** The operands of a {@link Workload}, and the check of results. */
public final class Problem implements AutoCloseable {
  private static final int SAMPLES = 24;

  public final Workload workload;
  public final int[] inputIdx;
  public final int[] outputIdx;
  public final FloatTensor W;
  public final FloatTensor h;
  public final FloatTensor gradOut;

  public Problem(Workload workload) {
    this(workload, random(1, workload.shapeOfW()));
  }

  /** Makes a problem with weights that a type holds exactly. */
  public Problem(Workload workload, ElementType type) {
    this(workload, rounded(random(1, workload.shapeOfW()), type));
  }

  private Problem(Workload workload, FloatTensor W) {
    this.workload = workload;
    this.inputIdx = workload.inputIdx();
    this.outputIdx = workload.outputIdx();
    this.W = W;
    this.h = random(2, workload.batch, workload.iWin, workload.iSize);
    this.gradOut = random(3, workload.batch, workload.oWin, workload.oSize);
  }

  private static FloatTensor rounded(FloatTensor W, ElementType type) {
    if (type == ElementType.FLOAT32) {
      return W;
    }
    try (W;
        Weights narrow = Weights.of(W, type)) {
      return narrow.widened();
    }
  }

  /** Returns a tensor of numbers in [-1, 1), equal for equal seeds. */
  public static FloatTensor random(long seed, long... dims) {
    FloatTensor tensor = FloatTensor.zeros(dims);
    int piece = 1 << 16;
    long size = tensor.shape().size();
    IntStream.range(0, Math.toIntExact((size + piece - 1) / piece))
        .parallel()
        .forEach(
            p -> {
              SplittableRandom random = new SplittableRandom(seed * 1_000_003 + p);
              long begin = (long) p * piece;
              float[] values = new float[(int) Math.min(piece, size - begin)];
              for (int i = 0; i < values.length; i++) {
                values[i] = random.nextInt() * 0x1p-31f;
              }
              tensor.put(begin, values, 0, values.length);
            });
    return tensor;
  }

  /** Returns the row of h of a pair; pairs are numbered in the order (sample, output, input). */
  private int hRow(int pair) {
    int perSample = workload.iWin * workload.oWin;
    return pair / perSample * workload.iWin + pair % workload.iWin;
  }

  private int outRow(int pair) {
    return pair / workload.iWin;
  }

  /** Returns the first element of a block in W. */
  private int blockOffset(int i, int j) {
    return (i * workload.oBlocks + j) * workload.iSize * workload.oSize;
  }

  /**
   * Compares elements chosen at random with sums in double precision by the definition; only for
   * first runs of the operation.
   *
   * @throws IllegalStateException if one is further off than rounding can explain
   */
  public void check(Operation operation, FloatBuffer result) {
    check(operation, 0, result);
  }

  /** Checks a forward product that rounds h. */
  public void checkRounded(FloatBuffer result) {
    check(Operation.FORWARD, 0x1p-8, result);
  }

  /**
   * Checks an operation whose factors may be rounded.
   *
   * @param rounding the relative rounding error of the numbers
   */
  private void check(Operation operation, double rounding, FloatBuffer result) {
    FloatBuffer w = W.asFloatBuffer();
    FloatBuffer x = h.asFloatBuffer();
    FloatBuffer g = gradOut.asFloatBuffer();
    int k = workload.iSize;
    int n = workload.oSize;
    SplittableRandom random = new SplittableRandom(7);
    for (int sample = 0; sample < SAMPLES; sample++) {
      int b = random.nextInt(workload.batch);
      int i = random.nextInt(workload.iWin);
      int j = random.nextInt(workload.oWin);
      int p = random.nextInt(k);
      int q = random.nextInt(n);
      int hRow = b * workload.iWin + i;
      int outRow = b * workload.oWin + j;
      switch (operation) {
        case FORWARD, FORWARD_AND_PLAN ->
            compare(
                operation,
                rounding,
                result.get(outRow * n + q),
                workload.iWin * k,
                t ->
                    (double) x.get((b * workload.iWin + t / k) * k + t % k)
                        * w.get(
                            blockOffset(inputIdx[b * workload.iWin + t / k], outputIdx[outRow])
                                + t % k * n
                                + q));
        case GRAD_H ->
            compare(
                operation,
                rounding,
                result.get(hRow * k + p),
                workload.oWin * n,
                t ->
                    (double) g.get((b * workload.oWin + t / n) * n + t % n)
                        * w.get(
                            blockOffset(inputIdx[hRow], outputIdx[b * workload.oWin + t / n])
                                + p * n
                                + t % n));
        case GRAD_W -> {
          int[] selecting =
              IntStream.range(0, Math.toIntExact(workload.pairs()))
                  .filter(
                      t ->
                          inputIdx[hRow(t)] == inputIdx[hRow]
                              && outputIdx[outRow(t)] == outputIdx[outRow])
                  .toArray();
          compare(
              operation,
              rounding,
              result.get(blockOffset(inputIdx[hRow], outputIdx[outRow]) + p * n + q),
              selecting.length,
              t ->
                  (double) x.get(hRow(selecting[t]) * k + p) * g.get(outRow(selecting[t]) * n + q));
        }
      }
    }
  }

  /**
   * Compares the result with a sum of products, within {@code terms * 2^-24 * sum |products|} and
   * the effect of rounding their factors.
   */
  private static void compare(
      Operation operation, double rounding, float result, int terms, IntToDoubleFunction product) {
    double sum = 0;
    double magnitude = 0;
    for (int t = 0; t < terms; t++) {
      sum += product.applyAsDouble(t);
      magnitude += Math.abs(product.applyAsDouble(t));
    }
    if (!(Math.abs(result - sum)
        <= (rounding + (1 + rounding) * (terms + 1) * 0x1p-24) * magnitude)) {
      throw new IllegalStateException(
          "%s: expected %s but was %s".formatted(operation, sum, result));
    }
  }

  @Override
  public void close() {
    W.close();
    h.close();
    gradOut.close();
  }
}
