// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Map;
import org.blocksparse.testing.Data;
import org.blocksparse.testing.Seeded;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The state of an optimizer in a file. */
@ExtendWith(Seeded.class)
final class OptimizerStateFileTest {
  private static final int BLOCKS = 3;
  private static final int SIZE = 5;

  @TempDir Path folder;
  private Path file;

  private final IntTensor idx = IntTensor.of(new int[] {0, 2, 2, 0}, 2, 2);
  private final BlockPlan plan = BlockPlan.of(idx, idx, BLOCKS, BLOCKS);
  private FloatTensor h;
  private FloatTensor gradOut;
  private FloatTensor start;
  private FloatTensor startB;

  @BeforeEach
  void operands(Data data) {
    file = folder.resolve("state.safetensors");
    h = FloatTensor.of(data.coarseFloats(2 * 2 * SIZE), 2, 2, SIZE);
    gradOut = FloatTensor.of(data.coarseFloats(2 * 2 * SIZE), 2, 2, SIZE);
    start =
        FloatTensor.of(
            data.coarseFloats(BLOCKS * BLOCKS * SIZE * SIZE), BLOCKS, BLOCKS, SIZE, SIZE);
    startB = FloatTensor.of(data.coarseFloats(BLOCKS * SIZE), BLOCKS, SIZE);
  }

  @AfterEach
  void close() {
    plan.close();
    for (Tensor tensor : new Tensor[] {idx, h, gradOut, start, startB}) {
      tensor.close();
    }
  }

  private static FloatTensor copy(FloatTensor tensor) {
    return FloatTensor.of(tensor.toArray(), tensor.shape().toArray());
  }

  private void train(
      FloatTensor w, FloatTensor b, OptimizerState state, Optimizer ofW, Optimizer ofB, int steps) {
    for (int step = 0; step < steps; step++) {
      SparseBlockDot.stepW(h, gradOut, plan, ofW, w, state);
      SparseBlockDot.stepB(gradOut, plan, ofB, b, state);
    }
  }

  private static Optimizer optimizer(String rule) {
    return switch (rule) {
      case "sgd" -> Optimizer.sgd(0.1f);
      case "adagrad" -> Optimizer.adagrad(0.1f);
      default -> Optimizer.adam(0.1f);
    };
  }

  @ParameterizedTest
  @CsvSource({"sgd,adam", "adagrad,sgd", "adam,adagrad", "adam,adam", "sgd,sgd"})
  void trainingGoesOn_asIfItHadNotEnded(String ruleOfW, String ruleOfB) throws IOException {
    Optimizer ofW = optimizer(ruleOfW);
    Optimizer ofB = optimizer(ruleOfB);
    try (FloatTensor w = copy(start);
        FloatTensor b = copy(startB);
        OptimizerState state = OptimizerState.of(w, b)) {
      train(w, b, state, ofW, ofB, 4);
      state.save(file);
      try (FloatTensor w2 = copy(w);
          FloatTensor b2 = copy(b);
          OptimizerState loaded = OptimizerState.load(file, w2, b2)) {
        assertEquals(state.toString(), loaded.toString());
        train(w, b, state, ofW, ofB, 3);
        train(w2, b2, loaded, ofW, ofB, 3);
        assertArrayEquals(w.toArray(), w2.toArray());
        assertArrayEquals(b.toArray(), b2.toArray());
      }
    }
  }

  @Test
  void otherTensorsAreRefused() throws IOException {
    try (OptimizerState state = OptimizerState.of(start, startB)) {
      train(start, startB, state, Optimizer.adam(0.1f), Optimizer.adam(0.1f), 1);
      state.save(file);
    }
    assertEquals(
        file + ": __metadata__: has the state of 2 tensors, not of 1",
        assertThrows(FileFormatException.class, () -> OptimizerState.load(file, start))
            .getMessage());
    try (FloatTensor wider = FloatTensor.zeros(BLOCKS, SIZE + 1)) {
      assertEquals(
          file + ": optimizer.first.1: expected (3, 6) but was (3, 5)",
          assertThrows(FileFormatException.class, () -> OptimizerState.load(file, start, wider))
              .getMessage());
    }
  }

  @Test
  void otherFilesAreRefused() throws IOException {
    TensorFile.save(file, Map.of("W", start));
    long before = FloatTensor.allocatedBytes();
    assertThrows(FileFormatException.class, () -> OptimizerState.load(file, start));
    assertThrows(IOException.class, () -> OptimizerState.load(folder, start));
    assertThrows(IOException.class, () -> OptimizerState.load(folder.resolve("not there"), start));
    assertTrue(FloatTensor.allocatedBytes() <= before, "memory was kept");
  }

  @Test
  void whatIsClosedIsNotSaved() {
    for (String rule : new String[] {"sgd", "adam"}) {
      OptimizerState state = OptimizerState.of(start);
      SparseBlockDot.stepW(h, gradOut, plan, optimizer(rule), start, state);
      state.close();
      assertThrows(IllegalStateException.class, () -> state.save(file), rule);
    }
  }
}
