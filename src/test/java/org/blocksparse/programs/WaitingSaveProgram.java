// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.programs;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import org.blocksparse.Progress;
import org.blocksparse.io.SaveOptions;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.blocksparse.testing.ChildJvm;

/**
 * Saves a model, and waits in the middle of it for a line; before that, it saves under the same
 * name what {@link SaveProgram} saves.
 */
public final class WaitingSaveProgram {
  private WaitingSaveProgram() {}

  public static void main(String[] args) throws IOException {
    Path file = Path.of(args[0]);
    boolean[] waited = new boolean[1];
    Progress waiting =
        (done, total) -> {
          if (!waited[0]) {
            waited[0] = true;
            saveAndWait(file);
          }
        };
    try (HierarchicalSoftmax layer = HierarchicalSoftmax.builder(6, 10).build()) {
      layer.save(file, SaveOptions.defaults().withProgress(waiting));
    }
  }

  private static void saveAndWait(Path file) {
    try {
      SaveProgram.save(file);
      System.out.println("begun");
      ChildJvm.check(System.in.read() == '\n', "a line comes");
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
