// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.BitSet;
import java.util.Comparator;
import java.util.List;
import java.util.stream.IntStream;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.constraints.IntRange;
import org.blocksparse.FloatTensor;
import org.blocksparse.Optimizer;
import org.blocksparse.Workers;
import org.blocksparse.io.LoadOptions;
import org.blocksparse.io.SaveOptions;
import org.blocksparse.ranking.Ranking;
import org.blocksparse.testing.Data;
import org.blocksparse.testing.Data.Numbers;
import org.blocksparse.testing.KernelsUnderTest;

/** A layer stays valid under any operations in any order. */
final class GrowthProperties {
  private static final List<KernelsUnderTest> KERNELS = KernelsUnderTest.all();
  private static final int FEATURES = 3;

  @Provide
  Arbitrary<KernelsUnderTest> kernels() {
    return Arbitraries.of(KERNELS);
  }

  private enum Change {
    ADD,
    ADD_BY_X,
    RETIRE,
    REUSE,
    REASSIGN,
    STEP,
    COPY,
    FILE
  }

  /** A layer, and the expected state of its outputs. */
  private static final class World implements AutoCloseable {
    final Data data;
    final LayerKind kind;
    final Workers workers;
    final Optimizer optimizer;
    final BitSet live = new BitSet();
    TwoLevelLayer<?> layer;
    int outputs;

    World(LayerKind kind, Workers workers, int outputs, Data data) {
      this.kind = kind;
      this.data = data;
      this.workers = workers;
      this.outputs = outputs;
      this.optimizer = data.oneOf(Optimizer.sgd(.1f), Optimizer.adagrad(.1f), Optimizer.adam(.01f));
      live.set(0, outputs);
      layer = kind.random(FEATURES, classes(), workers, data.below(100));
    }

    ClassAssignment classes() {
      return ClassAssignment.contiguous(outputs, 1 + data.below(Math.min(outputs, 9)));
    }

    FloatTensor x(int rows) {
      return FloatTensor.of(data.floats(Numbers.GAUSSIAN, (long) rows * FEATURES), rows, FEATURES);
    }

    /** Returns some active outputs, or some retired ones; never all active ones. */
    int[] some(boolean alive) {
      return IntStream.range(0, outputs)
          .filter(o -> live.get(o) == alive && data.below(3) == 0)
          .limit(Math.max(0, alive ? live.cardinality() - 1 : outputs))
          .toArray();
    }

    void make(Change change, Path file) throws IOException {
      int n = 1 + data.below(12);
      switch (change) {
        case ADD -> added(layer.addOutputs(n), n);
        case ADD_BY_X -> {
          try (FloatTensor x = x(n)) {
            added(layer.addOutputs(x), n);
          }
        }
        case RETIRE -> {
          int[] retired = some(true);
          layer.retire(retired);
          IntStream.of(retired).forEach(live::clear);
        }
        case REUSE -> {
          int[] reused = some(false);
          layer.reuse(reused);
          IntStream.of(reused).forEach(live::set);
        }
        case REASSIGN -> layer.reassign(data.below(3) == 0 ? layer.assignment() : classes());
        case STEP -> step();
        case COPY -> replace(layer.copy());
        case FILE -> {
          layer.save(file, SaveOptions.defaults().withOptimizerState());
          replace(kind.load(file, LoadOptions.copied().withWorkers(workers)));
        }
      }
    }

    private void added(int first, int n) {
      assertEquals(outputs, first);
      live.set(outputs, outputs + n);
      outputs += n;
    }

    private void step() {
      int[] targets = live.stream().filter(o -> data.below(2) == 0).limit(8).toArray();
      try (FloatTensor x = x(targets.length)) {
        LayerKind.step(layer, x, optimizer, targets);
      }
    }

    private void replace(TwoLevelLayer<?> other) {
      try (FloatTensor x = x(3);
          FloatTensor before = layer.logProbabilities(x);
          FloatTensor after = other.logProbabilities(x)) {
        assertArrayEquals(before.toArray(), after.toArray());
      }
      layer.close();
      layer = other;
    }

    void check() {
      assertEquals(outputs, layer.outputs());
      ClassAssignment classes = layer.assignment();
      int places = 0;
      for (int c = 0; c < classes.classCount(); c++) {
        assertTrue(classes.size(c) >= 1 && classes.size(c) <= classes.slots());
        for (int slot = 0; slot < classes.size(c); slot++) {
          int output = classes.output(c, slot);
          assertEquals(c, classes.classOf(output));
          assertEquals(slot, classes.slotOf(output));
          assertTrue(live.get(output));
          places++;
        }
      }
      assertEquals(live.cardinality(), places);
      try (FloatTensor x = x(2);
          FloatTensor all = layer.logProbabilities(x)) {
        Ranking ranking = layer.topK(x, 7);
        for (int row = 0; row < 2; row++) {
          float[] logs = new float[outputs];
          all.get((long) row * outputs, logs, 0, outputs);
          double sum = 0;
          for (int output = 0; output < outputs; output++) {
            sum += Math.exp(logs[output]);
            assertTrue(live.get(output) || logs[output] == Float.NEGATIVE_INFINITY);
            assertTrue(logs[output] <= 0);
          }
          assertEquals(1, kind == LayerKind.SOFTMAX ? sum : 1, 1e-4);
          int[] best =
              live.stream()
                  .boxed()
                  .sorted(Comparator.<Integer>comparingDouble(o -> -logs[o]).thenComparing(o -> o))
                  .limit(7)
                  .mapToInt(o -> o)
                  .toArray();
          // Sums of other shapes round differently: outputs that are nearly as likely may change
          // places.
          assertEquals(best.length, ranking.size(row));
          for (int rank = 0; rank < best.length; rank++) {
            assertEquals(logs[best[rank]], ranking.logProbability(row, rank), 1e-4);
          }
        }
      }
    }

    @Override
    public void close() {
      layer.close();
    }
  }

  @Property
  void staysALayer(
      @ForAll LayerKind kind,
      @ForAll("kernels") KernelsUnderTest kernels,
      @ForAll @IntRange(min = 1, max = 40) int outputs,
      @ForAll @IntRange(max = 12) int changes,
      @ForAll long seed)
      throws IOException {
    Data data = new Data(seed);
    Path file = Files.createTempFile("grown", ".safetensors");
    try (World world = new World(kind, kernels.workers(), outputs, data)) {
      world.check();
      for (int i = 0; i < changes; i++) {
        world.make(data.oneOf(Change.values()), file);
        world.check();
      }
    } finally {
      Files.deleteIfExists(file);
    }
  }
}
