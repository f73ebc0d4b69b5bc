// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.file.Path;
import org.blocksparse.internal.KernelChoice;
import org.blocksparse.internal.Kernels;
import org.blocksparse.programs.ClosedOperandsProgram;
import org.blocksparse.testing.ChildJvm;
import org.blocksparse.testing.WatchedKernels;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What is closed while an operation runs stays until the operation has ended. */
final class ClosedMeanwhileTest {
  /**
   * In a JVM of its own, whose kernels are others. With Java kernels as well, whose memory cannot
   * be used by any code once it is gone.
   */
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

  /** In an order that is not that of the classes, so that results are copied into the tensor. */
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
                .workers(Workers.callingThread().with(closing))
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
      assertEquals(
          "layer: the layer is closed",
          assertThrows(IllegalStateException.class, () -> layer.topK(x, 1)).getMessage());
    }
    try (HierarchicalSoftmax open = HierarchicalSoftmax.builder(3, 5).classes(2).build();
        FloatTensor x = FloatTensor.zeros(2, 3)) {
      open.b1().close();
      assertEquals(
          "b1: the tensor (2) is closed",
          assertThrows(IllegalStateException.class, () -> open.topK(x, 1)).getMessage());
    }
  }
}
