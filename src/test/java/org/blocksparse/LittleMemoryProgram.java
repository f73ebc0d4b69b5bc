// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import java.util.ArrayList;
import java.util.List;
import org.blocksparse.internal.memory.Storage;

/**
 * Takes all memory that a process of limited size can have, and lives on; the main class of a JVM
 * of {@link FaultTest}.
 */
final class LittleMemoryProgram {
  private static final long PIECE_BYTES = 128L << 20;

  private LittleMemoryProgram() {}

  private static void check(boolean condition, String what) {
    if (!condition) {
      throw new IllegalStateException(what);
    }
  }

  /** The call finds no memory, says so, and keeps none. */
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
      assertRefused("copy", () -> layer.W2().copy("W2"));
      assertRefused("gradients", () -> layer.gradients(x, targets));
      assertRefused("all or none", () -> Storage.allocateAll(10, PIECE_BYTES / 4));
      assertRefused("optimiser", () -> layer.step(x, targets, adam));
      // Adagrad's memory was given back for Adam's; there is still enough for it.
      double after = layer.step(x, targets, adagrad);
      check(after < before, "losses of " + before + " and " + after);
      all.forEach(FloatTensor::close);
      layer.step(x, targets, adam);
      layer.gradients(x, targets).close();
    }
    System.out.println("lives on");
  }
}
