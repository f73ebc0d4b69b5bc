// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.programs;

import static org.blocksparse.testing.ChildJvm.check;

import java.util.ArrayList;
import java.util.List;
import org.blocksparse.FloatTensor;
import org.blocksparse.IntTensor;
import org.blocksparse.Optimizer;
import org.blocksparse.internal.memory.Scratch;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.products.SparseBlockOuter;
import org.blocksparse.softmax.HierarchicalSoftmax;

/**
 * Takes all memory that a process of limited size can have, and survives; the main class of a JVM
 * of {@code ProcessTest}.
 */
public final class LittleMemoryProgram {
  private static final long PIECE_BYTES = 128L << 20;

  private LittleMemoryProgram() {}

  /** Asserts that the call finds no memory, throws, and keeps none. */
  private static void assertRefused(String name, Runnable call) {
    long before = FloatTensor.allocatedBytes();
    try {
      call.run();
    } catch (OutOfMemoryError e) {
      check(
          e.getMessage().matches("cannot allocate [0-9]+ bytes for a tensor; .*"),
          name + ": " + e.getMessage());
      long kept = FloatTensor.allocatedBytes() - before;
      check(kept <= 0, name + ": " + kept + " bytes were kept");
      return;
    }
    throw new IllegalStateException(name + ": there was enough memory");
  }

  public static void main(String[] args) {
    try (HierarchicalSoftmax layer =
            HierarchicalSoftmax.builder(1024, (int) (PIECE_BYTES / 4096)).classes(128).build();
        FloatTensor x = FloatTensor.zeros(2, 1024);
        FloatTensor rows = FloatTensor.zeros(1, 1, 1024);
        FloatTensor columns = FloatTensor.zeros(1, 1, 256);
        IntTensor idx = IntTensor.zeros(1, 1);
        IntTensor targets = IntTensor.zeros(2)) {
      Optimizer adam = Optimizer.adam(0.1f);
      Optimizer adagrad = Optimizer.adagrad(0.1f);
      double before = layer.step(x, targets, adagrad);
      List<FloatTensor> all = new ArrayList<>();
      try {
        while (true) {
          all.add(FloatTensor.zeros(PIECE_BYTES / 4));
        }
      } catch (OutOfMemoryError e) {
        System.out.println("after " + all.size() + " pieces: " + e.getMessage());
      }
      assertRefused("tensor", () -> FloatTensor.zeros(PIECE_BYTES / 4));
      assertRefused(
          "copy",
          () ->
              SparseBlockOuter.apply(
                  layer.W2().reshape(128, 1, 1024, 256), rows, columns, idx, idx, 1));
      assertRefused("gradients", () -> layer.gradients(x, targets));
      assertRefused("all or none", () -> Storage.allocateAll(10, PIECE_BYTES / 4));
      assertRefused("optimizer", () -> layer.step(x, targets, adam));
      // Adagrad's memory was freed for Adam's; there is still enough for it.
      double after = layer.step(x, targets, adagrad);
      check(after < before, "losses of " + before + " and " + after);
      // Memory that is kept only for later intermediate results goes to a tensor that needs it.
      all.remove(all.size() - 1).close();
      Scratch.borrow(PIECE_BYTES / 4).close();
      all.add(FloatTensor.zeros(PIECE_BYTES / 4));
      all.forEach(FloatTensor::close);
      layer.step(x, targets, adam);
      layer.gradients(x, targets).close();
    }
    System.out.println("lives on");
  }
}
