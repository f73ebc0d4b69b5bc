// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.testing;

import java.util.Arrays;
import org.blocksparse.testing.Data.Numbers;

/**
 * Operands of a sparse block product in which each sample selects its own number of blocks, and the
 * definition of every operation on them in float64, with the bounds of {@link Oracle}.
 *
 * @param inputBegins the begin of each sample's inputs in inputIdx, and the end of the last
 * @param outputBegins the begin of each sample's outputs in outputIdx, and the end of the last
 */
@SuppressWarnings("ArrayRecordComponent")
public record RaggedProblem(
    int iBlocks,
    int oBlocks,
    int iSize,
    int oSize,
    int[] inputBegins,
    int[] inputIdx,
    int[] outputBegins,
    int[] outputIdx,
    float[] W,
    float[] h,
    float[] b,
    float[] o,
    float[] gradOut) {

  /** A function of each (row of h, row of the output) of the same sample. */
  private interface Pair {
    void accept(int input, int output);
  }

  /**
   * Returns a problem of samples with windows of 0 to {@code mostInputs} and {@code mostOutputs}.
   */
  public static RaggedProblem random(
      Data data,
      Numbers numbers,
      int batch,
      int iBlocks,
      int oBlocks,
      int iSize,
      int oSize,
      int mostInputs,
      int mostOutputs) {
    int[] inputBegins = begins(data, batch, mostInputs);
    int[] outputBegins = begins(data, batch, mostOutputs);
    int[] inputIdx = data.indices(inputBegins[batch], iBlocks);
    int[] outputIdx = data.indices(outputBegins[batch], oBlocks);
    return new RaggedProblem(
        iBlocks,
        oBlocks,
        iSize,
        oSize,
        inputBegins,
        inputIdx,
        outputBegins,
        outputIdx,
        data.floats(numbers, (long) iBlocks * oBlocks * iSize * oSize),
        data.floats(numbers, (long) inputIdx.length * iSize),
        data.floats(numbers, (long) oBlocks * oSize),
        data.floats(numbers, (long) outputIdx.length * oSize),
        data.floats(numbers, (long) outputIdx.length * oSize));
  }

  private static int[] begins(Data data, int batch, int most) {
    int[] begins = new int[batch + 1];
    for (int sample = 0; sample < batch; sample++) {
      begins[sample + 1] = begins[sample] + data.below(most + 1);
    }
    return begins;
  }

  public int batch() {
    return inputBegins.length - 1;
  }

  public long[] shapeOfW() {
    return new long[] {iBlocks, oBlocks, iSize, oSize};
  }

  public long[] shapeOfH() {
    return new long[] {inputIdx.length, iSize};
  }

  public long[] shapeOfB() {
    return new long[] {oBlocks, oSize};
  }

  public long[] shapeOfO() {
    return new long[] {outputIdx.length, oSize};
  }

  private void forEachPair(Pair pair) {
    for (int sample = 0; sample < batch(); sample++) {
      for (int i = inputBegins[sample]; i < inputBegins[sample + 1]; i++) {
        for (int j = outputBegins[sample]; j < outputBegins[sample + 1]; j++) {
          pair.accept(i, j);
        }
      }
    }
  }

  private int at(int input, int output, int p, int q) {
    return ((inputIdx[input] * oBlocks + outputIdx[output]) * iSize + p) * oSize + q;
  }

  /** Sums of products in float64, and their error bounds. */
  private static final class Sums {
    private final long[] shape;
    private final float[] start;
    private final double[] sums;
    private final double[] magnitudes;
    private final long[] terms;

    Sums(long[] shape, float[] start) {
      this.shape = shape;
      this.start = start;
      this.sums = new double[start.length];
      this.magnitudes = new double[start.length];
      this.terms = new long[start.length];
    }

    void add(int to, double product) {
      sums[to] += product;
      magnitudes[to] += Math.abs(product);
      terms[to]++;
    }

    /** Returns start + alpha * sums; elements without a product are unchanged. */
    Bounded plus(double alpha) {
      Bounded out = Bounded.zeros(shape);
      for (int to = 0; to < start.length; to++) {
        out.values()[to] = start[to];
        if (terms[to] > 0) {
          out.values()[to] += alpha * sums[to];
          double magnitude = Math.abs(start[to]) + Math.abs(alpha) * magnitudes[to];
          out.bounds()[to] = (terms[to] + 2) * (Bounded.U * magnitude + Float.MIN_VALUE);
        }
      }
      return out;
    }
  }

  /** Returns the result of SparseBlockGemv on o. */
  public Bounded gemv() {
    return product(o);
  }

  /** Returns the result of SparseBlockDot. */
  public Bounded dot() {
    float[] start = new float[o.length];
    for (int j = 0; j < outputIdx.length; j++) {
      System.arraycopy(b, outputIdx[j] * oSize, start, j * oSize, oSize);
    }
    return product(start);
  }

  private Bounded product(float[] start) {
    Sums out = new Sums(shapeOfO(), start);
    forEachPair(
        (i, j) -> {
          for (int p = 0; p < iSize; p++) {
            for (int q = 0; q < oSize; q++) {
              out.add(j * oSize + q, (double) h[i * iSize + p] * W[at(i, j, p, q)]);
            }
          }
        });
    return out.plus(1);
  }

  /** Returns the gradient with respect to h. */
  public Bounded gradH() {
    return addGradH(new float[h.length], 1);
  }

  /** Returns the result of addGradH for a tensor like h. */
  public Bounded addGradH(float[] start, float alpha) {
    Sums out = new Sums(shapeOfH(), start);
    forEachPair(
        (i, j) -> {
          for (int p = 0; p < iSize; p++) {
            for (int q = 0; q < oSize; q++) {
              out.add(i * iSize + p, (double) gradOut[j * oSize + q] * W[at(i, j, p, q)]);
            }
          }
        });
    return out.plus(alpha);
  }

  /** Returns the gradient with respect to W. */
  public Bounded gradW() {
    return outer(new float[W.length], 1);
  }

  /** Returns the result of SparseBlockOuter on W, with x = h and y = gradOut. */
  public Bounded outer(float alpha) {
    return outer(W, alpha);
  }

  private Bounded outer(float[] start, float alpha) {
    Sums out = new Sums(shapeOfW(), start);
    forEachPair(
        (i, j) -> {
          for (int p = 0; p < iSize; p++) {
            for (int q = 0; q < oSize; q++) {
              out.add(at(i, j, p, q), (double) h[i * iSize + p] * gradOut[j * oSize + q]);
            }
          }
        });
    return out.plus(alpha);
  }

  /** Returns the gradient with respect to b. */
  public Bounded gradB() {
    return addGradB(new float[b.length], 1);
  }

  /** Returns the result of addGradB. */
  public Bounded addGradB(float alpha) {
    return addGradB(b, alpha);
  }

  private Bounded addGradB(float[] start, float alpha) {
    Sums out = new Sums(shapeOfB(), start);
    for (int j = 0; j < outputIdx.length; j++) {
      for (int q = 0; q < oSize; q++) {
        out.add(outputIdx[j] * oSize + q, gradOut[j * oSize + q]);
      }
    }
    return out.plus(alpha);
  }

  /**
   * Returns the result of InputBias.addGradBias on a bias, (iBlocks, oSize), with a gate for each
   * row of h.
   */
  public Bounded addGradInputBias(float[] bias, float[] gate, float alpha) {
    Sums out = new Sums(new long[] {iBlocks, oSize}, bias);
    for (int block : inputIdx) { // samples without outputs count, too
      for (int q = 0; q < oSize; q++) {
        out.add(block * oSize + q, 0);
      }
    }
    forEachPair(
        (i, j) -> {
          for (int q = 0; q < oSize; q++) {
            out.add(inputIdx[i] * oSize + q, (double) gate[i] * gradOut[j * oSize + q]);
          }
        });
    return out.plus(alpha);
  }

  /** Returns the result of InputBias.addGradGate on a tensor with an element for each row of h. */
  public Bounded addGradGate(float[] start, float[] bias, float alpha) {
    Sums out = new Sums(new long[] {inputIdx.length}, start);
    forEachPair(
        (i, j) -> {
          for (int q = 0; q < oSize; q++) {
            out.add(i, (double) bias[inputIdx[i] * oSize + q] * gradOut[j * oSize + q]);
          }
        });
    return out.plus(alpha);
  }

  /** Returns the value of a scalar loss sum(gradOut * dot), for numeric gradients. */
  public double lossOfDot() {
    double[] out = dot().values();
    double loss = 0;
    for (int i = 0; i < out.length; i++) {
      loss += out[i] * gradOut[i];
    }
    return loss;
  }

  @Override
  public String toString() {
    return "inputs from "
        + Arrays.toString(inputBegins)
        + " of "
        + iBlocks
        + " blocks x "
        + iSize
        + ", outputs from "
        + Arrays.toString(outputBegins)
        + " of "
        + oBlocks
        + " x "
        + oSize;
  }
}
