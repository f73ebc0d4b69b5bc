// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.programs;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import org.blocksparse.FloatTensor;
import org.blocksparse.IntTensor;
import org.blocksparse.io.LoadOptions;
import org.blocksparse.softmax.HierarchicalSoftmax;

/**
 * Computes a loss by a mapped model, in each way; the main class of a JVM in which JavaCPP believes
 * that all memory is used.
 */
public final class MappedLossProgram {
  private MappedLossProgram() {}

  public static void main(String[] args) throws IOException {
    for (LoadOptions options : List.of(LoadOptions.mapped(), LoadOptions.copyOnWrite())) {
      try (HierarchicalSoftmax layer = HierarchicalSoftmax.load(Path.of(args[0]), options);
          FloatTensor x = FloatTensor.zeros(3, layer.features());
          IntTensor targets = IntTensor.zeros(3)) {
        System.out.println(layer.loss(x, targets));
      }
    }
  }
}
