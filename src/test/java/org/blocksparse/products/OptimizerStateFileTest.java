// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.products;

import static org.blocksparse.testing.Failures.assertFails;
import static org.blocksparse.testing.Failures.assertRejects;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import org.blocksparse.FileFormatException;
import org.blocksparse.FloatTensor;
import org.blocksparse.IntTensor;
import org.blocksparse.Optimizer;
import org.blocksparse.Tensor;
import org.blocksparse.io.TensorFile;
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

  /** As many tensors as a file can hold, with shapes as long as those of models. */
  @Test
  void aStateOfVeryManyTensorsIsMadeInSecondsAndSaved() throws IOException {
    FloatTensor[] many = new FloatTensor[65_534];
    Arrays.setAll(many, t -> FloatTensor.zeros(1, 1000, 0, Integer.MAX_VALUE));
    FloatTensor same = FloatTensor.zeros(1, 1000, SIZE, 1);
    many[0] = same;
    many[many.length - 1] = FloatTensor.zeros(1, 1000, SIZE, 1);
    ThreadMXBean threads = ManagementFactory.getThreadMXBean();
    long before = threads.getCurrentThreadCpuTime();
    try (IntTensor none = IntTensor.zeros(0, 1);
        BlockPlan nothing = BlockPlan.of(none, none, 1, 1000);
        FloatTensor noRows = FloatTensor.zeros(0, 1, 0);
        FloatTensor noGradient = FloatTensor.zeros(0, 1, Integer.MAX_VALUE);
        FloatTensor no = FloatTensor.zeros(0, 1, SIZE);
        FloatTensor noOne = FloatTensor.zeros(0, 1, 1);
        OptimizerState state = OptimizerState.of(many)) {
      for (FloatTensor tensor : many) {
        boolean real = tensor.shape().size() > 0;
        SparseBlockDot.stepW(
            real ? no : noRows,
            real ? noOne : noGradient,
            nothing,
            Optimizer.adagrad(1),
            tensor,
            state);
      }
      state.save(file);
      try (OptimizerState loaded = OptimizerState.load(file, many)) {
        assertEquals(state.toString(), loaded.toString());
      }
      many[1] = same.reshape(1, 1000, 1, SIZE);
      assertRejects("tensors[1]: shares memory with tensors[0]", () -> OptimizerState.of(many));
    } finally {
      for (FloatTensor tensor : many) {
        tensor.close();
      }
    }
    long seconds = (threads.getCurrentThreadCpuTime() - before) / 1_000_000_000;
    assertTrue(seconds < 60, seconds + " seconds"); // comparing all pairs takes longer
  }

  @Test
  void otherTensorsAreRefused() throws IOException {
    try (OptimizerState state = OptimizerState.of(start, startB)) {
      train(start, startB, state, Optimizer.adam(0.1f), Optimizer.adam(0.1f), 1);
      state.save(file);
    }
    assertFails(
        FileFormatException.class,
        file + ": __metadata__: has the state of 2 tensors, not of 1",
        () -> OptimizerState.load(file, start));
    try (FloatTensor wider = FloatTensor.zeros(BLOCKS, SIZE + 1)) {
      assertFails(
          FileFormatException.class,
          file + ": optimizer.first.1: expected (3, 6) but was (3, 5)",
          () -> OptimizerState.load(file, start, wider));
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
