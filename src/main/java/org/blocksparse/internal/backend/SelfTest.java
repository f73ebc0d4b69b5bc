// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.backend;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
import org.blocksparse.Activation;
import org.blocksparse.internal.kernels.BlockProduct;
import org.blocksparse.internal.kernels.Engine;
import org.blocksparse.internal.kernels.Kernels;
import org.blocksparse.internal.kernels.OuterProduct;
import org.blocksparse.internal.kernels.PackedActivation;
import org.blocksparse.internal.kernels.PackedProduct;
import org.blocksparse.internal.kernels.ProductKernels;
import org.blocksparse.internal.kernels.RoundedRows;
import org.blocksparse.internal.kernels.Sums;
import org.blocksparse.internal.memory.Rows;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.schedule.GemmSchedule;
import org.blocksparse.internal.schedule.OuterSchedule;
import org.blocksparse.internal.schedule.Scheduler;
import org.blocksparse.internal.weights.Blocks;
import org.blocksparse.internal.weights.Panels;
import org.blocksparse.internal.weights.RowFormat;
import org.blocksparse.internal.weights.StoredWeights;
import org.blocksparse.internal.weights.WeightType;

/**
 * Runs a few products of small integers through every kind of kernels, and compares the bits with
 * the Java reference: the sums are exact in any order, so a kernel that differs is wrong on this
 * machine. Products with packed weights have its bits in any case. OpenBLAS takes part if the
 * kernels in use may call it.
 *
 * <p>The sizes lie around the edges of register tiles, and around a million multiply-adds, where
 * OpenBLAS changes kernels. Kernels for many rows of a block, such as tiles of AMX, get enough of
 * them.
 */
public final class SelfTest {
  private record Case(int batch, int blocks, int iSize, int oSize) {}

  private static final List<Case> CASES =
      List.of(
          new Case(1, 1, 1, 1),
          new Case(3, 2, 17, 31),
          new Case(13, 3, 64, 65),
          new Case(40, 2, 127, 130),
          new Case(26, 1, 545, 18), // packed, more than 512 inputs are multiplied in pieces
          new Case(110, 1, 101, 100));

  /** The types of packed weights. */
  private static final List<WeightType> PACKED =
      Stream.of(WeightType.values()).filter(WeightType::isPacked).toList();

  /**
   * The multiply-adds up to which packed weights are tested, since each takes the reference long.
   */
  private static final int MOST_PACKED = 1 << 18;

  /** The other types whose products are exact. */
  private static final List<WeightType> NARROW = List.of(WeightType.FLOAT16, WeightType.BFLOAT16);

  /** The failures of this process, once they are known. */
  private static List<String> known;

  private final Map<String, Kernels> kernels;
  private final Case shape;
  private final List<String> failures;

  private SelfTest(Map<String, Kernels> kernels, Case shape, List<String> failures) {
    this.kernels = kernels;
    this.shape = shape;
    this.failures = failures;
  }

  /** Returns the names of the kernels that are tested. */
  public static Set<String> tested() {
    return kernels().keySet();
  }

  private static Map<String, Kernels> kernels() {
    return KernelChoice.available(KernelChoice.kernels().mayUseBlas());
  }

  /**
   * Returns the names of the kernels that err, each with the product that it got wrong. Tests once:
   * neither kernels nor processor change during the life of the process.
   */
  public static synchronized List<String> failures() {
    if (known == null) {
      known = List.copyOf(failures(kernels()));
    }
    return known;
  }

  static List<String> failures(Map<String, Kernels> kernels) {
    List<String> failures = new ArrayList<>();
    for (Case shape : CASES) {
      new SelfTest(kernels, shape, failures).run();
    }
    return failures;
  }

  private void run() {
    int[] zeros = new int[shape.batch];
    int[] blockOf = new int[shape.batch];
    for (int b = 0; b < shape.batch; b++) {
      blockOf[b] = b % shape.blocks;
    }
    int weights = shape.blocks * shape.iSize * shape.oSize;
    int outputs = shape.batch * shape.oSize;
    try (GemmSchedule forward = GemmSchedule.of(shape.batch, blockOf, shape.blocks, zeros, 1);
        GemmSchedule backward = GemmSchedule.of(shape.batch, zeros, 1, blockOf, shape.blocks);
        OuterSchedule outer = OuterSchedule.of(shape.batch, zeros, 1, blockOf, shape.blocks);
        Memory w = new Memory(weights, 7);
        Memory x = new Memory(shape.batch * shape.iSize, 5);
        Memory y = new Memory(shape.batch * shape.oSize, 3)) {
      Blocks blocks = Blocks.dense(w.storage, 1, shape.blocks, shape.iSize, shape.oSize);
      Rows in = new Rows(x.storage, shape.batch, shape.iSize);
      Rows out = new Rows(y.storage, shape.batch, shape.oSize);
      check("product", outputs, product(forward, in, false, blocks));
      Blocks transposed = blocks.transpose();
      check(
          "transposed product",
          shape.batch * shape.iSize,
          product(backward, out, false, transposed));
      for (WeightType type : NARROW) {
        try (StoredWeights narrow = stored(w.storage, type, shape)) {
          Blocks some = blocks(narrow, shape);
          check("product of " + type, outputs, product(forward, in, false, some));
          if (type == WeightType.BFLOAT16) {
            check("product with rounded inputs", outputs, product(forward, in, true, some));
          }
        }
      }
      int work = shape.batch * shape.iSize * shape.oSize;
      for (WeightType type : work <= MOST_PACKED ? PACKED : List.<WeightType>of()) {
        try (StoredWeights packed = stored(w.storage, type, shape)) {
          Blocks panels = blocks(packed, shape);
          check("product of " + type, outputs, packedProduct(forward, in, panels));
          check("activation of " + type, outputs, packedActivation(forward, in, panels));
        }
      }
      check(
          "outer product",
          weights,
          (k, result) ->
              k.blockOuter(
                  new OuterProduct(
                      outer,
                      1,
                      in,
                      out,
                      false,
                      Blocks.dense(result, 1, shape.blocks, shape.iSize, shape.oSize)),
                  0,
                  outer.blocks(),
                  0,
                  shape.iSize));
    }
  }

  private interface Computation {
    void run(ProductKernels kernels, Storage result);
  }

  private static Computation product(GemmSchedule schedule, Rows a, boolean roundsA, Blocks w) {
    return (kernels, result) ->
        kernels.blockGemm(
            new BlockProduct(
                schedule,
                a,
                roundsA ? RowFormat.BFLOAT16 : RowFormat.FLOATS,
                w,
                Sums.of(new Rows(result, a.count(), w.outSize())),
                null),
            0,
            schedule.chunks(),
            0,
            w.outSize());
  }

  private static StoredWeights stored(Storage floats, WeightType type, Case shape) {
    Engine engine = KernelChoice.engine(Scheduler.common());
    return StoredWeights.of(
        "w", floats, type, shape.blocks, shape.iSize, shape.oSize, engine.scheduler());
  }

  private static Blocks blocks(StoredWeights stored, Case shape) {
    return Blocks.dense(stored.elements(), 1, shape.blocks, shape.iSize, shape.oSize)
        .as(stored.type(), stored.scales());
  }

  private static Computation packedProduct(GemmSchedule schedule, Rows a, Blocks w) {
    return (kernels, result) -> {
      try (RoundedMemory memory = new RoundedMemory(format(w), (int) a.count(), w.inSize())) {
        RoundedRows rounded = memory.rows;
        kernels.roundRows(0, (int) a.count(), a, rounded);
        Sums sums = Sums.of(new Rows(result, a.count(), w.outSize()));
        PackedProduct product = new PackedProduct(schedule, rounded, w, sums);
        kernels.packedGemm(product, 0, schedule.chunks(), 0, w.outSize());
      }
    };
  }

  private static RowFormat format(Blocks w) {
    return RowFormat.ofBits(w.type(), false, RowFormat.ANY_BITS);
  }

  private static Computation packedActivation(GemmSchedule schedule, Rows a, Blocks w) {
    int rows = (int) a.count();
    int n = w.outSize();
    return (kernels, result) -> {
      RowFormat format = format(w);
      RowFormat written = format.isWhole() ? RowFormat.FLOATS : format;
      try (RoundedMemory ofA = new RoundedMemory(format, rows, w.inSize());
          RoundedMemory to = new RoundedMemory(written, rows, n)) {
        kernels.roundRows(0, rows, a, ofA.rows);
        PackedActivation relu =
            new PackedActivation(schedule, ofA.rows, w, null, Activation.RELU, null, to.rows);
        kernels.packedActivation(relu, 0, schedule.chunks(), 0, n);
        for (int r = 0; r < rows; r++) {
          for (int q = 0; q < n; q++) {
            int at = r * n + q;
            float value =
                switch (written) {
                  case FLOATS -> to.rows.storage().getFloat(at);
                  case BFLOAT16 -> to.rows.number(r, q);
                  default -> to.rows.code(0, r, q) * to.rows.scale(r, q / Panels.GROUP_ROWS);
                };
            result.putFloat(at, value);
          }
        }
      }
    };
  }

  /** Rounded rows and their memory. */
  private static final class RoundedMemory implements AutoCloseable {
    private final Memory memory;
    private final RoundedRows rows;

    RoundedMemory(RowFormat format, int count, int size) {
      memory = new Memory((int) RoundedRows.elements(format, count, size), 1);
      rows = new RoundedRows(memory.storage, format, count, size);
    }

    @Override
    public void close() {
      memory.close();
    }
  }

  /** Compares the results of all kernels with the reference's, which is computed once. */
  private void check(String product, int elements, Computation computation) {
    try (Memory actual = new Memory(elements, 1);
        Memory expected = new Memory(elements, 2)) {
      computation.run(Kernels.java().products(), expected.storage);
      kernels.forEach(
          (name, tested) -> {
            actual.fill(1);
            computation.run(tested.products(), actual.storage);
            if (differ(actual.storage, expected.storage, elements)) {
              failures.add(name + ": " + product + " of " + shape);
            }
          });
    }
  }

  /** Returns whether an element is another number than the reference's. */
  private static boolean differ(Storage actual, Storage expected, int elements) {
    for (int i = 0; i < elements; i++) {
      if (actual.getFloat(i) != expected.getFloat(i)) {
        return true;
      }
    }
    return false;
  }

  /** Memory of small integers, some of them negative. */
  private static final class Memory implements AutoCloseable {
    final Storage storage;
    private final int elements;

    Memory(int elements, int step) {
      storage = Storage.allocate(elements);
      this.elements = elements;
      fill(step);
    }

    void fill(int step) {
      for (int i = 0; i < elements; i++) {
        storage.putFloat(i, (float) (i * step % 11 - 5));
      }
    }

    @Override
    public void close() {
      storage.close();
    }
  }
}
