// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.kernels;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.ForkJoinPool;
import java.util.function.Consumer;
import org.blocksparse.Activation;
import org.blocksparse.internal.backend.KernelChoice;
import org.blocksparse.internal.memory.Rows;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.schedule.GemmSchedule;
import org.blocksparse.internal.schedule.OuterSchedule;
import org.blocksparse.internal.schedule.Scheduler;
import org.blocksparse.internal.weights.Blocks;
import org.blocksparse.internal.weights.RowFormat;
import org.blocksparse.internal.weights.WeightType;
import org.blocksparse.testing.WatchedKernels;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The division of work: every part runs once, by any worker. */
final class EngineTest {
  private static final int[] WORKERS = {1, 2, 4};

  /** Elements that fit the cache beside their operands. */
  private static final int FUSED_ELEMENTS = 1 << 16;

  /** The rows of a batch that, with the numbers below, is enough work for helpers. */
  private static final int BATCH = 900;

  private static final int BLOCKS = 3;
  private static final int M = 5;
  private static final int N = 1000;

  private static final ProductKernels JAVA = Kernels.java().products();

  /** Rows [begin, end), or chunks or blocks, of which [from, to) are processed. */
  private record Piece(int begin, int end, int from, int to) {
    static Piece of(RowSelection rows) {
      return new Piece(rows.begin(), rows.end(), rows.columnBegin(), rows.columnEnd());
    }
  }

  /** Reference kernels that record the pieces they are called with. */
  private static final class Pieces {
    final List<Piece> products = new ArrayList<>();
    final List<RowSelection> activations = new ArrayList<>();
    final Kernels kernels = WatchedKernels.of(Kernels.java(), this::add);

    private synchronized void add(String kernel, Object[] of) {
      switch (kernel) {
        case "blockGemm", "blockOuter" ->
            products.add(new Piece((int) of[1], (int) of[2], (int) of[3], (int) of[4]));
        case "activation", "activationGradient" -> activations.add((RowSelection) of[0]);
        default -> {}
      }
    }
  }

  private static void assertEachOnce(List<Piece> pieces, int rows, int columns) {
    int[][] seen = new int[rows][columns];
    for (Piece piece : pieces) {
      for (int row = piece.begin; row < piece.end; row++) {
        for (int column = piece.from; column < piece.to; column++) {
          seen[row][column]++;
        }
      }
    }
    int[] once = new int[columns];
    Arrays.fill(once, 1);
    for (int row = 0; row < rows; row++) {
      assertArrayEquals(once, seen[row], "row " + row + " of " + pieces);
    }
  }

  private static Engine engine(int workers, Kernels kernels) {
    return KernelChoice.engine(new Scheduler(ForkJoinPool.commonPool(), workers)).with(kernels);
  }

  /** Returns small integers. */
  private static Storage numbers(int count) {
    Storage storage = Storage.allocate(count);
    for (int i = 0; i < count; i++) {
      storage.putFloat(i, i % 7 - 3);
    }
    return storage;
  }

  private static float[] floats(Storage storage) {
    float[] floats = new float[(int) storage.elements()];
    storage.getFloats(0, floats, 0, floats.length);
    return floats;
  }

  /**
   * Returns the block of each sample: sample b reads its row, and writes it by block b mod BLOCKS.
   */
  private static int[] blockOf() {
    int[] block = new int[BATCH];
    for (int b = 0; b < BATCH; b++) {
      block[b] = b % BLOCKS;
    }
    return block;
  }

  private static GemmSchedule schedule() {
    return GemmSchedule.of(BATCH, blockOf(), BLOCKS, new int[BATCH], 1);
  }

  private static BlockProduct product(GemmSchedule schedule, Storage c, int n) {
    return new BlockProduct(
        schedule,
        new Rows(numbers(BATCH * M), BATCH, M),
        Blocks.dense(numbers(BLOCKS * M * n), 1, BLOCKS, M, n),
        Sums.of(new Rows(c, BATCH, n), true));
  }

  @Test
  void product() {
    try (GemmSchedule schedule = schedule()) {
      Storage expected = numbers(BATCH * N);
      JAVA.blockGemm(product(schedule, expected, N), 0, schedule.chunks(), 0, N);
      for (int workers : WORKERS) {
        Pieces pieces = new Pieces();
        Storage c = numbers(BATCH * N);
        engine(workers, pieces.kernels).gemm(product(schedule, c, N));
        assertEachOnce(pieces.products, schedule.chunks(), N);
        assertTrue(pieces.products.size() > 1, "a few chunks are not cut");
        assertArrayEquals(floats(expected), floats(c));
      }
    }
  }

  /**
   * Few rows are cut into only as many columns as workers need, unless OpenBLAS may multiply: its
   * bits must not depend on the workers.
   */
  @ParameterizedTest
  @CsvSource({
    "1, false, 1",
    "2, false, 2",
    "4, false, 4",
    "8, false, 4",
    "1, true, 8",
    "4, true, 8"
  })
  void bandsOfFewRows(int workers, boolean mayUseBlas, int bands) {
    Pieces pieces = new Pieces();
    Kernels kernels =
        WatchedKernels.of(
            pieces.kernels,
            (kernel, arguments, call) -> kernel.equals("mayUseBlas") ? mayUseBlas : call.make());
    Rows a = new Rows(numbers(2 * M), 2, M);
    Blocks w = Blocks.dense(numbers(M * N), 1, 1, M, N);
    Storage expected = Storage.allocate(2 * N);
    Storage c = Storage.allocate(2 * N);
    try (GemmSchedule dense = GemmSchedule.dense(2)) {
      engine(1, Kernels.java()).gemm(dense, a, w, Sums.of(new Rows(expected, 2, N)));
      engine(workers, kernels).gemm(dense, a, w, Sums.of(new Rows(c, 2, N)));
      assertEachOnce(pieces.products, dense.chunks(), N);
    }
    assertEquals(bands, pieces.products.stream().map(Piece::from).distinct().count());
    assertArrayEquals(floats(expected), floats(c));
  }

  /** Each band rounds its rows, so there are fewer bands. */
  @ParameterizedTest
  @CsvSource({"FLOATS, 8", "BFLOAT16, 4"})
  void bandsOfRoundedRows(RowFormat format, int bands) {
    Pieces pieces = new Pieces();
    int batch = 100;
    Rows a = new Rows(numbers(batch * M), batch, M);
    Blocks w = Blocks.dense(numbers(M * N), 1, 1, M, N).as(WeightType.BFLOAT16, null);
    Rows c = new Rows(numbers(batch * N), batch, N);
    try (GemmSchedule dense = GemmSchedule.dense(batch)) {
      engine(1, pieces.kernels).gemm(new BlockProduct(dense, a, format, w, Sums.of(c), null));
      assertEachOnce(pieces.products, dense.chunks(), N);
    }
    assertEquals(bands, pieces.products.stream().map(Piece::from).distinct().count());
  }

  /** A step after a product takes as many rows as are still in the cache. */
  @ParameterizedTest
  @ValueSource(ints = {64, 1000})
  void activationAfterAProduct(int n) {
    for (int workers : WORKERS) {
      Pieces pieces = new Pieces();
      Storage z = numbers(BATCH * n);
      Storage a = Storage.allocate((long) BATCH * n);
      List<Piece> taken = new ArrayList<>();
      try (GemmSchedule schedule = schedule()) {
        ActivationInput input =
            new ActivationInput(Activation.RELU, n, new Rows(z, BATCH, n), null);
        engine(workers, pieces.kernels)
            .gemmThenActivation(product(schedule, z, n), input, new Rows(a, BATCH, n));
        // The width of all bands but the last, which may be narrower.
        int width =
            pieces.activations.stream().mapToInt(RowSelection::columnEnd).min().orElseThrow();
        RowSelection before = null;
        for (RowSelection rows : pieces.activations) {
          assertEquals(schedule, rows.schedule());
          taken.add(Piece.of(rows));
          int begin = schedule.rowStart(rows.begin());
          assertTrue(
              rows.end() == rows.begin() + 1
                  || (schedule.rowStart(rows.end()) - begin) * width <= FUSED_ELEMENTS,
              "too many at a time: " + rows);
          if (workers == 1 && before != null && before.columnBegin() == rows.columnBegin()) {
            int both = schedule.rowStart(before.end() + 1) - schedule.rowStart(before.begin());
            assertTrue(both * width > FUSED_ELEMENTS, "too few at a time: " + before);
          }
          before = rows;
        }
        assertEachOnce(taken, schedule.chunks(), n);
        assertEachOnce(pieces.products, schedule.chunks(), n);
      }
      float[] relu = floats(z);
      for (int i = 0; i < relu.length; i++) {
        relu[i] = Math.max(0, relu[i]);
      }
      assertArrayEquals(relu, floats(a));
    }
  }

  /** A gated activation needs both halves of a row, which may be two bands of a product. */
  @ParameterizedTest
  @CsvSource({"64, true", "2000, false"})
  void gatedActivationAfterAProduct(int n, boolean fused) {
    Pieces pieces = new Pieces();
    Storage z = numbers(BATCH * n);
    Storage a = Storage.allocate((long) BATCH * (n / 2));
    try (GemmSchedule schedule = schedule()) {
      ActivationInput input =
          new ActivationInput(Activation.SWIGLU, n / 2, new Rows(z, BATCH, n), null);
      engine(1, pieces.kernels)
          .gemmThenActivation(product(schedule, z, n), input, new Rows(a, BATCH, n / 2));
      List<Piece> taken = new ArrayList<>();
      for (RowSelection rows : pieces.activations) {
        assertEquals(fused ? schedule : null, rows.schedule());
        taken.add(Piece.of(rows));
      }
      assertEachOnce(taken, fused ? schedule.chunks() : BATCH, n / 2);
    }
  }

  @ParameterizedTest
  @CsvSource({"1, 10000, 32", "3, 1000, 8", "2, 100, 1", "500, 3000, 1"})
  void activationOfRows(int count, int n, int bands) {
    for (int workers : WORKERS) {
      Pieces pieces = new Pieces();
      Rows z = new Rows(numbers(count * n), count, n);
      engine(workers, pieces.kernels)
          .activation(new ActivationInput(Activation.IDENTITY, n, z, null), z);
      List<Piece> taken = pieces.activations.stream().map(Piece::of).toList();
      assertEachOnce(taken, count, n);
      assertEquals(bands, taken.stream().map(Piece::from).distinct().count(), "bands of " + taken);
    }
  }

  private static OuterSchedule outerSchedule() {
    return OuterSchedule.of(BATCH, new int[BATCH], 1, blockOf(), BLOCKS);
  }

  /** Returns the outer products of all rows of 1000 and of 5. */
  private static float[] outer(Consumer<Blocks> call) {
    Storage o = numbers(BLOCKS * N * M);
    call.accept(Blocks.dense(o, 1, BLOCKS, N, M));
    return floats(o);
  }

  private static float[] outer(OuterSchedule schedule, Rows x, Rows y, boolean accumulate) {
    return outer(
        o -> JAVA.blockOuter(new OuterProduct(schedule, 1, x, y, accumulate, o), 0, BLOCKS, 0, N));
  }

  @Test
  void outerProducts() {
    Rows x = new Rows(numbers(BATCH * N), BATCH, N);
    Rows y = new Rows(numbers(BATCH * M), BATCH, M);
    try (OuterSchedule schedule = outerSchedule()) {
      float[] expected = outer(schedule, x, y, true);
      for (int workers : WORKERS) {
        Pieces pieces = new Pieces();
        Engine engine = engine(workers, pieces.kernels);
        assertArrayEquals(expected, outer(o -> engine.outer(schedule, 1, x, y, true, o)));
        assertEachOnce(pieces.products, BLOCKS, N);
        // For three blocks that are used alike, 11 bands each are enough; they are 128 rows high.
        assertEquals(8, pieces.products.stream().map(Piece::from).distinct().count());
      }
    }
  }

  @ParameterizedTest
  @CsvSource({"false, 8", "true, 1"})
  void bandsOfOuterProducts(boolean whole, int bands) {
    Rows x = new Rows(numbers(BATCH * N), BATCH, N);
    Rows y = new Rows(numbers(BATCH * M), BATCH, M);
    try (OuterSchedule schedule = outerSchedule()) {
      float[] expected = outer(schedule, x, y, false);
      for (int workers : WORKERS) {
        float[] actual = new float[BLOCKS * N * M];
        List<Piece> taken = new ArrayList<>();
        Blocks like = Blocks.dense(null, 1, BLOCKS, N, M);
        engine(workers, Kernels.java())
            .outerBands(
                schedule,
                x,
                y,
                like,
                whole,
                (block, row, rows, gradient) -> {
                  synchronized (taken) {
                    taken.add(new Piece(block, block + 1, row, row + rows));
                  }
                  gradient.getFloats(0, actual, (block * N + row) * M, rows * M);
                });
        assertEachOnce(taken, BLOCKS, N);
        assertEquals(bands, taken.stream().map(Piece::from).distinct().count());
        assertArrayEquals(expected, actual);
      }
    }
  }

  @Test
  void sumsOfTheRowsOfEachBlock() {
    Storage y = numbers(BATCH * N);
    float[] expected = new float[BLOCKS * N];
    for (int i = 0; i < BATCH * N; i++) {
      expected[i / N % BLOCKS * N + i % N] += y.getFloat(i);
    }
    try (GemmSchedule schedule = schedule()) {
      for (int workers : WORKERS) {
        Engine engine = engine(workers, Kernels.java());
        Rows rows = new Rows(y, BATCH, N);
        float[] sums = new float[BLOCKS * N];
        engine.sums(
            schedule, BLOCKS, N, rows, (block, sum) -> sum.getFloats(0, sums, block * N, N));
        assertArrayEquals(expected, sums);
        Storage written = numbers(BLOCKS * N);
        engine.sum(schedule, N, 1, rows, false, new Rows(written, BLOCKS, N));
        assertArrayEquals(expected, floats(written));
      }
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 4095, 4096, 4097, 1 << 20, (1 << 20) + 1})
  void addedRows(int elements) {
    Storage y = numbers(elements);
    for (int workers : WORKERS) {
      Storage to = numbers(elements);
      engine(workers, Kernels.java()).add(2, new Rows(y, 1, elements), new Rows(to, 1, elements));
      for (int i = 0; i < elements; i++) {
        assertEquals(3 * y.getFloat(i), to.getFloat(i));
      }
    }
  }

  @Test
  void workIsCountedInMultiplyAdds() {
    assertEquals(2 * 3 * 5, Scheduler.work(2, 3, 5));
    assertEquals(2 * 5, Scheduler.work(2, 0, 5));
    assertEquals(2 * 3, Scheduler.work(2, 3, 0));
    assertEquals(1L << 62, Scheduler.work(1L << 20, 1 << 21, 1 << 21));
  }

  /**
   * As many bands as requested, but none narrower than 64, and all but the last a multiple of it.
   */
  @ParameterizedTest
  @CsvSource({
    "1, 1, 1",
    "100, 32, 100",
    "127, 32, 127",
    "128, 32, 64",
    "200, 2, 128",
    "1000, 1, 1000",
    "1000, 2, 512",
    "1000, 11, 128",
    "1000, 32, 128",
    "10000, 32, 320",
    "0, 5, 0"
  })
  void widthOfBands(int size, long wanted, int width) {
    assertEquals(width, Engine.bandWidth(size, wanted));
  }

  /** The sizes go up to rows that exceed the memory of most machines. */
  @ParameterizedTest
  @ValueSource(
      ints = {
        1,
        63,
        64,
        65,
        127,
        128,
        2047,
        2048,
        2049,
        1_000_003,
        Integer.MAX_VALUE - 2047,
        Integer.MAX_VALUE - 2046,
        Integer.MAX_VALUE - 1,
        Integer.MAX_VALUE
      })
  void bandsFollowEachOtherToTheEnd(int size) {
    for (long wanted : new long[] {0, 1, 2, 3, 31, 32, 33, 1000}) {
      int width = Engine.bandWidth(size, wanted);
      String of = "bands of " + width + " of " + size;
      int bands = (int) ((size + (long) width - 1) / width);
      assertTrue(bands <= Math.max(1, wanted), of);
      int end = 0;
      for (int band = 0; band < bands; band++) {
        int begin = band * width;
        assertEquals(end, begin, of);
        end = Engine.bandEnd(begin, width, size);
        assertTrue(begin < end && end <= size, of + ": " + begin + " to " + end);
      }
      assertEquals(size, end, of);
    }
  }
}
