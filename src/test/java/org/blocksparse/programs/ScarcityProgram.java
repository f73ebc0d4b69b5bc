// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.programs;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.Collections;
import java.util.Deque;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.blocksparse.Activation;
import org.blocksparse.Backend;
import org.blocksparse.BlockPlan;
import org.blocksparse.ClassAssignment;
import org.blocksparse.Epilogue;
import org.blocksparse.Filter;
import org.blocksparse.FloatTensor;
import org.blocksparse.HierarchicalSoftmax;
import org.blocksparse.InputBias;
import org.blocksparse.IntTensor;
import org.blocksparse.Labels;
import org.blocksparse.LoadOptions;
import org.blocksparse.NpyFile;
import org.blocksparse.NpzFile;
import org.blocksparse.Optimizer;
import org.blocksparse.OptimizerState;
import org.blocksparse.SparseBlockDot;
import org.blocksparse.SparseBlockGemv;
import org.blocksparse.SparseBlockOuter;
import org.blocksparse.SparseRows;
import org.blocksparse.TensorFile;
import org.blocksparse.TopKGate;

/**
 * Runs every operation where the heap is full, or the stack nearly used up, and then a right one.
 *
 * <p>Arguments: {@code heap} or {@code stack}, then a folder.
 */
public final class ScarcityProgram {
  private static final int DEPTHS = 200;
  private static final int FILLINGS = Integer.getInteger("blocksparse.fillings", 8);

  private ScarcityProgram() {}

  /** An operation that a full heap or a short stack may end. */
  private interface Operation {
    void run() throws IOException;
  }

  private static void check(boolean condition, String what) {
    if (!condition) {
      throw new IllegalStateException(what);
    }
  }

  public static void main(String[] args) throws Exception {
    Path folder = Path.of(args[1]);
    long before = FloatTensor.allocatedBytes();
    try (Operands operands = new Operands(folder)) {
      long held = FloatTensor.allocatedBytes();
      for (Map.Entry<String, Operation> entry : operands.operations().entrySet()) {
        if (args[0].equals("heap")) {
          withFullHeap(entry.getKey(), entry.getValue());
        } else {
          withShortStack(entry.getKey(), entry.getValue());
        }
        assertRight(entry.getKey());
        operands.check(entry.getKey());
        entry.getValue().run();
      }
      awaitBytes(held);
      check(args[0].equals("stack") || refusals > 0, "there was always enough memory");
    }
    awaitBytes(before);
    System.out.println("lives on with " + Backend.instructionSet());
  }

  /** A product whose result is known. */
  private static void assertRight(String after) {
    check(product() == 7, "after " + after + ": 1 + 2 * 3 is not 7");
  }

  private static float product() {
    try (FloatTensor W = FloatTensor.of(new float[] {3}, 1, 1, 1, 1);
        FloatTensor h = FloatTensor.of(new float[] {2}, 1, 1, 1);
        FloatTensor b = FloatTensor.of(new float[] {1}, 1, 1);
        IntTensor idx = IntTensor.zeros(1, 1);
        FloatTensor out = SparseBlockDot.apply(W, h, idx, b, idx)) {
      return out.get(0, 0, 0);
    }
  }

  /** What an operation that was cut short had taken is freed when it is garbage. */
  private static void awaitBytes(long expected) throws InterruptedException {
    // Workspaces and scratch, which are kept for the next call.
    long room = 4L << 20;
    long deadline = System.nanoTime() + 30_000_000_000L;
    while (FloatTensor.allocatedBytes() > expected + room) {
      check(
          System.nanoTime() < deadline,
          FloatTensor.allocatedBytes() - expected + " bytes are not freed");
      System.gc();
      Thread.sleep(10);
    }
  }

  // ------------------------------------------------------------------------------- short stacks

  private static Operation tried;
  private static boolean unwinding;
  private static int depthsLeft;
  private static int overflows;

  private static Throwable wrong;

  private static void withShortStack(String name, Operation operation) throws Exception {
    operation.run(); // what is done once in a process is done
    tried = operation;
    depthsLeft = DEPTHS;
    unwinding = false;
    overflows = 0;
    onThread(() -> descend(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0));
    check(depthsLeft == 0, name + ": " + depthsLeft + " depths were not tried");
    check(overflows > 0, name + ": the stack was never too short");
    if (wrong != null) {
      throw new IllegalStateException(name, wrong);
    }
  }

  private static void onThread(Runnable body) throws InterruptedException {
    Thread thread = new Thread(null, body, "short", 512 << 10);
    thread.start();
    thread.join();
  }

  /** Calls itself until the stack ends, and tries the operation on the way back, frame by frame. */
  @SuppressWarnings("StaticAssignmentOfThrowable") // there is no stack to do more
  private static long descend(
      long a,
      long b,
      long c,
      long d,
      long e,
      long f,
      long g,
      long h,
      long i,
      long j,
      long k,
      long l) {
    long result = 0;
    if (!unwinding) {
      try {
        result = descend(l, a, b, c, d, e, f, g, h, i, j, k) + 1;
      } catch (StackOverflowError error) {
        unwinding = true;
      }
    }
    if (unwinding && depthsLeft > 0) {
      depthsLeft--;
      try {
        tried.run();
      } catch (StackOverflowError error) {
        overflows++;
      } catch (Throwable error) {
        wrong = error;
      }
    }
    return result;
  }

  // --------------------------------------------------------------------------------- full heaps

  private static int refusals;
  private static final int[] PIECES = {1 << 17, 1 << 8};
  private static final Deque<byte[]> HEAP = new ArrayDeque<>(1 << 20);

  private static void withFullHeap(String name, Operation operation) {
    for (int filling = 0; filling < FILLINGS; filling++) {
      fill();
      // A little more room each time, so that another allocation is the one that fails.
      for (int piece = 0; piece < filling * filling * filling && !HEAP.isEmpty(); piece++) {
        HEAP.removeLast();
      }
      try {
        operation.run();
      } catch (OutOfMemoryError e) {
        refusals++;
      } catch (Throwable e) {
        HEAP.clear();
        // The JDK wraps what it meets while it links a lambda expression.
        if (!(e instanceof InternalError && e.getCause() instanceof OutOfMemoryError)) {
          throw new IllegalStateException(name, e);
        }
      }
    }
    HEAP.clear();
  }

  private static void fill() {
    for (int bytes : PIECES) {
      try {
        while (HEAP.size() < 1 << 20) {
          HEAP.addLast(new byte[bytes]);
        }
      } catch (OutOfMemoryError e) {
        // Full, for pieces of this size.
      }
    }
  }

  // --------------------------------------------------------------------------------- operations

  /** Operands that stay, small ones and, for helpers, large ones; and what they should hold. */
  private static final class Operands implements AutoCloseable {
    private static final int BATCH = 64;
    private static final int BLOCKS = 8;
    private static final int SIZE = 48;

    private final Path folder;
    private final IntTensor idx;
    private final FloatTensor W;
    private final FloatTensor h;
    private final FloatTensor b;
    private final FloatTensor out;
    private final FloatTensor gate;
    private final FloatTensor gradZ;
    private final FloatTensor sum;
    private final FloatTensor biases;
    private final OptimizerState state;
    private final BlockPlan plan;
    private final HierarchicalSoftmax layer;
    private final HierarchicalSoftmax trained;
    private final FloatTensor x;
    private final FloatTensor row;
    private final IntTensor targets;
    private final SparseRows seen;
    private final float[] expected;
    private final int[] expectedTop;

    Operands(Path folder) throws IOException {
      this.folder = folder;
      Random random = new Random(1);
      int[] indices = random.ints(BATCH * 2, 0, BLOCKS).toArray();
      idx = IntTensor.of(indices, BATCH, 2);
      W =
          FloatTensor.of(
              numbers(random, BLOCKS * BLOCKS * SIZE * SIZE), BLOCKS, BLOCKS, SIZE, SIZE);
      h = FloatTensor.of(numbers(random, BATCH * 2 * SIZE), BATCH, 2, SIZE);
      b = FloatTensor.of(numbers(random, BLOCKS * SIZE), BLOCKS, SIZE);
      out = FloatTensor.zeros(BATCH, 2, SIZE);
      gate = FloatTensor.of(numbers(random, BATCH * 2), BATCH, 2);
      gradZ = FloatTensor.zeros(BATCH, 2, SIZE);
      sum = FloatTensor.zeros(BLOCKS, BLOCKS, SIZE, SIZE);
      biases = FloatTensor.zeros(BLOCKS, SIZE);
      state = OptimizerState.of(sum, biases);
      plan = BlockPlan.of(idx, idx, BLOCKS, BLOCKS);
      layer = HierarchicalSoftmax.builder(SIZE, 1000).seed(1).build();
      trained = HierarchicalSoftmax.builder(SIZE, 1000).seed(2).build();
      x = FloatTensor.of(numbers(random, BATCH * SIZE), BATCH, SIZE);
      row = FloatTensor.of(numbers(random, SIZE), 1, SIZE);
      targets = IntTensor.of(random.ints(BATCH, 0, 1000).toArray(), BATCH);
      seen = SparseRows.of(Collections.nCopies(BATCH, new int[] {1, 500, 999}));
      layer.save(folder.resolve("model"));
      NpyFile.write(folder.resolve("h.npy"), h);
      SparseBlockDot.apply(W, h, b, plan, out);
      expected = out.toArray();
      expectedTop = top();
    }

    private static float[] numbers(Random random, int count) {
      float[] numbers = new float[count];
      for (int i = 0; i < count; i++) {
        numbers[i] = random.nextInt(9) - 4;
      }
      return numbers;
    }

    private int[] top() {
      int[] top = new int[BATCH];
      var ranking = layer.topK(x, 3);
      Arrays.setAll(top, row -> ranking.output(row, 0));
      return top;
    }

    /** The operands still give what they gave at first. */
    void check(String after) {
      SparseBlockDot.apply(W, h, b, plan, out);
      ScarcityProgram.check(Arrays.equals(expected, out.toArray()), "products after " + after);
      ScarcityProgram.check(Arrays.equals(expectedTop, top()), "topK after " + after);
    }

    Map<String, Operation> operations() {
      Map<String, Operation> all = new LinkedHashMap<>();
      all.put("zeros", () -> FloatTensor.zeros(10, 10).close());
      all.put("of", () -> FloatTensor.of(new float[6], 2, 3).close());
      all.put("ints", () -> IntTensor.of(new int[6], 2, 3).close());
      all.put("fill", () -> sum.fill(0));
      all.put("get", () -> h.get(1, 1, 1));
      all.put("set", () -> out.set(1, 1, 1, 1));
      all.put("toArray", () -> W.toArray());
      all.put("indices", () -> idx.toArray());
      all.put("copyFrom", () -> out.copyFrom(expected));
      all.put("buffer", () -> h.asFloatBuffer().get(0));
      all.put("view", () -> W.transposeBlocks().close());
      all.put("reshape", () -> W.reshape(BLOCKS * BLOCKS, SIZE * SIZE).close());
      if (Backend.isNative()) {
        all.put("wrap", () -> FloatTensor.wrap(h.asFloatBuffer(), BATCH, 2, SIZE).close());
      }
      all.put("plan", () -> BlockPlan.of(idx, idx, BLOCKS, BLOCKS).close());
      all.put("dot", () -> SparseBlockDot.apply(W, h, b, plan).close());
      all.put("dot without a plan", () -> SparseBlockDot.apply(W, h, idx, b, idx).close());
      all.put("dot into", () -> SparseBlockDot.apply(W, h, b, plan, out));
      all.put(
          "epilogue",
          () ->
              SparseBlockDot.apply(W, h, plan, Epilogue.none().withBias(b).withGate(gate)).close());
      all.put(
          "gated activation",
          () ->
              SparseBlockDot.apply(W, h, plan, Epilogue.none().withActivation(Activation.SWIGLU))
                  .close());
      all.put("activation", () -> Activation.SILU.apply(h, gradZ));
      all.put("activation's gradient", () -> Activation.SILU.gradient(h, out, gradZ));
      all.put(
          "gradH and activation",
          () -> SparseBlockDot.gradH(W, out, plan, Activation.SILU, h, gradZ));
      all.put("gradH", () -> SparseBlockDot.gradH(W, out, plan).close());
      all.put("gradW", () -> SparseBlockDot.gradW(h, out, plan).close());
      all.put("gradB", () -> SparseBlockDot.gradB(out, plan).close());
      all.put("gradW into", () -> SparseBlockDot.gradW(h, out, plan, sum));
      all.put("clear gradW", () -> SparseBlockDot.clearGradW(plan, sum));
      all.put("input bias", () -> InputBias.gradient(out, plan).close());
      for (Optimizer optimizer :
          List.of(
              Optimizer.sgd(0.01f),
              Optimizer.adam(0.01f),
              Optimizer.adagrad(0.01f).withMaxNorm(1))) {
        all.put(
            "step of blocks " + optimizer,
            () -> SparseBlockDot.stepW(h, out, plan, optimizer, sum, state));
        all.put(
            "step of biases " + optimizer,
            () -> SparseBlockDot.stepB(out, plan, optimizer, biases, state));
        all.put(
            "step of input biases " + optimizer,
            () -> InputBias.step(out, plan, optimizer, biases, state));
      }
      all.put("input bias's gate", () -> InputBias.gradGate(biases, out, plan).close());
      all.put("add gradH", () -> SparseBlockDot.addGradH(W, out, plan, 0.5f, gradZ));
      all.put("route", () -> TopKGate.of(SIZE, 2).route(b).close());
      all.put("route some", () -> TopKGate.of(SIZE, 2).withCapacity(1).route(b).close());
      all.put("save tensors", () -> TensorFile.save(folder.resolve("saved"), Map.of("W", W)));
      all.put("open tensors", this::tensors);
      all.put("gemv", () -> SparseBlockGemv.apply(out, W, h, plan).close());
      all.put("outer", () -> SparseBlockOuter.applyInPlace(h, h, plan, 1, sum));
      all.put("layer", () -> HierarchicalSoftmax.builder(8, 100).build().close());
      all.put("probabilities", () -> layer.probabilities(x).close());
      all.put("log probabilities", () -> layer.logProbabilities(x).close());
      all.put("topK", () -> layer.topK(x, 3));
      all.put("topP", () -> layer.topP(x, 0.1));
      all.put("atLeast", () -> layer.atLeast(x, 0.01));
      all.put("sample", () -> layer.sample(x, new Random(1)));
      all.put("topK filtered", () -> layer.topK(x, 3, Filter.without(seen).withRenormalisation()));
      all.put("sample filtered", () -> layer.sample(x, 1, new Random(1), Filter.only(seen)));
      all.put("explain", () -> layer.explain(row, 3));
      all.put("loss", () -> layer.loss(x, targets));
      all.put("gradients", () -> layer.gradients(x, targets).close());
      for (Optimizer optimizer :
          List.of(Optimizer.sgd(0.01f), Optimizer.adagrad(0.01f), Optimizer.adam(0.01f))) {
        all.put("step " + optimizer, () -> trained.step(x, targets, optimizer));
      }
      all.put("copy", () -> layer.copy().close());
      all.put("grow", this::grow);
      all.put("labels", () -> Labels.of("a", "b").output("b"));
      all.put("save", () -> layer.save(folder.resolve("saved")));
      all.put("load", () -> HierarchicalSoftmax.load(folder.resolve("model")).close());
      all.put(
          "mapped",
          () -> {
            try (HierarchicalSoftmax mapped =
                HierarchicalSoftmax.load(folder.resolve("model"), LoadOptions.mapped())) {
              mapped.topK(x, 2);
            }
          });
      all.put("write npy", () -> NpyFile.write(folder.resolve("out.npy"), out));
      all.put("read npy", () -> NpyFile.readFloats(folder.resolve("h.npy")).close());
      all.put("npz", this::npz);
      return all;
    }

    private void grow() {
      try (HierarchicalSoftmax copy = layer.copy()) {
        copy.addOutputs(1);
        copy.addOutputs(100);
        copy.retire(3, 4);
        copy.reuse(4);
        copy.reassign(ClassAssignment.contiguous(copy.outputs(), 40));
      }
    }

    private void tensors() throws IOException {
      try (TensorFile tensors = TensorFile.open(folder.resolve("model"), LoadOptions.mapped())) {
        tensors.floats("W1").close();
      }
    }

    private void npz() throws IOException {
      Path file = folder.resolve("arrays.npz");
      NpzFile.write(file, Map.of("out", out));
      try (NpzFile arrays = NpzFile.open(file)) {
        arrays.floats("out").close();
      }
    }

    @Override
    public void close() throws IOException {
      for (AutoCloseable each :
          List.of(
              idx, W, h, b, out, gate, gradZ, sum, biases, state, plan, layer, trained, x, row,
              targets, seen)) {
        try {
          each.close();
        } catch (Exception e) {
          throw new IllegalStateException(e);
        }
      }
      Files.deleteIfExists(folder.resolve("saved"));
    }
  }
}
