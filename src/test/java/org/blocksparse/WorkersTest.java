// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Executor;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.ForkJoinPool;
import java.util.concurrent.Future;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import org.blocksparse.products.BlockPlan;
import org.blocksparse.products.Epilogue;
import org.blocksparse.products.InputBias;
import org.blocksparse.products.OptimizerState;
import org.blocksparse.products.SparseBlockDot;
import org.blocksparse.products.SparseBlockGemv;
import org.blocksparse.products.SparseBlockOuter;
import org.blocksparse.programs.StoppedProgram;
import org.blocksparse.programs.ThreadsProgram;
import org.blocksparse.ranking.Ranking;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.blocksparse.softmax.Loss;
import org.blocksparse.softmax.SoftmaxGradients;
import org.blocksparse.testing.BlockProblem;
import org.blocksparse.testing.BlockProblem.Sizes;
import org.blocksparse.testing.ChildJvm;
import org.blocksparse.testing.Data;
import org.blocksparse.testing.Data.Numbers;
import org.blocksparse.testing.Seeded;
import org.blocksparse.testing.SoftmaxProblem;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledForJreRange;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.JRE;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

/** Results have the same bits for any number of threads and callers. */
@Tag("xcheck")
@ExtendWith(Seeded.class)
final class WorkersTest {
  private static ExecutorService executor;

  @BeforeAll
  static void start() {
    executor = Executors.newFixedThreadPool(8);
  }

  @AfterAll
  static void stop() {
    executor.shutdownNow();
  }

  private static List<Workers> all() {
    return List.of(
        Workers.callingThread(),
        Workers.of(executor, 2),
        Workers.of(executor, 3),
        Workers.of(executor, 8),
        Workers.common());
  }

  /** The operands of a problem, which any number of callers share. */
  private static final class Operands implements AutoCloseable {
    private final FloatTensor W;
    private final FloatTensor transposedW;
    private final FloatTensor h;
    private final FloatTensor b;
    private final FloatTensor o;
    private final FloatTensor gradOut;
    private final IntTensor inputIdx;
    private final IntTensor outputIdx;
    private final BlockPlan plan;

    Operands(BlockProblem p) {
      Sizes s = p.sizes();
      W = FloatTensor.of(p.W(), s.W());
      transposedW = FloatTensor.of(p.transposedW(), p.transposedShape());
      h = FloatTensor.of(p.h(), s.h());
      b = FloatTensor.of(p.b(), s.b());
      o = FloatTensor.of(p.o(), s.o());
      gradOut = FloatTensor.of(p.gradOut(), s.o());
      inputIdx = IntTensor.of(p.inputIdx(), s.inputIdx());
      outputIdx = IntTensor.of(p.outputIdx(), s.outputIdx());
      plan = BlockPlan.of(inputIdx, outputIdx, s.iBlocks(), s.oBlocks());
    }

    /** Returns all results of operations on the operands. */
    List<float[]> results(Workers workers) {
      List<float[]> results = new ArrayList<>();
      BlockPlan shared = plan.withWorkers(workers);
      results.add(take(SparseBlockDot.apply(W, h, shared, Epilogue.none().withBias(b))));
      results.add(take(SparseBlockDot.apply(W, h, inputIdx, b, outputIdx)));
      results.add(
          take(
              SparseBlockDot.apply(
                  transposedW.transposeBlocks(), h, shared, Epilogue.none().withBias(b))));
      results.add(take(SparseBlockGemv.apply(o, W, h, shared)));
      results.add(take(SparseBlockDot.gradH(W, gradOut, shared)));
      results.add(take(SparseBlockDot.gradW(h, gradOut, shared)));
      results.add(take(SparseBlockDot.gradB(gradOut, shared)));
      results.add(take(SparseBlockOuter.apply(W, h, gradOut, shared, -0.3f)));
      return results;
    }

    @Override
    public void close() {
      for (Tensor tensor : List.of(W, transposedW, h, b, o, gradOut, inputIdx, outputIdx)) {
        tensor.close();
      }
      plan.close();
    }
  }

  private static List<float[]> results(BlockProblem p, Workers workers) {
    try (Operands operands = new Operands(p)) {
      return operands.results(workers);
    }
  }

  private static float[] take(FloatTensor tensor) {
    try (tensor) {
      return tensor.toArray();
    }
  }

  private static void assertSameBits(String name, List<float[]> expected, List<float[]> actual) {
    assertEquals(expected.size(), actual.size(), name);
    for (int i = 0; i < expected.size(); i++) {
      assertArrayEquals(expected.get(i), actual.get(i), name + ": result " + i);
    }
  }

  /** Large enough that helpers are asked for: more than 2^20 multiply-adds. */
  @Test
  void blockProductsHaveTheSameBits(Data data) {
    for (Sizes sizes :
        List.of(
            new Sizes(300, 5, 7, 40, 50, 3, 2),
            new Sizes(1, 4, 3, 512, 600, 4, 3), // a batch of one: rows are cut into bands
            new Sizes(700, 1, 1, 64, 64, 1, 1),
            new Sizes(2000, 200, 300, 8, 16, 3, 4))) {
      BlockProblem p = data.blocks(sizes, Numbers.GAUSSIAN);
      List<float[]> expected = results(p, Workers.callingThread());
      for (Workers workers : all()) {
        assertSameBits(sizes + " on " + workers, expected, results(p, workers));
      }
    }
  }

  private static List<float[]> stepResults(BlockProblem p, Workers workers, Optimizer optimizer) {
    Sizes s = p.sizes();
    List<float[]> results = new ArrayList<>();
    try (Operands operands = new Operands(p);
        FloatTensor inputBias = FloatTensor.zeros(s.iBlocks(), s.oSize());
        OptimizerState state = OptimizerState.of(operands.W, operands.b, inputBias)) {
      BlockPlan plan = operands.plan.withWorkers(workers);
      FloatTensor gradOut = operands.gradOut;
      for (int step = 0; step < 2; step++) {
        SparseBlockDot.stepW(operands.h, gradOut, plan, optimizer, operands.W, state);
        SparseBlockDot.stepB(gradOut, plan, optimizer, operands.b, state);
        InputBias.step(gradOut, null, plan, optimizer, inputBias, state);
      }
      results.add(operands.W.toArray());
      results.add(operands.b.toArray());
      results.add(inputBias.toArray());
      results.add(take(InputBias.gradGate(inputBias, gradOut, plan)));
    }
    return results;
  }

  @Test
  void stepsOfBlocksHaveTheSameBits(Data data) {
    for (Sizes sizes :
        List.of(
            new Sizes(300, 5, 7, 40, 50, 3, 2),
            new Sizes(40, 2, 1, 512, 200, 1, 1), // large blocks: in parts
            new Sizes(2000, 200, 300, 8, 16, 3, 4))) {
      BlockProblem p = data.blocks(sizes, Numbers.GAUSSIAN);
      for (Optimizer optimizer :
          List.of(
              Optimizer.sgd(0.1f),
              Optimizer.adagrad(0.1f).withDecay(0.01f),
              Optimizer.adam(0.1f),
              Optimizer.adam(0.1f).withMaxNorm(0.01f))) {
        List<float[]> expected = stepResults(p, Workers.callingThread(), optimizer);
        for (Workers workers : all()) {
          assertSameBits(
              sizes + ", " + optimizer + " on " + workers,
              expected,
              stepResults(p, workers, optimizer));
        }
      }
    }
  }

  private static HierarchicalSoftmax layer(SoftmaxProblem p, Workers workers) {
    return p.layer(HierarchicalSoftmax.builder(p.features(), p.outputs()).workers(workers));
  }

  /**
   * Returns the results of everything that leaves the layer unchanged, so that any number of
   * callers may call at once.
   */
  private static List<float[]> answers(
      HierarchicalSoftmax layer, FloatTensor x, IntTensor targets) {
    List<float[]> answers = new ArrayList<>();
    answers.add(take(layer.probabilities(x)));
    answers.add(take(layer.logProbabilitiesOf(x, targets)));
    Loss loss = Loss.sum().withSmoothing(0.1f).withIgnored(targets.get(0));
    answers.add(take(layer.losses(x, targets, loss)));
    answers.add(values(layer.topK(x, 5)));
    answers.add(values(layer.topP(x, 0.1)));
    try (SoftmaxGradients gradients = layer.gradients(x, targets)) {
      answers.add(gradients.x().toArray());
      answers.add(gradients.W1().toArray());
      answers.add(gradients.W2().toArray());
      answers.add(gradients.b2().toArray());
    }
    return answers;
  }

  private static List<float[]> softmaxResults(SoftmaxProblem p, Workers workers) {
    try (FloatTensor x = FloatTensor.of(p.x(), p.batch(), p.features());
        IntTensor targets = IntTensor.of(p.targets(), p.batch());
        FloatTensor gradX = FloatTensor.zeros(p.batch(), p.features());
        HierarchicalSoftmax layer = layer(p, workers)) {
      List<float[]> results = answers(layer, x, targets);
      Loss loss = Loss.sum().withSmoothing(0.1f).withIgnored(p.targets()[0]);
      for (Optimizer optimizer :
          List.of(
              Optimizer.sgd(0.1f),
              Optimizer.adagrad(0.1f).withDecay(0.01f),
              Optimizer.adam(0.1f).withMaxNorm(0.01f))) {
        layer.step(x, targets, Loss.mean(), optimizer, gradX);
        layer.step(x, targets, loss, optimizer, gradX);
        results.add(gradX.toArray());
        results.add(layer.W1().toArray());
        results.add(layer.b1().toArray());
        results.add(layer.W2().toArray());
        results.add(layer.b2().toArray());
      }
      return results;
    }
  }

  /** Returns outputs and log probabilities of all rows. */
  private static float[] values(Ranking ranking) {
    List<Float> values = new ArrayList<>();
    for (int row = 0; row < ranking.batch(); row++) {
      for (int rank = 0; rank < ranking.size(row); rank++) {
        values.add((float) ranking.output(row, rank));
        values.add(ranking.logProbability(row, rank));
      }
    }
    float[] result = new float[values.size()];
    for (int i = 0; i < result.length; i++) {
      result[i] = values.get(i);
    }
    return result;
  }

  @Test
  void softmaxHasTheSameBits(Data data) {
    int[] classOf = new int[900];
    for (int output = 0; output < 900; output++) {
      classOf[output] = output < 300 ? 0 : (output - 300) % 29 + 1;
    }
    SoftmaxProblem p = data.softmax(400, 48, 300, 1, classOf);
    List<float[]> expected = softmaxResults(p, Workers.callingThread());
    for (Workers workers : all()) {
      assertSameBits(workers.toString(), expected, softmaxResults(p, workers));
    }
  }

  /** Tensors, plans and a layer that many callers use at once. */
  private static final class SharedByCallers implements AutoCloseable {
    private final Operands large;
    private final Operands small;
    private final FloatTensor x;
    private final IntTensor targets;
    private final HierarchicalSoftmax layer;
    private final List<float[]> ofLarge;
    private final List<float[]> ofSmall;
    private final List<float[]> ofLayer;

    SharedByCallers(Data data) {
      large = new Operands(data.blocks(new Sizes(100, 3, 4, 40, 50, 3, 2), Numbers.GAUSSIAN));
      small = new Operands(data.blocks(new Sizes(5, 8, 7, 6, 5, 4, 3), Numbers.GAUSSIAN));
      SoftmaxProblem p =
          data.softmax(40, 48, 30, 1, IntStream.range(0, 900).map(o -> o % 30).toArray());
      x = FloatTensor.of(p.x(), p.batch(), p.features());
      targets = IntTensor.of(p.targets(), p.batch());
      layer = layer(p, Workers.common());
      ofLarge = large.results(Workers.callingThread());
      ofSmall = small.results(Workers.callingThread());
      try (HierarchicalSoftmax alone = layer(p, Workers.callingThread())) {
        ofLayer = answers(alone, x, targets);
      }
    }

    /** Calls all operations, on the common pool and on another executor. */
    Void call(Executor other) {
      assertSameBits("large", ofLarge, large.results(Workers.common()));
      assertSameBits("on " + other, ofLarge, large.results(Workers.of(other, 4)));
      assertSameBits("small", ofSmall, small.results(Workers.common()));
      assertSameBits("layer", ofLayer, answers(layer, x, targets));
      return null;
    }

    @Override
    public void close() {
      large.close();
      small.close();
      x.close();
      targets.close();
      layer.close();
    }
  }

  private static void getAll(List<Future<Void>> futures) throws Exception {
    for (Future<Void> future : futures) {
      future.get();
    }
  }

  /** More callers than OpenBLAS allows threads, some of them inside the pool that helps them. */
  @Test
  void concurrentCallersGetTheSameBits(Data data) throws Exception {
    ExecutorService callers = Executors.newFixedThreadPool(128);
    try (SharedByCallers shared = new SharedByCallers(data)) {
      List<Future<Void>> futures = new ArrayList<>();
      for (int i = 0; i < 128; i++) {
        futures.add(callers.submit(() -> shared.call(executor)));
      }
      for (int i = 0; i < 16; i++) {
        futures.add(executor.submit(() -> shared.call(executor)));
        futures.add(ForkJoinPool.commonPool().submit(() -> shared.call(executor)));
      }
      getAll(futures);
    } finally {
      callers.shutdownNow();
    }
  }

  /** Far more callers than carrier threads; the helpers are virtual threads as well. */
  @Test
  @EnabledForJreRange(min = JRE.JAVA_21)
  void virtualThreadsGetTheSameBits(Data data) throws Exception {
    // Called by name, as the sources are for Java 17.
    ExecutorService virtual =
        (ExecutorService) Executors.class.getMethod("newVirtualThreadPerTaskExecutor").invoke(null);
    try (SharedByCallers shared = new SharedByCallers(data)) {
      List<Future<Void>> futures = new ArrayList<>();
      for (int i = 0; i < 1000; i++) {
        futures.add(virtual.submit(() -> shared.call(virtual)));
      }
      getAll(futures);
    } finally {
      virtual.shutdownNow();
    }
  }

  /** An executor that is closed, full, or lazy: the caller does all the work. */
  @Test
  void executorsThatDoNotHelp(Data data) {
    BlockProblem p = data.blocks(new Sizes(300, 5, 7, 40, 50, 3, 2), Numbers.GAUSSIAN);
    List<float[]> expected = results(p, Workers.callingThread());
    ExecutorService closed = Executors.newCachedThreadPool();
    closed.shutdown();
    assertSameBits("closed", expected, results(p, Workers.of(closed, 4)));
    List<Runnable> forgotten = new ArrayList<>();
    assertSameBits("lazy", expected, results(p, Workers.of(forgotten::add, 4)));
    assertTrue(forgotten.size() >= 3, "no helper was asked for");
    // Helpers that begin after the end must find nothing to do.
    forgotten.forEach(Runnable::run);
    assertSameBits("on the caller", expected, results(p, Workers.of(Runnable::run, 4)));
  }

  @Test
  void interruptionIsKept(Data data) {
    BlockProblem p = data.blocks(new Sizes(300, 5, 7, 40, 50, 3, 2), Numbers.GAUSSIAN);
    List<float[]> expected = results(p, Workers.callingThread());
    Thread.currentThread().interrupt();
    try {
      assertSameBits("interrupted", expected, results(p, Workers.of(executor, 4)));
      assertTrue(Thread.currentThread().isInterrupted(), "the interruption was swallowed");
    } finally {
      Thread.interrupted();
    }
  }

  /** The threads of every JVM, of {@link java.lang.ref.Cleaner}, of JavaCPP, and the helpers. */
  private static final Pattern KNOWN_THREADS =
      Pattern.compile(
          "main|Reference Handler|Finalizer|Signal Dispatcher|Notification Thread|Attach Listener"
              + "|process reaper.*|Common-Cleaner|Cleaner-\\d+|JavaCPP Deallocator"
              + "|blocksparse-helper-\\d+");

  @Tag("packaged")
  @Test
  void onlyHelpersCompute(@TempDir Path folder) {
    ChildJvm.Result result =
        new ChildJvm(folder.resolve("cache"))
            .property("blocksparse.backend", Backend.isNative() ? "native" : "java")
            .run(ThreadsProgram.class, folder.resolve("model").toString());
    assertEquals(0, result.exit(), result::toString);
    List<String> others =
        result
            .output()
            .lines()
            .filter(line -> line.startsWith("thread "))
            .map(line -> line.substring("thread ".length()))
            .filter(name -> !KNOWN_THREADS.matcher(name).matches())
            .toList();
    assertEquals(List.of(), others);
  }

  /** Helpers go on where they were, and none of them keeps the process. */
  @Tag("packaged")
  @EnabledOnOs(OS.LINUX)
  @Test
  void aProcessThatForksAndIsStopped(@TempDir Path folder) {
    ChildJvm.Result result =
        new ChildJvm(folder.resolve("cache"))
            .property("blocksparse.backend", Backend.isNative() ? "native" : "java")
            .run(StoppedProgram.class);
    assertEquals(0, result.exit(), result::toString);
  }
}
