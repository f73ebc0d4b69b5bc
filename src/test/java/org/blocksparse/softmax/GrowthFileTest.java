// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import static org.blocksparse.softmax.GrowingLayer.CLASSES;
import static org.blocksparse.softmax.GrowingLayer.assertIsWell;
import static org.blocksparse.softmax.GrowingLayer.assertSameLayer;
import static org.blocksparse.softmax.GrowingLayer.train;
import static org.blocksparse.softmax.GrowingLayer.trained;
import static org.blocksparse.softmax.GrowingLayer.untrained;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.blocksparse.ElementType;
import org.blocksparse.FileFormatException;
import org.blocksparse.FloatTensor;
import org.blocksparse.IntTensor;
import org.blocksparse.Optimizer;
import org.blocksparse.Workers;
import org.blocksparse.io.LoadOptions;
import org.blocksparse.io.SaveOptions;
import org.blocksparse.io.TensorFile;
import org.blocksparse.testing.SafeTensorsOracle;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Files of layers that have grown, and growth of layers that are mapped from a file. */
final class GrowthFileTest {
  @TempDir Path folder;

  @ParameterizedTest
  @EnumSource
  void filesKeepWhatIsRetired(LayerKind kind) throws IOException {
    Path file = folder.resolve("model");
    Optimizer adam = Optimizer.adam(.01f);
    try (TwoLevelLayer<?> layer = trained(kind, adam)) {
      layer.addOutputs(30);
      layer.retire(IntStream.range(5, 38).toArray()); // class 2 is empty; 39 outputs, 2 x 16 slots
      layer.save(file, SaveOptions.defaults().withOptimizerState());
      for (LoadOptions options : List.of(LoadOptions.copied(), LoadOptions.copyOnWrite())) {
        try (TwoLevelLayer<?> loaded = kind.load(file, options);
            TwoLevelLayer<?> again = layer.copy()) {
          assertSameLayer(layer, loaded);
          assertTrue(loaded.assignment().isRetired(7));
          train(again, adam, 0, 1, 2, 38);
          train(loaded, adam, 0, 1, 2, 38);
          assertSameLayer(again, loaded);
          assertEquals(Map.of(), loaded.metadata());
        }
      }
    }
  }

  /** A class has the steps of the output with the most; each of the others began later. */
  @ParameterizedTest
  @EnumSource
  void aClassOfSeveralHasTakenTheStepsOfTheMostTrained(LayerKind kind) throws IOException {
    Path file = folder.resolve("model");
    ClassAssignment three = ClassAssignment.of(0, 0, 1, 1, 2, 2);
    try (TwoLevelLayer<?> layer = kind.random(2, three, Workers.common(), 1);
        FloatTensor x = FloatTensor.zeros(1, 2)) {
      for (int target : new int[] {0, 2, 3, 2}) {
        LayerKind.step(layer, x, Optimizer.adam(.01f), target);
      }
      layer.reassign(ClassAssignment.of(0, 0, 0, 1, 1, 1));
      layer.save(file, SaveOptions.defaults().withOptimizerState());
    }
    try (TensorFile saved = TensorFile.open(file);
        IntTensor steps = saved.ints("optimizer.steps");
        IntTensor begun = saved.ints("optimizer.begun")) {
      assertArrayEquals(new int[] {3, 3}, steps.toArray());
      assertArrayEquals(new int[] {2, 2, 0, 0, 3, 3}, begun.toArray());
    }
    assertRefused(kind, file, 4, 4, "element 4 = 4 is more than the 3 steps of its class");
    assertRefused(kind, file, 1, -1, "element 1 = -1 is negative");
  }

  /** Asserts that a file with impossible begins of its outputs is rejected. */
  private static void assertRefused(
      LayerKind kind, Path file, int element, int value, String reason) throws IOException {
    byte[] right = Files.readAllBytes(file);
    SafeTensorsOracle.Tensor begun = new SafeTensorsOracle(file).tensors.get("optimizer.begun");
    byte[] wrong = right.clone();
    ByteBuffer.wrap(wrong)
        .order(ByteOrder.LITTLE_ENDIAN)
        .putInt((int) begun.positionInFile() + 4 * element, value);
    Files.write(file, wrong);
    FileFormatException refused =
        assertThrows(FileFormatException.class, () -> kind.load(file, LoadOptions.copied()));
    assertEquals("optimizer.begun", refused.part());
    assertEquals(reason, refused.reason());
    Files.write(file, right);
  }

  /** Read-only memory is not written; new memory may be. */
  @ParameterizedTest
  @EnumSource
  void mappedLayersAreNotChanged(LayerKind kind) throws IOException {
    Path file = folder.resolve("model");
    try (TwoLevelLayer<?> layer = untrained(kind)) {
      layer.save(file);
    }
    try (TwoLevelLayer<?> mapped = kind.load(file, LoadOptions.mapped())) {
      assertThrows(IllegalStateException.class, () -> mapped.addOutputs(1));
      assertThrows(IllegalStateException.class, () -> mapped.retire(1));
      assertEquals(9, mapped.outputs());
      assertEquals(CLASSES, mapped.assignment());
      assertIsWell(mapped);
      mapped.addOutputs(9);
      mapped.retire(1);
      assertIsWell(mapped);
    }
  }

  /** Weights that are only read do not grow, but can be copied. */
  @ParameterizedTest
  @EnumSource
  void narrowLayersAreCopiedAndNotChanged(LayerKind kind) throws IOException {
    Path file = folder.resolve("model");
    try (TwoLevelLayer<?> layer = untrained(kind);
        TwoLevelLayer<?> narrow = layer.withWeights(ElementType.INT8)) {
      narrow.save(file);
    }
    try (TwoLevelLayer<?> narrow = kind.load(file, LoadOptions.mapped());
        TwoLevelLayer<?> copy = narrow.copy()) {
      assertEquals(ElementType.INT8, copy.weightType());
      assertThrows(IllegalStateException.class, () -> copy.addOutputs(1));
      assertThrows(IllegalStateException.class, () -> copy.reassign(CLASSES));
      assertIsWell(copy);
    }
  }
}
