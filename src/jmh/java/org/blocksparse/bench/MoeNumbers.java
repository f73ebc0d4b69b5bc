// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import java.util.EnumMap;
import java.util.Map;
import java.util.stream.IntStream;

/**
 * The numbers of the benchmark of experts, by SplitMix64: {@code peers/experts.cpp} makes the same.
 * A batch of fewer tokens has the first tokens of a larger one.
 */
final class MoeNumbers {
  /** The number of routings, which calls take in turn so that weights do not stay in the caches. */
  static final int ROUTINGS = 16;

  /** The number of experts with weights of their own; the others are copies. */
  static final int DISTINCT = 4;

  /** The number of tokens of routing 0 whose outputs are compared. */
  static final int CHECKED_TOKENS = 2;

  private static final long X = 5;
  private static final long ROUTING = 100;

  /** The matrices of an expert, each with the seed of expert 0. */
  enum Matrix {
    GATE(1000),
    UP(2000),
    DOWN(3000);

    private final long seed;

    Matrix(long seed) {
      this.seed = seed;
    }
  }

  private long state;

  private MoeNumbers(long seed) {
    state = seed;
  }

  private long next() {
    state += 0x9E3779B97F4A7C15L;
    long z = state;
    z = (z ^ (z >>> 30)) * 0xBF58476D1CE4E5B9L;
    z = (z ^ (z >>> 27)) * 0x94D049BB133111EBL;
    return z ^ (z >>> 31);
  }

  /** Returns an approximately Gaussian number: a sum of four uniform numbers, exact in a double. */
  private float centred(double deviation) {
    double sum = 0;
    for (int i = 0; i < 4; i++) {
      sum += (next() >>> 40) * 0x1p-24;
    }
    return (float) ((sum - 2) * (Math.sqrt(3) * deviation));
  }

  private static float[] centred(long seed, int count, double deviation) {
    MoeNumbers random = new MoeNumbers(seed);
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      values[i] = random.centred(deviation);
    }
    return values;
  }

  /** Returns the weights (outputs, inputs) of an expert. */
  static float[] weights(MoeShape shape, Matrix matrix, int expert) {
    int inputs = matrix == Matrix.DOWN ? shape.hidden : shape.inputs;
    return centred(
        matrix.seed + expert % DISTINCT, shape.inputs * shape.hidden, 1 / Math.sqrt(inputs));
  }

  /** Returns the rows (tokens, inputs). */
  static float[] x(MoeShape shape, int tokens) {
    return centred(X, tokens * shape.inputs, 1);
  }

  /** Returns different experts for each token, (tokens, top). */
  static int[] routing(MoeShape shape, int number, int tokens) {
    MoeNumbers random = new MoeNumbers(ROUTING + number);
    int[] chosen = new int[tokens * shape.top];
    for (int first = 0; first < chosen.length; first += shape.top) {
      for (int next = first; next < first + shape.top; ) {
        int expert = (int) ((random.next() >>> 33) % shape.experts);
        if (IntStream.range(first, next).noneMatch(before -> chosen[before] == expert)) {
          chosen[next++] = expert;
        }
      }
    }
    return chosen;
  }

  /** Returns the outputs of the first {@link #CHECKED_TOKENS} tokens, in double precision. */
  static double[] expected(MoeShape shape) {
    float[] x = x(shape, CHECKED_TOKENS);
    int[] routing = routing(shape, 0, CHECKED_TOKENS);
    Map<Matrix, float[][]> weights = new EnumMap<>(Matrix.class);
    for (Matrix matrix : Matrix.values()) {
      weights.put(
          matrix,
          IntStream.range(0, DISTINCT)
              .mapToObj(expert -> weights(shape, matrix, expert))
              .toArray(float[][]::new));
    }
    double[] out = new double[CHECKED_TOKENS * shape.inputs];
    for (int pair = 0; pair < routing.length; pair++) {
      int token = pair / shape.top;
      int expert = routing[pair] % DISTINCT;
      double[] row = new double[shape.inputs];
      for (int i = 0; i < row.length; i++) {
        row[i] = x[token * shape.inputs + i];
      }
      double[] gate = product(weights.get(Matrix.GATE)[expert], row, shape.hidden);
      double[] up = product(weights.get(Matrix.UP)[expert], row, shape.hidden);
      for (int h = 0; h < shape.hidden; h++) {
        up[h] *= gate[h] / (1 + Math.exp(-gate[h])) / shape.top;
      }
      double[] down = product(weights.get(Matrix.DOWN)[expert], up, shape.inputs);
      for (int o = 0; o < shape.inputs; o++) {
        out[token * shape.inputs + o] += down[o];
      }
    }
    return out;
  }

  private static double[] product(float[] weights, double[] row, int outputs) {
    return IntStream.range(0, outputs)
        .mapToDouble(
            output -> {
              double sum = 0;
              for (int i = 0; i < row.length; i++) {
                sum += weights[output * row.length + i] * row[i];
              }
              return sum;
            })
        .toArray();
  }
}
