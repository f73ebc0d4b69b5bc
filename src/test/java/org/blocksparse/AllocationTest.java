// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.sun.management.ThreadMXBean;
import java.lang.management.ManagementFactory;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.concurrent.ForkJoinPool;
import java.util.function.IntConsumer;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import java.util.stream.Stream;
import org.blocksparse.bag.EmbeddingBag;
import org.blocksparse.ranking.Filter;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.blocksparse.softmax.LabelTree;
import org.blocksparse.softmax.Loss;
import org.blocksparse.testing.Data;
import org.blocksparse.testing.Seeded;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

/**
 * The heap allocation of a layer's call after similar calls: it is the same however the call is
 * compiled, so that it can be tested.
 */
@ExtendWith(Seeded.class)
final class AllocationTest {
  private static final int FEATURES = 64;
  private static final int OUTPUTS = 100_000;
  private static final int BATCH = 1024;
  private static final int ROWS = 256;
  private static final int K = 10;

  /** The number of calls after which every array has grown to its final size. */
  private static final int BEFORE = 10;

  private static final int CALLS = 20;

  /** The maximum number of rounds of calls until everything is compiled. */
  private static final int ROUNDS = 50;

  private static final long LITTLE = 16 << 10;

  /** The heap bytes of a ranking of all rows. */
  private static final long RESULT = ROWS * (2L * (16 + 4 * K) + 3 * Integer.BYTES);

  private final HierarchicalSoftmax layer =
      HierarchicalSoftmax.builder(FEATURES, OUTPUTS).workers(Workers.callingThread()).build();
  private FloatTensor x;
  private IntTensor[] targets;

  @BeforeEach
  void operands(Data data) {
    assumeTrue(Backend.isNative(), "the Java kernels take some heap themselves");
    x = FloatTensor.of(data.coarseFloats(BATCH * FEATURES), BATCH, FEATURES);
    targets = new IntTensor[4]; // each batch has other classes
    for (int i = 0; i < targets.length; i++) {
      targets[i] = IntTensor.of(data.indices(BATCH, OUTPUTS), BATCH);
    }
  }

  @AfterEach
  void close() {
    layer.close();
    if (x != null) {
      x.close();
      for (IntTensor batch : targets) {
        batch.close();
      }
    }
  }

  @FunctionalInterface
  private interface Call {
    void run(IntTensor targets);
  }

  /**
   * Asserts that a call takes less than some bytes of the heap in the end, on average. Until the
   * JVM has compiled the code, it allocates temporary objects as well. Allocations of other threads
   * in the meantime count as well.
   */
  private static void assertTakesLess(long most, String name, IntConsumer call) {
    ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    for (int i = 0; i < BEFORE; i++) {
      call.accept(i);
    }
    long bytes = most;
    for (int round = 0; round < ROUNDS && bytes >= most; round++) {
      long before = allocated(threads);
      for (int i = 0; i < CALLS; i++) {
        call.accept(i);
      }
      bytes = (allocated(threads) - before) / CALLS;
    }
    assertTrue(bytes < most, name + " takes " + bytes + " bytes of the heap, at most " + most);
  }

  private static long allocated(ThreadMXBean threads) {
    return LongStream.of(threads.getThreadAllocatedBytes(threads.getAllThreadIds()))
        .filter(bytes -> bytes > 0) // -1: the thread has ended
        .sum();
  }

  private void assertTakesLittle(String name, Call call) {
    assertTakesLess(LITTLE, name, number -> call.run(targets[number % targets.length]));
  }

  @Test
  void steps() {
    try (FloatTensor gradX = FloatTensor.zeros(BATCH, FEATURES);
        FloatTensor weights = FloatTensor.zeros(BATCH)) {
      for (int row = 0; row < BATCH; row += 2) {
        weights.set(1, row);
      }
      assertTakesLittle("descent", batch -> layer.step(x, batch, Optimizer.sgd(0.1f)));
      assertTakesLittle(
          "gradX", batch -> layer.step(x, batch, Loss.mean(), Optimizer.sgd(0.1f), gradX));
      assertTakesLittle("adagrad", batch -> layer.step(x, batch, Optimizer.adagrad(0.1f)));
      assertTakesLittle("adam", batch -> layer.step(x, batch, Optimizer.adam(0.1f)));
      Loss someRows = Loss.mean().withRowWeights(weights);
      assertTakesLittle(
          "half of the rows",
          batch -> layer.step(x, batch, someRows, Optimizer.adagrad(0.1f), gradX));
    }
  }

  @Test
  void stepsOfABag() {
    int vocabulary = 30_000;
    SparseRows[] rows = rows(vocabulary, 44);
    try (EmbeddingBag bag =
        EmbeddingBag.builder(vocabulary, FEATURES)
            .mode(EmbeddingBag.Mode.MEAN)
            .workers(Workers.callingThread())
            .build()) {
      for (Optimizer rule : List.of(Optimizer.sgd(0.1f), Optimizer.adam(0.1f))) {
        assertTakesLess(
            LITTLE, rule.toString(), call -> bag.step(rows[call % rows.length], x, rule));
      }
    }
    Arrays.stream(rows).forEach(SparseRows::close);
  }

  @Test
  void stepsOfALabelTree() {
    int outputs = 10_000;
    SparseRows[] rows = rows(outputs, 3);
    try (LabelTree tree =
            LabelTree.builder(FEATURES, outputs).workers(Workers.callingThread()).build();
        FloatTensor gradX = FloatTensor.zeros(BATCH, FEATURES)) {
      for (Optimizer rule : List.of(Optimizer.sgd(0.1f), Optimizer.adam(0.1f))) {
        assertTakesLess(
            LITTLE,
            rule.toString(),
            call -> tree.step(x, rows[call % rows.length], Loss.mean(), rule, gradX));
      }
      assertTakesLess(LITTLE, "loss", call -> tree.loss(x, rows[call % rows.length]));
    }
    Arrays.stream(rows).forEach(SparseRows::close);
  }

  /** Returns batches of rows of a size. One index is in all of them. */
  private static SparseRows[] rows(int bound, int size) {
    SplittableRandom random = new SplittableRandom(1);
    return Stream.generate(
            () ->
                Stream.generate(() -> random.ints(size, 0, bound).toArray())
                    .peek(row -> row[0] = 7)
                    .limit(BATCH)
                    .toList())
        .map(SparseRows::of)
        .limit(4)
        .toArray(SparseRows[]::new);
  }

  @Test
  void losses() {
    assertTakesLittle("loss", batch -> layer.loss(x, batch));
    assertTakesLittle("P(target)", batch -> layer.probabilitiesOf(x, batch).close());
  }

  /** Returns rows whose likeliest outputs are in a few classes. */
  private static FloatTensor peaked(SplittableRandom random) {
    FloatTensor rows = FloatTensor.zeros(ROWS, FEATURES);
    for (int row = 0; row < ROWS; row++) {
      for (int feature = 0; feature < FEATURES; feature++) {
        rows.set((float) random.nextDouble(-30, 30), row, feature);
      }
    }
    return rows;
  }

  @Test
  void searches() {
    try (FloatTensor rows = peaked(new SplittableRandom(1));
        FloatTensor one = FloatTensor.zeros(1, FEATURES)) {
      assertTakesLess(RESULT + (64 << 10), "a search", call -> layer.topK(rows, K));
      // Such a row opens all classes.
      assertTakesLittle("a search of a row that knows nothing", batch -> layer.topK(one, K));
    }
  }

  /** Each product has tasks to share, and asks the executor for help. */
  @Test
  void twoWorkers() {
    Workers two = Workers.of(ForkJoinPool.commonPool(), 2);
    try (HierarchicalSoftmax shared =
            HierarchicalSoftmax.builder(FEATURES, OUTPUTS).workers(two).build();
        FloatTensor rows = peaked(new SplittableRandom(1))) {
      Map<String, Call> calls =
          Map.of(
              "descent", batch -> shared.step(x, batch, Optimizer.sgd(0.1f)),
              "adagrad", batch -> shared.step(x, batch, Optimizer.adagrad(0.1f)),
              "loss", batch -> shared.loss(x, batch),
              "P(target)", batch -> shared.probabilitiesOf(x, batch).close());
      calls.forEach(
          (name, call) ->
              assertTakesLess(LITTLE, name, number -> call.run(targets[number % targets.length])));
      assertTakesLess(RESULT + (64 << 10), "a search", call -> shared.topK(rows, K));
    }
  }

  /**
   * Half of all outputs are allowed. Listing them takes 200 KB: the first calls allocate it, and
   * the filter keeps it.
   */
  @Test
  void searchesWithASharedFilter() {
    Filter half = Filter.only(IntStream.range(0, OUTPUTS).filter(o -> o % 2 == 0).toArray());
    Filter most = Filter.without(IntStream.range(0, OUTPUTS).filter(o -> o % 5 == 0).toArray());
    float[] values = new float[FEATURES];
    Arrays.fill(values, 30);
    try (FloatTensor one = FloatTensor.of(values, 1, FEATURES);
        SparseRows seen = SparseRows.of(List.of(new int[] {1, 2, 3}))) {
      Filter unseen = Filter.without(seen);
      assertTakesLess(100 << 10, "half", call -> layer.topK(one, K, half));
      assertTakesLess(100 << 10, "with rows", call -> layer.topK(one, K, half.and(unseen)));
      assertTakesLess(
          100 << 10, "with a list", call -> layer.topK(one, K, half.and(Filter.only(7))));
      assertTakesLess(100 << 10, "two", call -> layer.topK(one, K, half.and(most).and(unseen)));
    }
  }

  @Test
  void samples() {
    SplittableRandom random = new SplittableRandom(1);
    assertTakesLess(128 << 10, "drawing", call -> layer.sample(x, random));
  }
}
