// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.linear;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.math.BigDecimal;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Random;
import java.util.concurrent.ForkJoinPool;
import java.util.function.DoubleBinaryOperator;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.blocksparse.Backend;
import org.blocksparse.ElementType;
import org.blocksparse.FloatTensor;
import org.blocksparse.Similarity;
import org.blocksparse.Weights;
import org.blocksparse.Workers;
import org.blocksparse.internal.kernels.Engine;
import org.blocksparse.internal.kernels.Kernels;
import org.blocksparse.internal.schedule.Scheduler;
import org.blocksparse.io.GgufFile;
import org.blocksparse.io.LoadOptions;
import org.blocksparse.io.TensorFile;
import org.blocksparse.ranking.Filter;
import org.blocksparse.ranking.Labels;
import org.blocksparse.ranking.Ranking;
import org.blocksparse.testing.GgufBytes;
import org.blocksparse.testing.KernelsUnderTest;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.ShortPointer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** The exact top k of dense layers, compared with all scores in float64. */
final class DenseHeadTest {
  static Stream<KernelsUnderTest> kernels() {
    return KernelsUnderTest.instructionSets().stream();
  }

  /** Rows and queries for which bounds might fail. */
  private enum Kind {
    GAUSSIAN,
    /** Small integers, so that scores are equal and exact. */
    INTEGERS,
    EQUAL_ROWS,
    ZERO_ROWS,
    /** Rows whose norms overflow. */
    HUGE,
    SUBNORMAL,
    /** Norms from 2^-140 to 2^120. */
    ANY_LENGTH,
    /** Some rows hold NaN or infinities. */
    NOT_FINITE,
    /** Features of decreasing weight, as in trained layers. */
    DECAYING;

    float weight(Random random, int output, int feature) {
      return switch (this) {
        case GAUSSIAN -> (float) random.nextGaussian();
        case INTEGERS -> random.nextInt(7) - 3;
        case EQUAL_ROWS -> (float) Math.sin(feature) + (output % 3 == 0 ? 0 : 1);
        case ZERO_ROWS -> output % 2 == 0 ? 0 : (float) random.nextGaussian();
        case HUGE -> (float) (random.nextGaussian() * (output % 5 == 0 ? 1e38 : 1e36));
        case SUBNORMAL -> (float) (random.nextGaussian() * 1e-42);
        case ANY_LENGTH ->
            (float) Math.scalb(random.nextGaussian(), new Random(output).nextInt(260) - 140);
        case NOT_FINITE ->
            output % 50 == 7 && feature == 0
                ? new float[] {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY}
                    [output / 50 % 3]
                : (float) random.nextGaussian();
        case DECAYING -> (float) (random.nextGaussian() / (1 + feature));
      };
    }
  }

  private static float[] query(Random random, int features, int kind) {
    float[] x = new float[features];
    for (int i = 0; i < features; i++) {
      x[i] =
          switch (kind) {
            case 0 -> (float) random.nextGaussian();
            case 1 -> random.nextInt(7) - 3;
            case 2 -> (float) (random.nextGaussian() * 1e37);
            case 3 -> (float) (random.nextGaussian() * 1e-43);
            case 4 -> (float) Math.scalb(random.nextGaussian(), random.nextInt(200) - 100);
            case 5 -> 0;
            case 6 -> i == 0 ? Float.POSITIVE_INFINITY : (float) random.nextGaussian();
            default -> i == features / 2 ? Float.NaN : 1;
          };
    }
    return x;
  }

  /** Returns a sum over features in 8 lanes, in the order of a score. */
  private static double sum(float[] w, int output, float[] x, DoubleBinaryOperator term) {
    int features = x.length;
    double[] lanes = new double[8];
    int whole = features / 8 * 8;
    for (int i = 0; i < whole; i++) {
      lanes[i % 8] += term.applyAsDouble(w[output * features + i], x[i]);
    }
    double sum =
        ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6]))
            + ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]));
    for (int i = whole; i < features; i++) {
      sum += term.applyAsDouble(w[output * features + i], x[i]);
    }
    return sum;
  }

  private static float score(
      Similarity similarity, float[] w, int output, float[] x, float[] bias) {
    double value =
        switch (similarity) {
          case INNER_PRODUCT -> sum(w, output, x, (a, b) -> a * b);
          case COSINE -> {
            double ofRow = sum(w, output, x, (a, b) -> a * a);
            double ofQuery = sum(w, output, x, (a, b) -> b * b);
            boolean isZero = ofRow == 0 || ofQuery == 0;
            yield isZero ? 0 : sum(w, output, x, (a, b) -> a * b) / Math.sqrt(ofRow * ofQuery);
          }
          case SQUARED_DISTANCE -> -sum(w, output, x, (a, b) -> (a - b) * (a - b));
        };
    return (float) (value + (bias == null ? 0 : bias[output]));
  }

  /** Returns the best of some outputs, by all scores; null if one is NaN. */
  private static int[] best(float[] scores, int[] outputs, int k) {
    for (int output : outputs) {
      if (Float.isNaN(scores[output])) {
        return null;
      }
    }
    return Arrays.stream(outputs)
        .boxed()
        .sorted(
            Comparator.<Integer>comparingDouble(output -> -(scores[output] + 0f))
                .thenComparingInt(output -> output))
        .limit(k)
        .mapToInt(output -> output)
        .toArray();
  }

  private static float[] scores(float[] w, float[] x, float[] bias) {
    return scores(Similarity.INNER_PRODUCT, w, x, bias);
  }

  private static float[] scores(Similarity similarity, float[] w, float[] x, float[] bias) {
    float[] scores = new float[w.length / x.length];
    for (int output = 0; output < scores.length; output++) {
      scores[output] = score(similarity, w, output, x, bias);
    }
    return scores;
  }

  private static void assertBest(float[] scores, int[] outputs, int k, Ranking found, int row) {
    int[] expected = best(scores, outputs, k);
    assertEquals(expected != null, found.isDefined(row));
    if (expected == null) {
      assertEquals(0, found.size(row));
      return;
    }
    assertArrayEquals(expected, found.outputs(row));
    for (int rank = 0; rank < expected.length; rank++) {
      assertEquals(
          Float.floatToIntBits(scores[expected[rank]] + 0f),
          Float.floatToIntBits(found.score(row, rank) + 0f));
    }
  }

  private static float[] weights(Kind kind, Random random, int outputs, int features) {
    float[] w = new float[outputs * features];
    for (int i = 0; i < w.length; i++) {
      w[i] = kind.weight(random, i / features, i % features);
    }
    return w;
  }

  private static float[] bias(Random random, int outputs, int kind) {
    if (kind == 0) {
      return null;
    }
    float[] bias = new float[outputs];
    for (int i = 0; i < outputs; i++) {
      bias[i] =
          switch (kind) {
            case 1 -> random.nextInt(3);
            case 2 -> (float) (random.nextGaussian() * 1e30);
            case 3 -> i % 9 == 0 ? Float.NEGATIVE_INFINITY : i % 31 == 0 ? 1 / 0f : 0;
            default -> i == outputs - 1 ? Float.NaN : 0;
          };
    }
    return bias;
  }

  @ParameterizedTest
  @MethodSource("kernels")
  void findsWhatAllScoresHaveOnTop(KernelsUnderTest kernels) {
    Random random = new Random(1);
    for (Kind kind : Kind.values()) {
      for (int outputs : new int[] {1, 17, 300, 1500}) {
        int features = new int[] {1, 31, 64, 100}[random.nextInt(4)];
        float[] w = weights(kind, random, outputs, features);
        for (int ofBias = 0; ofBias < 5; ofBias++) {
          float[] bias = bias(random, outputs, ofBias);
          for (Similarity similarity : Similarity.values()) {
            compare(kernels.workers(), random, similarity, w, bias, outputs, features);
          }
        }
      }
    }
  }

  /** Compares three queries of each kind: 12,960 of all kinds of layers. */
  private static void compare(
      Workers workers,
      Random random,
      Similarity similarity,
      float[] w,
      float[] bias,
      int outputs,
      int features) {
    int[] all = IntStream.range(0, outputs).toArray();
    int batch = 24;
    float[][] scores = new float[batch][];
    float[] flat = new float[batch * features];
    for (int row = 0; row < batch; row++) {
      float[] x = query(random, features, row % 8);
      System.arraycopy(x, 0, flat, row * features, features);
      scores[row] = scores(similarity, w, x, bias);
    }
    try (FloatTensor tensor = FloatTensor.of(w, outputs, features);
        FloatTensor ofBias = bias == null ? null : FloatTensor.of(bias, outputs);
        FloatTensor queries = FloatTensor.of(flat, batch, features);
        DenseHead head = DenseHead.of(tensor, ofBias, similarity, workers)) {
      for (int k : new int[] {1, 10, outputs}) {
        Ranking found = head.topK(queries, k);
        for (int row = 0; row < batch; row++) {
          assertBest(scores[row], all, k, found, row);
        }
      }
      int[] only = Arrays.stream(all).filter(output -> output % 5 == 1).toArray();
      Ranking filtered = head.topK(queries, 3, Filter.only(only));
      for (int row = 0; row < batch; row++) {
        assertEquals(only.length == 0, filtered.isFilteredOut(row));
        assertBest(scores[row], only, 3, filtered, row);
      }
      float least = scores[1][outputs / 2];
      if (!Float.isNaN(least)) {
        Ranking above = head.atLeast(queries, least);
        for (int row = 0; row < batch; row++) {
          float[] ofRow = scores[row];
          int count = (int) Arrays.stream(all).filter(o -> !(ofRow[o] < least)).count();
          assertBest(ofRow, all, count, above, row);
        }
      }
    }
  }

  private static float[] gaussian(Random random, int count) {
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      values[i] = (float) random.nextGaussian();
    }
    return values;
  }

  /** Returns rows among which copies of the query stand out. */
  private static float[] withNeighbors(Random random, float[] w, float[] x, int outputs) {
    for (int i = 0; i < 20; i++) {
      int output = random.nextInt(outputs);
      for (int f = 0; f < x.length; f++) {
        w[output * x.length + f] = x[f] * (0.8f + 0.01f * i) + w[output * x.length + f] / 4;
      }
    }
    return w;
  }

  @Test
  void readsFewRowsWhereSomeStandOut() {
    int outputs = 70_001;
    int features = 48;
    Random random = new Random(2);
    float[] x = gaussian(random, features);
    float[] w = withNeighbors(random, gaussian(random, outputs * features), x, outputs);
    int[] all = IntStream.range(0, outputs).toArray();
    try (FloatTensor tensor = FloatTensor.of(w, outputs, features);
        FloatTensor query = FloatTensor.of(x, 1, features);
        DenseHead head = DenseHead.of(tensor, null)) {
      Ranking found = head.topK(query, 10);
      assertBest(scores(w, x, null), all, 10, found, 0);
      assertTrue(found.openedClasses(0) < outputs / 100, () -> "" + found.openedClasses(0));
      assertEquals(new DenseHead.Reads(outputs, 0, found.openedClasses(0)), head.reads());
    }
  }

  @Test
  void readsAllRowsOfFlatQueriesOnce() {
    int outputs = 70_000;
    int features = 40;
    float[] w = new float[outputs * features];
    Random random = new Random(3);
    for (int i = 0; i < w.length; i++) {
      w[i] = 1 + i % features + 1e-3f * (float) random.nextGaussian();
    }
    float[] x = gaussian(random, features);
    int[] all = IntStream.range(0, outputs).toArray();
    try (FloatTensor tensor = FloatTensor.of(w, outputs, features);
        FloatTensor query = FloatTensor.of(x, 1, features);
        DenseHead head = DenseHead.of(tensor, null)) {
      Ranking found = head.topK(query, 5);
      assertBest(scores(w, x, null), all, 5, found, 0);
      DenseHead.Reads reads = head.reads();
      assertTrue(reads.screened() < outputs, reads::toString);
      assertEquals(outputs, reads.multiplied());
      assertTrue(reads.scored() < outputs / 10, reads::toString);
    }
  }

  @Test
  void findsForManyQueriesWhatEachFinds() {
    int outputs = 5_000;
    int features = 32;
    int batch = 40;
    Random random = new Random(4);
    float[] x = gaussian(random, batch * features);
    try (FloatTensor tensor =
            FloatTensor.of(gaussian(random, outputs * features), outputs, features);
        FloatTensor queries = FloatTensor.of(x, batch, features);
        DenseHead head = DenseHead.of(tensor, null)) {
      Ranking together = head.topK(queries, 7);
      for (int row = 0; row < batch; row++) {
        float[] one = Arrays.copyOfRange(x, row * features, (row + 1) * features);
        try (FloatTensor query = FloatTensor.of(one, 1, features)) {
          Ranking alone = head.topK(query, 7);
          assertArrayEquals(alone.outputs(0), together.outputs(row));
          for (int rank = 0; rank < 7; rank++) {
            assertEquals(alone.score(0, rank), together.score(row, rank));
          }
        }
      }
    }
  }

  @Test
  void hasTheSameBitsAndReadsForAnyWorkersAndKernels() {
    int outputs = 40_000;
    int features = 33;
    Random random = new Random(4);
    float[] w = gaussian(random, outputs * features);
    try (FloatTensor tensor = FloatTensor.of(w, outputs, features);
        FloatTensor x = FloatTensor.of(gaussian(random, 3 * features), 3, features)) {
      Ranking expected = null;
      DenseHead.Reads reads = null;
      for (Workers workers :
          List.of(
              Workers.callingThread(),
              Workers.of(ForkJoinPool.commonPool(), 3),
              new Engine(Scheduler.common(), Kernels::java))) {
        try (DenseHead head = DenseHead.of(tensor, null, Similarity.INNER_PRODUCT, workers)) {
          Ranking found = head.topK(x, 12);
          if (expected == null) {
            expected = found;
            reads = head.reads();
          }
          assertEquals(reads, head.reads());
          for (int row = 0; row < 3; row++) {
            assertArrayEquals(expected.outputs(row), found.outputs(row));
            assertArrayEquals(expected.logProbabilities(row), found.logProbabilities(row));
          }
        }
      }
    }
  }

  /** Scores are the floats nearest to the exact ones, for every type of stored rows. */
  @Test
  void scoresStoredRowsExactly() {
    int outputs = 200;
    int features = 64;
    Random random = new Random(5);
    float[] x = gaussian(random, features);
    float[] in = gaussian(random, features * outputs);
    int[] all = IntStream.range(0, outputs).toArray();
    try (FloatTensor query = FloatTensor.of(x, 1, features);
        FloatTensor transposed = FloatTensor.of(in, 1, 1, features, outputs);
        FloatTensor rows = FloatTensor.of(in, 1, 1, outputs, features)) {
      for (ElementType type : ElementType.values()) {
        FloatTensor from = type.isPacked() ? transposed : rows;
        try (Weights stored = Weights.of(from, type);
            Weights W = type.isPacked() ? stored : stored.transposeBlocks();
            FloatTensor widened = W.widened();
            DenseHead head = DenseHead.of(W, null)) {
          float[] w = new float[outputs * features];
          for (int i = 0; i < w.length; i++) {
            w[i] = widened.get(0, 0, i % features, i / features);
          }
          Ranking found = head.topK(query, 9);
          assertBest(scores(w, x, null), all, 9, found, 0);
          BigDecimal sum = BigDecimal.ZERO;
          for (int i = 0; i < features; i++) {
            BigDecimal weight = new BigDecimal(w[found.output(0, 0) * features + i]);
            sum = sum.add(weight.multiply(new BigDecimal(x[i])));
          }
          assertEquals(sum.floatValue(), found.score(0, 0));
        }
      }
    }
  }

  /** Rows may lie in memory of other code. */
  @Test
  void searchesMemoryOfOthers() {
    assumeTrue(Backend.isNative());
    int outputs = 301;
    int features = 33;
    Random random = new Random(15);
    float[] x = gaussian(random, features);
    float[] w = gaussian(random, outputs * features);
    short[] halves = new short[w.length];
    float[] widened = new float[w.length];
    for (int i = 0; i < w.length; i++) {
      halves[i] = (short) (Float.floatToRawIntBits(w[i]) >>> 16);
      widened[i] = Float.intBitsToFloat(halves[i] << 16);
    }
    int[] all = IntStream.range(0, outputs).toArray();
    try (FloatPointer floats = new FloatPointer(w);
        ShortPointer shorts = new ShortPointer(halves);
        FloatTensor query = FloatTensor.of(x, 1, features);
        FloatTensor rows =
            FloatTensor.wrapAddress(floats.address(), 4L * w.length, floats, outputs, features);
        Weights stored =
            Weights.wrapAddress(
                shorts.address(),
                2L * w.length,
                shorts,
                ElementType.BFLOAT16,
                1,
                1,
                outputs,
                features);
        Weights columns = stored.transposeBlocks();
        DenseHead ofFloats = DenseHead.of(rows, null);
        DenseHead ofHalves = DenseHead.of(columns, null)) {
      assertBest(scores(w, x, null), all, 40, ofFloats.topK(query, 40), 0);
      assertBest(scores(widened, x, null), all, 40, ofHalves.topK(query, 40), 0);
    }
  }

  /** The types of a head in files, written without the library. */
  private enum Stored {
    F32(0, 4),
    F16(1, 2),
    BF16(30, 2),
    /** A scale in 16 bits, followed by 32 integers. */
    Q8_0(8, 34);

    final int type;
    final int bytes;

    Stored(int type, int bytes) {
      this.type = type;
      this.bytes = bytes;
    }

    /** Writes random weights, and returns them. */
    float[] write(Random random, int count, ByteBuffer to) {
      float[] w = new float[count];
      float scale = 0;
      for (int i = 0; i < count; i++) {
        switch (this) {
          case F32 -> {
            w[i] = (float) random.nextGaussian();
            to.putFloat(w[i]);
          }
          case BF16 -> {
            int bits = Float.floatToIntBits((float) random.nextGaussian()) >>> 16;
            w[i] = Float.intBitsToFloat(bits << 16);
            to.putShort((short) bits);
          }
          case F16, Q8_0 -> {
            int fraction = random.nextInt(1024);
            float half = (1 + fraction / 1024f) / 64; // exponent 9 of 31
            if (this == F16) {
              boolean negative = random.nextBoolean();
              w[i] = negative ? -half : half;
              to.putShort((short) (fraction | 9 << 10 | (negative ? 1 << 15 : 0)));
            } else {
              if (i % 32 == 0) {
                scale = half;
                to.putShort((short) (fraction | 9 << 10));
              }
              int code = random.nextInt(255) - 127;
              w[i] = scale * code;
              to.put((byte) code);
            }
          }
        }
      }
      return w;
    }
  }

  private static final int FILE_FEATURES = 64;

  private static void assertBestOfFile(Weights W, float[] w, Random random) {
    int outputs = w.length / FILE_FEATURES;
    float[] x = gaussian(random, 2 * FILE_FEATURES);
    int[] all = IntStream.range(0, outputs).toArray();
    try (FloatTensor queries = FloatTensor.of(x, 2, FILE_FEATURES);
        DenseHead head = DenseHead.of(W, null)) {
      assertEquals(outputs, head.outputs());
      Ranking found = head.topK(queries, 40);
      for (int row = 0; row < 2; row++) {
        float[] one = Arrays.copyOfRange(x, row * FILE_FEATURES, (row + 1) * FILE_FEATURES);
        assertBest(scores(w, one, null), all, 40, found, row);
      }
    }
  }

  @Test
  void findsTheBestOfGgufFiles(@TempDir Path folder) throws IOException {
    Random random = new Random(6);
    for (Stored stored : Stored.values()) {
      int count = 301 * FILE_FEATURES;
      ByteBuffer data =
          ByteBuffer.allocate(count / (stored == Stored.Q8_0 ? 32 : 1) * stored.bytes)
              .order(ByteOrder.LITTLE_ENDIAN);
      float[] w = stored.write(random, count, data);
      byte[] bytes =
          GgufBytes.of(1, 0)
              .tensor("output.weight", stored.type, 0, FILE_FEATURES, 301)
              .aligned(32)
              .raw(data.array())
              .bytes();
      Path file = Files.write(folder.resolve(stored + ".gguf"), bytes);
      try (GgufFile model = GgufFile.open(file);
          Weights W = model.weights("output.weight")) {
        assertBestOfFile(W, w, random);
      }
    }
  }

  @Test
  void findsTheBestOfSafetensorsFiles(@TempDir Path folder) throws IOException {
    Random random = new Random(7);
    for (Stored stored : List.of(Stored.F32, Stored.F16, Stored.BF16)) {
      int count = 301 * FILE_FEATURES;
      byte[] header =
          """
          {"lm_head.weight":{"dtype":"%s","shape":[301,%d],"data_offsets":[0,%d]}}
          """
              .formatted(stored, FILE_FEATURES, count * stored.bytes)
              .getBytes(StandardCharsets.US_ASCII);
      int length = (header.length + 7) / 8 * 8;
      ByteBuffer bytes =
          ByteBuffer.allocate(8 + length + count * stored.bytes).order(ByteOrder.LITTLE_ENDIAN);
      bytes.putLong(length).put(header);
      while (bytes.position() < 8 + length) {
        bytes.put((byte) ' ');
      }
      float[] w = stored.write(random, count, bytes);
      Path file = Files.write(folder.resolve(stored + ".safetensors"), bytes.array());
      for (LoadOptions options : List.of(LoadOptions.copied(), LoadOptions.mapped())) {
        try (TensorFile model = TensorFile.open(file, options);
            Weights rows = model.weights("lm_head.weight");
            Weights W = rows.transposeBlocks()) {
          assertBestOfFile(W, w, random);
        }
      }
    }
  }

  /** Requires that no output is missed whose score is the least that is wanted. */
  private static void assertReached(DenseHead head, float[] scores, FloatTensor query) {
    int[] all = IntStream.range(0, head.outputs()).toArray();
    for (float score : scores) {
      int count = (int) Arrays.stream(all).filter(o -> scores[o] >= score).count();
      assertBest(scores, all, count, head.atLeast(query, score), 0);
    }
    for (int k = 1; k <= all.length / 4; k++) {
      assertBest(scores, all, k, head.topK(query, k), 0);
    }
  }

  private static void assertReached(KernelsUnderTest kernels, float[] w, float[] x) {
    int outputs = w.length / x.length;
    try (FloatTensor W = FloatTensor.of(w, outputs, x.length);
        FloatTensor query = FloatTensor.of(x, 1, x.length);
        FloatTensor zeros = FloatTensor.zeros(outputs)) {
      for (Similarity similarity : Similarity.values()) {
        float[] scores = scores(similarity, w, x, null);
        for (FloatTensor bias : Arrays.asList(null, zeros)) {
          try (DenseHead head = DenseHead.of(W, bias, similarity, kernels.workers())) {
            assertReached(head, scores, query);
            assertEquals(outputs >= 100, head.reads().multiplied() > 0);
          }
        }
      }
    }
  }

  /** Four bits reduce or increase each row by the largest amount, in the direction of x. */
  @ParameterizedTest
  @MethodSource("kernels")
  void boundsHoldWhereErrorsOfRowsAddUp(KernelsUnderTest kernels) {
    int features = 32;
    int outputs = 24;
    float[] w = new float[outputs * features];
    float[] x = new float[features];
    Arrays.fill(x, 1);
    for (int output = 0; output < outputs; output++) {
      // Scores of about 100 seem to be 85, to be right, or to be 116.
      float[] row = new float[features];
      Arrays.fill(row, new float[] {3.49f, 3, 3.51f}[output % 3]);
      row[0] = -8;
      for (int i = 1; output % 3 == 1 && i < 16; i++) {
        row[i] = 4;
      }
      row[31] += output % 3 == 1 ? output % 4 : 0;
      System.arraycopy(row, 0, w, output * features, features);
    }
    assertReached(kernels, w, x);
  }

  /** Rounding x to 8 bits makes some rows seem smaller and others larger, by the largest amount. */
  @ParameterizedTest
  @MethodSource("kernels")
  void boundsHoldWhereErrorsOfQueriesAddUp(KernelsUnderTest kernels) {
    int features = 64;
    int outputs = 24;
    float[] w = new float[outputs * features];
    float[] x = new float[features];
    for (int i = 0; i < features; i++) {
      x[i] = i < 32 ? 100.49f : 100.51f; // 127 is the largest code of both groups
    }
    x[0] = x[63] = 127;
    for (int output = 0; output < outputs; output++) {
      for (int i = 1; i < 63; i++) {
        boolean first = i < 32;
        w[output * features + i] = first == (output % 2 == 0) ? 1 : 0;
      }
    }
    assertReached(kernels, w, x);
  }

  /** Sums of exact products, repeatedly rounded in one direction. */
  @ParameterizedTest
  @MethodSource("kernels")
  void boundsHoldWhereRoundingsAddUp(KernelsUnderTest kernels) {
    int features = 1 << 16;
    // The squares of 32 elements add up to 512, and those of a row to a square, so that four bits
    // are exact.
    float[] group = new float[32];
    Arrays.fill(group, 4);
    group[0] = -8;
    group[27] = group[28] = group[29] = 3;
    group[30] = 2;
    group[31] = 1;
    float[] w = new float[4 * features];
    for (int i = 0; i < w.length; i++) {
      w[i] = group[i % 32] * (i < features ? 1 : i < 2 * features ? -1 : 0);
    }
    float[] x = new float[features];
    for (int step = 0; step < 5; step++) {
      for (int i = 0; i < features; i++) {
        x[i] = (i % 32 == 0 ? -1 : 1) * (1.01f + 0.19f * step);
      }
      assertReached(kernels, w, x);
    }
  }

  /** Many candidates go on to a product in float32, which rounds differently from scores. */
  @ParameterizedTest
  @MethodSource("kernels")
  void boundsHoldInProducts(KernelsUnderTest kernels) {
    Random random = new Random(8);
    int features = 100;
    assertReached(kernels, gaussian(random, 120 * features), gaussian(random, features));
  }

  /** Returns probabilities in double, of scores divided by a temperature. */
  private static double[] softmax(float[] scores, double temperature) {
    double[] p = new double[scores.length];
    Arrays.setAll(p, i -> Math.exp((scores[i] - scores[0]) / temperature));
    double sum = Arrays.stream(p).sum();
    return Arrays.stream(p).map(value -> value / sum).toArray();
  }

  @Test
  void topPIsTheFewestThatHaveTheMass() {
    int outputs = 700;
    int features = 24;
    Random random = new Random(9);
    float[] w = gaussian(random, outputs * features);
    float[] x = gaussian(random, 2 * features);
    int[] odd = IntStream.range(0, outputs).filter(output -> output % 2 == 1).toArray();
    try (FloatTensor tensor = FloatTensor.of(w, outputs, features);
        FloatTensor queries = FloatTensor.of(x, 2, features);
        DenseHead head = DenseHead.of(tensor, null)) {
      for (double temperature : new double[] {0.7, 1, 3}) {
        for (double mass : new double[] {0.1, 0.5, 0.95}) {
          for (Filter filter :
              List.of(Filter.without(), Filter.only(odd), Filter.only(odd).withRenormalization())) {
            Ranking found = head.topP(queries, mass, temperature, filter);
            boolean isOdd = !filter.equals(Filter.without()) && filter.toString().contains("only");
            for (int row = 0; row < 2; row++) {
              float[] one = Arrays.copyOfRange(x, row * features, (row + 1) * features);
              double[] p = softmax(scores(w, one, null), temperature);
              int[] order =
                  IntStream.range(0, outputs)
                      .filter(output -> !isOdd || output % 2 == 1)
                      .boxed()
                      .sorted(Comparator.comparingDouble(output -> -p[output]))
                      .mapToInt(output -> output)
                      .toArray();
              double whole =
                  filter.toString().contains("renormalized")
                      ? Arrays.stream(order).mapToDouble(output -> p[output]).sum()
                      : 1;
              double sum = 0;
              int count = 0;
              while (count < order.length && sum < mass * whole) {
                sum += p[order[count++]];
              }
              assertArrayEquals(Arrays.copyOf(order, count), found.outputs(row));
              for (int rank = 0; rank < count; rank++) {
                assertEquals(p[order[rank]] / whole, found.probability(row, rank), 1e-6);
              }
            }
          }
        }
      }
    }
  }

  /** Draws have the probabilities of the softmax: a chi-squared test, with a seed. */
  @ParameterizedTest
  @MethodSource("kernels")
  void samplesByProbability(KernelsUnderTest kernels) {
    int outputs = 400;
    int features = 16;
    int draws = 4_000;
    double temperature = 1.5;
    Random random = new Random(10);
    float[] w = gaussian(random, outputs * features);
    float[] x = gaussian(random, features);
    float[] many = new float[draws * features];
    for (int i = 0; i < many.length; i++) {
      many[i] = x[i % features];
    }
    double[] p = softmax(scores(w, x, null), temperature);
    try (FloatTensor tensor = FloatTensor.of(w, outputs, features);
        FloatTensor queries = FloatTensor.of(many, draws, features);
        FloatTensor one = FloatTensor.of(x, 1, features);
        DenseHead head = DenseHead.of(tensor, null, Similarity.INNER_PRODUCT, kernels.workers())) {
      int[] drawn = head.sample(queries, temperature, new Random(11), Filter.without());
      int[] counts = new int[outputs];
      for (int output : drawn) {
        counts[output]++;
      }
      double chiSquared = 0;
      double rest = 0;
      int countOfRest = 0;
      int cells = 0;
      for (int output = 0; output < outputs; output++) {
        double expected = draws * p[output];
        if (expected < 5) {
          rest += expected;
          countOfRest += counts[output];
        } else {
          chiSquared += (counts[output] - expected) * (counts[output] - expected) / expected;
          cells++;
        }
      }
      chiSquared += (countOfRest - rest) * (countOfRest - rest) / rest;
      assertTrue(cells > 20, "cells: " + cells);
      double limit = cells + 4 * Math.sqrt(2.0 * cells);
      assertTrue(chiSquared < limit, "chi squared " + chiSquared + " of " + cells);

      // Single rows use four bits, and draw the same outputs.
      Random again = new Random(11);
      for (int draw = 0; draw < 100; draw++) {
        assertEquals(drawn[draw], head.sample(one, temperature, again, Filter.without())[0]);
      }
      assertTrue(head.reads().screened() > 0);
      int[] odd = IntStream.range(0, outputs).filter(output -> output % 2 == 1).toArray();
      for (int output : head.sample(queries, 5, new Random(12), Filter.only(odd))) {
        assertEquals(1, output % 2);
      }
    }
  }

  /** A sample reads fewer rows than there are, if a few are far more probable. */
  @Test
  void readsFewRowsForASample() {
    int outputs = 70_001;
    int features = 48;
    Random random = new Random(13);
    float[] x = gaussian(random, features);
    float[] w = withNeighbors(random, gaussian(random, outputs * features), x, outputs);
    try (FloatTensor tensor = FloatTensor.of(w, outputs, features);
        FloatTensor query = FloatTensor.of(x, 1, features);
        DenseHead head = DenseHead.of(tensor, null)) {
      head.sample(query, 1, random, Filter.without());
      DenseHead.Reads reads = head.reads();
      assertEquals(outputs, reads.screened());
      assertEquals(0, reads.multiplied());
      assertTrue(reads.scored() < outputs / 20, reads::toString);
    }
  }

  @Test
  void rejectsWhatHasNoProbabilities() {
    Random random = new Random(14);
    float[] rows = {1, Float.NEGATIVE_INFINITY, 2};
    try (FloatTensor W = FloatTensor.of(rows, 3, 1);
        FloatTensor x = FloatTensor.of(new float[] {1}, 1, 1);
        FloatTensor negative = FloatTensor.of(new float[] {-1}, 1, 1);
        FloatTensor nothing = FloatTensor.of(new float[] {Float.NaN}, 1, 1);
        DenseHead head = DenseHead.of(W, null)) {
      Filter all = Filter.without();
      assertArrayEquals(new int[] {2}, head.topP(x, 0.7, 1, all).outputs(0));
      assertArrayEquals(new int[] {2, 0}, head.topP(x, 1, 1, all).outputs(0));
      assertEquals(2, head.sample(x, 1e-3, random, all)[0]);
      for (FloatTensor undefined : List.of(negative, nothing)) {
        assertFalse(head.topP(undefined, 0.5, 1, all).isDefined(0));
        assertThrows(ArithmeticException.class, () -> head.sample(undefined, 1, random, all));
      }
      assertThrows(ArithmeticException.class, () -> head.sample(x, 1, random, Filter.only(1)));
    }
  }

  @Test
  void namesOutputs() {
    try (FloatTensor W = FloatTensor.of(new float[] {1, 2, 3}, 3, 1);
        FloatTensor x = FloatTensor.of(new float[] {1}, 1, 1);
        DenseHead head = DenseHead.of(W, null)) {
      assertFalse(head.hasLabels());
      head.setLabels(Labels.of("a", "b", "c"));
      assertEquals("c", head.topK(x, 1).label(0, 0));
    }
  }

  @Test
  void noQueriesHaveNoRankings() {
    try (FloatTensor W = FloatTensor.zeros(3, 4);
        FloatTensor empty = FloatTensor.zeros(0, 4);
        DenseHead head = DenseHead.of(W, null)) {
      assertEquals(0, head.topK(empty, 1).batch());
    }
  }
}
