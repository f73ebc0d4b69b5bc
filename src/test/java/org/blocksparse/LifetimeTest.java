// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static org.blocksparse.testing.Failures.assertFails;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.lang.ref.Reference;
import java.lang.ref.WeakReference;
import java.nio.ByteBuffer;
import java.nio.FloatBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Executor;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.BooleanSupplier;
import org.blocksparse.products.BlockPlan;
import org.blocksparse.products.Epilogue;
import org.blocksparse.products.SparseBlockDot;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.blocksparse.softmax.Loss;
import org.blocksparse.testing.BlockProblem;
import org.blocksparse.testing.BlockProblem.Sizes;
import org.blocksparse.testing.Budget;
import org.blocksparse.testing.Data;
import org.blocksparse.testing.Data.Numbers;
import org.blocksparse.testing.Seeded;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

/** Memory is freed when it is closed and no longer used, neither earlier nor later. */
@Tag("xcheck")
@ExtendWith(Seeded.class)
final class LifetimeTest {
  private static final int SECONDS = Budget.of("blocksparse.lifetime.seconds", 2, 30);

  private static void await(BooleanSupplier condition, String what) throws InterruptedException {
    long deadline = System.nanoTime() + TimeUnit.MINUTES.toNanos(10);
    while (!condition.getAsBoolean()) {
      assertTrue(System.nanoTime() < deadline, what + " did not happen");
      System.gc();
      Thread.sleep(5);
    }
  }

  /** Garbage of other tests must not disturb the count. */
  private static long settledBytes() throws InterruptedException {
    long[] bytes = {FloatTensor.allocatedBytes()};
    for (int quiet = 0; quiet < 3; quiet++) {
      System.gc();
      Thread.sleep(20);
      long now = FloatTensor.allocatedBytes();
      if (now != bytes[0]) {
        bytes[0] = now;
        quiet = -1;
      }
    }
    return bytes[0];
  }

  @Test
  void accountsAreExact() throws InterruptedException {
    long before = settledBytes();
    FloatTensor floats = FloatTensor.zeros(10, 100);
    assertEquals(before + 4000, FloatTensor.allocatedBytes());
    IntTensor ints = IntTensor.of(new int[] {0, 1, 2}, 3, 1);
    assertEquals(before + 4012, FloatTensor.allocatedBytes());
    FloatTensor view = floats.reshape(1000);
    assertEquals(before + 4012, FloatTensor.allocatedBytes());
    view.close();
    assertEquals(before + 4012, FloatTensor.allocatedBytes());
    floats.close();
    assertEquals(before + 12, FloatTensor.allocatedBytes());
    floats.close();
    floats.close();
    ints.close();
    ints.close();
    assertTrue(FloatTensor.allocatedBytes() <= before);
  }

  @Test
  void closingTwiceFromManyThreadsFreesOnce() throws Exception {
    long before = settledBytes();
    ExecutorService threads = Executors.newFixedThreadPool(4);
    try {
      for (int repeat = 0; repeat < 500; repeat++) {
        FloatTensor tensor = FloatTensor.zeros(16);
        CountDownLatch start = new CountDownLatch(1);
        List<Future<?>> futures = new ArrayList<>();
        for (int thread = 0; thread < 4; thread++) {
          futures.add(
              threads.submit(
                  () -> {
                    start.await();
                    tensor.close();
                    return null;
                  }));
        }
        start.countDown();
        for (Future<?> future : futures) {
          future.get();
        }
        assertTrue(FloatTensor.allocatedBytes() <= before);
      }
    } finally {
      threads.shutdownNow();
    }
  }

  @Test
  void viewsKeepTheMemoryButNotTheOwnerOpen() {
    FloatTensor owner = FloatTensor.of(new float[] {1, 2, 3, 4}, 1, 1, 2, 2);
    FloatTensor view = owner.transposeBlocks();
    FloatTensor other = owner.reshape(4);
    other.close();
    assertTrue(other.isClosed());
    assertThrows(IllegalStateException.class, () -> other.get(0));
    assertThrows(IllegalStateException.class, () -> other.set(1, 0));
    assertFalse(owner.isClosed());
    assertEquals(3, view.get(0, 0, 0, 1));
    owner.close();
    assertTrue(view.isClosed());
    assertFails(
        IllegalStateException.class,
        "tensor: the tensor (1, 1, 2, 2) is closed",
        () -> view.get(0, 0, 0, 1));
    assertEquals("FloatTensor(1, 1, 2, 2) (closed)", view.toString());
  }

  @Test
  void whatIsNotClosedIsFreedWhenItIsGarbage() throws InterruptedException {
    long before = settledBytes();
    WeakReference<FloatTensor> tensor = new WeakReference<>(FloatTensor.zeros(1 << 20));
    BlockPlan plan = plan();
    try (FloatTensor W = FloatTensor.zeros(2, 2, 1, 1);
        FloatTensor gradOut = FloatTensor.zeros(2, 1, 1)) {
      SparseBlockDot.gradH(W, gradOut, plan).close();
    }
    HierarchicalSoftmax layer = HierarchicalSoftmax.builder(10, 100).build();
    assertTrue(FloatTensor.allocatedBytes() > before + (4 << 20), "nothing was allocated");
    Reference.reachabilityFence(plan);
    Reference.reachabilityFence(layer);
    plan = null;
    layer = null;
    await(() -> tensor.get() == null, "collection");
    // Some kilobytes of scratch are kept for later calls.
    await(() -> FloatTensor.allocatedBytes() < before + (1 << 20), "cleaning");
  }

  private static BlockPlan plan() {
    try (IntTensor idx = IntTensor.zeros(2, 1)) {
      return BlockPlan.of(idx, idx, 2, 2);
    }
  }

  /** A view keeps the memory of its owner reachable. */
  @Test
  void aViewOfGarbageIsAlive() throws InterruptedException {
    FloatTensor view = FloatTensor.of(new float[] {1, 2, 3}, 3).reshape(3, 1);
    for (int i = 0; i < 5; i++) {
      System.gc();
      Thread.sleep(10);
    }
    assertArrayEquals(new float[] {1, 2, 3}, view.toArray());
  }

  @Test
  void anExportedBufferOutlivesItsTensor() throws InterruptedException {
    long before = settledBytes();
    FloatTensor tensor = FloatTensor.of(new float[] {1, 2, 3, 4}, 4);
    FloatBuffer buffer = tensor.asFloatBuffer();
    FloatBuffer part = tensor.asFloatBuffer().slice(1, 2);
    buffer.put(1, 20);
    assertEquals(20, tensor.get(1), "the buffer is over the same memory");
    tensor.close();
    tensor = null;
    List<FloatTensor> others = new ArrayList<>();
    for (int i = 0; i < 100; i++) {
      // This allocation would get the memory if it were free.
      others.add(FloatTensor.of(new float[] {-1, -1, -1, -1}, 4));
      if (i % 20 == 0) {
        System.gc();
      }
    }
    assertEquals(1, buffer.get(0));
    assertEquals(20, part.get(0));
    assertEquals(4, buffer.get(3));
    others.forEach(FloatTensor::close);
    // Without the native library the memory is the buffers' own.
    long kept = Backend.isNative() ? 16 : 0;
    assertEquals(before + kept, settledBytes(), "kept for the buffers");
    Reference.reachabilityFence(buffer);
    Reference.reachabilityFence(part);
    buffer = null;
    part = null;
    await(() -> FloatTensor.allocatedBytes() <= before, "the end of the buffers' lease");
  }

  /** A buffer holds a lease: only the first close counts, however often it is called. */
  @Test
  void closingTwiceDoesNotTakeTheMemoryOfABuffer() throws InterruptedException {
    assumeTrue(Backend.isNative(), "buffers of Java kernels hold no lease");
    FloatTensor tensor = FloatTensor.zeros(1000);
    ByteBuffer buffer = tensor.asByteBuffer();
    long before = settledBytes();
    tensor.close();
    tensor.close();
    assertEquals(before, settledBytes(), "kept for the buffer");
    buffer.putFloat(0, 7);
    assertEquals(7, buffer.getFloat(0));
    Reference.reachabilityFence(buffer);
  }

  /** A step frees memory for ignored rows at its end, without waiting for garbage collection. */
  @Test
  void aStepWithIgnoredRowsKeepsNothing() throws InterruptedException {
    try (HierarchicalSoftmax layer = HierarchicalSoftmax.builder(4, 10).build();
        FloatTensor x = FloatTensor.zeros(6, 4);
        IntTensor targets = IntTensor.of(new int[] {0, -1, 3, -1, 9, 9}, 6)) {
      Loss loss = Loss.mean().withIgnored(-1);
      layer.step(x, targets, loss, Optimizer.sgd(0.1f), null);
      long before = settledBytes();
      layer.step(x, targets, loss, Optimizer.sgd(0.1f), null);
      assertTrue(FloatTensor.allocatedBytes() <= before);
    }
  }

  @Test
  void memoryThatCannotBeHadIsNamed() {
    long elements = 1L << 50;
    OutOfMemoryError error =
        assertThrows(OutOfMemoryError.class, () -> FloatTensor.zeros(elements));
    assertTrue(
        error.getMessage().startsWith("cannot allocate " + 4 * elements + " bytes for a tensor; "),
        error.getMessage());
    try (FloatTensor small = FloatTensor.zeros(4)) {
      assertEquals(0, small.get(3), "the JVM lives on");
    }
  }

  /** The executor lets helpers run only after the operands were closed. */
  @Test
  void closingDuringAnOperationWaitsForItsEnd(Data data) throws Exception {
    long before = settledBytes();
    BlockProblem p = data.blocks(new Sizes(400, 3, 4, 40, 50, 3, 2), Numbers.SMALL_INTEGERS);
    float[] expected;
    FloatTensor W = FloatTensor.of(p.W(), p.sizes().W());
    FloatTensor h = FloatTensor.of(p.h(), p.sizes().h());
    FloatTensor b = FloatTensor.of(p.b(), p.sizes().b());
    IntTensor inputIdx = IntTensor.of(p.inputIdx(), p.sizes().inputIdx());
    IntTensor outputIdx = IntTensor.of(p.outputIdx(), p.sizes().outputIdx());
    BlockPlan plan = BlockPlan.of(inputIdx, outputIdx, 3, 4);
    try (FloatTensor out = SparseBlockDot.apply(W, h, plan, Epilogue.none().withBias(b))) {
      expected = out.toArray();
    }
    AtomicReference<Long> during = new AtomicReference<>();
    Executor closing =
        task -> {
          if (during.get() == null) {
            long bytes = FloatTensor.allocatedBytes();
            W.close();
            h.close();
            b.close();
            plan.close();
            during.set(bytes - FloatTensor.allocatedBytes());
          }
          task.run();
        };
    try (FloatTensor out =
        SparseBlockDot.apply(
            W, h, plan.withWorkers(Workers.of(closing, 3)), Epilogue.none().withBias(b))) {
      assertEquals(0L, during.get(), "bytes were freed under a running operation");
      assertArrayEquals(expected, out.toArray());
    }
    inputIdx.close();
    outputIdx.close();
    assertThrows(
        IllegalStateException.class,
        () -> SparseBlockDot.apply(W, h, plan, Epilogue.none().withBias(b)));
    // Only the memory in the pool of scratch may be left.
    long left = FloatTensor.allocatedBytes() - before;
    assertTrue(left < 4L * (p.W().length + p.h().length), left + " bytes are left");
  }

  /** Parameters, moments and intermediate results are all in use until a step has ended. */
  @Test
  void closingALayerDuringAStepWaitsForItsEnd(Data data) {
    for (Optimizer optimizer :
        List.of(Optimizer.sgd(0.1f), Optimizer.adagrad(0.1f), Optimizer.adam(0.1f))) {
      AtomicReference<Runnable> close = new AtomicReference<>();
      AtomicLong freed = new AtomicLong(-1);
      Executor closing =
          task -> {
            Runnable action = close.getAndSet(null);
            if (action != null) {
              long bytes = FloatTensor.allocatedBytes();
              action.run();
              freed.set(bytes - FloatTensor.allocatedBytes());
            }
            task.run();
          };
      float[] rows = data.floats(Numbers.GAUSSIAN, 300 * 64);
      int[] targets = data.indices(300, 2000);
      double expected;
      try (FloatTensor x = FloatTensor.of(rows, 300, 64);
          IntTensor t = IntTensor.of(targets, 300);
          HierarchicalSoftmax alone = HierarchicalSoftmax.builder(64, 2000).build()) {
        alone.step(x, t, optimizer);
        expected = alone.step(x, t, optimizer);
      }
      HierarchicalSoftmax layer =
          HierarchicalSoftmax.builder(64, 2000).workers(Workers.of(closing, 2)).build();
      try (FloatTensor x = FloatTensor.of(rows, 300, 64);
          IntTensor t = IntTensor.of(targets, 300)) {
        layer.step(x, t, optimizer);
        close.set(layer::close);
        assertEquals(expected, layer.step(x, t, optimizer), "the loss of a step that was closed");
        assertEquals(0, freed.get(), "bytes were freed under a step of " + optimizer);
        IllegalStateException e =
            assertThrows(IllegalStateException.class, () -> layer.step(x, t, optimizer));
        assertTrue(e.getMessage().startsWith("layer: "), e.getMessage());
      }
    }
  }

  @Test
  void aLayerThatIsClosedWhileItGrowsIsClosed() throws InterruptedException {
    long before = settledBytes();
    AtomicReference<Runnable> close = new AtomicReference<>();
    AtomicLong freed = new AtomicLong(-1);
    Executor closing =
        task -> {
          Runnable action = close.getAndSet(null);
          if (action != null) {
            long bytes = FloatTensor.allocatedBytes();
            action.run();
            freed.set(bytes - FloatTensor.allocatedBytes());
          }
        };
    HierarchicalSoftmax layer =
        HierarchicalSoftmax.builder(64, 2000).workers(Workers.of(closing, 2)).build();
    try (FloatTensor x = FloatTensor.zeros(1, 64);
        IntTensor target = IntTensor.zeros(1)) {
      layer.step(x, target, Optimizer.adam(0.1f));
      close.set(layer::close);
      layer.addOutputs(2000);
      // Only the memory that is kept between calls.
      assertTrue(freed.get() < 64 << 10, freed + " bytes were freed under the growth");
      assertFails(
          IllegalStateException.class, "layer: the layer is closed", () -> layer.topK(x, 1));
      assertTrue(layer.W2().isClosed());
    }
    long left = settledBytes() - before;
    assertTrue(left < 1 << 20, left + " bytes are left");
  }

  /** Parameters, moments, intermediate results and schedules: nothing waits for the collector. */
  @Test
  void closingALayerFreesAllOfItAtOnce() throws InterruptedException {
    for (int i = 0; i < 10; i++) {
      useALayer(); // scratch is kept for later calls; by then, each piece has its largest size
    }
    long before = settledBytes();
    useALayer();
    long kept = FloatTensor.allocatedBytes() - before;
    assertTrue(kept <= 0, kept + " bytes were kept");
  }

  private static void useALayer() {
    try (FloatTensor x = FloatTensor.zeros(30, 8);
        IntTensor targets = IntTensor.zeros(30);
        HierarchicalSoftmax layer =
            HierarchicalSoftmax.builder(8, 100).workers(Workers.callingThread()).build()) {
      layer.step(x, targets, Optimizer.adam(0.1f));
      layer.probabilities(x).close();
      layer.topK(x, 3);
    }
  }

  /**
   * Threads compute with shared tensors that other threads close: results have the right bits, or
   * an exception is thrown.
   */
  @Test
  void underFire(Data data) throws Exception {
    BlockProblem p = data.blocks(new Sizes(60, 3, 4, 20, 24, 3, 2), Numbers.SMALL_INTEGERS);
    int[] targets = data.indices(60, 100);
    float[] expected;
    double expectedLoss;
    try (Shared shared = new Shared(p, targets)) {
      expected = shared.compute();
      expectedLoss = shared.loss();
    }
    long before = settledBytes();
    AtomicReference<Shared> current = new AtomicReference<>(new Shared(p, targets));
    AtomicLong computed = new AtomicLong();
    AtomicLong refused = new AtomicLong();
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(SECONDS);
    // On a busy machine, the seconds may end before any thread meets a closed tensor.
    BooleanSupplier goesOn =
        () ->
            System.nanoTime() < end
                || ((computed.get() == 0 || refused.get() == 0)
                    && !Thread.currentThread().isInterrupted());
    ExecutorService threads = Executors.newFixedThreadPool(8);
    List<Future<?>> futures = new ArrayList<>();
    try {
      for (int i = 0; i < 6; i++) {
        futures.add(
            threads.submit(
                () -> {
                  while (goesOn.getAsBoolean()) {
                    try {
                      assertArrayEquals(expected, current.get().compute());
                      assertEquals(expectedLoss, current.get().loss());
                      computed.incrementAndGet();
                    } catch (IllegalStateException e) {
                      assertTrue(e.getMessage().endsWith(" is closed"), e.toString());
                      refused.incrementAndGet();
                    }
                  }
                }));
      }
      for (int i = 0; i < 2; i++) {
        futures.add(
            threads.submit(
                () -> {
                  while (goesOn.getAsBoolean()) {
                    current.getAndSet(new Shared(p, targets)).close();
                  }
                }));
      }
      for (Future<?> future : futures) {
        future.get();
      }
    } finally {
      threads.shutdownNow();
    }
    current.get().close();
    assertTrue(computed.get() > 0 && refused.get() > 0, computed + " computed, " + refused);
    current.set(null);
    long room = 1 << 22; // scratch and schedules are kept for later calls
    await(() -> FloatTensor.allocatedBytes() < before + room, "the return of all memory");
  }

  /** Tensors, a view, a plan and a layer that are closed during use. */
  private static final class Shared implements AutoCloseable {
    private final FloatTensor W;
    private final FloatTensor view;
    private final FloatTensor h;
    private final FloatTensor b;
    private final FloatTensor x;
    private final IntTensor targets;
    private final BlockPlan plan;
    private final HierarchicalSoftmax layer;

    Shared(BlockProblem p, int[] targets) {
      W = FloatTensor.of(p.transposedW(), p.transposedShape());
      view = W.transposeBlocks();
      h = FloatTensor.of(p.h(), p.sizes().h());
      b = FloatTensor.of(p.b(), p.sizes().b());
      x = h.reshape(60, 60);
      this.targets = IntTensor.of(targets, 60);
      try (IntTensor inputIdx = IntTensor.of(p.inputIdx(), p.sizes().inputIdx());
          IntTensor outputIdx = IntTensor.of(p.outputIdx(), p.sizes().outputIdx())) {
        plan = BlockPlan.of(inputIdx, outputIdx, 3, 4);
      }
      layer = HierarchicalSoftmax.builder(60, 100).build();
    }

    float[] compute() {
      try (FloatTensor out = SparseBlockDot.apply(view, h, plan, Epilogue.none().withBias(b))) {
        return out.toArray();
      }
    }

    double loss() {
      return layer.loss(x, targets);
    }

    @Override
    public void close() {
      layer.close();
      W.close();
      plan.close();
      h.close();
      b.close();
      targets.close();
    }
  }
}
