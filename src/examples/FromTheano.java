///usr/bin/env jbang "$0" "$@" ; exit $?
// SPDX-License-Identifier: Apache-2.0
//DEPS org.blocksparse:blocksparse-platform:0.1.0-SNAPSHOT

import java.io.IOException;
import java.nio.file.*;
import java.util.*;
import org.blocksparse.*;
import org.blocksparse.io.*;
import org.blocksparse.softmax.*;

class FromTheano {
  static final int FEATURES = 2, CLASSES = 3, OF_A_CLASS = 2, OUTPUTS = CLASSES * OF_A_CLASS;

  public static void main(String[] args) throws IOException {
    Path folder = Files.createTempDirectory("layer");
    write(folder); // or Python: np.save("W1.npy", W1.get_value()), and so on
    try (var W1 = NpyFile.readFloats(folder.resolve("W1.npy"));
        var b1 = NpyFile.readFloats(folder.resolve("b1.npy"));
        var W2 = NpyFile.readFloats(folder.resolve("W2.npy"));
        var b2 = NpyFile.readFloats(folder.resolve("b2.npy"));
        var x = FloatTensor.of(new float[] {1, 0, 0, 1}, 2, FEATURES);
        var h = TheanoSoftmax.apply(x, 2, OUTPUTS, CLASSES, OF_A_CLASS, W1, b1, W2, b2, null);
        var layer =
            HierarchicalSoftmax.builder(FEATURES, OUTPUTS).classes(CLASSES).build(W1, b1, W2, b2);
        var p = layer.probabilities(x);
        var labels = IntTensor.of(new int[] {0, 4}, 2)) {
      System.out.println(h.shape()); // (2, 6)
      System.out.println(Math.abs(h.get(1, 3) - p.get(1, 3)) < 1e-6); // true
      System.out.println(layer.topK(x, 1).output(1, 0)); // 1
      for (int step = 0; step < 100; step++) { // and trains on
        layer.step(x, labels, Optimizer.sgd(0.5f));
      }
      System.out.println(layer.topK(x, 1).output(1, 0)); // 4
    }
    for (String name : List.of("W1", "b1", "W2", "b2")) {
      Files.delete(folder.resolve(name + ".npy"));
    }
    Files.delete(folder);
  }

  static void write(Path folder) throws IOException {
    try (var W1 = FloatTensor.of(new float[] {1, 2, 3, 3, 2, 1}, FEATURES, CLASSES);
        var b1 = FloatTensor.zeros(CLASSES);
        var W2 = FloatTensor.zeros(CLASSES, FEATURES, OF_A_CLASS);
        var b2 = FloatTensor.of(new float[] {0, 1, 2, 0, 1, 2}, CLASSES, OF_A_CLASS)) {
      NpyFile.write(folder.resolve("W1.npy"), W1);
      NpyFile.write(folder.resolve("b1.npy"), b1);
      NpyFile.write(folder.resolve("W2.npy"), W2);
      NpyFile.write(folder.resolve("b2.npy"), b2);
    }
  }
}
