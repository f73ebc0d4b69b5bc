// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.programs;

import java.io.IOException;
import java.nio.file.Path;
import org.blocksparse.io.LoadOptions;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.blocksparse.testing.ChildJvm;

/** Maps a model, reads all of W2, reports that, and waits for the end of its input. */
public final class MappedModelProgram {
  private MappedModelProgram() {}

  public static void main(String[] args) throws IOException {
    try (HierarchicalSoftmax mapped =
        HierarchicalSoftmax.load(Path.of(args[0]), LoadOptions.mapped())) {
      mapped.W2().toArray();
      System.out.println("ready");
      ChildJvm.check(System.in.read() < 0, "the input ends");
    }
  }
}
