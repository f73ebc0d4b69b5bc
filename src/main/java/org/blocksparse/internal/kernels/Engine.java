// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.kernels;

import static java.util.Objects.requireNonNull;
import static org.blocksparse.internal.schedule.Scheduler.ceilDiv;
import static org.blocksparse.internal.schedule.Scheduler.work;

import java.math.BigInteger;
import java.time.Duration;
import java.util.function.IntConsumer;
import java.util.function.Supplier;
import org.blocksparse.Workers;
import org.blocksparse.internal.binding.Blocksparse;
import org.blocksparse.internal.memory.Rows;
import org.blocksparse.internal.memory.Scratch;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.schedule.GemmSchedule;
import org.blocksparse.internal.schedule.OuterSchedule;
import org.blocksparse.internal.schedule.Scheduler;
import org.blocksparse.internal.weights.Blocks;
import org.blocksparse.internal.weights.RowFormat;

/**
 * Runs every operation: cuts its schedule into tasks, and runs them by kernels and a scheduler.
 *
 * <p>Where a schedule has few chunks (a batch of one, a few large experts), each is cut further, by
 * columns of the rows written or by rows of the block written. How far depends on the problem
 * alone, or on the number of workers where no bit depends on it.
 */
public final class Engine implements Workers {
  /** The number of tasks that balances the load and lets workers end at about the same time. */
  static final int ENOUGH_TASKS = 32;

  /** The narrowest band into which a row or a block is cut. */
  private static final int MIN_BAND = Blocksparse.BLOCKSPARSE_BAND;

  /** The mean pairs of a block up to which a product gains from reading long runs of w. */
  private static final int FEW_PAIRS = 16;

  /** The narrowest band of products with long runs, and of products that round rows first. */
  private static final int MIN_WIDE_BAND = 256;

  /** The elements of a gradient that stay in the cache, together with its inputs and its use. */
  private static final int BAND_ELEMENTS = 1 << 16;

  /** The cost of a softmax for each element, in multiply-adds. */
  private static final int SOFTMAX_WORK = 16;

  /** The cost of an activation for each element, in multiply-adds. */
  private static final int ACTIVATION_WORK = 16;

  /** The cost of rounding for each element, in multiply-adds. */
  private static final int ROUNDING_WORK = 4;

  /** The elements of rows that are still in the cache when the step after a product reads them. */
  private static final int FUSED_ELEMENTS = 1 << 16;

  /** The elements that are added at a time. */
  private static final int ADDED_ELEMENTS = 1 << 12;

  private final Scheduler scheduler;

  private final Supplier<Kernels> kernels;

  /**
   * Creates an engine.
   *
   * @param kernels called by each operation, so that kernels are chosen when they are first used
   */
  public Engine(Scheduler scheduler, Supplier<Kernels> kernels) {
    this.scheduler = scheduler;
    this.kernels = kernels;
  }

  /** Returns the only implementation of workers. */
  public static Engine from(Workers workers) {
    return (Engine) workers;
  }

  /** Returns an engine with the same threads over given kernels. */
  public Engine with(Kernels other) {
    return new Engine(scheduler, () -> other);
  }

  @Override
  public Engine withSpin(Duration time) {
    if (requireNonNull(time, "time").isNegative() || time.compareTo(Duration.ofHours(1)) > 0) {
      throw new IllegalArgumentException("time: expected 0 to 1 hour but was " + time);
    }
    return new Engine(scheduler.withSpin(time.toNanos()), kernels);
  }

  /**
   * Returns the kernels.
   *
   * @throws UnsatisfiedLinkError if native kernels should run but cannot
   */
  public Kernels kernels() {
    return kernels.get();
  }

  /** Returns the threads. */
  public Scheduler scheduler() {
    return scheduler;
  }

  /** Returns the maximum number of threads that work on one operation, the calling one included. */
  @Override
  public int max() {
    return scheduler.maxWorkers();
  }

  /** See {@link Scheduler#run(int, long, Scheduler.Body)}. */
  public void run(int tasks, long work, Scheduler.Body body) {
    scheduler.run(tasks, work, body);
  }

  /** See {@link Scheduler#run(Scheduler.Stage, Scheduler.Stage)}. */
  void run(Scheduler.Stage first, Scheduler.Stage second) {
    scheduler.run(first, second);
  }

  /** See {@link Scheduler#run(int, long, Supplier, Scheduler.SharedBody)}. */
  public <S extends Scheduler.Share> void run(
      int tasks, long work, Supplier<S> shares, Scheduler.SharedBody<S> body) {
    scheduler.run(tasks, work, shares, body);
  }

  /** Returns the width of the bands that {@code size} is cut into, given how many are wanted. */
  static int bandWidth(int size, long wanted) {
    long bands = Math.max(1, Math.min(wanted, size / MIN_BAND));
    long width = ceilDiv(size, bands);
    return (int) Math.min(size, (width + MIN_BAND - 1) / MIN_BAND * MIN_BAND);
  }

  /**
   * Returns where the band of that width ends which begins at {@code begin}; the last one is
   * shorter.
   */
  static int bandEnd(int begin, int width, int size) {
    return (int) Math.min((long) begin + width, size); // the sum may overflow an int
  }

  /** See {@link ProductKernels#blockGemm}. */
  public void gemm(GemmSchedule schedule, Rows a, Blocks w, Sums c) {
    gemm(new BlockProduct(schedule, a, w, c));
  }

  /** Runs a product alone. */
  public void gemm(BlockProduct product) {
    gemm(product, null, false);
  }

  /**
   * Runs a product followed by an activation, chunk by chunk while its rows are in the cache.
   *
   * @param input the result of the product, with the other operands of the activation
   * @param a the result of the activation; may be the same rows, unless the activation is gated
   */
  public void gemmThenActivation(BlockProduct product, ActivationInput input, Rows a) {
    boolean gated = input.function().isGated();
    gemm(
        product,
        (kernels, rows) -> kernels.activation(gated ? rows.withColumns(input.n()) : rows, input, a),
        gated);
  }

  /**
   * Runs a product that computes the gradient of an activation's output, followed by the gradient
   * of its input, chunk by chunk while its rows are in the cache.
   *
   * @param gradient the gradient of the rows that the product writes, which may be its gradZ,
   *     unless the activation is gated or gradZ is added to
   */
  public void gemmThenActivationGradient(BlockProduct product, ActivationGradient gradient) {
    gemm(
        product,
        (kernels, rows) -> kernels.activationGradient(rows, gradient),
        gradient.gradGate() != null);
  }

  /** An operation on rows, element by element. */
  private interface RowOperation {
    void run(RowKernels kernels, RowSelection rows);
  }

  /**
   * Runs a product and the operation after it.
   *
   * @param then the next step, or null; it receives the written columns that are there
   * @param wholeRows whether it needs all columns at once: where the product is cut by columns, it
   *     then follows in a pass of its own
   */
  private void gemm(BlockProduct product, RowOperation then, boolean wholeRows) {
    if (!product.w().type().isPacked()) {
      gemm(product, null, then, wholeRows);
      return;
    }
    Rows a = product.a();
    int size = product.w().inSize();
    long elements = RoundedRows.elements(product.format(), a.count(), size);
    try (Scratch memory = Scratch.borrow(elements)) {
      RoundedRows rounded = new RoundedRows(memory.storage(), product.format(), a.count(), size);
      round(a, rounded);
      PackedProduct packed =
          new PackedProduct(product.schedule(), rounded, product.w(), product.c());
      gemm(product, packed, then, wholeRows);
    }
  }

  /** Rounds rows. */
  void round(Rows a, RoundedRows rounded) {
    Scheduler.Stage stage = rounding(a, rounded);
    scheduler.run(stage.tasks(), stage.work(), stage.body());
  }

  /** Returns the stage that rounds rows. */
  Scheduler.Stage rounding(Rows a, RoundedRows rounded) {
    Kernels used = kernels();
    return new Scheduler.Stage(
        Math.toIntExact(a.count()),
        work(a.count(), ROUNDING_WORK, rounded.size()),
        (begin, end) -> used.products().roundRows(begin, end, a, rounded));
  }

  /**
   * Runs a product and the operation after it.
   *
   * @param packed the same product if w is packed, else null
   */
  private void gemm(
      BlockProduct product, PackedProduct packed, RowOperation then, boolean wholeRows) {
    Kernels used = kernels();
    GemmSchedule schedule = product.schedule();
    int chunks = schedule.chunks();
    int n = product.w().outSize();
    if (chunks == 0) {
      return;
    }
    if (n == 0) {
      if (then != null) { // even so, the gate has a gradient: 0
        forEachRow(product.c().rows().count(), n, true, then);
      }
      return;
    }
    int width = bandWidth(product);
    int bands = ceilDiv(n, width);
    RowOperation fused = wholeRows && bands > 1 ? null : then;
    boolean few = fused != null || product.before() != null; // chunks at a time
    scheduler.run(
        Math.multiplyExact(chunks, bands),
        work(Math.max(schedule.pairs(), schedule.rows()), product.w().inSize(), n)
            + (then == null ? 0 : work(schedule.rows(), ACTIVATION_WORK, n)),
        (begin, end) -> {
          // Tasks of one band follow each other, so that a claim is few calls.
          for (int task = begin; task < end; ) {
            int band = task / chunks;
            int chunk = task % chunks;
            int count = Math.min(end - task, chunks - chunk);
            int last = few ? fusedEnd(schedule, chunk, chunk + count, width) : chunk + count;
            int column = band * width;
            int columnEnd = bandEnd(column, width, n);
            if (product.before() != null) {
              used.products().blockGemm(product.before(), chunk, last, column, columnEnd);
            }
            if (packed != null) {
              used.products().packedGemm(packed, chunk, last, column, columnEnd);
            } else {
              used.products().blockGemm(product, chunk, last, column, columnEnd);
            }
            if (fused != null) {
              RowSelection rows = new RowSelection(schedule, chunk, last, column, columnEnd);
              fused.run(used.rows(), rows);
            }
            task += last - chunk;
          }
        });
    if (then != null && fused == null) {
      forEachRow(product.c().rows().count(), n, true, then);
    }
  }

  /**
   * Returns the width of the bands that a product is cut into by columns. Bands of few pairs are as
   * few as give all workers the same number of tasks.
   */
  private int bandWidth(BlockProduct product) {
    int chunks = product.schedule().chunks();
    int n = product.w().outSize();
    int width = bandWidth(n, ceilDiv(ENOUGH_TASKS, chunks));
    int least = Math.max(width, Math.min(n, MIN_WIDE_BAND));
    if (!gainsByLongRuns(product)) {
      return product.format() == RowFormat.BFLOAT16 ? least : width; // each band rounds its rows
    }
    int workers = max();
    int fewest = workers / BigInteger.valueOf(workers).gcd(BigInteger.valueOf(chunks)).intValue();
    return Math.max(least, bandWidth(n, fewest));
  }

  private boolean gainsByLongRuns(BlockProduct product) {
    GemmSchedule schedule = product.schedule();
    Blocks w = product.w();
    return !w.transposed()
        && !w.type().isPacked()
        && schedule.pairs() <= (long) FEW_PAIRS * schedule.segments()
        && !kernels().products().mayUseBlas(w); // the cut must not depend on the workers
  }

  /**
   * Returns the end of the chunks from {@code chunk} on, at least one, that are few enough to be
   * fused.
   */
  private static int fusedEnd(GemmSchedule schedule, int chunk, int limit, int width) {
    long most = schedule.rowStart(chunk) + (long) FUSED_ELEMENTS / width;
    int end = chunk + 1;
    while (end < limit && schedule.rowStart(end + 1) <= most) {
      end++;
    }
    return end;
  }

  /**
   * Runs an operation on all rows.
   *
   * @param n columns of a row
   * @param wholeRows whether rows must not be cut
   */
  private void forEachRow(long count, int n, boolean wholeRows, RowOperation operation) {
    Kernels used = kernels();
    if (count == 0) {
      return;
    }
    int width = wholeRows || n == 0 ? n : bandWidth(n, ceilDiv(ENOUGH_TASKS, count));
    int bands = n == 0 ? 1 : ceilDiv(n, width);
    scheduler.run(
        Math.multiplyExact(Math.toIntExact(count), bands),
        work(count, ACTIVATION_WORK, n),
        (begin, end) -> {
          for (int task = begin; task < end; ) {
            int row = task / bands;
            int column = task % bands * width;
            // Takes whole rows if there are several.
            boolean whole = bands == 1;
            int rows = whole ? end - task : 1;
            operation.run(
                used.rows(),
                new RowSelection(
                    null, row, row + rows, column, whole ? n : bandEnd(column, width, n)));
            task += rows;
          }
        });
  }

  /** See {@link RowKernels#activation}; all rows. */
  public void activation(ActivationInput input, Rows a) {
    forEachRow(a.count(), input.n(), false, (kernels, rows) -> kernels.activation(rows, input, a));
  }

  /** See {@link RowKernels#activationGradient}; all rows. */
  public void activationGradient(ActivationGradient gradient) {
    forEachRow(
        gradient.gradA().count(),
        gradient.input().n(),
        gradient.gradGate() != null,
        (kernels, rows) -> kernels.activationGradient(rows, gradient));
  }

  /**
   * Adds a factor times rows to others of the same number and size.
   *
   * @param y rows without gaps; {@code to} has none either
   */
  public void add(float factor, Rows y, Rows to) {
    long elements = y.count() * y.stride();
    scheduler.run(
        Math.toIntExact(ceilDiv(elements, ADDED_ELEMENTS)),
        elements,
        (begin, end) -> {
          float[] terms = new float[(int) Math.min(ADDED_ELEMENTS, elements)];
          float[] sums = new float[terms.length];
          for (long piece = begin; piece < end; piece++) {
            long at = piece * ADDED_ELEMENTS;
            int count = (int) Math.min(ADDED_ELEMENTS, elements - at);
            y.storage().getFloats(y.offset() + at, terms, 0, count);
            to.storage().getFloats(to.offset() + at, sums, 0, count);
            for (int i = 0; i < count; i++) {
              sums[i] = (float) (sums[i] + (double) factor * terms[i]);
            }
            to.storage().putFloats(to.offset() + at, sums, 0, count);
          }
        });
  }

  /** See {@link ProductKernels#blockOuter}. */
  public void outer(
      OuterSchedule schedule, float alpha, Rows x, Rows y, boolean accumulate, Blocks o) {
    Kernels used = kernels();
    int blocks = schedule.blocks();
    if (blocks == 0 || o.inSize() == 0 || o.outSize() == 0) {
      return;
    }
    // A block that most samples select must not be left to one worker.
    long wanted = ceilDiv((long) ENOUGH_TASKS * schedule.maxPairs(), schedule.pairs());
    int height = bandWidth(o.inSize(), wanted);
    int bands = ceilDiv(o.inSize(), height);
    OuterProduct product = new OuterProduct(schedule, alpha, x, y, accumulate, o);
    scheduler.run(
        Math.multiplyExact(blocks, bands),
        work(schedule.pairs(), o.inSize(), o.outSize()),
        (begin, end) -> {
          for (int task = begin; task < end; ) {
            int band = task / blocks;
            int block = task % blocks;
            int count = Math.min(end - task, blocks - block);
            int row = band * height;
            int rowEnd = bandEnd(row, height, o.inSize());
            used.products().blockOuter(product, block, block + count, row, rowEnd);
            task += count;
          }
        });
  }

  /**
   * Receives the gradient of rows [row, row + rows) of a block, from the start of the storage on.
   */
  public interface GradientBand {
    void accept(int block, int row, int rows, Storage gradient);
  }

  /**
   * Computes the outer products of each block, one band of its rows after the other, each in
   * temporary memory of its worker: it is in the cache while it is used.
   *
   * @param like blocks of the same number and sizes; not looked into
   * @param whole whether blocks must not be divided
   */
  public void outerBands(
      OuterSchedule schedule, Rows x, Rows y, Blocks like, boolean whole, GradientBand taker) {
    Kernels used = kernels();
    int blocks = schedule.blocks();
    int m = like.inSize();
    int n = like.outSize();
    if (blocks == 0 || m == 0 || n == 0) {
      return;
    }
    long wanted =
        Math.max(
            ceilDiv((long) ENOUGH_TASKS * schedule.maxPairs(), schedule.pairs()),
            ceilDiv((long) m * n, BAND_ELEMENTS));
    int height = whole ? m : bandWidth(m, wanted);
    int bands = ceilDiv(m, height);
    scheduler.run(
        Math.multiplyExact(blocks, bands),
        work(schedule.pairs(), m, n),
        (begin, end) -> {
          try (Scratch scratch = Scratch.borrow((long) height * n)) {
            for (int task = begin; task < end; task++) {
              int block = task / bands;
              int row = task % bands * height;
              int rows = Math.min(height, m - row);
              Rows band = new Rows(x.storage(), x.offset() + row, x.count(), x.stride());
              Blocks gradient =
                  Blocks.shared(scratch.storage(), like.inBlocks(), like.outBlocks(), rows, n);
              OuterProduct product = new OuterProduct(schedule, 1, band, y, false, gradient);
              used.products().blockOuter(product, block, block + 1, 0, rows);
              taker.accept(block, row, rows, scratch.storage());
            }
          }
        });
  }

  /** Receives the sum of the rows of a block, from the start of the storage on. */
  public interface BlockSum {
    void accept(int block, Storage sum);
  }

  /**
   * Computes the sum of the rows of each block, in memory of its worker.
   *
   * @param blocks how many blocks there are
   */
  public void sums(GemmSchedule schedule, int blocks, int n, Rows y, BlockSum taker) {
    Kernels used = kernels();
    scheduler.run(
        schedule.chunks(),
        work(schedule.rows(), 1, n),
        (begin, end) -> {
          try (Scratch scratch = Scratch.borrow(n)) {
            Storage sum = scratch.storage();
            RowSums sums = new RowSums(schedule, n, 1, y, new Rows(sum, 0, blocks, 0));
            forEachBlock(
                schedule,
                begin,
                end,
                c -> {
                  sum.fill(0, n, 0);
                  int last = schedule.sameBlockEnd(c);
                  used.products().blockSum(sums, c, last);
                  taker.accept(schedule.writeBlock(c), sum);
                });
          }
        });
  }

  /**
   * See {@link ProductKernels#blockSum}; the chunks of one block are summed by one worker.
   *
   * @param accumulate whether the rows of o that are written are added to, or begin with 0
   */
  public void sum(GemmSchedule schedule, int n, float alpha, Rows y, boolean accumulate, Rows o) {
    Kernels used = kernels();
    RowSums sums = new RowSums(schedule, n, alpha, y, o);
    scheduler.run(
        schedule.chunks(),
        work(schedule.rows(), 1, n),
        (begin, end) ->
            forEachBlock(
                schedule,
                begin,
                end,
                c -> {
                  if (!accumulate) {
                    clear(o, schedule.writeBlock(c), n);
                  }
                  used.products().blockSum(sums, c, schedule.sameBlockEnd(c));
                }));
  }

  /** Sets the rows of o that a sum would write to 0. */
  public void clear(GemmSchedule schedule, int n, Rows o) {
    scheduler.run(
        schedule.chunks(),
        work(schedule.chunks(), 1, n),
        (begin, end) ->
            forEachBlock(schedule, begin, end, c -> clear(o, schedule.writeBlock(c), n)));
  }

  private static void clear(Rows o, int row, int n) {
    o.storage().fill(o.offset() + row * o.stride(), n, 0);
  }

  /** Sets the blocks of o, each without gaps, that outer products would write to 0. */
  public void clear(OuterSchedule schedule, Blocks o) {
    long size = (long) o.inSize() * o.outSize();
    scheduler.run(
        schedule.blocks(),
        work(schedule.blocks(), o.inSize(), o.outSize()),
        (begin, end) -> {
          for (int block = begin; block < end; block++) {
            long first = o.index(schedule.xBlock(block), schedule.yBlock(block), 0, 0);
            o.storage().fill(first, size, 0);
          }
        });
  }

  /** Passes on the first chunk of each block whose first chunk is in [begin, end). */
  private static void forEachBlock(GemmSchedule schedule, int begin, int end, IntConsumer taker) {
    for (int c = begin; c < end; c++) {
      if (c == 0 || schedule.writeBlock(c - 1) != schedule.writeBlock(c)) {
        taker.accept(c);
      }
    }
  }

  /**
   * Runs an operation with an exponential for each of the n elements of the rows of a schedule: a
   * softmax, or a loss.
   *
   * @param body takes a range of chunks
   */
  public void exponentials(GemmSchedule schedule, int n, Scheduler.Body body) {
    scheduler.run(schedule.chunks(), work(schedule.rows(), SOFTMAX_WORK, n), body);
  }

  @Override
  public String toString() {
    return "Workers(" + max() + ")";
  }
}
