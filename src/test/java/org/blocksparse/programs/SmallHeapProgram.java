// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.programs;

import java.io.IOException;
import java.nio.file.Path;
import org.blocksparse.Backend;
import org.blocksparse.FloatTensor;
import org.blocksparse.HierarchicalSoftmax;
import org.blocksparse.LoadOptions;

/** Has 400 MB of tensors, allocated and then mapped. */
public final class SmallHeapProgram {
  private static final int FEATURES = 512;
  private static final int OUTPUTS = 200_000;

  private SmallHeapProgram() {}

  public static void main(String[] args) throws IOException {
    Path file = Path.of(args[0]);
    int[] best;
    try (FloatTensor x = FloatTensor.zeros(1, FEATURES)) {
      x.fill(1);
      try (HierarchicalSoftmax layer = HierarchicalSoftmax.builder(FEATURES, OUTPUTS).build()) {
        best = layer.topK(x, 1).outputs(0);
        layer.save(file);
      }
      try (HierarchicalSoftmax layer = HierarchicalSoftmax.load(file, LoadOptions.mapped())) {
        int[] mapped = layer.topK(x, 1).outputs(0);
        if (mapped[0] != best[0]) {
          throw new IllegalStateException(mapped[0] + " in place of " + best[0]);
        }
      }
    }
    System.out.println("lives on with " + Backend.instructionSet());
  }
}
