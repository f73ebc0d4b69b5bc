// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.List;
import java.util.stream.Stream;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.blocksparse.testing.KernelsUnderTest;
import org.blocksparse.testing.LayerParameters;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** A rejected step of training, or another rejected write, has no effect. */
final class RefusedStepTest {
  private static final int FEATURES = 4;
  private static final int CLASSES = 3;
  private static final int SLOTS = 5;

  static Stream<KernelsUnderTest> kernels() {
    return KernelsUnderTest.forBlocks(FEATURES, SLOTS).stream();
  }

  private static HierarchicalSoftmax layer(Workers workers) {
    return HierarchicalSoftmax.builder(FEATURES, CLASSES * SLOTS)
        .classes(CLASSES)
        .workers(workers)
        .seed(1)
        .build();
  }

  /** A step with another rule drops the state of an optimizer, but a rejected step does not. */
  @ParameterizedTest
  @MethodSource("kernels")
  void aLossThatIsNotFiniteLeavesTheOptimizerStateAlone(KernelsUnderTest kernels) {
    Optimizer adam = Optimizer.adam(0.1f);
    for (Optimizer other : List.of(Optimizer.sgd(0.1f), Optimizer.adagrad(0.1f))) {
      try (HierarchicalSoftmax expected = layer(kernels.workers());
          HierarchicalSoftmax actual = layer(kernels.workers());
          FloatTensor x = FloatTensor.of(new float[] {1, -1, 2, 0.5f}, 1, FEATURES);
          FloatTensor bad = FloatTensor.of(new float[] {1, Float.NaN, 2, 0}, 1, FEATURES);
          IntTensor targets = IntTensor.of(new int[] {7}, 1)) {
        expected.step(x, targets, adam);
        actual.step(x, targets, adam);
        assertThrows(ArithmeticException.class, () -> actual.step(bad, targets, other));
        // The loss is not finite within the class of the target, but finite at the class level.
        float kept = actual.b2().get(1, 0);
        actual.b2().set(Float.NaN, 1, 0);
        assertThrows(ArithmeticException.class, () -> actual.step(x, targets, other));
        actual.b2().set(kept, 1, 0);
        expected.step(x, targets, adam);
        actual.step(x, targets, adam);
        LayerParameters.of(expected).assertSame("after " + other, actual);
      }
    }
  }
}
