// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.programs;

import static org.blocksparse.testing.ChildJvm.check;

import java.util.List;
import org.blocksparse.Activation;
import org.blocksparse.ElementType;
import org.blocksparse.FloatTensor;
import org.blocksparse.GradientOptions;
import org.blocksparse.IntTensor;
import org.blocksparse.Optimizer;
import org.blocksparse.Weights;
import org.blocksparse.experts.ExpertsPass;
import org.blocksparse.experts.MixtureOfExperts;
import org.blocksparse.experts.Routing;
import org.blocksparse.experts.TopKGate;
import org.blocksparse.products.BlockPlan;
import org.blocksparse.products.Epilogue;
import org.blocksparse.products.InputBias;
import org.blocksparse.products.OptimizerState;
import org.blocksparse.products.SparseBlockDot;
import org.blocksparse.products.SparseBlockGemv;
import org.blocksparse.products.SparseBlockOuter;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.blocksparse.softmax.Loss;
import org.blocksparse.testing.Data;
import org.blocksparse.testing.ProcessMemory;

/**
 * Calls something many times and fails if memory grows; the main class of the JVMs of {@code
 * LeakTest}.
 */
public final class LeakProgram {
  private static final int CALLS = Integer.getInteger("blocksparse.leak.calls");

  /**
   * So few calls that no garbage is collected in between, and enough to see what waits for
   * collection.
   */
  private static final int BURST = 50;

  private static final int KEPT_BYTES = 1 << 16;

  /** Growth that the JVM's own memory may cause, with a heap that is resident from the start. */
  private static final long ROOM_BYTES = 32L << 20;

  private LeakProgram() {}

  public static void main(String[] args) {
    Data data = new Data(1);
    switch (args[0]) {
      case "allocations" -> allocations();
      case "largeAllocations" -> largeAllocations();
      case "plans" -> plans(data);
      case "operations" -> operations(data);
      case "layers" -> layers(data);
      case "batchesOfEverySize" -> batchesOfEverySize();
      default -> throw new IllegalArgumentException(args[0]);
    }
  }

  /** Runs a quarter of the calls to warm up, then all calls, and checks the growth. */
  private static void assertFlat(String name, Runnable call) {
    for (int i = 0; i < CALLS / 4; i++) {
      call.run();
    }
    System.gc();
    long bytesBefore = FloatTensor.allocatedBytes();
    long before = ProcessMemory.residentBytes();
    for (int i = 0; i < CALLS; i++) {
      call.run();
    }
    System.gc();
    long growth = ProcessMemory.residentBytes() - before;
    check(growth < ROOM_BYTES, name + ": " + growth + " bytes more after " + CALLS + " calls");
    long kept = FloatTensor.allocatedBytes() - bytesBefore;
    check(kept < KEPT_BYTES, name + ": " + kept + " bytes were not freed");
    long steady = FloatTensor.allocatedBytes();
    for (int i = 0; i < BURST; i++) {
      call.run();
    }
    long waiting = FloatTensor.allocatedBytes() - steady;
    check(waiting < KEPT_BYTES, name + ": " + waiting + " bytes wait for the garbage collector");
  }

  /** Allocates tensors: two thousand leaks of 64 KB would be 128 MB. */
  private static void allocations() {
    assertFlat(
        "64 KB",
        () -> {
          try (FloatTensor tensor = FloatTensor.zeros(128, 128)) {
            tensor.fill(1);
          }
        });
  }

  private static void largeAllocations() {
    long before = ProcessMemory.residentBytes();
    for (int i = 0; i < 50; i++) {
      try (FloatTensor tensor = FloatTensor.zeros(2 << 20)) {
        tensor.fill(1);
      }
    }
    long growth = ProcessMemory.residentBytes() - before;
    check(growth < ROOM_BYTES, growth + " bytes more");
  }

  private static void plans(Data data) {
    try (IntTensor inputIdx = IntTensor.of(data.indices(1000, 9), 500, 2);
        IntTensor outputIdx = IntTensor.of(data.indices(1000, 9), 500, 2);
        FloatTensor W = FloatTensor.zeros(9, 9, 2, 2);
        FloatTensor rows = FloatTensor.zeros(500, 2, 2);
        FloatTensor out = FloatTensor.zeros(500, 2, 2)) {
      assertFlat(
          "plans",
          () -> {
            try (BlockPlan plan = BlockPlan.of(inputIdx, outputIdx, 9, 9)) {
              SparseBlockGemv.applyInPlace(W, rows, plan, out);
              SparseBlockDot.gradH(W, rows, plan, GradientOptions.overwrite(), out);
              SparseBlockOuter.applyInPlace(rows, rows, plan, 0, W);
            }
          });
    }
  }

  /**
   * Runs operations into existing tensors, which in steady state allocate nothing outside the heap.
   */
  private static void operations(Data data) {
    try (IntTensor idx = IntTensor.of(data.indices(200, 5), 100, 2);
        FloatTensor W = FloatTensor.zeros(5, 5, 16, 16);
        FloatTensor rows = FloatTensor.zeros(100, 2, 16);
        FloatTensor b = FloatTensor.zeros(5, 16);
        FloatTensor out = FloatTensor.zeros(100, 2, 16);
        FloatTensor gates = FloatTensor.zeros(5, 2);
        OptimizerState state = OptimizerState.of(W, b);
        Weights narrow = Weights.of(W, ElementType.FLOAT16);
        Weights bytes = Weights.of(W, ElementType.INT8);
        Weights halfBytes = Weights.of(W, ElementType.Q4_0);
        BlockPlan plan = BlockPlan.of(idx, idx, 5, 5)) {
      Epilogue epilogue = Epilogue.none().withBias(b).withActivation(Activation.SWIGLU);
      TopKGate gate = TopKGate.of(16, 2);
      assertFlat(
          "operations",
          () -> {
            SparseBlockDot.apply(W, rows, plan, Epilogue.none().withBias(b), out);
            SparseBlockDot.gradH(W, rows, plan, GradientOptions.overwrite(), out);
            SparseBlockDot.gradB(rows, plan, GradientOptions.add(0), b);
            SparseBlockOuter.applyInPlace(rows, rows, plan, 0, W);
            SparseBlockDot.gradW(rows, rows, plan).close();
            SparseBlockDot.gradW(rows, rows, plan, GradientOptions.overwrite(), W);
            SparseBlockDot.clearGradW(plan, W);
            SparseBlockDot.gradH(W, rows, plan, GradientOptions.add(0.5f), out);
            for (Optimizer optimizer : List.of(Optimizer.sgd(0.01f), Optimizer.adam(0.01f))) {
              SparseBlockDot.stepW(rows, out, plan, optimizer, W, state);
              SparseBlockDot.stepB(out, plan, optimizer, b, state);
              InputBias.step(out, null, plan, optimizer, b, state);
            }
            try (Routing routing = gate.route(b)) {
              gate.gradient(routing, gates, b);
            }
            SparseBlockDot.apply(W, rows, idx, b, idx).close();
            SparseBlockDot.apply(narrow, rows, plan, epilogue).close();
            Weights.of(W, ElementType.INT8).close();
            for (Weights packed : List.of(bytes, halfBytes)) {
              SparseBlockDot.apply(packed, rows, plan, epilogue).close();
              SparseBlockDot.apply(packed, rows, plan, Epilogue.none().withBias(b), out);
            }
            SparseBlockDot.gradH(
                narrow,
                rows,
                plan,
                GradientOptions.add(0.5f).withActivation(Activation.SILU, rows),
                out);
          });
      long steady = FloatTensor.allocatedBytes();
      SparseBlockDot.apply(W, rows, plan, Epilogue.none().withBias(b), out);
      check(steady == FloatTensor.allocatedBytes(), "an operation in steady state allocated");
    }
  }

  private static void layers(Data data) {
    try (FloatTensor x = FloatTensor.of(data.coarseFloats(40 * 16), 40, 16);
        FloatTensor gradX = FloatTensor.zeros(40, 16);
        IntTensor targets = IntTensor.of(data.indices(40, 400), 40)) {
      try (MixtureOfExperts experts =
              MixtureOfExperts.builder(16, 32, TopKGate.of(6, 2)).biases().build();
          MixtureOfExperts packed = experts.withWeights(ElementType.Q8_0);
          FloatTensor out = FloatTensor.zeros(40, 16)) {
        assertFlat(
            "calls of experts",
            () -> {
              packed.apply(x, out);
              try (ExpertsPass pass = experts.forward(x, out)) {
                pass.step(gradX, Optimizer.adam(0.01f), out);
              }
            });
      }
      try (HierarchicalSoftmax layer = HierarchicalSoftmax.builder(16, 400).build()) {
        assertFlat(
            "calls of a layer",
            () -> {
              for (Optimizer optimizer :
                  List.of(Optimizer.sgd(0.01f), Optimizer.adagrad(0.01f), Optimizer.adam(0.01f))) {
                layer.step(x, targets, Loss.mean(), optimizer, gradX);
              }
              layer.loss(x, targets);
              layer.topK(x, 3);
              layer.probabilities(x).close();
            });
      }
    }
  }

  /** Runs batch sizes that never recur, which must not accumulate memory. */
  private static void batchesOfEverySize() {
    try (FloatTensor x = FloatTensor.zeros(400, 8);
        HierarchicalSoftmax layer = HierarchicalSoftmax.builder(8, 100).build()) {
      int[] size = {0};
      assertFlat(
          "batches of every size",
          () -> {
            int rows = 1 + size[0]++ % 400;
            try (FloatTensor part = FloatTensor.zeros(rows, 8);
                IntTensor targets = IntTensor.zeros(rows)) {
              layer.loss(part, targets);
            }
          });
    }
  }
}
