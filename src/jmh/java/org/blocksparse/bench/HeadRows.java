// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.SplittableRandom;
import java.util.function.IntFunction;
import java.util.stream.IntStream;
import org.blocksparse.ElementType;
import org.blocksparse.FloatTensor;
import org.blocksparse.SparseRows;
import org.blocksparse.Weights;
import org.blocksparse.bag.EmbeddingBag;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.bytedeco.javacpp.ShortPointer;

/**
 * The rows of a dense layer, and queries for it.
 *
 * @param floats (outputs, features), or null
 * @param halves (1, 1, features, outputs) in bfloat16, or null
 * @param bias (outputs), or null
 */
record HeadRows(FloatTensor floats, Weights halves, FloatTensor bias, float[][] queries) {
  /** The number of queries. */
  static final int QUERIES = 200;

  /** The length of noise, in lengths of its row. */
  private static final double NOISE = 0.5;

  /** Words before the next one, as the demo has them. */
  private static final int PLACES = 5;

  int outputs() {
    return (int) (floats == null ? halves.shape().dim(3) : floats.shape().dim(0));
  }

  int features() {
    return queries[0].length;
  }

  /** Returns the bytes of all stored rows. */
  long bytes() {
    return (floats == null ? 2L : 4L) * outputs() * features();
  }

  /**
   * Returns sentence vectors; if more rows are wanted than there are, they come again, each time
   * with other noise of half their length.
   */
  static HeadRows ofSentences(float[][] vectors, int outputs) {
    int features = vectors[0].length;
    int last = vectors.length - QUERIES;
    FloatTensor rows = FloatTensor.zeros(outputs, features);
    IntStream.range(0, outputs)
        .parallel()
        .forEach(
            i -> {
              float[] row = vectors[i % last].clone();
              if (i >= last) {
                addNoise(row, new Random(i), NOISE);
              }
              rows.put((long) i * features, row, 0, features);
            });
    return new HeadRows(rows, null, null, Arrays.copyOfRange(vectors, last, vectors.length));
  }

  /** Adds noise of a length, and makes the row as long as it was. */
  private static void addNoise(float[] row, Random random, double noise) {
    double before = length(row);
    for (int f = 0; f < row.length; f++) {
      row[f] += (float) (noise / Math.sqrt(row.length) * random.nextGaussian());
    }
    double scale = before / length(row);
    for (int f = 0; f < row.length; f++) {
      row[f] *= (float) scale;
    }
  }

  /** Returns the full softmax of the demo; its queries are contexts of sampled sentences. */
  static HeadRows ofSoftmax(Path file) throws IOException {
    try (HierarchicalSoftmax softmax = HierarchicalSoftmax.load(file);
        EmbeddingBag bag = EmbeddingBag.load(file)) {
      int outputs = softmax.outputs();
      int features = softmax.features();
      if (softmax.assignment().classCount() != outputs) {
        throw new IOException(file + ": expected one class per word");
      }
      FloatTensor rows = FloatTensor.zeros(outputs, features);
      FloatTensor bias = FloatTensor.zeros(outputs);
      for (int i = 0; i < outputs; i++) {
        int c = softmax.assignment().classOf(i);
        for (int f = 0; f < features; f++) {
          rows.set(softmax.W1().get(f, c), i, f);
        }
        bias.set(softmax.b1().get(c), i);
      }
      return new HeadRows(rows, null, bias, contexts(softmax, bag));
    }
  }

  private static float[][] contexts(HierarchicalSoftmax softmax, EmbeddingBag bag) {
    SplittableRandom random = new SplittableRandom(1);
    float[][] contexts = new float[QUERIES][softmax.features()];
    int[] before = new int[PLACES]; // 0 is the end of a sentence
    for (float[] context : contexts) {
      int[] indices =
          IntStream.range(0, PLACES).map(p -> p * softmax.outputs() + before[p]).toArray();
      try (SparseRows words = SparseRows.of(List.of(indices));
          FloatTensor x = bag.apply(words)) {
        x.get(0, context, 0, context.length);
        int next = softmax.sample(x, random)[0];
        System.arraycopy(before, 0, before, 1, PLACES - 1);
        before[0] = next;
        if (next == 0) {
          Arrays.fill(before, 0);
        }
      }
    }
    return contexts;
  }

  /**
   * Returns rows of bfloat16 in a space of more features, a power of two, which a rotation mixes:
   * those of a softmax, and noisy copies of them.
   */
  static HeadRows widened(HeadRows softmax, int outputs, int features) {
    int size = softmax.features();
    boolean[] signs = signs(features);
    float[][] queries =
        Arrays.stream(softmax.queries).map(query -> rotated(query, signs)).toArray(float[][]::new);
    return softmax.withRows(
        outputs,
        queries,
        i -> {
          float[] row = new float[size];
          softmax.floats.get((long) (i % softmax.outputs()) * size, row, 0, size);
          if (i >= softmax.outputs()) {
            addNoise(row, new Random(i), NOISE * length(row));
          }
          return rotated(row, signs);
        });
  }

  /**
   * Returns rows of bfloat16 whose spectrum is that of a softmax, with each value as often as more
   * features need: a row consists of rows of several words. A query consists of several contexts,
   * and of the row of a likely output.
   */
  static HeadRows stretched(HeadRows softmax, int outputs, int features) {
    int size = softmax.features();
    int parts = features / size;
    float[][] queries = new float[QUERIES / 4][features];
    for (int q = 0; q < queries.length; q++) {
      for (int part = 0; part < parts; part++) {
        float[] context = softmax.queries[(q * parts + part) % QUERIES];
        for (int f = 0; f < size; f++) {
          queries[q][part * size + f] = (float) (context[f] / Math.sqrt(parts));
        }
      }
      int likely = new SplittableRandom(q).nextInt(outputs);
      float[] row = stretchedRow(softmax, new SplittableRandom(likely), features);
      double square = length(row) * length(row);
      double others = Math.log(outputs); // about the logarithm of their sum
      for (int f = 0; f < features; f++) {
        queries[q][f] += (float) (row[f] * others / square);
      }
    }
    return softmax.withRows(
        outputs, queries, i -> stretchedRow(softmax, new SplittableRandom(i), features));
  }

  /** Returns other queries, and rows of bfloat16 by their numbers, with these biases in turn. */
  private HeadRows withRows(int outputs, float[][] queries, IntFunction<float[]> rows) {
    int features = queries[0].length;
    ShortPointer halves = new ShortPointer((long) outputs * features);
    FloatTensor biases = FloatTensor.zeros(outputs);
    IntStream.range(0, outputs)
        .parallel()
        .forEach(
            i -> {
              putHalves(halves, i, rows.apply(i));
              biases.set(bias.get(i % outputs()), i);
            });
    return new HeadRows(null, weights(halves, outputs, features), biases, queries);
  }

  private static float[] stretchedRow(HeadRows softmax, SplittableRandom random, int features) {
    int size = softmax.features();
    float[] row = new float[features];
    for (int begin = 0; begin < features; begin += size) {
      int word = random.nextInt(softmax.outputs());
      softmax.floats.get((long) word * size, row, begin, Math.min(size, features - begin));
    }
    return row;
  }

  private static Weights weights(ShortPointer halves, int outputs, int features) {
    return Weights.wrapAddress(
            halves.address(),
            2L * outputs * features,
            halves,
            ElementType.BFLOAT16,
            1,
            1,
            outputs,
            features)
        .transposeBlocks();
  }

  private static double length(float... row) {
    double sum = 0;
    for (float value : row) {
      sum += (double) value * value;
    }
    return Math.sqrt(sum);
  }

  private static void putHalves(ShortPointer to, int output, float... row) {
    short[] halves = new short[row.length];
    for (int f = 0; f < row.length; f++) {
      halves[f] = (short) ((Float.floatToRawIntBits(row[f]) + 0x8000) >>> 16);
    }
    new ShortPointer(to).position((long) output * row.length).put(halves, 0, halves.length);
  }

  private static boolean[] signs(int count) {
    Random random = new Random(7);
    boolean[] signs = new boolean[count];
    for (int i = 0; i < count; i++) {
      signs[i] = random.nextBoolean();
    }
    return signs;
  }

  /** Returns a row, padded with zeros, times random signs and a Hadamard matrix, twice. */
  private static float[] rotated(float[] row, boolean... signs) {
    float[] to = Arrays.copyOf(row, signs.length);
    for (int time = 0; time < 2; time++) {
      for (int i = 0; i < to.length; i++) {
        to[i] = signs[i] == (time == 0) ? -to[i] : to[i];
      }
      for (int step = 1; step < to.length; step *= 2) {
        for (int i = 0; i < to.length; i++) {
          if ((i & step) == 0) {
            float a = to[i];
            float b = to[i + step];
            to[i] = a + b;
            to[i + step] = a - b;
          }
        }
      }
      for (int i = 0; i < to.length; i++) {
        to[i] /= (float) Math.sqrt(to.length);
      }
    }
    return to;
  }
}
