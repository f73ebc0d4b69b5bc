// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.programs;

import static org.blocksparse.testing.ChildJvm.check;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.SplittableRandom;
import org.blocksparse.Backend;
import org.blocksparse.FloatTensor;
import org.blocksparse.SparseRows;
import org.blocksparse.io.LoadOptions;
import org.blocksparse.ranking.Filter;
import org.blocksparse.softmax.HierarchicalSoftmax;

/**
 * Allocates 400 MB of tensors and then maps them; and draws with filters of rows, for which 80 MB
 * of tables could be made.
 */
public final class SmallHeapProgram {
  private static final int FEATURES = 512;
  private static final int OUTPUTS = 200_000;

  private SmallHeapProgram() {}

  public static void main(String[] args) throws IOException {
    tensors(Path.of(args[0]));
    draws();
    System.out.println("lives on with " + Backend.instructionSet());
  }

  private static void tensors(Path file) throws IOException {
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
  }

  private static void draws() {
    int batch = 1024;
    int classes = 20_000;
    List<int[]> listed = Collections.nCopies(batch, new int[] {7, 30_000});
    try (HierarchicalSoftmax layer =
            HierarchicalSoftmax.builder(1, 2 * classes).classes(classes).build();
        FloatTensor x = FloatTensor.zeros(batch, 1);
        SparseRows rows = SparseRows.of(listed)) {
      int[] ofRows = layer.sample(x, 1, new SplittableRandom(1), Filter.without(rows));
      int[] ofAll = layer.sample(x, 1, new SplittableRandom(1), Filter.without(listed.get(0)));
      check(Arrays.equals(ofAll, ofRows), "other outputs are drawn");
    }
  }
}
