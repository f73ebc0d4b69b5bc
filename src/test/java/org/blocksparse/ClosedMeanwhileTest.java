// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import org.blocksparse.internal.Kernels;
import org.blocksparse.internal.KernelsProvider;
import org.junit.jupiter.api.Test;

/** What is closed while an operation runs stays until the operation has ended. */
final class ClosedMeanwhileTest {
  /** These kernels, which close something before they compute a softmax. */
  private static Workers closing(FloatTensor tensor) {
    Kernels kernels = KernelsProvider.kernels();
    Kernels closing =
        (Kernels)
            Proxy.newProxyInstance(
                Kernels.class.getClassLoader(),
                new Class<?>[] {Kernels.class},
                (proxy, method, arguments) -> {
                  if (method.getName().equals("blockSoftmax")) {
                    tensor.close();
                  }
                  try {
                    return method.invoke(kernels, arguments);
                  } catch (InvocationTargetException e) {
                    throw e.getCause();
                  }
                });
    return Workers.callingThread().with(closing);
  }

  /** In an order that is not that of the classes, so that results are copied into the tensor. */
  @Test
  void theTensorThatProbabilitiesAreWrittenTo() {
    int[] classOf = {1, 0, 1, 0, 2};
    try (FloatTensor x = FloatTensor.zeros(2, 3);
        FloatTensor out = FloatTensor.zeros(2, 5);
        HierarchicalSoftmax layer =
            HierarchicalSoftmax.builder(3, 5)
                .classes(ClassAssignment.of(classOf))
                .workers(closing(out))
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
