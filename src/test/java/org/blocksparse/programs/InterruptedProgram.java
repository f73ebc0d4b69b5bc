// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.programs;

import java.io.IOException;
import java.nio.channels.ClosedByInterruptException;
import java.nio.file.Path;
import java.util.concurrent.atomic.AtomicBoolean;
import org.blocksparse.FloatTensor;
import org.blocksparse.io.LoadOptions;
import org.blocksparse.ranking.Ranking;
import org.blocksparse.softmax.HierarchicalSoftmax;

/** Uses a mapped model on an interrupted thread; this says nothing about the file. */
public final class InterruptedProgram {
  private InterruptedProgram() {}

  public static void main(String[] args) throws IOException {
    Path file = Path.of(args[0]);
    try (HierarchicalSoftmax layer = HierarchicalSoftmax.builder(4, 20).seed(3).build()) {
      layer.save(file);
    }
    try (HierarchicalSoftmax layer = HierarchicalSoftmax.load(file, LoadOptions.mapped());
        FloatTensor x = FloatTensor.of(new float[] {1, 2, 3, 4}, 1, 4)) {
      int right = search(layer, x);
      for (int call = 0; call < 3; call++) {
        Thread.currentThread().interrupt();
        require(search(layer, x) == right, "another answer");
        require(Thread.interrupted(), "the interrupt is lost");
      }
      Thread.currentThread().interrupt();
      try {
        HierarchicalSoftmax.load(file, LoadOptions.mapped()).close();
      } catch (ClosedByInterruptException e) {
        // It may have read the interrupt, and then reports it.
      }
      require(Thread.interrupted(), "the interrupt is lost");
      require(search(layer, x) == right, "another answer");
      searchUnderFire(layer, x, right);
      require(search(layer, x) == right, "another answer");
    }
  }

  /** Searches while another thread interrupts, at any time. */
  private static void searchUnderFire(HierarchicalSoftmax layer, FloatTensor x, int right) {
    Thread searching = Thread.currentThread();
    AtomicBoolean done = new AtomicBoolean();
    Thread firing =
        new Thread(
            () -> {
              while (!done.get()) {
                searching.interrupt();
              }
            });
    firing.setDaemon(true);
    firing.start();
    for (int call = 0; call < 2000; call++) {
      require(search(layer, x) == right, "another answer");
    }
    done.set(true);
    while (firing.isAlive()) {
      Thread.onSpinWait();
    }
    Thread.interrupted();
  }

  private static int search(HierarchicalSoftmax layer, FloatTensor x) {
    Ranking ranking = layer.topK(x, 1);
    return ranking.output(0, 0);
  }

  private static void require(boolean condition, String otherwise) {
    if (!condition) {
      throw new AssertionError(otherwise);
    }
  }
}
