// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static org.blocksparse.testing.Failures.assertRejects;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.blocksparse.io.NamedTensors;
import org.blocksparse.io.TensorFile;
import org.blocksparse.products.BlockPlan;
import org.blocksparse.products.SparseBlockDot;
import org.blocksparse.products.SparseBlockGemv;
import org.blocksparse.products.SparseBlockOuter;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/** Weights without elements, whose dimensions alone would exceed any memory. */
final class EmptyWeightsTest {
  @Test
  void theBiasIsAllThereIs() {
    int most = Integer.MAX_VALUE;
    try (FloatTensor W = FloatTensor.zeros(most, most, 0, 2);
        FloatTensor h = FloatTensor.zeros(1, 1, 0);
        FloatTensor o = FloatTensor.of(new float[] {5, 6}, 1, 1, 2);
        IntTensor idx = IntTensor.of(new int[] {most - 1}, 1, 1);
        BlockPlan plan = BlockPlan.of(idx, idx, most, most);
        FloatTensor sum = SparseBlockGemv.apply(o, W, h, plan);
        FloatTensor gradH = SparseBlockDot.gradH(W, o, plan)) {
      assertArrayEquals(new float[] {5, 6}, sum.toArray());
      assertArrayEquals(new float[0], gradH.toArray());
      SparseBlockOuter.applyInPlace(h, o, plan, 1, W);
    }
  }

  @ParameterizedTest
  @EnumSource
  void weightsOfNoBlocksAddNothing(ElementType type) {
    int most = Integer.MAX_VALUE;
    try (FloatTensor none = FloatTensor.zeros(0, most, most, 2);
        Weights W = Weights.of(none, type);
        FloatTensor h = FloatTensor.zeros(1, 0, most);
        FloatTensor o = FloatTensor.of(new float[] {5, 6}, 1, 1, 2);
        IntTensor noIdx = IntTensor.zeros(1, 0);
        IntTensor idx = IntTensor.of(new int[] {5}, 1, 1);
        BlockPlan plan = BlockPlan.of(noIdx, idx, 0, most);
        FloatTensor sum = SparseBlockGemv.apply(o, W, h, plan)) {
      assertArrayEquals(new float[] {5, 6}, sum.toArray());
    }
  }

  /** INT8 has as many scales as there are columns, even of empty blocks. */
  @ParameterizedTest
  @CsvSource({
    "2147483647, 2147483647, 2",
    "2147483647, 2147483647, 2147483647",
    "1048576, 1, 4096",
    "1, 1048577, 1"
  })
  void scalesOfNothingAreBounded(long iBlocks, long oBlocks, long oSize, @TempDir Path folder) {
    Path file = folder.resolve("weights");
    try (FloatTensor W = FloatTensor.zeros(iBlocks, oBlocks, 0, oSize)) {
      NamedTensors weights = NamedTensors.none().with("W", W, ElementType.INT8);
      for (Executable refused :
          List.<Executable>of(
              () -> Weights.of(W, ElementType.INT8), () -> TensorFile.save(file, weights))) {
        assertRejects(
            "W: INT8 of " + W.shape() + " would have more than 2^20 scales of no weights", refused);
      }
      assertFalse(Files.exists(file));
      try (Weights other = Weights.of(W, ElementType.BFLOAT16)) {
        assertEquals(0, other.bytes());
      }
    }
  }

  @Test
  void fewScalesOfNothingAreKept(@TempDir Path folder) throws IOException {
    Path file = folder.resolve("weights");
    try (FloatTensor W = FloatTensor.zeros(1 << 10, 1 << 10, 0, 1);
        Weights weights = Weights.of(W, ElementType.INT8)) {
      assertEquals(4 << 20, weights.bytes());
      TensorFile.save(file, NamedTensors.none().with("W", W, ElementType.INT8));
      try (TensorFile saved = TensorFile.open(file);
          Weights read = saved.weights("W")) {
        assertEquals(weights.bytes(), read.bytes());
        assertEquals(W.shape(), read.shape());
      }
    }
  }
}
