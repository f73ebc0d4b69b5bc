// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static org.blocksparse.testing.Failures.assertFails;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.file.Path;
import java.util.List;
import java.util.SplittableRandom;
import java.util.function.Consumer;
import org.blocksparse.bag.EmbeddingBag;
import org.blocksparse.internal.backend.KernelChoice;
import org.blocksparse.internal.kernels.KernelWorkers;
import org.blocksparse.internal.kernels.Kernels;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.programs.ClosedOperandsProgram;
import org.blocksparse.ranking.Filter;
import org.blocksparse.softmax.ClassAssignment;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.blocksparse.softmax.LabelTree;
import org.blocksparse.testing.ChildJvm;
import org.blocksparse.testing.Reachable;
import org.blocksparse.testing.WatchedKernels;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Tensors closed while an operation runs stay until it has ended. */
final class ClosedMeanwhileTest {
  /**
   * Runs in a JVM of its own, with other kernels. Java kernels are checked as well, since no code
   * can use their memory after it is freed.
   */
  @Tag("packaged")
  @ParameterizedTest
  @ValueSource(strings = {"native", "java"})
  void theOperandsOfAllOperations(String backend, @TempDir Path folder) {
    assumeTrue(backend.equals("java") || Backend.isNative(), "there is no native library");
    ChildJvm.Result result =
        new ChildJvm(folder)
            .property("blocksparse.backend", backend)
            .run(ClosedOperandsProgram.class);
    assertEquals(0, result.exit(), result::toString);
  }

  /** The weights of a narrow layer are kept alive like those of a layer of floats. */
  @ParameterizedTest
  @EnumSource(names = {"FLOAT32", "FLOAT16", "BFLOAT16", "INT8"})
  void narrowLayers(ElementType type) {
    List<Consumer<Narrow>> calls =
        List.of(
            on -> on.layer.topK(on.x, 2),
            on -> on.layer.topK(on.x, 2, Filter.only(1, 2)),
            on -> on.layer.topP(on.x, 0.5),
            on -> on.layer.sample(on.x, new SplittableRandom(1)),
            on -> on.layer.probabilities(on.x).close(),
            on -> on.layer.logProbabilities(on.x).close(),
            on -> on.layer.loss(on.x, on.targets),
            on -> on.tree.topK(on.x, 2),
            on -> on.tree.probabilities(on.x).close(),
            on -> on.bag.apply(on.rows).close());
    for (int call = 0; call < calls.size(); call++) {
      Narrow operands = new Narrow(type);
      calls.get(call).accept(operands);
      assertTrue(operands.closed, "no kernel was called");
      assertFalse(operands.freed, "call " + call + " uses memory that is gone");
    }
  }

  /** The operands of a narrow layer, all of which the first kernel that is called closes. */
  private static final class Narrow {
    boolean closed;
    boolean freed;
    final FloatTensor x = FloatTensor.zeros(2, 3);
    final IntTensor targets = IntTensor.zeros(2);
    final SparseRows rows = SparseRows.of(List.of(new int[] {1, 2}, new int[] {3}));
    final Workers workers =
        KernelWorkers.of(
            Workers.callingThread(),
            WatchedKernels.of(KernelChoice.kernels(), (kernel, given) -> closeAll(given)));
    final HierarchicalSoftmax layer;
    final LabelTree tree;
    final EmbeddingBag bag;
    private boolean made;

    Narrow(ElementType type) {
      try (HierarchicalSoftmax wide = HierarchicalSoftmax.builder(3, 5).workers(workers).build();
          LabelTree wideTree = LabelTree.builder(3, 5).workers(workers).build();
          EmbeddingBag wideBag = EmbeddingBag.builder(5, 4).workers(workers).build()) {
        layer = wide.withWeights(type);
        tree = wideTree.withWeights(type);
        bag = wideBag.withWeights(type);
      }
      made = true;
    }

    private void closeAll(Object[] given) {
      if (made) {
        if (!closed) {
          closed = true;
          layer.close();
          tree.close();
          bag.close();
          x.close();
          targets.close();
          rows.close();
        }
        freed |= Reachable.of(Storage.class, given).stream().anyMatch(Storage::isFreed);
      }
    }
  }

  /** The order differs from that of the classes, so that results are copied into the tensor. */
  @Test
  void theTensorThatProbabilitiesAreWrittenTo() {
    int[] classOf = {1, 0, 1, 0, 2};
    FloatTensor out = FloatTensor.zeros(2, 5);
    Kernels closing = WatchedKernels.of(KernelChoice.kernels(), (kernel, given) -> out.close());
    try (out;
        FloatTensor x = FloatTensor.zeros(2, 3);
        HierarchicalSoftmax layer =
            HierarchicalSoftmax.builder(3, 5)
                .classes(ClassAssignment.of(classOf))
                .workers(KernelWorkers.of(Workers.callingThread(), closing))
                .build()) {
      var values = out.asFloatBuffer();
      layer.W2().fill(0);
      layer.probabilities(x, out);
      assertTrue(out.isClosed());
      float third = 1f / 3;
      float[] expected = {third / 2, third / 2, third / 2, third / 2, third};
      for (int i = 0; i < 10; i++) {
        assertEquals(expected[i % 5], values.get(i), 1e-6, "element " + i);
      }
    }
  }

  @Test
  void theMessageOfAClosedLayer() {
    HierarchicalSoftmax layer = HierarchicalSoftmax.builder(3, 5).build();
    layer.close();
    try (FloatTensor x = FloatTensor.zeros(2, 3)) {
      assertFails(
          IllegalStateException.class, "layer: the layer is closed", () -> layer.topK(x, 1));
    }
    try (HierarchicalSoftmax open = HierarchicalSoftmax.builder(3, 5).classes(2).build();
        FloatTensor x = FloatTensor.zeros(2, 3)) {
      open.b1().close();
      assertFails(
          IllegalStateException.class, "b1: the tensor (2) is closed", () -> open.topK(x, 1));
    }
  }
}
