// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.Arrays;
import org.blocksparse.FloatTensor;
import org.blocksparse.Workers;
import org.blocksparse.programs.StepMemoryProgram;
import org.blocksparse.testing.ChildJvm;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The defaults of a layer, its description, and the memory that it keeps. */
final class SoftmaxBuilderTest {
  @Test
  void defaults() {
    int outputs = 10_000;
    try (HierarchicalSoftmax layer = HierarchicalSoftmax.builder(16, outputs).build()) {
      assertEquals(16, layer.features());
      assertEquals(outputs, layer.outputs());
      // The classes are as many as the cost model finds best, of equal size, in order.
      int classes = ClassCount.REFERENCE.fastest(outputs, ClassCount.BATCH);
      assertEquals(ClassAssignment.contiguous(outputs, classes), layer.assignment());
      assertTrue(classes >= 100 && classes <= 400, classes + " classes");
      assertArrayEquals(new float[layer.classCount()], layer.b1().toArray());
      for (float bias : layer.b2().toArray()) {
        assertEquals(0, bias);
      }
      for (FloatTensor weights : new FloatTensor[] {layer.W1(), layer.W2()}) {
        double sum = 0;
        double squares = 0;
        for (float weight : weights.toArray()) {
          assertTrue(Math.abs(weight) <= 0.25f, "weight " + weight);
          sum += weight;
          squares += weight * weight;
        }
        double n = weights.shape().size();
        // The mean of a uniform distribution in [-1/4, 1/4]; the bound is five standard deviations.
        assertEquals(0, sum / n, 5 * 0.25 / Math.sqrt(3 * n));
        assertEquals(0.25 * 0.25 / 3, squares / n, 0.002);
      }
    }
  }

  @Test
  void equalSeeds_giveEqualLayers() {
    try (HierarchicalSoftmax zero = HierarchicalSoftmax.builder(3, 50).build();
        HierarchicalSoftmax alsoZero = HierarchicalSoftmax.builder(3, 50).seed(0).build();
        HierarchicalSoftmax one = HierarchicalSoftmax.builder(3, 50).seed(1).build()) {
      assertArrayEquals(zero.W1().toArray(), alsoZero.W1().toArray());
      assertArrayEquals(zero.W2().toArray(), alsoZero.W2().toArray());
      assertFalse(Arrays.equals(zero.W1().toArray(), one.W1().toArray()));
      assertFalse(Arrays.equals(zero.W2().toArray(), one.W2().toArray()));
    }
  }

  @Test
  void toString_tellsShapesClassesAndBytes() {
    try (HierarchicalSoftmax layer =
        HierarchicalSoftmax.builder(3, 10).classes(4).workers(Workers.callingThread()).build()) {
      int numbers = 3 * 4 + 4 + 4 * 3 * 3 + 4 * 3;
      assertEquals(
          "HierarchicalSoftmax(3 features, 10 outputs in 4 classes of up to 3, "
              + 4 * numbers
              + " bytes, "
              + Workers.callingThread()
              + ")",
          layer.toString());
    }
  }

  /**
   * The memory of steps, besides parameters and optimizer state, depends on rows, features, classes
   * and slots: a hundred times the outputs, in ten times as many classes of ten times the size,
   * take ten times the memory.
   */
  @Tag("packaged")
  @Test
  void memoryOfSteps_isIndependentOfTheOutputs(@TempDir Path folder) {
    ChildJvm.Result result = new ChildJvm(folder).run(StepMemoryProgram.class);
    assertEquals(0, result.exit(), result::toString);
    assertTrue(result.output().contains("2 sizes, 3 rules"), result::toString);
  }
}
