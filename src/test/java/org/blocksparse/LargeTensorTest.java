// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.abort;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.Arrays;
import org.blocksparse.products.BlockPlan;
import org.blocksparse.products.Epilogue;
import org.blocksparse.products.SparseBlockDot;
import org.blocksparse.products.SparseBlockOuter;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.blocksparse.testing.BlockProblem;
import org.blocksparse.testing.BlockProblem.Sizes;
import org.blocksparse.testing.Data;
import org.blocksparse.testing.Data.Numbers;
import org.blocksparse.testing.Oracle;
import org.blocksparse.testing.ProcessMemory;
import org.blocksparse.testing.Seeded;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;
import org.junit.jupiter.api.extension.ExtendWith;

/**
 * Tensors of more than 2<sup>31</sup> elements, 8.6 GB. They reserve address space; physical memory
 * is used only where they are written, which most of these tests do in a few places. {@code
 * -Dblocksparse.large=DIR} also runs the test that writes a whole tensor.
 */
@ExtendWith(Seeded.class)
public final class LargeTensorTest {
  private static final int BLOCK = 64;
  private static final int BLOCKS = (1 << 19) + 2;

  /**
   * The first and the last block, and blocks around 2^28 elements, where buffers meet, and 2^31.
   */
  private static final int[] CHOSEN = {
    0, (1 << 16) - 1, 1 << 16, (1 << 19) - 1, 1 << 19, BLOCKS - 1
  };

  @BeforeEach
  void needsTheNativeLibrary() {
    assumeTrue(Backend.isNative(), "direct buffers are limited to the size of the heap");
  }

  public static FloatTensor large(long... dims) {
    assertTrue(Shape.of(dims).size() > 1L << 31);
    try {
      return FloatTensor.zeros(dims);
    } catch (OutOfMemoryError e) {
      return abort("the system has not enough memory: " + e.getMessage());
    }
  }

  @Test
  void elements() {
    try (FloatTensor tensor = large(BLOCKS, BLOCK * BLOCK)) {
      long size = tensor.shape().size();
      for (long offset : new long[] {0, (1L << 28) - 3, (1L << 30) - 3, (1L << 31) - 3, size - 6}) {
        float[] values = {1, 2, 3, 4, 5, 6};
        tensor.put(offset, values, 0, 6);
        float[] read = new float[6];
        tensor.get(offset, read, 0, 6);
        assertArrayEquals(values, read, "from " + offset);
      }
      assertEquals(6, tensor.get(BLOCKS - 1, BLOCK * BLOCK - 1));
      assertEquals(4, tensor.get(1 << 19, 0));
      tensor.set(7, 1 << 19, 1);
      try (FloatTensor flat = tensor.reshape(size)) {
        assertEquals(7, flat.get((1L << 31) + 1));
      }
    }
  }

  @Test
  void integers() {
    large((1L << 31) + 5).close(); // is there enough memory?
    try (IntTensor tensor = IntTensor.zeros((1L << 31) + 5)) {
      tensor.set(-9, (1L << 31) + 4);
      assertEquals(-9, tensor.get((1L << 31) + 4));
      assertEquals(0, tensor.get(4));
    }
  }

  /** Multiplies the blocks of a small problem that lie far apart. */
  @Test
  void blocksOfALargeTensor(Data data) {
    int few = CHOSEN.length;
    BlockProblem p = data.blocks(new Sizes(40, 1, few, BLOCK, BLOCK, 2, 3), Numbers.SMALL_INTEGERS);
    Sizes s = p.sizes();
    int[] far = Arrays.stream(p.outputIdx()).map(block -> CHOSEN[block]).toArray();
    for (boolean transposed : new boolean[] {false, true}) {
      try (FloatTensor memory =
              transposed ? large(BLOCKS, 1, BLOCK, BLOCK) : large(1, BLOCKS, BLOCK, BLOCK);
          FloatTensor W =
              transposed ? memory.transposeBlocks() : memory.reshape(memory.shape().toArray());
          FloatTensor h = FloatTensor.of(p.h(), s.h());
          FloatTensor b = FloatTensor.zeros(BLOCKS, BLOCK);
          FloatTensor gradOut = FloatTensor.of(p.gradOut(), s.o());
          IntTensor inputIdx = IntTensor.of(p.inputIdx(), s.inputIdx());
          IntTensor outputIdx = IntTensor.of(far, s.outputIdx());
          BlockPlan plan = BlockPlan.of(inputIdx, outputIdx, 1, BLOCKS)) {
        float[] weights = transposed ? p.transposedW() : p.W();
        for (int block = 0; block < few; block++) {
          memory.put(
              (long) CHOSEN[block] * BLOCK * BLOCK, weights, block * BLOCK * BLOCK, BLOCK * BLOCK);
          b.put((long) CHOSEN[block] * BLOCK, p.b(), block * BLOCK, BLOCK);
        }
        try (FloatTensor out = SparseBlockDot.apply(W, h, plan, Epilogue.none().withBias(b));
            FloatTensor gradH = SparseBlockDot.gradH(W, gradOut, plan)) {
          Oracle.dot(p).assertExact("out", out);
          Oracle.gradH(p).assertExact("gradH", gradH);
        }
        SparseBlockOuter.applyInPlace(h, gradOut, plan, 1, W);
        float[] expected = blocks(p);
        for (int block = 0; block < few; block++) {
          for (int row = 0; row < BLOCK; row++) {
            for (int column = 0; column < BLOCK; column++) {
              assertEquals(
                  expected[(block * BLOCK + row) * BLOCK + column],
                  W.get(0, CHOSEN[block], row, column),
                  "block " + CHOSEN[block]);
            }
          }
        }
      }
    }
  }

  /** Returns the weights of a small problem after outer products. */
  private static float[] blocks(BlockProblem p) {
    Sizes s = p.sizes();
    try (FloatTensor W = FloatTensor.of(p.W(), s.W());
        FloatTensor h = FloatTensor.of(p.h(), s.h());
        FloatTensor gradOut = FloatTensor.of(p.gradOut(), s.o());
        BlockPlan plan = p.plan(Workers.common())) {
      SparseBlockOuter.applyInPlace(h, gradOut, plan, 1, W);
      Oracle.outer(p, 1).assertExact("outer", W);
      return W.toArray();
    }
  }

  private static final int ROWS = (1 << 21) + 1;
  private static final int ROW = 1024;

  /** Reads rows beyond 2^31 elements. */
  @Test
  void rowsOfALargeTensor() {
    try (FloatTensor W = FloatTensor.zeros(1, 1, ROW, 8);
        FloatTensor h = large(ROWS, 1, ROW);
        FloatTensor b = FloatTensor.of(new float[] {1, 2, 3, 4, 5, 6, 7, 8}, 1, 8);
        IntTensor idx = IntTensor.zeros(ROWS, 1);
        BlockPlan plan = BlockPlan.of(idx, idx, 1, 1)) {
      W.fill(1);
      h.set(10, ROWS - 1, 0, ROW - 1);
      try (FloatTensor out = SparseBlockDot.apply(W, h, plan, Epilogue.none().withBias(b))) {
        assertEquals(8, out.get(0, 0, 7));
        assertEquals(8, out.get(ROWS - 2, 0, 7));
        assertEquals(18, out.get(ROWS - 1, 0, 7));
      }
    }
  }

  /** Writes 8.6 GB. */
  @Test
  @EnabledIfSystemProperty(named = "blocksparse.large", matches = ".+")
  void aLargeTensorThatIsWritten() {
    try (FloatTensor W = FloatTensor.zeros(1, 1, ROW, 8);
        FloatTensor gradOut = FloatTensor.zeros(ROWS, 1, 8);
        FloatTensor gradH = large(ROWS, 1, ROW);
        IntTensor idx = IntTensor.zeros(ROWS, 1);
        BlockPlan plan = BlockPlan.of(idx, idx, 1, 1)) {
      W.fill(1);
      gradOut.fill(2);
      SparseBlockDot.gradH(W, gradOut, plan, GradientOptions.overwrite(), gradH);
      float[] row = new float[ROW];
      for (long r = 0; r < ROWS; r++) {
        gradH.get(r * ROW, row, 0, ROW);
        for (float value : row) {
          assertEquals(16, value);
        }
      }
      System.out.printf("%d MB were resident at most%n", ProcessMemory.peakBytes() >> 20);
    }
  }

  @Test
  void aLayerOfALargeTensor() {
    int features = 4096;
    int slots = 1024;
    int classes = 513;
    float[] row = new float[features];
    for (int f = 0; f < features; f++) {
      row[f] = f % 5 - 2;
    }
    try (FloatTensor W2 = large(classes, features, slots);
        FloatTensor x = FloatTensor.of(row, 1, features);
        IntTensor target = IntTensor.of(new int[] {classes * slots - 1}, 1);
        HierarchicalSoftmax layer =
            HierarchicalSoftmax.builder(features, classes * slots)
                .classes(classes)
                .build(
                    FloatTensor.zeros(features, classes),
                    FloatTensor.zeros(classes),
                    W2,
                    FloatTensor.zeros(classes, slots))) {
      double expected = Math.log(classes) + Math.log(slots);
      assertEquals(expected, layer.step(x, target, Optimizer.sgd(1)), 1e-4);
      for (int f = 0; f < features; f += 511) {
        assertEquals(
            row[f] * (1 - 1f / slots), W2.get(classes - 1, f, slots - 1), 1e-5, "feature " + f);
        assertEquals(-row[f] / slots, W2.get(classes - 1, f, 0), 1e-6, "feature " + f);
        assertEquals(0, W2.get(0, f, slots - 1));
      }
      assertTrue(layer.loss(x, target) < expected);
    }
  }
}
