// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.programs;

import java.io.IOException;
import java.nio.file.Path;
import org.blocksparse.FloatTensor;
import org.blocksparse.IntTensor;
import org.blocksparse.Optimizer;
import org.blocksparse.io.LoadOptions;
import org.blocksparse.softmax.HierarchicalSoftmax;

/** Uses most of the library, and prints the names of the threads that then exist. */
public final class ThreadsProgram {
  private ThreadsProgram() {}

  public static void main(String[] args) throws IOException {
    Path file = Path.of(args[0]);
    try (HierarchicalSoftmax layer = HierarchicalSoftmax.builder(64, 5000).build();
        FloatTensor x = FloatTensor.zeros(300, 64);
        IntTensor targets = IntTensor.zeros(300)) {
      layer.step(x, targets, Optimizer.adam(0.1f));
      layer.topK(x, 5);
      layer.save(file);
      HierarchicalSoftmax.load(file, LoadOptions.mapped()).close();
    }
    for (Thread thread : Thread.getAllStackTraces().keySet()) {
      System.out.println("thread " + thread.getName());
    }
  }
}
