// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.programs;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import org.blocksparse.Backend;
import org.blocksparse.softmax.HierarchicalSoftmax;

/** Saves and loads a model, each twice, and prints the outcome. */
public final class ModelFileProgram {
  private ModelFileProgram() {}

  public static void main(String[] args) {
    Path file = Path.of(args[0]);
    System.out.print(Backend.describe());
    try (HierarchicalSoftmax layer = HierarchicalSoftmax.builder(4, 20).build()) {
      for (int time = 0; time < 2; time++) {
        report(
            "save",
            () -> {
              layer.save(file);
              return null;
            });
        report(
            "load",
            () -> {
              Files.write(file, new byte[] {2, 0, 0, 0, 0, 0, 0, 0, '{', '}'});
              return HierarchicalSoftmax.load(file);
            });
      }
    }
  }

  private static void report(String what, Callable<?> call) {
    try {
      call.call();
      System.out.println(what + ": done");
    } catch (Exception | LinkageError e) {
      System.out.println(what + ": " + e);
    }
  }
}
