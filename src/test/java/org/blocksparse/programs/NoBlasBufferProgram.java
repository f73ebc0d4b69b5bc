// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.programs;

import static org.blocksparse.testing.ChildJvm.check;

import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.Deque;
import org.blocksparse.FloatTensor;
import org.blocksparse.IntTensor;
import org.blocksparse.Optimizer;
import org.blocksparse.Workers;
import org.blocksparse.internal.backend.KernelChoice;
import org.blocksparse.internal.binding.NativeLibrary;
import org.blocksparse.internal.kernels.KernelWorkers;
import org.blocksparse.internal.kernels.Kernels;
import org.blocksparse.softmax.HierarchicalSoftmax;

/**
 * Trains where no memory is left for a buffer of OpenBLAS, which would end the process; the main
 * class of a JVM of {@code BlasMemoryTest}.
 */
public final class NoBlasBufferProgram {
  private static final int BATCH = 64;

  /** A few of these pieces fit where a buffer of OpenBLAS does not. */
  private static final int PIECE_BYTES = 16 << 20;

  private NoBlasBufferProgram() {}

  /**
   * Returns the class level after a step, whose gradient is the sum of outer products of a large
   * block.
   */
  private static float[] step(int size, Workers workers) {
    try (HierarchicalSoftmax layer =
            HierarchicalSoftmax.builder(size, 2 * size)
                .classes(size)
                .workers(workers)
                .seed(3)
                .build();
        FloatTensor x = FloatTensor.zeros(BATCH, size);
        IntTensor targets = IntTensor.zeros(BATCH)) {
      for (int row = 0; row < BATCH; row++) {
        targets.set(row, row);
        x.set(row + 1, row, row % size);
      }
      check(Double.isFinite(layer.step(x, targets, Optimizer.sgd(0.5f))), "no loss");
      return layer.W1().toArray();
    }
  }

  private static Workers kernels(Kernels.Path path) {
    int isa = NativeLibrary.isaOf(KernelChoice.kernels().instructionSet());
    return KernelWorkers.of(Kernels.ofNative(isa, path));
  }

  private static void assertNamesTheBytes(int size) {
    try {
      step(size, kernels(Kernels.Path.BLAS));
    } catch (OutOfMemoryError e) {
      check(
          e.getMessage().matches("cannot allocate [0-9]+ bytes for a buffer of OpenBLAS.*"),
          e.getMessage());
      return;
    }
    throw new IllegalStateException("there was enough memory");
  }

  public static void main(String[] args) {
    int[] sizes = {128, 512}; // BLAS may be chosen for one of these, on each instruction set
    for (int size : sizes) {
      step(size, kernels(Kernels.Path.TILE)); // loads classes, and allocates the memory of tiles
    }
    Deque<FloatTensor> all = new ArrayDeque<>();
    try {
      while (true) {
        all.add(FloatTensor.zeros(PIECE_BYTES / 4));
      }
    } catch (OutOfMemoryError e) {
      System.out.println("after " + all.size() + " pieces: " + e.getMessage());
    }
    for (int piece = 0; piece < 5; piece++) {
      all.remove().close();
    }
    for (int size : sizes) {
      float[] expected = step(size, kernels(Kernels.Path.TILE));
      check(Arrays.equals(expected, step(size, Workers.common())), "other bits than tiles");
      assertNamesTheBytes(size);
    }
    all.forEach(FloatTensor::close);
    step(128, kernels(Kernels.Path.BLAS));
    System.out.println("lives on");
  }
}
